"""Colour jitter, blur and sharpening of pictures of 8 bits a channel."""

import math

import cv2
import numpy as np

from .draws import PictureChange

_GREY = np.array((0.299, 0.587, 0.114))  # ITU-R BT.601, as Pillow and torchvision weigh colours
_SHARPEN = np.array(((-2, -2, -2), (-2, 32, -2), (-2, -2, -2)), np.float32) / 16


def tint_matrix(saturation: float, hue: float) -> np.ndarray:
    """Computes a change of saturation and then of hue.

    The hue turns about the axis of greys, which keeps greys and is linear; a turn in HSV, as in
    the authors' release, is neither a matrix nor keeps the brightness.

    Args:
        saturation: factor of the distance from each pixel's grey.
        hue: fraction of the circle, from red towards yellow.

    Returns:
        (3, 3) float64, for RGB.

    Source: ours, because matrices compose into one pass over the pixels.
    """
    grey = np.broadcast_to(_GREY, (3, 3))
    turn = 2 * math.pi * hue
    across = np.array(((0, -1, 1), (1, 0, -1), (-1, 1, 0)))
    # Rodrigues' formula about (1, 1, 1) / sqrt(3).
    rotation = (
        math.cos(turn) * np.eye(3)
        + (1 - math.cos(turn)) / 3 * np.ones((3, 3))
        + math.sin(turn) / math.sqrt(3) * across
    )
    return rotation @ (saturation * np.eye(3) + (1 - saturation) * grey)


def jitter_matrix(change: PictureChange, mean: float) -> np.ndarray:
    """Composes brightness, contrast, saturation and hue, in this order.

    Args:
        change: its colours are used.
        mean: grey, about which the contrast changes, in the pixels' unit.

    Returns:
        (3, 4) float64; the fourth column is added, in the pixels' unit.
    """
    factor = change.brightness * change.contrast
    offset = (1 - change.contrast) * change.brightness * mean
    tint = tint_matrix(change.saturation, change.hue)
    # Neither saturation nor hue changes greys, and so not the offset.
    return np.column_stack((factor * tint, np.full(3, offset)))


def change_colours(
    picture: np.ndarray, change: PictureChange, shown: np.ndarray | None = None
) -> np.ndarray:
    """Changes brightness, contrast, saturation and hue in one pass.

    Args:
        picture: (H, W, 3) uint8, RGB.
        change: its colours are used.
        shown: (H, W) uint8; where above 0 the picture counts for its mean grey. None: everywhere.

    Returns:
        (H, W, 3) uint8, RGB; the picture itself when nothing changes.
    """
    if (change.brightness, change.contrast, change.saturation, change.hue) == (1, 1, 1, 0):
        return picture
    mean = float(_GREY @ cv2.mean(picture, mask=shown)[:3])
    return cv2.transform(picture, jitter_matrix(change, mean).astype(np.float32))


def blur_and_sharpen(picture: np.ndarray, change: PictureChange) -> np.ndarray:
    """Box-blurs and sharpens.

    Args:
        picture: (H, W, C) uint8.
        change: `blur_radius` and `sharpen` are used.

    Returns:
        (H, W, C) uint8; the picture itself when nothing changes.

    Source: the release, whose kernels are Pillow's.
    """
    if change.blur_radius:
        side = 2 * change.blur_radius + 1
        picture = cv2.blur(picture, (side, side), borderType=cv2.BORDER_REPLICATE)
    if change.sharpen:
        picture = cv2.filter2D(picture, -1, _SHARPEN, borderType=cv2.BORDER_REPLICATE)
    return picture
