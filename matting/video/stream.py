"""A frame's way through a video: read, prepare, matte, smooth, write; several frames at a time."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from itertools import count
from pathlib import Path
from time import perf_counter
from typing import TypeVar

import numpy as np
import torch

from media.frames import Frame, VideoSource

from ..plate.fit import resize
from ..plate.over_time import PlateOverTime
from ..plate.prepare import Preparation, Preprocess
from ..predictor import Matte, Predictor, Prepared
from ..quality import Budget
from .open import TimelineEnded, open_video
from .outputs import VideoOutputs
from .plate import PlateAt
from .smoothing import AlphaSmoother
from .target import TargetFeed

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 2  # frames that wait before the network, and behind it


@dataclass
class FrameMatter:
    """What is done to each frame of one camera; `prepare` and `smooth` must see all in turn."""

    predictor: Predictor
    budget: Budget
    plates: PlateOverTime
    smoother: AlphaSmoother | None = None
    _last: tuple[np.ndarray, Prepared] | None = field(default=None, init=False)

    def prepare(self, src: np.ndarray, bgr: np.ndarray) -> tuple[Preparation, Prepared]:
        """Makes the plate fit; see `PlateOverTime.prepare`. Brings it to the device, once."""
        preparation = self.plates.prepare(src, bgr)
        if self._last is None or self._last[0] is not preparation.bgr:
            self._last = preparation.bgr, self.predictor.prepare(preparation.bgr)
        return preparation, self._last[1]

    def predict(self, src: np.ndarray, bgr: Prepared) -> Matte:
        """Predicts a matte; for several threads."""
        return self.predictor.predict(src, bgr, self.budget)

    def smooth(self, src: np.ndarray, matte: Matte) -> Matte:
        """Smoothes alpha over time, if that is asked for."""
        return replace(matte, pha=self.smoother.smooth(src, matte.pha)) if self.smoother else matte


@dataclass(frozen=True)
class MattedFrame:
    """A frame of a clip, and its matte."""

    src: np.ndarray
    """(H, W, 3) uint8 or uint16, RGB, the frame."""
    bgr: np.ndarray
    """The plate as it was used, like the frame."""
    matte: Matte
    notes: tuple[str, ...]
    """What has become known of the capture with this frame, in words."""


def matte_frames(
    frames: Path | str | Iterable[np.ndarray],
    plate: np.ndarray,
    predictor: Predictor,
    budget: Budget | Callable[[int, int], Budget],
    preprocess: Preprocess,
    smoothing: float = 0.0,
) -> Iterator[MattedFrame]:
    """Mattes a clip, some frames ahead of the caller; the same values as `inference_video.py`.

    Args:
        frames: a clip, a folder of numbered pictures, or (H, W, 3) uint8 or uint16 RGB arrays of
            one size and type.
        plate: (h, w, 3) uint8 or uint16, RGB, the captured plate of all of them.
        predictor: of the network; it computes `lanes` frames at a time.
        budget: work for each frame, or what chooses it by height and width.
        preprocess: what is done to the plate over time.
        smoothing: of alpha where the picture stands still, in [0, 0.95]; 0 is none.

    Yields:
        Every frame, in order.

    Raises:
        ValueError: when a frame can't be read or the plate has another aspect ratio.
    """
    if isinstance(frames, (Path, str)):
        frames = _read_pixels(open_video(Path(frames), "clip"))
    smoother = AlphaSmoother(smoothing) if smoothing else None
    matter: FrameMatter | None = None

    def load(src: np.ndarray) -> tuple[np.ndarray, Preparation, Prepared]:
        nonlocal matter
        if matter is None:
            work = budget if isinstance(budget, Budget) else budget(*src.shape[:2])
            matter = FrameMatter(predictor, work, PlateOverTime(preprocess), smoother)
        return src, *matter.prepare(src, plate)

    def compute(loaded: tuple[np.ndarray, Preparation, Prepared]) -> MattedFrame:
        src, preparation, bgr = loaded
        assert matter is not None  # noqa: S101 - made by the first frame
        return MattedFrame(src, preparation.bgr, matter.predict(src, bgr), preparation.notes)

    with (
        closing(run_ahead(map(load, frames), 1)) as loaded,
        closing(map_ahead(compute, loaded, _threads(predictor))) as matted,
    ):
        for one in matted:
            assert matter is not None  # noqa: S101 - made by the first frame
            yield replace(one, matte=matter.smooth(one.src, one.matte))


@dataclass(frozen=True)
class LoadedFrame:
    """A frame with what it needs."""

    frame: Frame
    """As read, resized if that was asked for."""
    bgr: Prepared | None
    """Its plate, as the network takes it; None where nothing has to be computed."""
    target: np.ndarray | None = None
    """(H, W, 3) float32, its new background, or None."""
    matte: Matte | None = None
    """When it is computed."""
    seconds: float = 0.0
    """That computing it took."""


@dataclass
class Progress:
    """What became of a run so far."""

    done: int = 0
    """Frames that are written."""
    kept: int = 0
    """Frames that were there already."""
    error: Exception | None = None
    """Why it ended early, or None."""
    ended: bool = False
    """Whether the end was reached."""
    stopped: bool = False
    """Whether the new background ended it (`--target-loop stop`)."""
    notes: list[str] = field(default_factory=list)
    """What has become known of the capture, in words."""
    seconds: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys(("decode", "prepare", "network", "encode"), 0.0)
    )
    """Spent on each part of the way; of frames that are computed at a time, the mean."""

    @property
    def complete(self) -> bool:
        """Whether all that was asked for was made."""
        return self.ended and self.error is None


@dataclass
class VideoRun:
    """Mattes the frames of a source into files; decoding, network and encoding overlap.

    One thread decodes and prepares, the caller's or those of the predictor's lanes compute, one
    encodes (and one more for each output).
    """

    source: VideoSource
    plate_at: PlateAt
    targets: TargetFeed
    matter: FrameMatter
    outputs: VideoOutputs
    size: tuple[int, int] | None = None
    """Height and width that frames get, pixels."""
    resume: bool = False
    """Whether frames that every output has are left out."""
    progress: Progress = field(default_factory=Progress)

    def run(
        self,
        report: Callable[[], object],
        note: Callable[[str], object],
        should_stop: Callable[[], bool],
        workers: int,
    ) -> None:
        """Mattes until the end, an error or a wish to stop; `progress` has what became of it.

        What was computed is written in any case.

        Args:
            report: called for every finished frame.
            note: called with what a user should know.
            should_stop: asked before each frame.
            workers: 0 does one thing after the other, all else overlaps.
        """
        overlaps = min(workers, 1)

        def wanted(frames: Iterator[LoadedFrame]) -> Iterator[LoadedFrame]:
            for loaded in frames:
                if should_stop():
                    return
                yield loaded
            self.progress.ended = True

        told = 0
        with (
            closing(run_ahead(self._load_all(), overlaps)) as loaded,
            closing(
                map_ahead(self._compute, wanted(loaded), overlaps * _threads(self.matter.predictor))
            ) as matted,
            closing(map_ahead(self._store, matted, overlaps, _AHEAD)) as stored,
        ):
            try:
                for _ in stored:
                    report()
                    for text in self.progress.notes[told:]:
                        note(text)
                        told += 1
            except TimelineEnded:
                self.progress.ended = self.progress.stopped = True
            except Exception as error:
                self.progress.error = error
        self.progress.notes += self.matter.plates.conclude()
        for text in self.progress.notes[told:]:
            note(text)

    def _load_all(self) -> Iterator[LoadedFrame]:
        first: int | None = None
        start = perf_counter()
        while (frame := self.source.read()) is not None:
            if self.size is not None:
                frame = replace(frame, pixels=resize(frame.pixels, *self.size))
            decoded = perf_counter()
            self.progress.seconds["decode"] += decoded - start
            first = frame.pts if first is None else first
            yield self._load(frame, (frame.pts - first) * self.source.info.time_base)
            start = perf_counter()

    def _load(self, frame: Frame, time: Fraction) -> LoadedFrame:
        if self.resume and self.outputs.has(frame):
            return LoadedFrame(frame, None)
        start = perf_counter()
        preparation, bgr = self.matter.prepare(frame.pixels, self.plate_at(time))
        target = self.targets.at(time, preparation.bgr)
        since = f"from frame {frame.number} on: " if frame.number else ""
        self.progress.notes += [since + note for note in preparation.notes]
        self.progress.seconds["prepare"] += perf_counter() - start
        return LoadedFrame(frame, bgr, target)

    def _compute(self, loaded: LoadedFrame) -> LoadedFrame:
        if loaded.bgr is None:
            return loaded
        start = perf_counter()
        matte = self.matter.predict(loaded.frame.pixels, loaded.bgr)
        return replace(loaded, bgr=None, matte=matte, seconds=perf_counter() - start)

    def _store(self, matted: LoadedFrame) -> None:
        if self.progress.error is not None:
            return  # nothing may follow a frame that is missing
        start = perf_counter()
        self.progress.seconds["network"] += matted.seconds / self.matter.predictor.lanes
        try:
            if matted.matte is None:
                self.outputs.keep(matted.frame)
                self.progress.kept += 1
            else:
                matte = self.matter.smooth(matted.frame.pixels, matted.matte)
                self.outputs.write(matted.frame, matte, matted.target)
                self.progress.done += 1
        except Exception as error:
            self.progress.error = error
            raise
        finally:
            self.progress.seconds["encode"] += perf_counter() - start


def _threads(predictor: Predictor) -> int:
    """Threads that compute beside the caller's."""
    return predictor.lanes if predictor.lanes > 1 else 0


