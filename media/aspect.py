"""Non-square pixels, as in DV, HDV and anamorphic recordings."""

from fractions import Fraction

import numpy as np

from .pictures import resize

_SAME = 0.01  # tolerance of proportions, for a row or column of difference in small pictures


def to_aspect(pixels: np.ndarray, have: Fraction, want: Fraction = Fraction(1)) -> np.ndarray:
    """Resamples (H, W, C) or (H, W) to another pixel aspect (width over height), keeping detail.

    The picture is made wider or taller; the same object is returned if both aspects are equal.
    """
    height, width = pixels.shape[:2]
    ratio = have / want
    if ratio == 1:
        return pixels
    size = (height, round(width * ratio)) if ratio > 1 else (round(height / ratio), width)
    return resize(pixels, *size)


def has_shape(pixels: np.ndarray, height: int, width: int) -> bool:
    """Whether a picture has the proportions of a size."""
    return abs(pixels.shape[1] * height / pixels.shape[0] - width) <= max(1, _SAME * width)
