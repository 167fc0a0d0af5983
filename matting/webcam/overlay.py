"""Text over the preview."""

from collections.abc import Sequence

import cv2
import numpy as np

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_LINES = 24  # of text that the picture would hold
# Where the edge is drawn, pixels from the letters: a thicker stroke would be wider in OpenCV 5.
_EDGE = tuple((x, y) for x in (-1, 0, 1) for y in (-1, 0, 1) if x or y)


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
        left, bottom = round(step / 2), round(number * step)
        text = line.encode("ascii", "replace").decode()
        for x, y in _EDGE:
            place = left + x, bottom + y
            cv2.putText(drawn, text, place, _FONT, scale, (0, 0, 0), thickness, cv2.LINE_AA)
        white = (255, 255, 255)
        cv2.putText(drawn, text, (left, bottom), _FONT, scale, white, thickness, cv2.LINE_AA)
    return drawn
