"""Processing of one photograph: read, prepare, matte, write."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import BoundedSemaphore, Lock
from time import perf_counter
from typing import Any

import numpy as np

from media.pictures import Picture, read_picture, write_png
from runtime.files import explain
from runtime.memory import free_memory
from runtime.wording import visible
from storage.errors import StorageError
from storage.files import fetched, stored
from storage.location import Location, name_below

from ..library import Matte, Matting
from ..pictures.compose import BitDepth, OutputType, render
from ..pictures.sheet import draw_sheet
from ..pictures.target import Target, render_target
from ..plate.prepare import Preparation, Preprocess
from ..summary import SummaryEntry
from .plan import Job

Reader = Callable[[Any], Picture]  # of a path, or of a Location

# Bytes of memory per pixel, from reading to writing, on a CPU: measured at 50 and 200 megapixels,
# with a margin for 16 bits. From this many pixels on, one frame at a time is computed and written.
_MEMORY, _MEMORY_OF_TWO_LOOKS, _MEMORY_OF_A_SHEET = 80, 135, 110
_LARGE = 50_000_000
_SMALL = 4_000_000  # these need 0.5 GB, which is not checked


@dataclass(frozen=True)
class LoadedFrame:
    """A frame with its prepared plate, and its new background or None."""

    src: Picture
    plate: Preparation
    target: np.ndarray | None


@dataclass
class ImagesRun:
    """Mattes one job per call; several threads may call it."""

    matting: Matting
    target: Target
    """New background of the composites."""
    preprocess: Preprocess
    """Preparation of plates."""
    bit_depth: BitDepth
    output_dir: Location
    """The folder to which the outputs' paths are relative in the summary."""
    should_stop: Callable[[], bool]
    """Returns whether to stop; called before each prediction."""
    read_shared: Reader = field(default_factory=lambda: SharedReader(read_location))
    """Reads plates and new backgrounds; fetches and decodes one that many frames use only once."""

    def __post_init__(self) -> None:
        self._turn = BoundedSemaphore(self.matting.predictor.lanes)
        self._large = Lock()

    def __call__(self, job: Job) -> SummaryEntry | None:
        """Reads a frame and its plate, mattes it and writes the outputs.

        Returns:
            Its result, also if it failed; None if the run stopped before it.
        """
        entry = SummaryEntry(job.name, "done")
        try:
            if self.should_stop():
                return None
            frame = load_frame(job, self.target, self.preprocess, self.read_shared)
            with ExitStack() as turn:
                large = self._wait(turn, frame)
                if self.should_stop():
                    return None
                check_memory(job, frame, self.matting)
                matte, seconds = matte_frame(frame, self.matting)
                if not large:
                    turn.close()
                entry.notes, entry.details = list(matte.notes), describe_matte(matte, seconds)
                for kind in write_outputs(job, frame, matte, seconds, self.bit_depth):
                    entry.outputs[kind] = name_below(job.outputs[kind], self.output_dir)
        except Exception as error:
            entry.status = "failed"
            entry.reason = explain(error)
        return entry

    def _wait(self, turn: ExitStack, frame: LoadedFrame) -> bool:
        """Waits for a lane, or for all lanes if a frame is large; returns whether it is."""
        height, width = frame.src.pixels.shape[:2]
        if height * width < _LARGE:
            turn.enter_context(self._turn)
            return False
        with self._large:  # two frames with half of the lanes each would wait for ever
            for _ in range(self.matting.predictor.lanes):
                turn.enter_context(self._turn)
        return True


def load_frame(
    job: Job, target: Target, preprocess: Preprocess, read_shared: Reader
) -> LoadedFrame:
    """Reads a frame, its plate and its new background, and prepares them.

    Raises:
        ValueError: when a file can't be read or the plate does not fit; the message names the file.
    """
    src = _read("frame", job.src, read_location)
    plate = Matting.prepare(src, _read("plate", job.bgr, read_shared), preprocess)
    if target.kind == "none":
        return LoadedFrame(src, plate, None)
    picture = None
    if job.target is not None:
        shown = _read("target background", job.target, read_shared)
        picture = shown.in_profile(src.icc_profile).pixels
    return LoadedFrame(src, plate, render_target(target, picture, plate.bgr, src.icc_profile))


