"""Empties islands of alpha: what does not belong to a subject that is tracked over time."""

from math import ceil

import cv2
import numpy as np

_CELLS = 480  # cells along the longer side at most: of 4 pixels for HD
_VISIBLE, _OPAQUE = 0.02, 0.8  # alpha
_FULL = 0.9  # of a cell's pixels that are opaque in a full cell
_SQUARE = 2  # cells; a square of full cells makes a subject: 8 pixels for HD
# Cells around each part. Parts up to twice as far away belong together, in a frame and from one
# frame to the next: 32 pixels for HD.
_REACH = 4


class SubjectTracker:
    """Keeps the parts of alpha that belong to a subject, and empties all others.

    A part is what is visible and connected; gaps of up to 1/60 of the longer side do not count. It
    belongs to a subject if it has

    - an opaque square of 1/240 of the longer side, wherever it appears: larger ones lose people
      who are far away or just entering,
    - or an opaque pixel, and overlaps what was kept in the frame before: a finger behind a post.

    What is only faint is kept as long as it touches a subject.

    Source: ours; as in hysteresis thresholding (Canny, 1986), a weak response counts only if it is
        connected to a strong one, here also over time.
    """

    def __init__(self) -> None:
        self._kept: np.ndarray | None = None  # of the frame before, in cells
        self._frames = self._emptied = 0

    def keep(self, pha: np.ndarray) -> np.ndarray:
        """Returns the alpha of the next frame, (H, W) float32 in [0, 1], without islands.

        The result is a copy, or `pha` if there is no island.
        """
        cell = ceil(max(pha.shape) / _CELLS)
        opaque = _reduce(pha, _OPAQUE, cell)
        around = cv2.dilate(_reduce(pha, _VISIBLE, cell), _square(2 * _REACH + 1))
        count, parts = cv2.connectedComponents(around)

        def have(cells: np.ndarray) -> np.ndarray:
            """(count,) bool: which parts contain any of the cells."""
            return np.bincount(parts[cells], minlength=count) > 0

        full, inside = (opaque > 255 * _FULL).astype(np.uint8), cv2.BORDER_CONSTANT  # of zeros
        squares = cv2.erode(full, _square(_SQUARE), borderType=inside, borderValue=0)
        subject = have(squares > 0)
        if self._kept is not None and self._kept.shape == parts.shape:
            subject |= have(opaque > 0) & have(self._kept)
        subject[0] = False  # what is not visible
        self._kept = subject[parts]
        self._frames += 1
        if subject[1:].all():
            return pha
        self._emptied += 1
        islands = ((parts > 0) & ~self._kept).astype(np.uint8)
        wide, high = islands.shape[1] * cell, islands.shape[0] * cell
        large = cv2.resize(islands, (wide, high), interpolation=cv2.INTER_NEAREST)
        return np.where(large[: pha.shape[0], : pha.shape[1]], pha.dtype.type(0), pha)

    def describe(self) -> dict[str, int]:
        """Number of frames, and of those in which something was emptied."""
        return {"frames": self._frames, "emptied": self._emptied}


def _reduce(pha: np.ndarray, level: float, cell: int) -> np.ndarray:
    """Share of each square of `cell` pixels in which alpha is above a level: uint8, of 255.

    Squares that reach beyond the picture repeat its last row or column. A single pixel gives 1 or
    more in squares of up to 22 pixels, those of pictures of 10,000 pixels.
    """
    above = (pha > level).view(np.uint8) * np.uint8(255)
    bottom, right = (-side % cell for side in pha.shape)
    padded = cv2.copyMakeBorder(above, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
    size = padded.shape[1] // cell, padded.shape[0] // cell
    return cv2.resize(padded, size, interpolation=cv2.INTER_AREA)


def _square(side: int) -> np.ndarray:
    return np.ones((side, side), np.uint8)
