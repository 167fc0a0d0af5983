"""A frame's way through a video: read, prepare, matte, smooth, write; several frames at a time."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np

from media.frames import VideoSource

from ..pipeline import map_ahead, run_ahead
from ..plate.over_time import PlateOverTime
from ..plate.prepare import Preparation, Preprocess
from ..prediction import Prediction
from ..predictor import Predictor, Prepared
from ..quality import Budget
from .open import open_video
from .smoothing import AlphaSmoother


@dataclass
class FrameMatter:
    """What is done to each frame of one camera; `prepare` and `smooth` must see all in turn."""

    predictor: Predictor
    budget: Budget
    preprocess: Preprocess
    smoothing: float = 0.0  # strength, see `AlphaSmoother`; 0 is none

    def __post_init__(self) -> None:
        self.plates = PlateOverTime(self.preprocess)
        self.smoother = AlphaSmoother(self.smoothing) if self.smoothing else None
        self._last: tuple[np.ndarray, Prepared] | None = None

    def prepare(self, src: np.ndarray, bgr: np.ndarray) -> tuple[Preparation, Prepared]:
        """Makes the plate fit; see `PlateOverTime.prepare`. Brings it to the device, once."""
        preparation = self.plates.prepare(src, bgr)
        if self._last is None or self._last[0] is not preparation.bgr:
            self._last = preparation.bgr, self.predictor.prepare(preparation.bgr)
        return preparation, self._last[1]

    def predict(self, src: np.ndarray, bgr: Prepared) -> Prediction:
        """Predicts a matte; for several threads."""
        return self.predictor.predict(src, bgr, self.budget)

    def smooth(self, src: np.ndarray, matte: Prediction) -> Prediction:
        """Smoothes alpha over time, if that is asked for."""
        return replace(matte, pha=self.smoother.smooth(src, matte.pha)) if self.smoother else matte


@dataclass(frozen=True)
class ClipMatte:
    """The matte of a frame of a clip."""

    src: np.ndarray  # (H, W, 3) uint8 or uint16, RGB, the frame
    preparation: Preparation  # its notes are what has become known with this frame
    prediction: Prediction
    budget: Budget


def matte_frames(
    frames: Path | str | Iterable[np.ndarray],
    plate: np.ndarray,
    predictor: Predictor,
    budget: Budget | Callable[[int, int], Budget],
    preprocess: Preprocess,
    smoothing: float = 0.0,
) -> Iterator[ClipMatte]:
    """Mattes a clip, some frames ahead of the caller; the same values as `inference_video.py`.

    See `Matting.video`; `budget` may choose by height and width. ValueError when a frame can't be
    read or the plate has another aspect ratio.
    """
    if isinstance(frames, (Path, str)):
        frames = _read_pixels(open_video(Path(frames), "clip"))
    remaining = iter(frames)
    if (first := next(remaining, None)) is None:
        return
    if not isinstance(budget, Budget):
        budget = budget(*first.shape[:2])
    matter = FrameMatter(predictor, budget, preprocess, smoothing)

    def load(src: np.ndarray) -> tuple[np.ndarray, Preparation, Prepared]:
        return src, *matter.prepare(src, plate)

    def compute(loaded: tuple[np.ndarray, Preparation, Prepared]) -> ClipMatte:
        src, preparation, bgr = loaded
        return ClipMatte(src, preparation, matter.predict(src, bgr), matter.budget)

    with (
        closing(run_ahead(map(load, chain([first], remaining)), 1)) as loaded,
        closing(map_ahead(compute, loaded, count_threads(predictor))) as matted,
    ):
        for one in matted:
            yield replace(one, prediction=matter.smooth(one.src, one.prediction))


def count_threads(predictor: Predictor) -> int:
    """Threads that compute beside the caller's."""
    return predictor.lanes if predictor.lanes > 1 else 0


def _read_pixels(source: VideoSource) -> Iterator[np.ndarray]:
    with closing(source):
        while (frame := source.read()) is not None:
            source.take_audio()
            yield frame.pixels