def check_memory(job: Job, frame: LoadedFrame, matting: Matting) -> None:
    """Raises ValueError if a frame needs more memory than is free."""
    height, width = frame.src.pixels.shape[:2]
    if height * width < _SMALL or matting.predictor.device.type != "cpu":
        return
    free = free_memory()
    second = matting.resolve_budget(height, width).second_look
    once = _MEMORY_OF_A_SHEET if "sheet" in job.outputs else _MEMORY
    needed = height * width * (_MEMORY_OF_TWO_LOOKS if second else once)
    held = frame.src.pixels.nbytes + frame.plate.bgr.nbytes
    if free is not None and needed - held > free:
        less = height * width * once / 2**30
        hint = f", or use --quality auto, which needs {less:.1f} GiB" if second else ""
        raise ValueError(
            f"{width} x {height} pixels need about {needed / 2**30:.1f} GiB of memory, and "
            f"{free / 2**30:.1f} GiB are free; make frame and plate smaller{hint}"
        )


def matte_frame(frame: LoadedFrame, matting: Matting) -> tuple[Matte, float]:
    """Predicts the matte of a frame; also returns the seconds it took."""
    start = perf_counter()
    return matting(frame.src, frame.plate), perf_counter() - start


def write_outputs(
    job: Job, frame: LoadedFrame, matte: Matte, seconds: float, bit_depth: BitDepth
) -> Iterator[OutputType]:
    """Writes the outputs of a frame that are in the job.

    Yields:
        The type of each output after writing it.

    Raises:
        OSError, StorageError: when a file can't be written; those before it are complete.
    """
    for kind, path in job.outputs.items():
        if kind == "sheet":
            lines = _sheet_lines(job, matte, seconds)
            plate = matte.preparation.bgr
            pixels = draw_sheet(frame.src.pixels, plate, matte.prediction, frame.target, lines)
        else:
            pixels = render(kind, matte.prediction, frame.target, bit_depth)
        coloured = kind in ("com", "fgr", "sheet")
        kept = frame.src.metadata if kind in ("com", "fgr") else None
        profile = frame.src.icc_profile if coloured else None
        if isinstance(path, Path):
            write_png(path, pixels, profile, kept)
        else:
            with stored(path) as local:
                write_png(local, pixels, profile, kept)
        yield kind


def describe_matte(matte: Matte, seconds: float) -> dict[str, Any]:
    """Figures of a matte for the summary: reports of the plate, work and time."""
    plate = matte.preparation
    reports = {
        "alignment": plate.alignment,
        "exposure": plate.exposure,
        "capture": plate.capture,
    }
    return {
        **{name: asdict(report) if report else None for name, report in reports.items()},
        **asdict(matte.budget),
        "compute_seconds": round(seconds, 4),
    }


def read_location(location: Location) -> Picture:
    """Reads a picture, local or in a store; PictureError or StorageError if that fails."""
    with fetched(location) as path:
        return read_picture(path)


class SharedReader:
    """Reads pictures once for all threads that need them at about the same time.

    Args:
        read: reads one.
        kept: number of pictures that stay in memory.
    """

    def __init__(self, read: Reader, kept: int = 4) -> None:
        self._read, self._kept = read, kept
        self._pictures: dict[Location, Future[Picture]] = {}
        self._lock = Lock()

    def __call__(self, location: Location) -> Picture:
        """Reads a picture, or waits for another thread that reads it."""
        with self._lock:
            known = self._pictures.pop(location, None)
            picture = self._pictures[location] = known or Future()
            while len(self._pictures) > self._kept:
                del self._pictures[next(iter(self._pictures))]
        if known is None:
            try:
                picture.set_result(self._read(location))
            except BaseException as error:
                picture.set_exception(error)
                with self._lock:  # the next frame tries again
                    if self._pictures.get(location) is picture:
                        del self._pictures[location]
        return picture.result()


def _read(what: str, location: Location, read: Reader) -> Picture:
    try:
        return read(location)
    except StorageError as error:
        raise ValueError(f"{what} {error}") from error
    except ValueError as error:
        raise ValueError(f"{what} {location}: {error}") from error


def _sheet_lines(job: Job, matte: Matte, seconds: float) -> list[str]:
    height, width = matte.alpha.shape
    ref = matte.prediction.ref
    lines = [
        job.name,
        f"{width} x {height} pixels",
        f"backbone scale {matte.budget.backbone_scale:.4g}",
        f"pixels to refine {matte.budget.refine_sample_pixels}",
        *([] if ref is None else [f"refined {ref.mean():.1%} of the picture"]),
        f"{seconds:.2f} s to compute",
        *matte.notes,
    ]
    return [visible(line) for line in lines]