def run_ahead(items: Iterator[Item], workers: int) -> Generator[Item, None, None]:
    """Goes through items in a thread of their own, some ahead; 0 workers do so in the caller's."""
    end = object()
    for item in map_ahead(lambda _: next(items, end), count(), workers, _AHEAD):
        if item is end:
            return
        yield item  # type: ignore[misc]


def map_ahead(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int, ahead: int = 0
) -> Generator[Result, None, None]:
    """Applies a function in threads, and keeps the order.

    What came before an error, of the items or of the function, is still handed over.

    Args:
        function: of an item.
        items: taken in the caller's thread, at most `workers + ahead` before they are asked for.
        workers: threads; they share PyTorch's. 0 calls the function in the caller's.
        ahead: items that may wait.
    """
    if workers == 0:
        yield from map(function, items)
        return
    threads, error = torch.get_num_threads(), None
    share = partial(torch.set_num_threads, max(1, threads // workers))
    waiting: deque[Future[Result]] = deque()
    remaining = iter(items)
    with ThreadPoolExecutor(workers, initializer=share) as pool:
        try:
            while True:
                try:
                    waiting.append(pool.submit(function, next(remaining)))
                except StopIteration:
                    break
                except Exception as caught:
                    error = caught
                    break
                if len(waiting) >= workers + ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            if workers > 1:
                torch.set_num_threads(threads)  # which these have set for later threads as well
    if error is not None:
        raise error


def _read_pixels(source: VideoSource) -> Iterator[np.ndarray]:
    with closing(source):
        while (frame := source.read()) is not None:
            source.take_audio()
            yield frame.pixels
