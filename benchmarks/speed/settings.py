"""Settings of the speed test: what to time, frames and sizes, and checks for contradictions."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from matting.plate.prepare import Preprocess, PreprocessMode
from matting.settings import ModelSettings
from model.refiner import CELL
from runtime.settings import settings_group

# The size of noise if none is given.
DEFAULT_RESOLUTION = (1920, 1080)


@settings_group("")
class MeasureSettings:
    """What to time."""

    resolution: tuple[int, int] | None = None
    """Resize pictures to this width and height, in pixels; 1920 1080 without pictures."""
    batch_size: Annotated[int, Field(ge=1)] = 1
    """Frames per call."""
    warm_up: Annotated[int, Field(ge=0)] = 3
    """Calls before timing starts."""
    iterations: Annotated[int, Field(ge=1)] = 20
    """Timed calls per picture. With --end-to-end, the minimum number of frames; the pictures take
    turns."""
    channels_last: bool = False
    """Keep weights and frames in channels-last memory, for GPUs. On a CPU mattingrefine always
    does."""


@settings_group("image")
class PictureSettings:
    """Pictures to compute on; random noise if there are none."""

    src: Path | None = None
    """Frames: a picture, or a folder with subfolders; figures are means over its pictures."""
    bgr: Path | None = None
    """Captured background plates: one for all frames, or a folder paired with the frames by
    relative path and stem."""

    def __post_init__(self) -> None:
        if self.src is None and self.bgr is None:
            return
        if self.src is None or self.bgr is None:
            given, wanted = ("src", "bgr") if self.bgr is None else ("bgr", "src")
            raise ValueError(
                f"--image-{given} was given without --image-{wanted}; the network takes a frame "
                "and its plate, so give both, or none for random noise"
            )
        if self.src.resolve() == self.bgr.resolve():
            raise ValueError(
                f"--image-src and --image-bgr are the same ({self.src}); the plate is a picture of "
                "the scene without the subject, captured by the same camera"
            )


@settings_group("")
class ModeSettings:
    """What to measure instead of the network alone."""

    end_to_end: bool = False
    """Time decoding, computing and encoding (com and pha, into a temporary folder), overlapped and
    each alone."""
    preprocess: PreprocessMode = "auto"
    """Preparation of the plates, as in inference_images.py; its time counts as decoding."""
    preprocess_alignment: bool = False
    """Align all plates to their frames."""
    preprocess_exposure: bool = False
    """Match the exposure of all plates."""
    table: bool = False
    """Time the three backbones at HD and 4K, beside the paper's figures."""
    plot: Path | None = None
    """Measure sizes from 720p to 8K, and draw seconds per frame over megapixels to this PNG."""

    def to_preprocess(self) -> Preprocess:
        """Combines the settings of the plates' preparation."""
        return Preprocess(self.preprocess, self.preprocess_alignment, self.preprocess_exposure)


def check_modes(
    mode: ModeSettings, measure: MeasureSettings, image: PictureSettings, model: ModelSettings
) -> None:
    """Refuses settings that contradict each other.

    Raises:
        ValueError: the message says what to leave out or to add.
    """
    pictures, resolution = image.src is not None, measure.resolution is not None
    prepares = mode.preprocess_alignment or mode.preprocess_exposure
    if not pictures and (mode.end_to_end or prepares):
        raise ValueError(
            "--end-to-end, --preprocess-alignment and --preprocess-exposure take pictures, got "
            "none; name them with --image-src and --image-bgr"
        )
    if mode.end_to_end and mode.table:
        raise ValueError("--end-to-end and --table can't be combined; give one of them")
    if mode.end_to_end and (resolution or measure.batch_size > 1):
        raise ValueError(
            "--end-to-end uses pictures at their own size, one by one; leave out --resolution and "
            "--batch-size"
        )
    if mode.table and (model != ModelSettings() or pictures or resolution):
        raise ValueError(
            "--table times fixed networks and sizes on noise; leave out --model-*, --image-* and "
            "--resolution"
        )
    if mode.plot and not mode.end_to_end and (pictures or resolution):
        raise ValueError("--plot times fixed sizes on noise; leave out --image-* and --resolution")


def check_resolution(width: int, height: int, refines: bool) -> None:
    """Refuses a size, in pixels, that a network does not support.

    Raises:
        ValueError: the message names the nearest supported size.
    """
    step = CELL if refines else 1
    if width > 0 and height > 0 and not width % step and not height % step:
        return
    near = [max(step, round(side / step) * step) for side in (width, height)]
    divisible = f" and, for mattingrefine, divisible by {CELL}" if refines else ""
    raise ValueError(
        f"--resolution must be positive{divisible}, got {width} {height}; the nearest is "
        f"--resolution {near[0]} {near[1]}"
    )


def check_new_file(flag: str, path: Path, overwrite: bool) -> None:
    """Refuses to replace a file without `overwrite`; call it before measuring.

    Raises:
        ValueError: when `path` is a folder, or an existing file without `overwrite`.
    """
    if path.is_dir():
        raise ValueError(f"{flag} takes a file to write, but {path} is a folder; name a file in it")
    if path.exists() and not overwrite:
        raise ValueError(f"{flag} {path} exists already; name another file or add --overwrite")
