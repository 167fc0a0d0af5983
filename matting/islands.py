"""Faint islands in a matte: what changed in the scene, not a subject."""

import cv2
import numpy as np

_VISIBLE = 0.02
_SOLID = 0.8  # a subject is so opaque somewhere
_SMALL = 0.001  # of the picture
_REACH = 0.01  # of the longer side: what is nearer than twice that belongs together


def drop_faint_islands(pha: np.ndarray) -> np.ndarray:
    """Empties small islands that are nowhere opaque and have nothing opaque nearby.

    A part of a subject is opaque somewhere, or near what is: loose hair, motion blur, a veil. A
    spot far from all that is steam, a lamp or a leaf that changed between plate and frame.

    Args:
        pha: (H, W) float in [0, 1].

    Returns:
        A copy that is 0 in islands that nowhere exceed `_SOLID` and cover less than `_SMALL` of the
        picture; `pha` itself where there is none.

    Source: ours; as in hysteresis thresholding (Canny, 1986), a weak response counts only if it
        hangs together with a strong one.
    """
    visible = pha > _VISIBLE
    side = 2 * max(1, round(_REACH * max(pha.shape))) + 1
    # OpenCV dilates by a box in the time of its two sides.
    together = cv2.dilate(visible.astype(np.uint8), np.ones((side, side), np.uint8))
    count, islands = cv2.connectedComponents(together)
    areas = np.bincount(islands[visible], minlength=count)
    solid = np.bincount(islands[pha > _SOLID], minlength=count)
    faint = (solid == 0) & (areas < _SMALL * pha.size)
    faint[0] = False  # what is empty already
    return np.where(faint[islands], pha.dtype.type(0), pha) if faint.any() else pha
