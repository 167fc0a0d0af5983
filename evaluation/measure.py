"""Measures files, over the whole frame and over the unknown region."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from media.pictures import PictureError

from .comparisons import Comparison
from .metrics import map_alpha_errors, map_change_error, map_foreground_error, reduce_error
from .reading import read_alpha, read_colours

REGIONS = {"frame": "whole frame", "unknown": "unknown region"}
# By region and metric; None if undefined, for example in an empty region.
Values = dict[str, dict[str, float | None]]


@dataclass(frozen=True)
class Measurement:
    """The metrics of one image."""

    name: str
    height: int  # pixels
    width: int  # pixels
    unknown: int  # pixels of the unknown region
    values: Values


def measure_images(
    comparisons: list[Comparison], unknown_radius: int, workers: int
) -> Iterator[tuple[str, Measurement | str]]:
    """Measures images in several threads; see `measure_image`.

    Yields:
        For each image in order, its name with its measurement or the reason of failure.
    """

    def measure(comparison: Comparison) -> tuple[str, Measurement | str]:
        try:
            return comparison.name, measure_image(comparison, unknown_radius)
        except (ValueError, OSError) as error:
            return comparison.name, str(error)

    pool, ended = ThreadPoolExecutor(workers), False
    try:
        yield from pool.map(measure, comparisons)
        ended = True
    finally:
        pool.shutdown(wait=ended, cancel_futures=True)  # an interrupt does not wait for images


def measure_image(comparison: Comparison, unknown_radius: int) -> Measurement:
    """Reads an image's files and computes all metrics for which there are files, in both regions.

    The radius defines the unknown region without a trimap. If the frame before can't be read, dtSSD
    is left out, and that frame fails by itself.

    Raises:
        ValueError: when a file can't be read or sizes differ; the message names the files.
    """
    true_pha = _read(comparison.true_pha, read_alpha)
    truth = (comparison.true_pha, true_pha.shape)
    pred_pha = _read(comparison.pred_pha, read_alpha, truth)
    if comparison.trimap:
        unknown = unknown_of_trimap(_read(comparison.trimap, read_alpha, truth))
    else:
        unknown = unknown_of_alpha(true_pha, unknown_radius)
    whole = np.ones(true_pha.shape, bool)
    # By name: map of errors, and the region where the metric is defined.
    maps = {name: (m, whole) for name, m in map_alpha_errors(pred_pha, true_pha).items()}
    if comparison.pred_fgr and comparison.true_fgr:
        pred_fgr = _read(comparison.pred_fgr, read_colours, truth)
        true_fgr = _read(comparison.true_fgr, read_colours, truth)
        maps["fgr_mse"] = map_foreground_error(pred_fgr, true_fgr, true_pha)
    if comparison.before:
        try:
            pred_before, true_before = (_read(p, read_alpha, truth) for p in comparison.before)
        except ValueError:
            pass
        else:
            change = map_change_error(pred_pha, pred_before, true_pha, true_before)
            maps["dtssd"] = (change, whole)
    values = {
        region: {name: reduce_error(name, m, inside & mask) for name, (m, inside) in maps.items()}
        for region, mask in (("frame", whole), ("unknown", unknown))
    }
    height, width = true_pha.shape
    return Measurement(comparison.name, height, width, int(unknown.sum()), values)


def average(measurements: list[Measurement]) -> Values:
    """Averages every metric over the images that have it, by region; None if none has it."""
    means: Values = {}
    for region in REGIONS:
        found: dict[str, list[float]] = {}
        for measurement in measurements:
            for name, value in measurement.values[region].items():
                found.setdefault(name, []).extend([] if value is None else [value])
        means[region] = {
            n: float(np.mean(values)) if values else None for n, values in found.items()
        }
    return means


def unknown_of_trimap(trimap: np.ndarray) -> np.ndarray:
    """Returns the unknown region of a trimap, (H, W) float in [0, 1], as (H, W) bool.

    Values from 1/4 to 3/4 count, because lossy compression changes 1/2.
    """
    return (trimap > 0.25) & (trimap < 0.75)


def unknown_of_alpha(true_pha: np.ndarray, radius: int) -> np.ndarray:
    """Returns the pixels within a radius, in pixels, of pixels with an alpha between 0 and 1.

    Returns:
        (H, W) bool: alpha above 0 dilated by a disc of the radius, without alpha 1 eroded by the
        disc. Pixels outside the frame erode nothing.

    Source: trimaps are usually made by dilation and erosion of the true alpha; the disc is ours,
    because a square reaches further at its corners.
    """
    return _is_within(true_pha > 0, radius) & _is_within(true_pha < 1, radius)


def _is_within(mask: np.ndarray, radius: int) -> np.ndarray:
    """(H, W) bool: at most `radius` pixels from the mask."""
    if not mask.any():
        return mask
    away = np.where(mask, np.uint8(0), np.uint8(1))
    # The tolerance is for distances equal to the radius, computed in float32.
    return cv2.distanceTransform(away, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) <= radius + 1e-3


def _read(
    path: Path,
    read: Callable[[Path], np.ndarray],
    truth: tuple[Path, tuple[int, ...]] | None = None,
) -> np.ndarray:
    """Reads a picture that must have the size of the true alpha (`truth`: path and shape)."""
    try:
        picture = read(path)
    except PictureError as error:
        raise ValueError(f"{path}: {error}") from error
    if truth and picture.shape[:2] != truth[1]:
        sizes = [f"{shape[1]} x {shape[0]}" for shape in (picture.shape, truth[1])]
        raise ValueError(
            f"{path} is {sizes[0]} pixels and the true alpha {truth[0]} {sizes[1]}; they must have "
            "the same size. Files are not resized, because that changes every metric"
        )
    return picture
