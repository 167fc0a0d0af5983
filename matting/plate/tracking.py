"""Tracks a plate's position and exposure from frame to frame, without jitter.

Changes above a fit's error are followed at once, smaller ones slowly. Otherwise the edges of the
matte would jitter by the fit's error: tenths of a pixel or grey level. Source: ours.
"""

from collections import Counter
from enum import StrEnum
from time import perf_counter

import numpy as np

from .align import fill_uncovered, find_alignment
from .check import needs_alignment
from .comparison import AlignmentVerdict, reduce_colours, warp
from .exposure import ExposureReport, ExposureVerdict, apply_match, estimate_exposure

HELD_FRAMES = 15  # that the last fit serves for where none is found: half a second
CORNER_ERROR = 0.00023  # fraction of the diagonal, of the fit: 0.5 px of HD
COLOUR_ERROR = 1.0  # grey levels, of the match of a mid grey
MID_GREY = 128.0
NOTHING = 0.25  # grey levels; a match that changes a mid grey by less is not made
STILL_FRAMES = 5  # in which the corners move less than twice their error: the camera stands still
PROBE_EVERY = 5  # frames of a camera that stands still: whether the plate still fits

_IDENTITY = np.array([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]])  # gain and bias, RGB


class Outcome(StrEnum):
    """How the plate of a frame was obtained."""

    ALIGNED = "aligned"
    MATCHED = "matched"
    HELD = "held"  # as the frame before, since no fit was found
    STILL = "still"  # as the frame before, since the camera stands still
    KEPT = "kept"  # as captured


class Tracker:
    """Base of both trackers: outcomes, and a last fit that is reused for some frames."""

    def __init__(self) -> None:
        self.counts: Counter[Outcome] = Counter()  # of frames
        self.reasons: Counter[StrEnum] = Counter()  # verdicts for which plates were held or kept
        self._seconds, self._fits = 0.0, 0  # spent on fits, and how many were looked for
        self._misses = 0

    def describe(self) -> dict[str, object]:
        """Counts, reasons and cost, for the summary."""
        return {
            "frames": dict(self.counts),
            "reasons": dict(self.reasons),
            "fits": self._fits,
            "ms_per_fit": round(1000 * self._seconds / max(1, self._fits), 1),
        }

    def _timed(self, start: float) -> None:
        self._seconds, self._fits = self._seconds + perf_counter() - start, self._fits + 1

    def _miss(self, verdict: StrEnum) -> bool:
        """Counts a fit that was not found; True where the last one no longer serves."""
        self._misses += 1
        self.reasons[verdict] += 1
        return self._misses > HELD_FRAMES


