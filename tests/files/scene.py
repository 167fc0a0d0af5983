"""What the files of the tables show: a plate, and a frame with a disc before it."""

from functools import cache

import numpy as np
from PIL import Image, ImageFilter

HEIGHT, WIDTH = 96, 144  # multiples of 16 and of 3:2, as photographs are


@cache
def plate() -> np.ndarray:
    """(H, W, 3) uint8 sRGB: coloured noise at two scales, not white nor black anywhere."""
    generator = np.random.default_rng(3)
    texture = np.zeros((HEIGHT, WIDTH, 3))
    for radius in (3, 12):
        noise = generator.integers(0, 256, texture.shape, np.uint8)
        smooth = np.asarray(Image.fromarray(noise).filter(ImageFilter.GaussianBlur(radius)))
        texture += (smooth - smooth.mean()) / smooth.std()
    return np.clip(125 + 30 * texture, 20, 235).astype(np.uint8)


@cache
def alpha() -> np.ndarray:
    """(H, W) uint8: where the subject is, with an edge of two pixels; left of the middle."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    distance = np.hypot(x - 0.4 * WIDTH, y - 0.55 * HEIGHT)
    return np.round(255 * np.clip((0.32 * HEIGHT - distance) / 2 + 0.5, 0, 1)).astype(np.uint8)


@cache
def frame() -> np.ndarray:
    """(H, W, 3) uint8 sRGB: the plate with a disc before it, shaded so that no two sides agree."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    body = np.dstack([190 + 30 * x / WIDTH, 70 + 30 * y / HEIGHT, 40 + 0 * x])
    part = alpha()[..., None] / 255
    return np.round(part * body + (1 - part) * plate()).astype(np.uint8)
