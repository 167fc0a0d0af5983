"""One photograph's way from files to files: read, prepare, matte, write."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter

import numpy as np

from media.pictures import Picture, read_picture
from media.writing import write_png

from ..library import Matte, Matting
from ..pictures.compose import BitDepth, OutputType, render
from ..pictures.sheet import draw_sheet
from ..pictures.target import Target, render_target
from ..plate.prepare import Preparation, Preprocess
from ..report import Entry
from .plan import Job

Reader = Callable[[Path], Picture]


@dataclass(frozen=True)
class LoadedFrame:
    """A frame with what it needs: its plate, prepared, and its new background or None."""

    src: Picture
    plate: Preparation
    target: np.ndarray | None


@dataclass(frozen=True)
class MattedFrame:
    """A frame's matte, and how it came about.

    Attributes:
        frame: what it was made from.
        matte: alpha, foreground and all that is known of them.
        seconds: that the prediction took.
        written: types of the outputs that are written, in time.
    """

    frame: LoadedFrame
    matte: Matte
    seconds: float
    written: list[OutputType] = field(default_factory=list)


def load_frame(
    job: Job, target: Target, preprocess: Preprocess, read_shared: Reader
) -> LoadedFrame:
    """Reads a frame, its plate and its new background, and makes them fit.

    Args:
        job: which files.
        target: the new background.
        preprocess: what is to be done to the plate.
        read_shared: reads plates and new backgrounds; may remember those that serve often.

    Returns:
        See `LoadedFrame`.

    Raises:
        ValueError: when a file can't be read or the plate does not fit; names the file.
    """
    src = _read("frame", job.src, read_picture)
    plate = Matting.prepare(src, _read("plate", job.bgr, read_shared), preprocess)
    picture = None
    if job.target is not None:
        picture = _read("target background", job.target, read_shared).pixels
    return LoadedFrame(src, plate, render_target(target, picture, plate.bgr))


def matte_frame(frame: LoadedFrame, matting: Matting) -> MattedFrame:
    """Predicts the matte of a frame; ValueError when the scale leaves no pixel."""
    start = perf_counter()
    matte = matting(frame.src, frame.plate)
    return MattedFrame(frame, matte, perf_counter() - start)


def write_outputs(job: Job, matted: MattedFrame, bit_depth: BitDepth) -> None:
    """Writes every output of a frame that the job asks for.

    Args:
        job: which files.
        matted: the matte and what it was made from.
        bit_depth: see `render`.

    Raises:
        OSError: when a file can't be written; those before it are whole.
    """
    frame, matte = matted.frame, matted.matte
    for kind, path in job.outputs.items():
        if kind == "sheet":
            plate = matte.preparation.bgr
            pixels = draw_sheet(
                frame.src.pixels, plate, matte.prediction, frame.target, _sheet_lines(job, matted)
            )
        else:
            pixels = render(kind, matte.prediction, frame.target, bit_depth)
        coloured = kind in ("com", "fgr", "sheet")
        write_png(path, pixels, frame.src.icc_profile if coloured else None)
        matted.written.append(kind)


def describe_job(
    job: Job, matted: MattedFrame | None, error: Exception | None, output_dir: Path
) -> Entry:
    """Describes what became of a job, for the summary.

    Args:
        job: the job.
        matted: its matte, if it came that far.
        error: why it failed, or None.
        output_dir: what the outputs' paths are given from.
    """
    entry = Entry(job.name, "done")
    if matted:
        plate = matted.matte.preparation
        entry.notes = list(matted.matte.notes)
        reports = {
            "alignment": plate.alignment,
            "exposure": plate.exposure,
            "capture": plate.capture,
        }
        entry.details = {
            **{name: asdict(report) if report else None for name, report in reports.items()},
            **asdict(matted.matte.budget),
            "compute_seconds": round(matted.seconds, 4),
        }
        entry.outputs = {
            kind: job.outputs[kind].relative_to(output_dir).as_posix() for kind in matted.written
        }
    if error is not None:
        entry.status = "failed"
        expected = isinstance(error, (ValueError, OSError))
        entry.reason = str(error) if expected else f"{type(error).__name__}: {error}"
    return entry


def _read(what: str, path: Path, read: Reader) -> Picture:
    try:
        return read(path)
    except ValueError as error:
        raise ValueError(f"{what} {path}: {error}") from error


def _sheet_lines(job: Job, matted: MattedFrame) -> list[str]:
    matte = matted.matte
    height, width = matte.alpha.shape
    return [
        job.name,
        f"{width} x {height} pixels",
        f"backbone scale {matte.budget.backbone_scale:.4g}",
        f"pixels to refine {matte.budget.refine_sample_pixels}",
        f"refined {matte.prediction.ref.mean():.1%} of the picture",
        f"{matted.seconds:.2f} s to compute",
        *matte.notes,
    ]
