"""Corrects an aligned plate for parallax: near objects move separately if the camera moved.

Uses optical flow; the plate is moved only where it then shows the frame's texture. Source: ours,
based on Kroeger et al. 2016, "Fast Optical Flow using Dense Inverse Search".
"""

import math

import cv2
import numpy as np

from .comparison import correlate_texture, to_grey

# Pixels are those of the working size. Values are from real pairs of 1920 pixels, docs/capture.md.
WORKING_LONG_SIDE = 2048
WINDOW_PX = 15  # window for comparing differences and textures
SMOOTHING_PX = 9  # of the flow, which would otherwise tear the plate
MIN_SHIFT_PX = 0.7  # less is noise of the flow, and resampling blurs the plate
MAX_SHIFT_PX = 10.0  # with 20, a subject's texture is sometimes found on the plate
MAX_DIFFERENCE_RATIO = 0.5  # moved over placed
MIN_CORRELATION = 0.8  # with 0.7, a subject's texture is found on the plate 5 times more often


def follow_parallax(
    src: np.ndarray, placed: np.ndarray, covered: np.ndarray, guide: np.ndarray
) -> tuple[np.ndarray, float]:
    """Moves a warped plate locally where near objects have moved relative to the rest.

    Does not use pixels that the plate does not cover (`covered` is False). The flow is computed
    with `guide`, the warped plate at the frame's exposure.

    Returns the plate, or `placed` if nothing moves; and the fraction of the frame that was moved.
    The result does not depend on the number of threads.
    """
    frame, plate = (to_grey(picture, WORKING_LONG_SIDE) for picture in (src, guide))
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow = search.calc(frame, plate, np.empty(0, np.float32))  # without an initial flow
    flow = cv2.blur(flow, (SMOOTHING_PX, SMOOTHING_PX))
    reaches = cv2.resize(covered.astype(np.uint8), frame.shape[::-1], interpolation=cv2.INTER_AREA)
    weight = cv2.blur(_judge(frame, plate, flow, reaches), (WINDOW_PX, WINDOW_PX))
    share = float(weight.mean())
    if share == 0:
        return placed, 0.0
    result = placed.copy()
    # In pieces, because usually only small areas move.
    pieces = cv2.connectedComponentsWithStats((weight > 0).astype(np.uint8))[2]
    for piece in pieces[1:]:
        _move_piece(placed, flow, weight, piece[:4], result)
    return result, share


def _judge(
    frame: np.ndarray, plate: np.ndarray, flow: np.ndarray, reaches: np.ndarray
) -> np.ndarray:
    """(h, w) float32: 1 where the plate must be moved, else 0."""
    window = (WINDOW_PX, WINDOW_PX)
    src, placed, moved = (
        picture.astype(np.float32) for picture in (frame, plate, _move(plate, flow))
    )
    before, after = (cv2.blur(np.abs(src - picture), window) for picture in (placed, moved))
    shift = cv2.magnitude(flow[..., 0], flow[..., 1])
    there = _move(reaches, flow) & reaches
    return (
        (shift > MIN_SHIFT_PX)
        & (shift < MAX_SHIFT_PX)
        & (after < MAX_DIFFERENCE_RATIO * before)
        & (correlate_texture(src, moved, WINDOW_PX)[0] > MIN_CORRELATION)
        & (there > 0)
    ).astype(np.float32)


def _move_piece(
    placed: np.ndarray, flow: np.ndarray, weight: np.ndarray, box: np.ndarray, out: np.ndarray
) -> None:
    """Moves the content of a box (left, top, width, height) in the working size."""
    (height, width), (left, top, columns, rows) = placed.shape[:2], box
    # x becomes (x + 0.5) * factor - 0.5, so shifts are multiplied by the factor.
    across, down = width / flow.shape[1], height / flow.shape[0]
    first = max(math.floor((left - 1) * across), 0), max(math.floor((top - 1) * down), 0)
    right = min(math.ceil((left + columns + 1) * across), width)
    bottom = min(math.ceil((top + rows + 1) * down), height)
    part = (slice(first[1], bottom), slice(first[0], right))
    y, x = np.mgrid[part].astype(np.float32)
    small = (x + 0.5) / across - 0.5, (y + 0.5) / down - 0.5
    along, share = _take(flow, *small), _take(weight, *small)
    moved = _take(placed, x + along[..., 0] * across, y + along[..., 1] * down)
    before = placed[part].astype(np.float32)
    # The weight falls over the window's width around a moved area, to avoid seams.
    out[part] = np.rint(before + (moved - before) * share[..., None])


def _move(picture: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Takes each pixel from the position to which the flow, (H, W, 2), points."""
    rows, columns = np.indices(flow.shape[:2], np.float32)
    return _take(picture, columns + flow[..., 0], rows + flow[..., 1])


def _take(picture: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
