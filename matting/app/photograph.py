"""A visitor's photograph: the same files as `inference_images.py` writes, and previews."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from media.metadata import Metadata
from media.pictures import (
    Picture,
    read_picture,
    reduced_size,
    resize,
    to_8_bits,
    write_jpeg,
    write_png,
)

from ..images.frame import check_memory, load_frame, matte_frame, write_outputs
from ..images.plan import Job
from ..library import Matte, Matting
from ..pictures.compose import quantise
from ..pictures.target import Target
from ..pipeline import map_ahead
from ..plate.prepare import Preprocess
from ..webcam.controls import checkerboard
from .limits import Limits, check_picture, check_size

NewFile = Callable[[str], Path]
_PREVIEW = 1600  # longer side of what the page shows, pixels


@dataclass(frozen=True)
class Photograph:
    """A matted photograph: files to keep, one to look at, and the matte for other backgrounds."""

    matte: Matte
    com: Path  # RGBA PNG
    pha: Path  # grey PNG
    shown_src: Path  # JPEG of the frame
    shown_pha: Path
    seconds: float
    metadata: Metadata  # of the frame, for what is written of it


def matte_photograph(
    files: tuple[Path, Path],
    matting: Matting,
    limits: Limits,
    new_file: NewFile,
    tell: Callable[[float, str], object],
) -> Photograph:
    """Mattes a photograph.

    Args:
        files: the frame and the plate.
        matting: the library.
        limits: of the page.
        new_file: makes a path in a folder of its own, of a name.
        tell: called with the fraction that is done and what is done next.

    Returns:
        The result.

    Raises:
        ValueError: when a file can't be read, is too large or the two do not fit; OSError when one
            can't be written.
    """
    src, bgr = files
    for path, what in ((src, "the frame"), (bgr, "the plate")):
        check_picture(path, limits.megapixels, what)
    com, pha = new_file(f"{src.stem}.png"), new_file(f"{src.stem}_alpha.png")
    job = Job(src.name, src, bgr, None, {"com": com, "pha": pha})
    tell(0.0, "Reading, and checking the plate")
    frame = load_frame(job, Target("none"), Preprocess(), read_picture)
    height, width = frame.src.pixels.shape[:2]
    check_size(width, height, limits.megapixels, "the frame")
    check_memory(job, frame, matting)
    tell(0.2, f"Matting {width * height / 1e6:.1f} megapixels")
    # In a thread as the script has it: the bits depend on how many cores share the work.
    lanes = matting.predictor.lanes
    matted = map_ahead(partial(matte_frame, matting=matting), [frame], lanes, lanes=lanes)
    ((matte, seconds),) = matted
    tell(0.9, "Writing")
    list(write_outputs(job, frame, matte, seconds, 8))
    shown_src, shown_pha = new_file("frame.jpg"), new_file("alpha.jpg")
    write_jpeg(shown_src, _reduce(frame.src.pixels, matte.icc_profile))
    write_jpeg(shown_pha, quantise(_shrink(matte.alpha), 8))
    return Photograph(matte, com, pha, shown_src, shown_pha, seconds, frame.src.metadata)


def compose_photograph(
    photograph: Photograph, target: Target, limits: Limits, new_file: NewFile
) -> tuple[Path, Path | None]:
    """Puts a matted photograph over a new background.

    Returns:
        A JPEG to look at, over a checkerboard where the background is transparent, and the PNG to
        keep, or None then.

    Raises:
        ValueError: when the background can't be read or is too large.
    """
    file, matte = None, photograph.matte
    if target.path is not None:
        check_picture(target.path, limits.megapixels, "the new background")
    behind = matte.render_target(target)
    if behind is None:
        behind = checkerboard(*matte.alpha.shape)
        pixels = matte.render("com", behind)
    else:
        pixels = matte.render("com", np.ascontiguousarray(behind))
        file = new_file(f"{photograph.com.stem}_{target.kind}.png")
        write_png(file, pixels, matte.icc_profile, photograph.metadata)
    shown = new_file("composite.jpg")
    write_jpeg(shown, _reduce(pixels, matte.icc_profile))
    return shown, file


def _shrink(pixels: np.ndarray) -> np.ndarray:
    """Makes (H, W) or (H, W, 3) small enough for a page."""
    size = reduced_size(pixels.shape, _PREVIEW)
    return pixels if size == pixels.shape[:2] else resize(pixels, *size)


def _reduce(pixels: np.ndarray, icc_profile: bytes | None) -> np.ndarray:
    """The same for a page in sRGB, as 8 bits."""
    small = to_8_bits(np.ascontiguousarray(_shrink(pixels)))
    return Picture(small, icc_profile).in_profile(None).pixels
