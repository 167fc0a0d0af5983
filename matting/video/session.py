"""A frame's way through a video run: read, matte, write; and how long each took."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from time import perf_counter

import numpy as np

from media.frames import Frame, VideoSource

from ..pipeline import overlap
from ..plate.fit import resize
from ..predictor import Matte, Predictor, Prepared
from ..quality import Budget
from .outputs import Outputs
from .plate import PlateFeed
from .smoothing import AlphaSmoother
from .target import TargetFeed
from .timeline import TimelineEnded


class _EndOfVideo(Exception):  # noqa: N818 - the end is no error
    """There is no further frame."""


@dataclass(frozen=True)
class Loaded:
    """A frame with what it needs.

    Attributes:
        frame: as read, resized if that was asked for.
        bgr: its plate, as the network takes it; None where nothing has to be computed.
        target: (H, W, 3) float32, its new background, or None.
    """

    frame: Frame
    bgr: Prepared | None
    target: np.ndarray | None


@dataclass
class Progress:
    """What became of a run so far.

    Attributes:
        done: frames that are written.
        kept: frames that were there already.
        error: why it ended early, or None.
        ended: whether the end was reached.
        stopped: whether the new background ended it (`--target-loop stop`).
        seconds: spent on each share of the way: decode, prepare, network, encode; of frames that
            are computed at a time, the mean.
    """

    done: int = 0
    kept: int = 0
    error: Exception | None = None
    ended: bool = False
    stopped: bool = False
    seconds: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys(("decode", "prepare", "network", "encode"), 0.0)
    )

    @property
    def complete(self) -> bool:
        """Whether all that was asked for was made."""
        return self.ended and self.error is None


class Session:
    """Mattes the frames of a source; decoding, network and encoding overlap.

    One thread decodes and prepares, the caller's or those of the predictor's lanes compute, one
    encodes (and one more for each output); at most two frames wait before and behind the network.

    Args:
        source: frames, at the first.
        plates: their plates.
        targets: their new backgrounds.
        predictor: computes the mattes.
        budget: work for each.
        smoother: smoothes alpha over time, or None.
        outputs: takes the results.
        size: height and width that frames get, pixels, or None.
        resume: whether frames that every output has are left out.
    """

    def __init__(
        self,
        source: VideoSource,
        plates: PlateFeed,
        targets: TargetFeed,
        predictor: Predictor,
        budget: Budget,
        smoother: AlphaSmoother | None,
        outputs: Outputs,
        size: tuple[int, int] | None = None,
        resume: bool = False,
    ) -> None:
        self.progress = Progress()
        self._source = source
        self._plates = plates
        self._targets = targets
        self._predictor = predictor
        self._budget = budget
        self._smoother = smoother
        self._outputs = outputs
        self._size = size
        self._resume = resume
        self._first: int | None = None
        self._last_read = False
        self._missing: int | None = None  # number of the first frame that could not be made
        self._prepared: tuple[np.ndarray, Prepared] | None = None

    def run(
        self, tell: Callable[[], object], should_stop: Callable[[], bool], workers: int
    ) -> None:
        """Mattes until the end, an error or a wish to stop; `progress` tells what became of it.

        What was computed is written in any case.

        Args:
            tell: called for every finished frame.
            should_stop: asked before each frame.
            workers: 0 does one thing after the other, all else overlaps.
        """
        progress = self.progress

        def report(number: int, matted: object, error: Exception | None) -> None:
            if isinstance(error, (_EndOfVideo, TimelineEnded)):
                progress.ended = True
                progress.stopped |= isinstance(error, TimelineEnded)
            elif error is not None:
                self._break(number, error)
            elif not self._follows_missing(number):
                tell()

        def ended() -> bool:
            return progress.ended or progress.error is not None or should_stop()

        stages = self._load, self._compute, self._store
        lanes = self._predictor.lanes
        for done in overlap(count(), *stages, min(workers, 1), ended, lanes):
            report(*done)

    def _break(self, number: int, error: Exception) -> None:
        if self._missing is None or number < self._missing:
            self._missing, self.progress.error = number, error

    def _follows_missing(self, number: int) -> bool:
        return self._missing is not None and number > self._missing

    def _load(self, number: int) -> Loaded:
        if self._last_read:
            raise _EndOfVideo
        try:
            return self._read()
        except Exception:
            self._last_read = True  # nothing may follow a frame that is missing
            raise

    def _read(self) -> Loaded:
        start = perf_counter()
        frame = self._source.read()
        if frame is None:
            raise _EndOfVideo
        if self._size is not None:
            frame = replace(frame, pixels=resize(frame.pixels, *self._size))
        decoded = perf_counter()
        self.progress.seconds["decode"] += decoded - start
        if self._first is None:
            self._first = frame.pts
        time = (frame.pts - self._first) * self._source.info.time_base
        if self._resume and self._outputs.has(frame):
            return Loaded(frame, None, None)
        bgr = self._plates.at(time, frame.pixels)
        target = self._targets.at(time, bgr)
        if self._prepared is None or self._prepared[0] is not bgr:
            self._prepared = bgr, self._predictor.prepare(bgr)
        self.progress.seconds["prepare"] += perf_counter() - decoded
        return Loaded(frame, self._prepared[1], target)

    def _compute(self, number: int, loaded: Loaded) -> tuple[Loaded, Matte | None, float]:
        if loaded.bgr is None:
            return loaded, None, 0.0
        start = perf_counter()
        matte = self._predictor.predict(loaded.frame.pixels, loaded.bgr, self._budget)
        return loaded, matte, perf_counter() - start

    def _store(self, number: int, matted: tuple[Loaded, Matte | None, float]) -> None:
        loaded, matte, spent = matted
        if self._follows_missing(number):
            return
        start = perf_counter()
        self.progress.seconds["network"] += spent / self._predictor.lanes
        try:
            if matte is None:
                self._outputs.keep(loaded.frame)
                self.progress.kept += 1
            else:
                if self._smoother is not None:  # which must see every frame in turn
                    pha = self._smoother.smooth(loaded.frame.pixels, matte.pha)
                    matte = replace(matte, pha=pha)
                self._outputs.write(loaded.frame, matte, loaded.target)
                self.progress.done += 1
        except Exception as error:
            self._break(number, error)
            raise
        finally:
            self.progress.seconds["encode"] += perf_counter() - start
