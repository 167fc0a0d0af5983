"""Alignment of a plate to every frame of a hand-held camera, without jitter.

Each frame's homography is found by itself (alignment.py), exact to some tenths of a pixel. Those
tenths would make the plate, and with it the edges of the matte, tremble; so it is followed
(following.py).
"""

from collections import Counter

import numpy as np

from ..plate.align import find_alignment, warp_plate
from .following import HELD_FRAMES, follow

# Fraction of the diagonal that a corner moves by the fit's error alone: 0.5 px of HD.
_TREMOR = 0.00023


class PlateTracker:
    """Aligns a plate to frames in their order.

    Attributes:
        counts: frames whose plate was `aligned`, or `held` (aligned as the frame before), or `kept`
            as captured.
        reasons: why plates were held or kept, in words, without numbers, and how often.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self._corners: np.ndarray | None = None  # where the plate's corners went, (4, 2) px
        self._misses = 0

    def align(self, src: np.ndarray, bgr: np.ndarray) -> np.ndarray:
        """Moves a plate onto the next frame.

        Args:
            src: (H, W, 3) uint8 or uint16, RGB; the frame.
            bgr: same shape and dtype, RGB; the plate as captured.

        Returns:
            The plate on the frame, see `warp_plate`; `bgr` itself where that is not safe.

        Raises:
            ValueError: as `align_plate`.
        """
        found, report = find_alignment(src, bgr)
        there = report.reason.startswith("already aligned")
        if found is None and there:
            found = np.eye(3)
        if found is None:
            self._misses += 1
            self.reasons[report.reason.split(":")[0]] += 1
            if self._corners is None or self._misses > HELD_FRAMES:
                self._corners = None
                self.counts["kept"] += 1
                return bgr
            self.counts["held"] += 1
        else:
            self._misses = 0
            self.counts["aligned"] += 1
            corners = _move_corners(found, src.shape)
            last = corners if self._corners is None else self._corners
            self._corners = _follow(last, corners, src.shape)
        return warp_plate(src, bgr, _between(src.shape, self._corners))


def _follow(last: np.ndarray, found: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Corners (4, 2) between where they were and where they were found."""
    change = found - last
    moved = float(np.hypot(change[:, 0], change[:, 1]).max())
    return follow(last, found, moved, _TREMOR * float(np.hypot(shape[0], shape[1])))


def _corners_of(shape: tuple[int, ...]) -> np.ndarray:
    right, bottom = shape[1] - 1, shape[0] - 1
    return np.array([(0, 0), (right, 0), (right, bottom), (0, bottom)], float)


def _move_corners(transform: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    moved = np.column_stack([_corners_of(shape), np.ones(4)]) @ transform.T
    result: np.ndarray = moved[:, :2] / moved[:, 2:]
    return result


def _between(shape: tuple[int, ...], corners: np.ndarray) -> np.ndarray:
    """The homography that takes a picture's corners to others: eight equations, eight unknowns."""
    rows, values = [], []
    for (x, y), (u, v) in zip(_corners_of(shape), corners, strict=True):
        rows += [
            [x, y, 1, 0, 0, 0, -u * x, -u * y],
            [0, 0, 0, x, y, 1, -v * x, -v * y],
        ]
        values += [u, v]
    return np.append(np.linalg.solve(np.array(rows), np.array(values)), 1).reshape(3, 3)
