"""Processes video frames: read, prepare, matte, finish, write; several frames at a time."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np

from media.aspect import has_shape, to_aspect
from media.frames import VideoError, VideoSource

from ..pipeline import map_ahead, run_ahead
from ..plate.over_time import PlateOverTime
from ..plate.prepare import Preparation, Preprocess, fit_plate
from ..prediction import Prediction
from ..predictor import Predictor, Prepared
from ..quality import Budget
from .attached import SubjectTracker
from .open import open_video
from .smoothing import AlphaSmoother


@dataclass
class FrameMatter:
    """Processes one camera's frames; `prepare` and `finish` must get all frames in order."""

    predictor: Predictor
    budget: Budget
    preprocess: Preprocess
    smoothing: float = 0.0  # strength, see `AlphaSmoother`; 0 means none
    keep_attached: bool = False  # whether to empty islands, see `SubjectTracker`

    def __post_init__(self) -> None:
        self.plates = PlateOverTime(self.preprocess)
        self.smoother = AlphaSmoother(self.smoothing) if self.smoothing else None
        self.tracker = SubjectTracker() if self.keep_attached else None
        self._last: tuple[np.ndarray, Prepared] | None = None

    def prepare(self, src: np.ndarray, bgr: np.ndarray) -> tuple[Preparation, Prepared]:
        """Prepares the plate, see `PlateOverTime.prepare`; moves it to the device once."""
        preparation = self.plates.prepare(src, bgr)
        if self._last is None or self._last[0] is not preparation.bgr:
            self._last = preparation.bgr, self.predictor.prepare(preparation.bgr)
        return preparation, self._last[1]

    def predict(self, src: np.ndarray, bgr: Prepared) -> Prediction:
        """Predicts a matte; for several threads."""
        return self.predictor.predict(src, bgr, self.budget)

    @property
    def remembers(self) -> bool:
        """Whether the alpha of a frame depends on that of the frames before."""
        return self.smoother is not None or self.tracker is not None

    def finish(self, src: np.ndarray, matte: Prediction) -> Prediction:
        """Empties islands of alpha and smooths it over time, if requested."""
        # In this order, so that nothing of an island that goes is smoothed into later frames.
        pha = self.tracker.keep(matte.pha) if self.tracker else matte.pha
        return replace(matte, pha=self.smoother.smooth(src, pha) if self.smoother else pha)


@dataclass(frozen=True)
class ClipMatte:
    """The matte of a frame of a clip."""

    src: np.ndarray  # (H, W, 3) uint8 or uint16, RGB, the frame
    preparation: Preparation
    prediction: Prediction
    budget: Budget
    notes: tuple[str, ...] = ()  # notes that were found at this frame


Told = tuple[np.ndarray, tuple[str, ...]]  # a frame, and its reader's notes


def matte_frames(
    frames: Path | str | Iterable[np.ndarray],
    plate: np.ndarray,
    predictor: Predictor,
    budget: Budget | Callable[[int, int], Budget],
    preprocess: Preprocess,
    smoothing: float = 0.0,
    keep_attached: bool = False,
) -> Iterator[ClipMatte]:
    """Mattes a clip, some frames ahead of the caller; same results as `inference_video.py`.

    See `Matting.video`; `budget` is called with height and width. ValueError at the call if a clip
    can't be read or the plate has another aspect ratio; later for errors of a frame.
    """
    if not isinstance(frames, (Path, str)):
        checked = _check_sizes(frames)
        return _matte(checked, plate, predictor, budget, preprocess, smoothing, keep_attached)
    source = open_video(Path(frames), "clip")
    if has_shape(plate, source.info.height, source.info.width):  # as stored
        plate = to_aspect(plate, source.info.pixel_aspect)
    shown = to_aspect(
        np.zeros((source.info.height, source.info.width, 3), np.uint8), source.info.pixel_aspect
    )
    fit_plate(src=shown, bgr=plate)
    read = _read(source)
    return _matte(read, plate, predictor, budget, preprocess, smoothing, keep_attached)


def _matte(
    frames: Iterator[Told],
    plate: np.ndarray,
    predictor: Predictor,
    budget: Budget | Callable[[int, int], Budget],
    preprocess: Preprocess,
    smoothing: float,
    keep_attached: bool,
) -> Iterator[ClipMatte]:
    if (first := next(frames, None)) is None:
        return
    if not isinstance(budget, Budget):
        budget = budget(*first[0].shape[:2])
    matter = FrameMatter(predictor, budget, preprocess, smoothing, keep_attached)

    def load(told: Told) -> tuple[Told, Preparation, Prepared]:
        return told, *matter.prepare(told[0], plate)

    def compute(loaded: tuple[Told, Preparation, Prepared]) -> ClipMatte:
        (src, notes), preparation, bgr = loaded
        prediction, notes = matter.predict(src, bgr), notes + preparation.notes
        return ClipMatte(src, preparation, prediction, matter.budget, notes)

    with (
        closing(run_ahead(map(load, chain([first], frames)), 1)) as loaded,
        closing(map_ahead(compute, loaded, count_threads(predictor))) as matted,
    ):
        for one in matted:
            yield replace(one, prediction=matter.finish(one.src, one.prediction))


def count_threads(predictor: Predictor) -> int:
    """Number of computing threads, in addition to the caller's."""
    return predictor.lanes if predictor.lanes > 1 else 0


def _read(source: VideoSource) -> Iterator[Told]:
    """Yields a clip's frames with square pixels; the last one comes with the reader's notes."""
    notes, last = source.info.notes, None
    with closing(source):
        while (frame := source.read()) is not None:
            source.take_audio()
            if last is not None:
                yield last, notes
                notes = ()
            last = to_aspect(frame.pixels, source.info.pixel_aspect)
        if last is not None:
            yield last, notes + source.notes


def _check_sizes(frames: Iterable[np.ndarray]) -> Iterator[Told]:
    size = None
    for number, pixels in enumerate(frames):
        size = size or pixels.shape
        if pixels.shape != size:
            raise VideoError(
                f"frame {number} has {pixels.shape[1]} x {pixels.shape[0]} pixels, those before "
                f"{size[1]} x {size[0]}; all frames of a video must have the same size"
            )
        yield pixels, ()
