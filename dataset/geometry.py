"""Geometry of a training sample: one resampling from picture to crop."""

import math

import cv2
import numpy as np

from .changes import PictureChange, linear_part

# Pixels of the crop by which a foreground's colours are extended beyond its picture, where alpha is
# 0. Resampling, sharpening and losses at a coarser size read fewer.
_CONTINUED = 6


def crop_map(change: PictureChange, source: tuple[int, int], crop: tuple[int, int]) -> np.ndarray:
    """Computes the affine map from a picture to the crop.

    The picture is resized to cover the square around the crop, centred on the crop, changed about
    its centre, and shifted. Sizes are height and width in pixels.

    Returns:
        (2, 3) float64, from (x, y) in the picture to (x, y) in the crop, in pixels, where (0, 0)
        is the corner of the first pixel.

    Source: the release, `PairRandomAffineAndResize` and the crop of its training scripts.
    """
    cover = max(crop) / min(source)
    linear = linear_part(change.rotation, change.shear, change.scale * cover)
    offset = np.array((crop[1] / 2, crop[0] / 2)) - linear @ (source[1] / 2, source[0] / 2)
    offset += cover * np.array((change.shift_x * source[1], change.shift_y * source[0]))
    matrix = np.column_stack((linear, offset))
    if change.flip:
        matrix[0] = (0, 0, crop[1]) - matrix[0]
    return matrix


def needed_side(change: PictureChange, crop: tuple[int, int]) -> int:
    """Computes the shorter side in pixels at which a picture is neither enlarged nor reduced."""
    return math.ceil(change.scale * max(crop))


def reduce_picture(picture: np.ndarray, shorter_side: int) -> np.ndarray:
    """Reduces an (H, W) or (H, W, 3) uint8 picture so that resampling it does not alias.

    The factor is an integer; the shorter side keeps at least `shorter_side` pixels, and less than
    twice as many.
    """
    height, width = picture.shape[:2]
    factor = min(height, width) // shorter_side
    if factor < 2:
        return picture
    # Rounded up, so that the shorter side stays long enough.
    size = (-(-width // factor), -(-height // factor))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def warp_foreground(
    fgr: np.ndarray, pha: np.ndarray, change: PictureChange, crop: tuple[int, int]
) -> np.ndarray:
    """Warps (H, W, 3) uint8 colours and their alpha, (H, W) of any size, to the crop: (h, w, 4).

    Beyond the picture alpha is 0. The colours are extended as far as later steps read them, and are
    black beyond.
    """
    if pha.shape != fgr.shape[:2]:
        pha = cv2.resize(pha, fgr.shape[1::-1], interpolation=cv2.INTER_AREA)
    matrix = crop_map(change, pha.shape[:2], crop)
    gain = change.scale * max(crop) / min(pha.shape)
    margin = math.ceil((_CONTINUED + 2 * change.blur_radius) / gain) + 1
    sides = (margin,) * 4
    # OpenCV warps four channels 2 times faster than three.
    both = cv2.cvtColor(cv2.copyMakeBorder(fgr, *sides, cv2.BORDER_REPLICATE), cv2.COLOR_RGB2RGBA)
    cv2.insertChannel(cv2.copyMakeBorder(pha, *sides, cv2.BORDER_CONSTANT, value=0), both, 3)
    return _warp(both, matrix, (margin, margin), crop)


def warp_background(bgr: np.ndarray, change: PictureChange, crop: tuple[int, int]) -> np.ndarray:
    """Warps an (H, W, 3) uint8 background to the crop (h, w); reflection fills free corners."""
    height, width = bgr.shape[:2]
    matrix = crop_map(change, (height, width), crop)
    corners = np.array(((0, 0), (crop[1], 0), (0, crop[0]), crop[::-1]), float)
    there = np.linalg.solve(matrix[:, :2], (corners - matrix[:, 2]).T)
    left, top = (max(0, math.ceil(1 - low)) for low in there.min(1))
    right = max(0, math.ceil(there[0].max() + 1 - width))
    bottom = max(0, math.ceil(there[1].max() + 1 - height))
    if max(left, top, right, bottom) > 0:
        bgr = cv2.copyMakeBorder(bgr, top, bottom, left, right, cv2.BORDER_REFLECT_101)
    whole = cv2.cvtColor(bgr, cv2.COLOR_RGB2RGBA)
    return cv2.cvtColor(_warp(whole, matrix, (left, top), crop), cv2.COLOR_RGBA2RGB)


def _warp(
    picture: np.ndarray, matrix: np.ndarray, start: tuple[int, int], crop: tuple[int, int]
) -> np.ndarray:
    """Resamples, where the map's origin lies at pixel `start` (x, y) of the picture."""
    # From pixel corners to OpenCV's pixel centres, and back in the crop.
    offset = matrix[:, 2] + matrix[:, :2] @ (0.5 - np.array(start)) - 0.5
    centred = np.column_stack((matrix[:, :2], offset))
    return cv2.warpAffine(
        picture, centred, crop[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
    )
