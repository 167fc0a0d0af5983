"""Prepares the plate of a camera over time, for videos and live cameras.

The check of photographs runs on the first frames, on one frame at regular intervals, and after a
cut or a lasting change. If it finds a need, a tracker corrects every frame from there on. Source:
ours.
"""

from collections import Counter
from typing import Any

import cv2
import numpy as np

from .check import Problem
from .prepare import (
    Preparation,
    Preprocess,
    fit_plate,
    is_grey,
    keep_filled,
    match_grey,
    prepare_plate,
)
from .tracking import AlignmentTracker, ExposureTracker

FIRST_CHECKS = (0, 3, 10, 25)  # numbers of frames; later every `CHECK_EVERY` frames
CHECK_EVERY = 50  # a check takes a quarter of a frame's time, so 0.5% in total
MIN_GAP = 3  # frames after a check without checks of changes; doubles with each such check
CONFIRM_AFTER = 12  # frames to a second check; only faults found twice are reported
THUMBNAIL = (64, 36)  # pixels, each the mean of 16 pixels of the frame, to reduce noise
CHANGED = 6.0  # median, in grey levels: a cut, changed light, a turning camera


class PlateOverTime:
    """Prepares a plate for the frames of one camera, in order.

    Mode auto checks, and tracks position and exposure if a check finds a need. Corrections that
    `preprocess` requests are tracked in every frame from the first.
    """

    def __init__(self, preprocess: Preprocess) -> None:
        self._alignment = AlignmentTracker() if preprocess.alignment else None
        self._exposure = ExposureTracker() if preprocess.exposure else None
        self._automatic = preprocess.mode == "auto"
        self._mends = False  # whether a check has switched a tracker on
        # Captured plate, resized plate, and whether for a grey frame.
        self._fitted: tuple[np.ndarray, np.ndarray, bool] | None = None
        self._compared: set[str] = set()  # notes on grey and colour so far
        self._number, self._checked, self._gap = -1, 0, MIN_GAP
        self._thumbnail: np.ndarray | None = None  # of the last checked frame
        self._checks = 0
        self._found: Counter[Problem] = Counter()
        self._sentences: dict[Problem, str] = {}
        self._doubts: set[Problem] = set()  # faults found only by the last check
        self._told: set[Problem] = set()
        self._confirm = 0  # number of the frame of a second check

    def prepare(self, src: np.ndarray, bgr: np.ndarray) -> Preparation:
        """Prepares the plate for the next frame.

        Args:
            src: (H, W, 3) uint8 or uint16, RGB, the frame.
            bgr: (h, w, 3) uint8 or uint16, RGB, the captured plate; the same object as before if
                it has not changed.

        Returns:
            The preparation. Its plate is the same object as before if nothing has changed. Reports
            exist for checked frames only; notes are those found at this frame.

        Raises:
            ValueError: when frame and plate have different aspect ratios.
        """
        self._number += 1
        notes: tuple[str, ...] = ()
        grey = is_grey(src)  # parts of a clip may be grey
        if self._fitted is None or self._fitted[0] is not bgr or self._fitted[2] != grey:
            fitted, resized = fit_plate(src=src, bgr=bgr)
            fitted, compared = match_grey(src=src, bgr=fitted)
            notes = () if self._fitted else resized
            notes += tuple(note for note in compared if note not in self._compared)
            self._compared.update(compared)
            self._fitted = bgr, fitted, grey
        placed, used = self._follow(src, self._fitted[1])
        if not (self._automatic and self._is_due(src)):
            return Preparation(used, placed, notes=notes)
        found = prepare_plate(src, used, Preprocess("auto"))
        switched = self._switch_on(found)
        if switched:  # from the next frame on; this one is prepared as a photograph
            placed, used = found.placed, found.bgr
        notes += self._learn(found, switched)
        return Preparation(used, placed, found.alignment, found.exposure, found.capture, notes)

    def conclude(self) -> tuple[str, ...]:
        """Notes for the user that are known only after the last frame."""
        always = [problem for problem, count in self._found.items() if count == self._checks]
        return tuple(self._sentences[problem] for problem in always if problem not in self._told)

    def describe(self) -> dict[str, Any]:
        """Checks, problems and the trackers' outcomes and cost, for the summary."""
        numbers: dict[str, Any] = {}
        if self._checks:
            numbers["capture"] = {"checks": self._checks, "problems": dict(self._found)}
        if self._alignment:
            numbers["alignment"] = self._alignment.describe()
        if self._exposure:
            numbers["exposure"] = self._exposure.describe()
        return numbers

    def _is_due(self, src: np.ndarray) -> bool:
        """Whether to check this frame."""
        now, changed = _shrink(src), False
        # A hand-held camera changes its picture all the time, and its plate is tracked.
        tracked = self._alignment and not self._alignment.still
        if self._thumbnail is not None and not tracked:
            apart = float(np.median(np.abs(now - self._thumbnail)))
            changed = apart > CHANGED and self._number - self._checked >= self._gap
            self._gap = min(2 * self._gap, CHECK_EVERY) if changed else self._gap
        planned = (*FIRST_CHECKS, self._confirm)
        due = changed or self._number in planned or self._number % CHECK_EVERY == 0
        if due:
            self._thumbnail, self._checked = now, self._number
        return due

    def _follow(self, src: np.ndarray, bgr: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the plate in position, and also at the frame's exposure, as far as tracked."""
        placed = bgr
        if self._alignment:
            guide = self._exposure.apply(bgr) if self._mends and self._exposure else None
            placed = self._alignment.follow(src, bgr, guide)
        used = self._exposure.follow(src, placed) if self._exposure else placed
        if self._mends and placed is not bgr:
            used = keep_filled(src, placed, used)
        return placed, used

    def _switch_on(self, found: Preparation) -> bool:
        """Creates the trackers that a check needs; returns whether one is new."""
        switched = False
        if not self._alignment and found.alignment and found.alignment.applied:
            self._alignment, switched = AlignmentTracker(holds=True), True
        if not self._exposure and found.exposure and found.exposure.applied:
            self._exposure, switched = ExposureTracker(found.exposure), True
        self._mends = self._mends or switched
        return switched

    def _learn(self, found: Preparation, switched: bool) -> tuple[str, ...]:
        """Counts problems; returns notes on corrections and on faults found twice."""
        self._checks += 1
        if found.capture is None:
            return ()
        now = dict(zip(found.capture.problems, found.capture.notes, strict=True))
        self._found.update(now.keys())
        self._sentences |= now
        mended = {Problem.EXPOSURE, Problem.WHITE_BALANCE}
        if found.alignment and found.alignment.applied:
            mended.add(Problem.MOVED)
        faults = now.keys() - mended - {Problem.NO_DIFFERENCE} - self._told
        sure = (now.keys() & mended if switched else set()) | (faults & self._doubts)
        self._doubts = faults - sure
        if self._doubts:
            self._confirm = self._number + CONFIRM_AFTER
        self._told |= sure
        return tuple(note for problem, note in now.items() if problem in sure)


def _shrink(src: np.ndarray) -> np.ndarray:
    """A thumbnail in grey levels, float32."""
    width, height = THUMBNAIL
    some = cv2.resize(src, (4 * width, 4 * height), interpolation=cv2.INTER_NEAREST)
    small = cv2.resize(some, THUMBNAIL, interpolation=cv2.INTER_AREA)
    return small.astype(np.float32) * (255 / np.iinfo(src.dtype).max)
