"""The metrics of matting: each is a map of errors, reduced to one number over a region.

Alphas are (H, W) float64 in [0, 1], and maps (H, W) float64, at least 0.

They are those of alphamatting.com (Rhemann et al., "A perceptually motivated online benchmark for
image matting", CVPR 2009), as usually published. One difference: the benchmark's program stretches
each alpha to the range 0 to 1 before it computes gradients. This hides errors of a matte that is
too faint, and changes nothing for alphas that reach both 0 and 1.

`training.metrics` has MAD, MSE and Grad for batches on a GPU; a test checks that both agree.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

_SIGMA = 1.4  # pixels, of Grad's Gaussian
_EPSILON = 1e-2  # value of the Gaussian at the end of its kernel
_STEPS = 10  # Conn's thresholds are 1/10, 2/10 and so on; exact fractions, as 8-bit values are
_TOLERATED = 0.15  # Conn: differences below this do not count (theta)


@dataclass(frozen=True)
class Metric:
    """A metric: name, description of scale and range, and the reduction of a map to a number."""

    label: str
    scale: str
    reduce: Callable[[np.ndarray], float]  # from (N,) errors of a region's pixels, N > 0


def _mean(errors: np.ndarray) -> float:
    return float(errors.mean())


def _thousands(errors: np.ndarray) -> float:
    return float(errors.sum()) / 1000


METRICS = {
    "mad": Metric("MAD", "mean absolute difference of alpha, 0 to 1", _mean),
    "mse": Metric("MSE", "mean squared difference of alpha, 0 to 1", _mean),
    "sad": Metric("SAD", "sum of absolute differences of alpha, thousands", _thousands),
    "grad": Metric("Grad", "sum of squared differences of gradients, thousands", _thousands),
    "conn": Metric("Conn", "sum of differences of connectivity, thousands", _thousands),
    "fgr_mse": Metric(
        "MSE of foreground", "mean squared difference of RGB where true alpha > 0, 0 to 1", _mean
    ),
    "dtssd": Metric(
        "dtSSD",
        "root of the mean squared difference of alpha's change from the frame before, times 100",
        lambda errors: 100 * math.sqrt(errors.mean()),
    ),
}


def reduce_error(name: str, errors: np.ndarray, region: np.ndarray) -> float | None:
    """Reduces the map of a metric to a number over a region, (H, W) bool; None if empty."""
    inside = errors[region]
    return METRICS[name].reduce(inside) if inside.size else None


def map_alpha_errors(pred_pha: np.ndarray, true_pha: np.ndarray) -> dict[str, np.ndarray]:
    """Computes the maps of all metrics of one alpha: `mad`, `mse`, `sad`, `grad` and `conn`."""
    difference = np.abs(pred_pha - true_pha)
    return {
        "mad": difference,
        "mse": np.square(difference),
        "sad": difference,
        "grad": map_gradient_error(pred_pha, true_pha),
        "conn": map_connectivity_error(pred_pha, true_pha),
    }


def map_gradient_error(pred_pha: np.ndarray, true_pha: np.ndarray) -> np.ndarray:
    """Maps the squared difference of the gradients' magnitudes.

    Source: Rhemann et al. 2009, section 3; derivatives of a Gaussian of 1.4 pixels, filters of unit
    energy, edge pixels repeated, as in the benchmark's program.
    """
    return np.square(_gradient_magnitude(pred_pha) - _gradient_magnitude(true_pha))


def map_connectivity_error(pred_pha: np.ndarray, true_pha: np.ndarray) -> np.ndarray:
    """Maps the difference of the degrees of connectivity of pixels to the subject.

    The subject at a level is the largest 4-connected component of the pixels where both alphas
    reach the level. A pixel is connected up to the last level before it first leaves that
    component. The part of its alpha above this level, if 0.15 or more, is not connected.

    Source: Rhemann et al. 2009, section 3, theta 0.15 and p 1; levels in steps of 0.1, as in the
    benchmark's program.
    """
    # Transposed, because the benchmark's program counts by columns, and of equally large components
    # uses the first.
    both = np.ascontiguousarray(np.minimum(pred_pha, true_pha).T)
    connected = np.ones(both.shape, bool)
    level = np.zeros(both.shape)
    for step in range(1, _STEPS + 1):
        connected &= _largest_component(both >= step / _STEPS)
        if not connected.any():
            break
        level[connected] = step / _STEPS
    pred, true = (_connectivity(pha, level.T) for pha in (pred_pha, true_pha))
    return np.abs(pred - true)


def map_foreground_error(
    pred_fgr: np.ndarray, true_fgr: np.ndarray, true_pha: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Maps the mean squared difference of foregrounds, (H, W, 3) float64 RGB in [0, 1].

    Also returns its region, (H, W) bool: true alpha above 0. Source: the paper, evaluation.
    """
    return np.square(pred_fgr - true_fgr).mean(axis=2), true_pha > 0


def map_change_error(
    pred_pha: np.ndarray, pred_before: np.ndarray, true_pha: np.ndarray, true_before: np.ndarray
) -> np.ndarray:
    """Maps the squared difference of the changes of alpha from the frame before to this one.

    Source: Erofeev et al., "Perceptually motivated benchmark for video matting", BMVC 2015, dtSSD;
    with the mean instead of the sum over pixels, as in papers on video matting.
    """
    return np.square((pred_pha - pred_before) - (true_pha - true_before))


def _gradient_magnitude(pha: np.ndarray) -> np.ndarray:
    peak = 1 / (math.sqrt(2 * math.pi) * _SIGMA)
    radius = math.ceil(_SIGMA * math.sqrt(-2 * math.log(_EPSILON / peak)))
    offset = np.arange(-radius, radius + 1, dtype=np.float64)
    smooth = np.exp(-np.square(offset) / (2 * _SIGMA**2))
    slope = offset * smooth
    smooth /= np.linalg.norm(smooth)
    slope /= np.linalg.norm(slope)
    across, down = (
        cv2.sepFilter2D(pha, cv2.CV_64F, x, y, borderType=cv2.BORDER_REPLICATE)
        for x, y in ((slope, smooth), (smooth, slope))
    )
    return np.hypot(across, down)


def _largest_component(mask: np.ndarray) -> np.ndarray:
    """(H, W) bool: the largest 4-connected component, of equal ones the first in reading order."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=4)
    areas = stats[1:, cv2.CC_STAT_AREA]  # 0 is the background
    if not len(areas):
        return np.zeros_like(mask)
    largest = 1 + np.flatnonzero(areas == areas.max())
    if len(largest) > 1:
        flat = labels.ravel()
        return labels == flat[np.isin(flat, largest).argmax()]
    return labels == largest[0]


def _connectivity(pha: np.ndarray, level: np.ndarray) -> np.ndarray:
    excess = pha - level
    return 1 - excess * (excess >= _TOLERATED)
