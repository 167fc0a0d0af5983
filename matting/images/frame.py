"""One frame's way from files to files: what surrounds the predictor."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from time import perf_counter

import numpy as np

from media.pictures import Picture, read_picture
from media.writing import write_png

from ..pictures.compose import BitDepth, OutputType, render
from ..pictures.sheet import draw_sheet
from ..pictures.target import Target, render_target
from ..plate.fit import fit_plate
from ..plate.prepare import Preparation, Preprocess, predict_prepared, prepare_plate
from ..predictor import Matte, Predictor
from ..quality import Budget
from ..report import Entry
from .plan import Job

Reader = Callable[[Path], Picture]


@dataclass(frozen=True)
class Loaded:
    """A frame with what it needs, read and fitted.

    Attributes:
        src: the frame.
        plate: its plate, and what was done to make it fit.
        target: (H, W, 3) float32 in [0, 1], its new background, or None.
        notes: what a user should know of the files, in words.
    """

    src: Picture
    plate: Preparation
    target: np.ndarray | None
    notes: tuple[str, ...]


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


def load_frame(job: Job, target: Target, preprocess: Preprocess, read_background: Reader) -> Loaded:
    """Reads a frame, its plate and its new background, and makes them fit.

    Args:
        job: which files.
        target: the new background.
        preprocess: what is to be done to the plate.
        read_background: reads plates and new backgrounds; may remember those that serve often.

    Returns:
        See `Loaded`.

    Raises:
        ValueError: when a file can't be read or the plate does not fit; names the file.
    """
    src = _named("frame", job.src, read_picture)
    captured = _named("plate", job.bgr, read_background).pixels
    bgr, notes = fit_plate(src=src.pixels, bgr=captured)
    plate = prepare_plate(src.pixels, bgr, preprocess)
    picture = None
    if job.target is not None:
        picture = _named("target background", job.target, read_background).pixels
    new_background = render_target(target, picture, plate.bgr)
    return Loaded(src, plate, new_background, src.notes + notes)


def matte_frame(loaded: Loaded, predictor: Predictor, budget: Budget) -> Matted:
    """Predicts the matte of a frame.

    Args:
        loaded: the frame, with its plate.
        predictor: of the network.
        budget: work to spend.

    Returns:
        See `Matted`.

    Raises:
        ValueError: when the budget's scale leaves no pixel.
    """
    start = perf_counter()
    plate, matte = predict_prepared(predictor, loaded.src.pixels, loaded.plate, budget)
    return Matted(replace(loaded, plate=plate), matte, budget, perf_counter() - start)


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
            pixels = draw_sheet(loaded.src.pixels, loaded.plate.bgr, matte, loaded.target, lines)
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
        plate = matted.loaded.plate
        entry.notes = [*matted.loaded.notes, *plate.notes]
        reports = {
            "alignment": plate.alignment,
            "exposure": plate.exposure,
            "capture": plate.capture,
        }
        entry.details = {
            **{name: asdict(report) if report else None for name, report in reports.items()},
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
        *matted.loaded.plate.notes,
    ]
