"""Text over the preview."""

from collections.abc import Sequence

import cv2
import numpy as np

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_LINES = 24  # of text that the picture would hold


def draw_text(picture: np.ndarray, lines: Sequence[str]) -> np.ndarray:
    """Writes lines in the upper left corner, white with a dark edge.

    Args:
        picture: (H, W, 3) uint8, RGB; stays as it is.
        lines: of ASCII, which OpenCV's font has.

    Returns:
        A picture of the same shape.
    """
    drawn = np.ascontiguousarray(picture).copy()
    step = max(10, drawn.shape[0] / _LINES)
    scale = step / 34
    thickness = max(1, round(scale * 2))
    for number, line in enumerate(lines, 1):
        place = round(step / 2), round(number * step)
        text = line.encode("ascii", "replace").decode()
        for colour, width in (((0, 0, 0), thickness + 2), ((255, 255, 255), thickness)):
            cv2.putText(drawn, text, place, _FONT, scale, colour, width, cv2.LINE_AA)
    return drawn
