"""Pixels that are not square, as those of DV, HDV and anamorphic recordings."""

from fractions import Fraction

import numpy as np

from .pictures import resize

_SAME = 0.01  # part of the width; a row or column more or less in small pictures


def to_aspect(pixels: np.ndarray, have: Fraction, want: Fraction = Fraction(1)) -> np.ndarray:
    """Resamples (H, W, C) or (H, W) to another pixel aspect (width over height); loses no detail.

    The picture is widened, or made higher, and is the same object where the two agree.
    """
    height, width = pixels.shape[:2]
    ratio = have / want
    if ratio == 1:
        return pixels
    size = (height, round(width * ratio)) if ratio > 1 else (round(height / ratio), width)
    return resize(pixels, *size)


def has_shape(pixels: np.ndarray, height: int, width: int) -> bool:
    """Whether a picture has the proportions of a size, in pixels whatever these are."""
    return abs(pixels.shape[1] * height / pixels.shape[0] - width) <= max(1, _SAME * width)
