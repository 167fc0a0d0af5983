"""Shapes of synthetic foregrounds: outlines, limbs and lines on a mask, and blurs.

Points are pixels, (x, y), float; everything is drawn anti-aliased at 1/16 pixel.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.random import Generator

SHIFT = 4
_RIM = 0.5  # pixels; more than OpenCV's anti-aliasing adds to the edge of a filled shape
_FAR = 16_000.0  # pixels; fixed-point drawing overflows beyond
BOX = np.array(((-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)))


def fixed(points: np.ndarray) -> np.ndarray:
    """Converts points in pixels to OpenCV's fixed-point numbers, with pixel centres at integers."""
    return np.rint((np.clip(points, -_FAR, _FAR) - 0.5) * (1 << SHIFT)).astype(np.int32)


def fill(mask: np.ndarray, *outlines: np.ndarray) -> None:
    """Fills outlines of shape (N, 2); overlaps of two outlines in one call stay empty."""
    cv2.fillPoly(mask, [fixed(outline) for outline in outlines], 255, cv2.LINE_AA, SHIFT)


def disk(mask: np.ndarray, centre: np.ndarray, radius: float) -> None:
    """Fills a disk."""
    x, y = fixed(np.asarray(centre, np.float64)).tolist()
    cv2.circle(mask, (x, y), max(1, round((radius - _RIM) * 16)), 255, -1, cv2.LINE_AA, SHIFT)


def lines(mask: np.ndarray, paths: Sequence[np.ndarray], width: float) -> None:
    """Draws open paths of one width in pixels; paths thinner than a pixel are fainter."""
    value, thick = int(255 * min(1.0, max(0.3, width))), max(1, round(width))
    cv2.polylines(mask, [fixed(path) for path in paths], False, value, thick, cv2.LINE_AA, SHIFT)


def limb(
    mask: np.ndarray, joints: np.ndarray, radii: Sequence[float] | np.ndarray, bends: bool = True
) -> None:
    """Draws a tapering limb through joints (N, 2) with the given radii, in pixels."""
    nodes = np.column_stack((joints, radii))
    path = smooth_path(nodes, 5) if bends else nodes
    places, widths = path[:, :2], np.maximum(path[:, 2], 0.3 + _RIM)
    along = np.diff(places, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-6
    side = along[:, ::-1] * (-1, 1)
    starts, ends = side * (widths[:-1, None] - _RIM), side * (widths[1:, None] - _RIM)
    a, b = places[:-1], places[1:]
    for quad in fixed(np.stack((a + starts, b + ends, b - ends, a - starts), 1)):
        cv2.fillConvexPoly(mask, quad, 255, cv2.LINE_AA, SHIFT)
    for place, width in zip(places, widths, strict=True):
        disk(mask, place, width)


def blob(
    rng: Generator,
    centre: np.ndarray,
    radii: tuple[float, float],
    roughness: float = 0.2,
    count: int = 96,
) -> np.ndarray:
    """Makes a closed wavy outline (count, 2) around a centre."""
    waves = np.arange(2, 10)
    sizes = rng.normal(0, 1, (2, len(waves))) * roughness / waves
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    phase = waves[:, None] * angle
    radius = np.maximum(1 + sizes[0] @ np.cos(phase) + sizes[1] @ np.sin(phase), 0.15)
    return centre + np.stack((np.cos(angle), np.sin(angle)), 1) * radius[:, None] * radii


def smooth_path(points: np.ndarray, samples: int, closed: bool = False) -> np.ndarray:
    """Interpolates points (N, D) with a Catmull-Rom spline, `samples` (M, D) for each interval."""
    ends = (points[-1:], points[:2]) if closed else (points[:1], points[-1:])
    around = np.concatenate((ends[0], points, ends[1]))
    p0, p1, p2, p3 = (around[i : len(around) - 3 + i, None] for i in range(4))
    t = np.linspace(0, 1, samples, endpoint=False)[None, :, None]
    path = 0.5 * (
        2 * p1
        + (p2 - p0) * t
        + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2
        + (3 * p1 - p0 - 3 * p2 + p3) * t**3
    )
    path = path.reshape(-1, points.shape[1])
    return path if closed else np.concatenate((path, points[-1:]))


def round_off(strands: np.ndarray) -> np.ndarray:
    """Inserts points between distant ones of strands (N, S, 2), to smooth the corners."""
    if np.abs(np.diff(strands, axis=1)).mean() < 6:
        return strands
    count, steps, _ = strands.shape
    path = smooth_path(strands.transpose(1, 0, 2).reshape(steps, -1), 4)
    return np.ascontiguousarray(path.reshape(-1, count, 2).transpose(1, 0, 2))


def turned(points: np.ndarray, centre: np.ndarray, angle: float) -> np.ndarray:
    """Rotates points (..., 2) by radians and moves them from the origin to a centre."""
    cos, sin = np.cos(angle), np.sin(angle)
    return centre + points @ np.array(((cos, sin), (-sin, cos)))


def blur(picture: np.ndarray, kind: str, size: float) -> np.ndarray:
    """Blurs by `size` pixels: with a Gaussian if `kind` is "soft", else with a disc, as a lens."""
    if kind == "soft":
        return cv2.GaussianBlur(picture, (0, 0), max(0.3, size / 2))
    side = 2 * max(1, round(size * 0.6)) + 1
    return cv2.blur(cv2.blur(picture, (side, side)), (side // 3 * 2 + 1,) * 2)


def blur_motion(picture: np.ndarray, size: float, angle: float, bend: float = 0.0) -> np.ndarray:
    """Motion-blurs by `size` pixels in both directions along an angle in radians.

    The path's middle lies beside the straight line by `bend` times `size`.
    """
    if size > 12:  # a long blur needs only some of the pixels
        height, width = picture.shape[:2]
        small = (max(8, round(width * 6 / size)), max(8, round(height * 6 / size)))
        less = cv2.resize(picture, small, interpolation=cv2.INTER_AREA)
        less = blur_motion(less, 6.0, angle, bend)
        return cv2.resize(less, (width, height), interpolation=cv2.INTER_LINEAR)
    half = size * np.array((np.cos(angle), np.sin(angle)))
    t = np.linspace(-1, 1, 9)[:, None]
    path = t * half + bend * (1 - t**2) * half[::-1] * (-1, 1)
    side = 2 * int(np.ceil(size * max(1.0, abs(bend)))) + 1
    kernel = np.zeros((side, side), np.uint8)
    points = np.rint((side // 2 + path) * 16).astype(np.int32)
    cv2.polylines(kernel, [points], False, 255, 1, cv2.LINE_AA, SHIFT)
    return cv2.filter2D(picture, -1, kernel / np.float32(kernel.sum()))
