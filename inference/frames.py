"""One frame's way from files to files: what surrounds the predictor."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dataset.images import Picture, read_picture

from .budget import Budget
from .compose import BitDepth, OutputType, render
from .jobs import Job
from .plate import fit_plate
from .predictor import Matte
from .report import Entry
from .sheet import draw_sheet
from .target import Target, render_target
from .writers import write_png

Reader = Callable[[Path], Picture]


@dataclass(frozen=True)
class Loaded:
    """A frame with what it needs, read and fitted.

    Attributes:
        src: the frame.
        bgr: (H, W, 3), its plate, of the frame's type and aligned if asked for.
        target: (H, W, 3) float32 in [0, 1], its new background, or None.
        notes: what a user should know, in words.
        alignment: the report of the alignment, for the file.
    """

    src: Picture
    bgr: np.ndarray
    target: np.ndarray | None
    notes: tuple[str, ...]
    alignment: dict[str, Any] | None


@dataclass(frozen=True)
class Matted:
    """A frame's matte, and how it came about.

    Attributes:
        loaded: what it was made from.
        matte: the prediction.
        budget: the work that was spent.
        seconds: that it took.
        written: types of the outputs that are written, in time.
    """

    loaded: Loaded
    matte: Matte
    budget: Budget
    seconds: float
    written: list[OutputType] = field(default_factory=list)


def load_frame(job: Job, target: Target, align: bool, read_background: Reader) -> Loaded:
    """Reads a frame, its plate and its new background, and makes them fit.

    Args:
        job: which files.
        target: the new background.
        align: whether to align the plate.
        read_background: reads plates and new backgrounds; may remember those that serve often.

    Returns:
        See `Loaded`.

    Raises:
        ValueError: when a file can't be read or the plate does not fit; names the file.
    """
    src = _named("frame", job.src, read_picture)
    plate = _named("plate", job.bgr, read_background).pixels
    bgr, alignment, notes = fit_plate(plate, src.pixels, align)
    picture = None
    if job.target is not None:
        picture = _named("target background", job.target, read_background).pixels
    new_background = render_target(target, picture, bgr)
    details = asdict(alignment) if alignment else None
    return Loaded(src, bgr, new_background, src.notes + notes, details)


def write_outputs(job: Job, matted: Matted, bit_depth: BitDepth) -> None:
    """Writes every output of a frame that the job asks for.

    Args:
        job: which files.
        matted: the matte and what it was made from.
        bit_depth: see `render`.

    Raises:
        OSError: when a file can't be written; those before it are whole.
    """
    loaded, matte = matted.loaded, matted.matte
    for kind, path in job.outputs.items():
        if kind == "sheet":
            lines = _sheet_lines(job, matted)
            pixels = draw_sheet(loaded.src.pixels, loaded.bgr, matte, loaded.target, lines)
        else:
            pixels = render(kind, matte, loaded.target, bit_depth)
        coloured = kind in ("com", "fgr", "sheet")
        write_png(path, pixels, loaded.src.icc_profile if coloured else None)
        matted.written.append(kind)


def describe(job: Job, matted: Matted | None, error: Exception | None, output_dir: Path) -> Entry:
    """Gives the account of one job.

    Args:
        job: the job.
        matted: its matte, if it came that far.
        error: why it failed, or None.
        output_dir: what the outputs' paths are given from.

    Returns:
        The entry for the report.
    """
    entry = Entry(job.name, "done")
    if matted:
        entry.notes = list(matted.loaded.notes)
        entry.details = {
            "alignment": matted.loaded.alignment,
            **asdict(matted.budget),
            "compute_seconds": round(matted.seconds, 4),
        }
        entry.outputs = {
            kind: job.outputs[kind].relative_to(output_dir).as_posix() for kind in matted.written
        }
    if error is None:
        return entry
    entry.status = "failed"
    expected = isinstance(error, (ValueError, OSError))
    entry.reason = str(error) if expected else f"{type(error).__name__}: {error}"
    return entry


def _named(what: str, path: Path, read: Reader) -> Picture:
    try:
        return read(path)
    except ValueError as error:
        raise ValueError(f"{what} {path}: {error}") from error


def _sheet_lines(job: Job, matted: Matted) -> list[str]:
    height, width = matted.loaded.src.pixels.shape[:2]
    return [
        job.name,
        f"{width} x {height} pixels",
        f"backbone scale {matted.budget.backbone_scale:.4g}",
        f"pixels to refine {matted.budget.refine_sample_pixels}",
        f"refined {matted.matte.ref.mean():.1%} of the picture",
        f"{matted.seconds:.2f} s to compute",
        *matted.loaded.notes,
    ]
