"""Making a plate fit its frame: size and depth. What else may be wrong: see prepare.py."""

import cv2
import numpy as np

# Widths and heights that were rounded when a picture was resized: half a percent, or one pixel.
_ASPECT_TOLERANCE = 0.005


def fit_plate(*, src: np.ndarray, bgr: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Brings a plate to the size and depth of its frame.

    Args:
        src: (H, W, 3) uint8 or uint16, RGB, the frame.
        bgr: (h, w, 3) uint8 or uint16, RGB, the plate as captured.

    Returns:
        The plate (H, W, 3) of the frame's type, and what was changed, in words.

    Raises:
        ValueError: when the two have different aspect ratios.
    """
    notes: tuple[str, ...] = ()
    if bgr.shape != src.shape:
        bgr = _resize_same_aspect(bgr, src.shape[0], src.shape[1])
        notes = ("plate resized to the frame",)
    return _match_depth(bgr, src.dtype), notes


def resize_to_cover(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resizes (h, w, 3) until it covers a size in pixels and crops its middle."""
    scale = max(height / picture.shape[0], width / picture.shape[1])
    # The part of the picture that will be seen, so that nothing larger than needed is made.
    rows, columns = round(height / scale), round(width / scale)
    top, left = (picture.shape[0] - rows) // 2, (picture.shape[1] - columns) // 2
    return resize(picture[top : top + rows, left : left + columns], height, width)


def resize(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resizes (h, w, 3) of any type to a size in pixels, averaging when it shrinks."""
    shrinks = height < picture.shape[0]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(picture, (width, height), interpolation=interpolation)


def _resize_same_aspect(bgr: np.ndarray, height: int, width: int) -> np.ndarray:
    off = abs(bgr.shape[0] * width / bgr.shape[1] - height)
    if off > max(_ASPECT_TOLERANCE * height, 1):
        raise ValueError(
            f"plate and frame have different aspect ratios: the plate is {bgr.shape[1]} x "
            f"{bgr.shape[0]} pixels, the frame {width} x {height}. Capture both with the same "
            "camera and settings, or crop one to match"
        )
    return resize(bgr, height, width)


def _match_depth(picture: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if picture.dtype == dtype:
        return picture
    if dtype == np.uint16:
        return picture.astype(np.uint16) * 257
    return ((picture.astype(np.uint32) + 128) // 257).astype(np.uint8)
