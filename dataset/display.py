"""Display matrices: how the frames of a clip were turned and mirrored for storing."""

from typing import Any

import av
import numpy as np


def turn_upright(pixels: np.ndarray, frame: av.VideoFrame) -> np.ndarray:
    """Turns and mirrors a picture as the display matrix of its frame says.

    Args:
        pixels: (H, W) or (H, W, C) as stored.
        frame: as decoded.

    Returns:
        The upright picture, contiguous; quarter turns are exact, others rounded to the nearest.

    Source: ISO/IEC 14496-12, track header: a stored (x, y) is shown at (a x + c y, b x + d y).
    """
    matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return np.ascontiguousarray(pixels)
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()
    if abs(b) + abs(c) > abs(a) + abs(d):
        pixels, a, d = pixels.swapaxes(0, 1), c, b
    pixels = pixels[:, ::-1] if a < 0 else pixels
    pixels = pixels[::-1] if d < 0 else pixels
    return np.ascontiguousarray(pixels)
