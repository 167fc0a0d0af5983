"""A video run: mattes the frames of a source into files."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from fractions import Fraction
from time import perf_counter

import numpy as np

from media.frames import Frame, VideoSource
from media.pictures import resize
from media.pipes import InterruptedRead

from ..pipeline import AHEAD, map_ahead, run_ahead
from ..plate.over_time import FIRST_CHECKS
from ..prediction import Prediction
from ..predictor import Prepared
from .open import TimelineEnded
from .outputs import VideoOutputs
from .plate import PlateAt
from .stream import FrameMatter, count_threads
from .target import TargetFeed


@dataclass(frozen=True)
class FrameInWork:
    """A frame with its plate and new background."""

    frame: Frame  # resized if requested
    bgr: Prepared | None  # its plate; None if nothing has to be computed
    target: np.ndarray | None = None  # (H, W, 3) float32, its new background
    matte: Prediction | None = None  # after it is computed,
    seconds: float = 0.0  # and its time
    kept: bool = False  # whether every output has it already
    outside: bool = False  # whether it belongs to another part of the frames


@dataclass
class Progress:
    """State of a run so far."""

    done: int = 0  # frames written
    kept: int = 0  # frames that existed already
    error: Exception | None = None  # why it ended early
    ended: bool = False  # whether the end was reached
    stopped: bool = False  # whether the new background ended it (`--target-loop stop`)
    notes: list[str] = field(default_factory=list)  # findings about the capture
    # Seconds of each part; for frames computed in parallel, the mean.
    seconds: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys(("decode", "prepare", "network", "encode"), 0.0)
    )


@dataclass
class VideoRun:
    """Mattes the frames of a source into files; decoding, network and encoding overlap.

    One thread decodes and prepares, the caller's thread or those of the predictor's lanes compute,
    one encodes (and one more for each output). With `resume`, frames that every output has are not
    written again. What remembers earlier frames (the plate, smoothing, the subject) still processes
    them, so the other frames are the same as in an uninterrupted run.
    """

    source: VideoSource
    plate_at: PlateAt
    targets: TargetFeed
    matter: FrameMatter
    outputs: VideoOutputs
    size: tuple[int, int] | None = None  # height and width to resize frames to, in pixels
    resume: bool = False
    span: range | None = None  # numbers of the frames to write; those before it are only prepared
    progress: Progress = field(default_factory=Progress)

    def run(
        self,
        report: Callable[[], object],
        note: Callable[[str], object],
        should_stop: Callable[[], bool],
        workers: int,
    ) -> None:
        """Mattes until the end, an error or a request to stop; `progress` has the result.

        Frames that were computed are always written. Calls `report` for every finished frame,
        `note` with notes for the user, and `should_stop` before each frame. With 0 `workers`
        everything runs in sequence, else in parallel.
        """
        overlaps = min(workers, 1)

        def wanted(frames: Iterator[FrameInWork]) -> Iterator[FrameInWork]:
            for loaded in frames:
                if should_stop():
                    return
                yield loaded
            self.progress.ended = True

        told, threads = 0, overlaps * count_threads(self.matter.predictor)
        with (
            closing(run_ahead(self._load_all(), overlaps)) as loaded,
            closing(map_ahead(self._compute, wanted(loaded), threads)) as matted,
            closing(map_ahead(self._store, matted, overlaps, AHEAD)) as stored,
        ):
            try:
                for _ in stored:
                    report()
                    for text in self.progress.notes[told:]:
                        note(text)
                        told += 1
            except TimelineEnded:
                self.progress.ended = self.progress.stopped = True
            except InterruptedRead:
                pass  # handled like `should_stop`
            except Exception as error:
                self.progress.error = error
        self.progress.notes += map(_name_flags, self.matter.plates.conclude())
        for text in self.progress.notes[told:]:
            note(text)

    def _load_all(self) -> Iterator[FrameInWork]:
        first = None if self.span is None else 0  # of all frames, also those that are not read
        start = perf_counter()
        while (frame := self.source.read()) is not None:
            if self.size is not None:
                frame = replace(frame, pixels=resize(frame.pixels, *self.size))
            decoded = perf_counter()
            self.progress.seconds["decode"] += decoded - start
            first = frame.pts if first is None else first
            yield self._load(frame, (frame.pts - first) * self.source.info.time_base)
            start = perf_counter()

    def _load(self, frame: Frame, time: Fraction) -> FrameInWork:
        start = perf_counter()
        outside = self.span is not None and frame.number not in self.span
        kept = not outside and self.resume and self.outputs.has(frame)
        preparation, bgr = self.matter.prepare(frame.pixels, self.plate_at(time))
        target = None if kept or outside else self.targets.at(time, preparation.bgr)
        late = f"from frame {frame.number} on: " if frame.number > FIRST_CHECKS[-1] else ""
        self.progress.notes += [late + _name_flags(note) for note in preparation.notes]
        self.progress.seconds["prepare"] += perf_counter() - start
        needed = not outside and (not kept or self.matter.remembers)
        return FrameInWork(frame, bgr if needed else None, target, kept=kept, outside=outside)

    def _compute(self, loaded: FrameInWork) -> FrameInWork:
        if loaded.bgr is None:
            return loaded
        start = perf_counter()
        matte = self.matter.predict(loaded.frame.pixels, loaded.bgr)
        return replace(loaded, bgr=None, matte=matte, seconds=perf_counter() - start)

    def _store(self, matted: FrameInWork) -> None:
        if self.progress.error is not None or matted.outside:
            return  # no frame may follow a missing one
        start = perf_counter()
        self.progress.seconds["network"] += matted.seconds / self.matter.predictor.lanes
        try:
            matte = matted.matte
            if matte is not None:
                matte = self.matter.finish(matted.frame.pixels, matte)
            if matte is None or matted.kept:
                self.outputs.keep(matted.frame)
                self.progress.kept += 1
            else:
                self.outputs.write(matted.frame, matte, matted.target)
                self.progress.done += 1
        except Exception as error:
            self.progress.error = error
            raise
        finally:
            self.progress.seconds["encode"] += perf_counter() - start


def _name_flags(note: str) -> str:
    """Replaces a photograph's flags in a note on the plate by those of videos."""
    return note.replace("--images-", "--video-").replace(" --target-bgr", " --video-target-bgr")
