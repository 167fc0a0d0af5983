"""The unknown region: where an alpha is hard to tell, given as a trimap or taken from the truth."""

import cv2
import numpy as np


def unknown_of_trimap(trimap: np.ndarray) -> np.ndarray:
    """Finds what a trimap leaves open.

    Args:
        trimap: (H, W) float in [0, 1]: 0 background, about 0.5 (128 of 255) unknown, 1 foreground.

    Returns:
        (H, W) bool: from 1/4 to 3/4, so that 127 counts like 128 and lossy compression does no
        harm.
    """
    return (trimap > 0.25) & (trimap < 0.75)


def unknown_of_alpha(true_pha: np.ndarray, radius: int) -> np.ndarray:
    """Finds the surroundings of all that is neither background nor foreground.

    Args:
        true_pha: (H, W) float in [0, 1].
        radius: pixels.

    Returns:
        (H, W) bool: what is above 0 dilated by a disc of the radius, without what is 1 eroded by
        it. Nothing is known about what lies outside of the frame, and it erodes nothing.

    Source: dilation and erosion of the true alpha are the field's way to make trimaps; the disc is
    ours, because a square reaches further at its corners.
    """
    return _within(true_pha > 0, radius) & _within(true_pha < 1, radius)


def _within(mask: np.ndarray, radius: int) -> np.ndarray:
    """(H, W) bool: no further than so many pixels from the mask."""
    if not mask.any():
        return mask
    away = np.where(mask, np.uint8(0), np.uint8(1))
    # The small tolerance is for a distance of the radius itself, computed in float32.
    return cv2.distanceTransform(away, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) <= radius + 1e-3
