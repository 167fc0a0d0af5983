"""One image from files to numbers."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from media.pictures import PictureError

from .jobs import Job
from .metrics import map_alpha_errors, map_change_error, map_foreground_error, reduce_error
from .reading import read_alpha, read_colours
from .regions import unknown_of_alpha, unknown_of_trimap

REGIONS = {"frame": "whole frame", "unknown": "unknown region"}


@dataclass(frozen=True)
class Result:
    """What was measured of one image.

    Attributes:
        name: of the image.
        height: pixels.
        width: pixels.
        unknown: pixels of the unknown region.
        values: metrics by region ("frame", "unknown") and name; None where there is nothing to
            measure: an empty region, or no frame before.
    """

    name: str
    height: int
    width: int
    unknown: int
    values: dict[str, dict[str, float | None]]


def measure_image(job: Job, unknown_radius: int) -> Result:
    """Reads an image's files and measures all that they allow.

    Args:
        job: which files.
        unknown_radius: pixels, for the unknown region without a trimap.

    Returns:
        See `Result`.

    Raises:
        ValueError: when a file can't be read, or sizes differ; names the files.
    """
    true_pha = _read(job.true_pha, read_alpha)
    pred_pha = _read_like(job.pred_pha, read_alpha, job.true_pha, true_pha)
    whole = np.ones(true_pha.shape, bool)
    if job.trimap:
        unknown = unknown_of_trimap(_read_like(job.trimap, read_alpha, job.true_pha, true_pha))
    else:
        unknown = unknown_of_alpha(true_pha, unknown_radius)
    # Name: map of errors, and where the metric is defined.
    maps = {name: (m, whole) for name, m in map_alpha_errors(pred_pha, true_pha).items()}
    if job.pred_fgr and job.true_fgr:
        pred_fgr, true_fgr = (
            _read_like(path, read_colours, job.true_pha, true_pha)
            for path in (job.pred_fgr, job.true_fgr)
        )
        maps["fgr_mse"] = map_foreground_error(pred_fgr, true_fgr, true_pha)
    if before := _read_before(job, true_pha):
        change = map_change_error(pred_pha, before[0], true_pha, before[1])
        maps["dtssd"] = (change, whole)
    values = {
        region: {name: reduce_error(name, m, inside & mask) for name, (m, inside) in maps.items()}
        for region, mask in (("frame", whole), ("unknown", unknown))
    }
    height, width = true_pha.shape
    return Result(job.name, height, width, int(unknown.sum()), values)


def average(results: list[Result]) -> dict[str, dict[str, float | None]]:
    """Averages every metric over the images that have it.

    Args:
        results: of the images.

    Returns:
        Means by region and metric; None where no image has the metric there.
    """
    means: dict[str, dict[str, float | None]] = {}
    for region in REGIONS:
        names = dict.fromkeys(name for result in results for name in result.values[region])
        means[region] = {}
        for name in names:
            found = [result.values[region].get(name) for result in results]
            numbers = [value for value in found if value is not None]
            means[region][name] = float(np.mean(numbers)) if numbers else None
    return means


def _read_before(job: Job, true_pha: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Predicted and true alpha of the frame before; None if that one fails, which it tells."""
    if not job.before:
        return None
    pred, true = job.before
    try:
        return (
            _read_like(pred, read_alpha, job.true_pha, true_pha),
            _read_like(true, read_alpha, job.true_pha, true_pha),
        )
    except ValueError:
        return None


def _read(path: Path, read: Callable[[Path], np.ndarray]) -> np.ndarray:
    try:
        return read(path)
    except PictureError as error:
        raise ValueError(f"{path}: {error}") from error


def _read_like(
    path: Path, read: Callable[[Path], np.ndarray], true_path: Path, true_pha: np.ndarray
) -> np.ndarray:
    """Reads a picture that must have the true alpha's size."""
    picture = _read(path, read)
    if picture.shape[:2] != true_pha.shape:
        sizes = [f"{shape[1]} x {shape[0]}" for shape in (picture.shape, true_pha.shape)]
        raise ValueError(
            f"{path} is {sizes[0]} pixels and the true alpha {true_path} {sizes[1]}; nothing is "
            "resized here, because that changes every metric. Bring the files to one size"
        )
    return picture
