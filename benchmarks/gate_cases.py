"""What the gate is given: pictures to matte, and the part of them that a half may use."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from benchmarks.composites import Capture, Pair, Subject, compose
from matting.plate.prepare import PreprocessMode

Half = Literal["choose", "report"]
Way = Literal["best", "auto", "coarse"]  # photographs, videos, and the coarse network alone
# A value of the alphas of a case's frames, or one of each of its parts; None if it has none.
Measure = Callable[..., float | np.ndarray | None]


class MissingError(Exception):
    """Data that rows need are not there: the rows are left out, and the message says why."""


class Case(NamedTuple):
    """Frames with one plate, and what is measured on their alphas.

    Attributes:
        frames: each (H, W, 3) uint8 RGB.
        bgr: (H, W, 3) uint8 RGB.
        measures: by way of matting and row; each is called with the alphas of all frames.
        preprocess: preparation of the plate.
    """

    frames: Sequence[np.ndarray]
    bgr: np.ndarray
    measures: dict[Way, dict[str, Measure]]
    preprocess: PreprocessMode = "auto"


@dataclass(frozen=True)
class Material:
    """Subjects and plates, and the part of their combinations that counts.

    Attributes:
        data: folder with real_pairs, room and video.
        subjects: of composites.
        backgrounds: held-out photographs.
        half: combinations of even index sum choose, those of odd sum report.
        every: use every N-th picture of the half.
        notes: what was drawn instead of read.
    """

    data: Path
    subjects: list[Subject]
    backgrounds: list[Path]
    half: Half
    every: int = 1
    notes: list[str] = field(default_factory=list)

    def is_chosen(self, index: int) -> bool:
        """Whether a picture, or a sum of indices, is in the half."""
        return index % 2 == (self.half == "report")

    def combine(self) -> list[tuple[int, int]]:
        """Indices of subject and background of the pictures that count."""
        return self._combine(len(self.subjects))

    def _combine(self, subjects: int) -> list[tuple[int, int]]:
        chosen = [
            (subject, background)
            for subject in range(subjects)
            for background in range(len(self.backgrounds))
            if self.is_chosen(subject + background)
        ]
        return chosen[:: self.every]

    def compose(self, capture: Capture, subjects: list[Subject] | None = None) -> Iterator[Pair]:
        """Composites that count, as `benchmarks.composites.compose` makes them."""
        used = self.subjects if subjects is None else subjects
        chosen = set(self._combine(len(used)))
        for number, pair in enumerate(compose(used, self.backgrounds, capture)):
            if divmod(number, len(self.backgrounds)) in chosen:
                yield pair

    def thin(self, items: Sequence) -> list:
        """Every N-th of the items in the half, by index."""
        return [item for i, item in enumerate(items) if self.is_chosen(i)][:: self.every]
