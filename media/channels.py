"""What a picture file stores, before its colours are managed."""

from dataclasses import dataclass
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class Channels:
    """The channels of a picture as they are stored, scaled to all of their type."""

    colours: np.ndarray
    """(H, W) grey, (H, W, 3) RGB or (H, W, 4) CMYK, 0 without ink, uint8 or uint16; or
    (H, W, 3) float64 CIELAB, L from 0 to 100."""
    alpha: np.ndarray | None = None
    """(H, W), of the colours' type, straight."""
    model: Literal["grey", "rgb", "cmyk", "lab"] = "rgb"
    deep: bool = False
    """Whether there are more than 8 bits a channel."""


def split_alpha(pixels: np.ndarray) -> Channels:
    """Takes (H, W) grey, (H, W, 2) with alpha, (H, W, 3) RGB or (H, W, 4) with alpha apart."""
    deep = pixels.dtype == np.uint16
    if pixels.ndim == 2 or pixels.shape[2] == 1:
        return Channels(pixels.reshape(pixels.shape[:2]), None, "grey", deep)
    if pixels.shape[2] == 2:
        return Channels(pixels[..., 0], pixels[..., 1], "grey", deep)
    return Channels(pixels[..., :3], pixels[..., 3] if pixels.shape[2] == 4 else None, "rgb", deep)


def scale_bits(values: np.ndarray, largest: int) -> np.ndarray:
    """Scales whole numbers from 0 to `largest` to all of uint8, or of uint16 above 255."""
    full = 255 if largest <= 255 else 65535
    if largest == full:
        return values.astype(np.uint8 if full == 255 else np.uint16, copy=False)
    # 32 bits hold it: at most 65535 * 65535 + 32767.
    scaled = (np.minimum(values, largest).astype(np.uint32) * full + largest // 2) // largest
    return scaled.astype(np.uint8 if full == 255 else np.uint16)


def divide_alpha(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Makes associated alpha straight: (H, W[, C]) colours over (H, W) alpha; 0 where that is 0."""
    largest = np.iinfo(colours.dtype).max
    over = (alpha if colours.ndim == 2 else alpha[..., None]).astype(np.uint64)
    straight = (colours.astype(np.uint64) * largest + over // 2) // np.maximum(over, 1)
    return np.where(over > 0, np.minimum(straight, largest), 0).astype(colours.dtype)
