"""Tracks a plate's position and exposure from frame to frame, without jitter.

Changes above the fit's error are followed at once, smaller ones slowly. Otherwise the edges of the
matte would jitter by the fit's error, tenths of a pixel or grey level. Source: ours.
"""

from collections import Counter
from enum import StrEnum
from time import perf_counter

import numpy as np

from .align import find_alignment
from .check import needs_alignment
from .comparison import AlignmentVerdict, reduce_colours, warp
from .exposure import ExposureReport, ExposureVerdict, apply_match, estimate_exposure
from .filling import fill_uncovered

HELD_FRAMES = 15  # frames without a fit that reuse the last one: half a second
CORNER_ERROR = 0.00023  # the fit's error as a fraction of the diagonal: 0.5 px at HD
COLOUR_ERROR = 1.0  # error of the match of a mid grey, in grey levels
MID_GREY = 128.0
NOTHING = 0.25  # grey levels; a match that changes a mid grey by less is not applied
STILL_FRAMES = 5  # the camera is still if corners move less than twice their error for so long
PROBE_EVERY = 5  # frames between checks of the plate for a still camera

_IDENTITY = np.array([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]])  # gain and bias, RGB


class Outcome(StrEnum):
    """How the plate of a frame was obtained."""

    ALIGNED = "aligned"
    MATCHED = "matched"
    HELD = "held"  # as for the frame before, because no fit was found
    STILL = "still"  # as for the frame before, because the camera is still
    KEPT = "kept"  # as captured


class Tracker:
    """Base of both trackers: counts outcomes, and reuses the last fit for some frames."""

    def __init__(self) -> None:
        self.counts: Counter[Outcome] = Counter()  # of frames
        self.reasons: Counter[StrEnum] = Counter()  # verdicts of held and kept plates
        self._seconds, self._fits = 0.0, 0  # time of fits, and their number
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
        """Counts a frame without a fit; returns True if the last fit is too old."""
        self._misses += 1
        self.reasons[verdict] += 1
        return self._misses > HELD_FRAMES


class AlignmentTracker(Tracker):
    """Aligns a plate to successive frames.

    With `holds`, fits once while the camera is still, and checks from time to time.
    """

    def __init__(self, holds: bool = False) -> None:
        super().__init__()
        self._holds = holds
        self._calm = 0  # frames in which the corners did not move
        self._corners: np.ndarray | None = None  # positions of the plate's corners, (4, 2) px
        # The captured plate, the warped plate, and the area that it covers.
        self._warped: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None

    @property
    def still(self) -> bool:
        """Whether the plate is held because the camera is still."""
        return self._holds and self._calm >= STILL_FRAMES

    def follow(
        self, src: np.ndarray, bgr: np.ndarray, guide: np.ndarray | None = None
    ) -> np.ndarray:
        """Aligns a plate to the next frame; arguments and errors as in `align_plate`.

        Returns the aligned plate, filled where it does not reach (`fill_uncovered`); or `bgr` if no
        warp passes the checks.
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
    """Matches an aligned plate to successive frames of an automatic camera.

    `start` is the match of the frame before the first, if known.
    """

    def __init__(self, start: ExposureReport | None = None) -> None:
        super().__init__()
        self._match = _IDENTITY if start is None else np.array([start.gain, start.bias])

    def follow(self, src: np.ndarray, bgr: np.ndarray) -> np.ndarray:
        """Matches a plate to the next frame's exposure; returns `bgr` if no match is needed."""
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
        """Applies the last frame's match to a plate."""
        gain, bias = self._match
        if np.abs(gain * MID_GREY + bias - MID_GREY).max() < NOTHING:
            return bgr
        return apply_match(bgr, gain, bias)


def _approach(last: np.ndarray, found: np.ndarray, changed: float, error: float) -> np.ndarray:
    """Blends the last value and the new one; in equal parts if they differ by one error."""
    result: np.ndarray = last + changed**2 / (changed**2 + error**2) * (found - last)
    return result


def _corners_of(shape: tuple[int, ...]) -> np.ndarray:
    right, bottom = shape[1] - 1, shape[0] - 1
    return np.array([(0, 0), (right, 0), (right, bottom), (0, bottom)], float)


def _between(shape: tuple[int, ...], corners: np.ndarray) -> np.ndarray:
    """Solves for the homography from a picture's corners to others: eight equations."""
    rows, values = [], []
    for (x, y), (u, v) in zip(_corners_of(shape), corners, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    return np.append(np.linalg.solve(np.array(rows), np.array(values)), 1).reshape(3, 3)