class AlignmentTracker(Tracker):
    """Aligns a plate to frames in their order.

    One that `holds` fits once, with a look now and then, while the camera stands still.
    """

    def __init__(self, holds: bool = False) -> None:
        super().__init__()
        self._holds = holds
        self._calm = 0  # frames in which the corners did not move
        self._corners: np.ndarray | None = None  # where the plate's corners went, (4, 2) px
        # The plate as captured, as warped there, and where the warped one reaches.
        self._warped: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None

    @property
    def still(self) -> bool:
        """Whether the plate is held because the camera stands still."""
        return self._holds and self._calm >= STILL_FRAMES

    def follow(
        self, src: np.ndarray, bgr: np.ndarray, guide: np.ndarray | None = None
    ) -> np.ndarray:
        """Aligns a plate to the next frame; arguments and errors as in `align_plate`.

        Returns the plate on the frame, with the frame's own pixels where it does not reach; `bgr`
        itself where that is not safe.
        """
        if self.still:
            placed = self._place(src, bgr)
            self._calm += 1
            if self._calm % PROBE_EVERY or not needs_alignment(*map(reduce_colours, (src, placed))):
                self.counts[Outcome.STILL] += 1
                return placed
            self._calm = 0
        start = perf_counter()
        transform, report = find_alignment(src, bgr, guide)
        self._timed(start)
        if report.verdict is AlignmentVerdict.ALREADY_FITS:
            transform = np.eye(3)
        if transform is not None:
            self._misses = 0
            self.counts[Outcome.ALIGNED] += 1
            self._move(transform, src.shape)
        elif self._miss(report.verdict) or self._corners is None:
            self._corners, self._calm = None, 0
            self.counts[Outcome.KEPT] += 1
            return bgr
        else:
            self.counts[Outcome.HELD] += 1
        return self._place(src, bgr)

    def _move(self, transform: np.ndarray, shape: tuple[int, ...]) -> None:
        ends = np.column_stack([_corners_of(shape), np.ones(4)]) @ transform.T
        found = ends[:, :2] / ends[:, 2:]
        last = found if self._corners is None else self._corners
        moved = float(np.hypot(*(found - last).T).max())
        error = CORNER_ERROR * float(np.hypot(shape[0], shape[1]))
        self._calm = self._calm + 1 if moved < 2 * error else 0
        self._corners = _approach(last, found, moved, error)
        self._warped = None

    def _place(self, src: np.ndarray, bgr: np.ndarray) -> np.ndarray:
        assert self._corners is not None  # noqa: S101 - a fit was found
        if self._warped is None or self._warped[0] is not bgr:
            self._warped = bgr, *warp(bgr, _between(src.shape, self._corners))
        return fill_uncovered(src, *self._warped[1:])


class ExposureTracker(Tracker):
    """Matches a plate that lies on its frames to an automatic camera, in their order.

    `start` is the match of the frame before the first, if it is known.
    """

    def __init__(self, start: ExposureReport | None = None) -> None:
        super().__init__()
        self._match = _IDENTITY if start is None else np.array([start.gain, start.bias])

    def follow(self, src: np.ndarray, bgr: np.ndarray) -> np.ndarray:
        """Brings a plate to the next frame's exposure; `bgr` itself where nothing is to be done."""
        start = perf_counter()
        report = estimate_exposure(reduce_colours(src), reduce_colours(bgr))
        self._timed(start)
        outcome = Outcome.HELD
        if report.verdict in (ExposureVerdict.MATCHED, ExposureVerdict.ALREADY_MATCHED):
            outcome, self._misses = Outcome.MATCHED, 0
            found = np.array([report.gain, report.bias]) if report.applied else _IDENTITY
            gain, bias = found - self._match
            changed = float(np.abs(gain * MID_GREY + bias).max())
            self._match = _approach(self._match, found, changed, COLOUR_ERROR)
        elif self._miss(report.verdict):
            self._match = _IDENTITY
        matched = self.apply(bgr)
        self.counts[Outcome.KEPT if matched is bgr else outcome] += 1
        return matched

    def apply(self, bgr: np.ndarray) -> np.ndarray:
        """Matches a plate as the last frame's."""
        gain, bias = self._match
        if np.abs(gain * MID_GREY + bias - MID_GREY).max() < NOTHING:
            return bgr
        return apply_match(bgr, gain, bias)


def _approach(last: np.ndarray, found: np.ndarray, changed: float, error: float) -> np.ndarray:
    """Blends the last value and the new one; halfway if they differ by one error."""
    result: np.ndarray = last + changed**2 / (changed**2 + error**2) * (found - last)
    return result


def _corners_of(shape: tuple[int, ...]) -> np.ndarray:
    right, bottom = shape[1] - 1, shape[0] - 1
    return np.array([(0, 0), (right, 0), (right, bottom), (0, bottom)], float)


def _between(shape: tuple[int, ...], corners: np.ndarray) -> np.ndarray:
    """The homography that takes a picture's corners to others: eight equations, eight unknowns."""
    rows, values = [], []
    for (x, y), (u, v) in zip(_corners_of(shape), corners, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    return np.append(np.linalg.solve(np.array(rows), np.array(values)), 1).reshape(3, 3)
