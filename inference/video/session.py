"""A frame's way through a video run: read, matte, write; and how long each took."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from time import perf_counter

import numpy as np

from ..budget import Budget
from ..pipeline import overlap
from ..plate import resize
from ..predictor import Matte, Predictor, Prepared
from .frames import Frame, VideoSource
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
        bgr: (H, W, 3), its plate; None where nothing has to be computed.
        target: (H, W, 3) float32, its new background, or None.
    """

    frame: Frame
    bgr: np.ndarray | None
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
        seconds: spent on each share of the way: decode, prepare, network, encode.
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

    One thread decodes and prepares, the caller's computes, one encodes (and one more for each
    output); at most two frames wait before and behind the network.

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
            if error is None:
                tell()
            elif isinstance(error, (_EndOfVideo, TimelineEnded)):
                progress.ended = True
                progress.stopped |= isinstance(error, TimelineEnded)
            else:
                progress.error = progress.error or error

        def ended() -> bool:
            return progress.ended or progress.error is not None or should_stop()

        overlap(count(), self._load, self._compute, self._store, report, min(workers, 1), ended)

    def _load(self, number: int) -> Loaded:
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
        self.progress.seconds["prepare"] += perf_counter() - decoded
        return Loaded(frame, bgr, target)

    def _compute(self, number: int, loaded: Loaded) -> tuple[Loaded, Matte | None]:
        if loaded.bgr is None:
            return loaded, None
        start = perf_counter()
        src = loaded.frame.pixels
        if self._prepared is None or self._prepared[0] is not loaded.bgr:
            self._prepared = loaded.bgr, self._predictor.prepare(loaded.bgr)
        matte = self._predictor.predict(src, self._prepared[1], self._budget)
        if self._smoother is not None:
            matte = replace(matte, pha=self._smoother.smooth(src, matte.pha))
        self.progress.seconds["network"] += perf_counter() - start
        return loaded, matte

    def _store(self, number: int, matted: tuple[Loaded, Matte | None]) -> None:
        loaded, matte = matted
        if self.progress.error is not None:
            return  # nothing may follow a frame that is missing
        start = perf_counter()
        try:
            if matte is None:
                self._outputs.keep(loaded.frame)
                self.progress.kept += 1
            else:
                self._outputs.write(loaded.frame, matte, loaded.target)
                self.progress.done += 1
        except Exception as error:
            self.progress.error = self.progress.error or error
            raise
        finally:
            self.progress.seconds["encode"] += perf_counter() - start
