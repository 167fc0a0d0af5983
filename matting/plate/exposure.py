"""Matches a captured plate to its frame's exposure and white balance, or leaves it and says why.

If an automatic camera changes its exposure, plate and frame differ by a gain (a stop doubles the
light, which multiplies coded values by 2^(1/2.2)) and a bias (from flare and tone curves) in each
channel. Source: ours, iteratively reweighted least squares over the background.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial

import cv2
import numpy as np

from media.colour import GAMMA

from .comparison import judge_background

PIXEL_STEP = 2  # only every fourth pixel is fitted, 4 times faster
DARKEST, BRIGHTEST = 6.0, 246.0  # grey levels; outside, a channel may be clipped
BACKGROUND_ALPHA = 0.02  # largest alpha of a first matte within two pixels
MIN_BACKGROUND = 0.04  # of the pixels, by weight; with fewer, the subject may affect the fit

MAX_GAIN = 2.5  # in either direction: 2.9 stops; beyond this and the next limit the fit is wrong
MAX_BIAS = 40.0  # grey levels
MIN_CHANGE = 2.5  # grey levels, mean over the background; less is not corrected
DECIDING_CHANGE = 2.0  # grey levels; where the match changes less, both plates are equally good
MIN_DECIDING = 0.02  # fraction of the pixels, by weight
RESIDUAL_QUANTILE = 0.5  # over pixels estimated to be background
MAX_RESIDUAL_RATIO = 0.6  # matched over captured

RATIO_RANGE, RATIO_BINS = 1.1, 110  # natural logarithm of frame over plate, in either direction
MAX_STARTS = 2
FIT_STEPS = 6
FIRST_SCALE, LAST_SCALE = 16.0, 3.0  # grey levels: widths of the weights, reduced step by step
BIAS_WEIGHT = 0.005  # fraction of pixels that prefer no bias, which plain walls leave undetermined
TIE = 0.9  # of the best score; of fits that reach it, the one with the smallest change is used

Colour = tuple[float, float, float]


class ExposureVerdict(StrEnum):
    """Outcomes of a match; all but the first leave the plate as captured."""

    MATCHED = "matched"
    ALREADY_MATCHED = "already matched"
    TOO_LITTLE_IN_COMMON = "too little in common"
    IMPLAUSIBLE = "implausible change"
    NO_GAIN = "no gain"


@dataclass(frozen=True)
class ExposureReport:
    """Results for one plate; None for steps that were not reached.

    Residuals are grey levels: how far the background of frame and plate differ, median.
    """

    verdict: ExposureVerdict
    reason: str  # description of the verdict with numbers
    gain: Colour | None = None  # factors of red, green and blue from plate to frame
    bias: Colour | None = None  # grey levels (0-255) added after the gain
    stops: float | None = None  # exposure of the frame relative to the plate; above 0 if brighter
    balance: tuple[float, float] | None = None  # factors of red and of blue relative to green
    change: float | None = None  # mean change of the background by the match, in grey levels
    background: float | None = None  # fraction of the pixels, weighted
    residual_before: float | None = None
    residual_after: float | None = None
    refined: bool = False  # whether the background is from a first matte
    applied: bool = field(init=False)  # whether to change the plate

    def __post_init__(self) -> None:
        object.__setattr__(self, "applied", self.verdict is ExposureVerdict.MATCHED)


def estimate_exposure(
    src: np.ndarray, bgr: np.ndarray, pha: np.ndarray | None = None
) -> ExposureReport:
    """Finds gain and bias from a plate to its frame's exposure, and whether to apply them.

    Both are results of `reduce_colours`. `pha` is a first matte in [0, 1] of any size, which gives
    the background; with None it is estimated from the two pictures.
    """
    weight = judge_background(src, bgr) if pha is None else take_background(pha, src.shape)
    weight = weight * (_is_unclipped(src) & _is_unclipped(bgr))
    some = (slice(None, None, PIXEL_STEP), slice(None, None, PIXEL_STEP))
    weight = weight[some].ravel()
    background = float(weight.mean())
    report = partial(ExposureReport, background=background, refined=pha is not None)
    if background < MIN_BACKGROUND:
        seen = f"{background:.1%} of the picture is background, {MIN_BACKGROUND:.0%} needed"
        return report(ExposureVerdict.TOO_LITTLE_IN_COMMON, f"too little in common: {seen}")
    sure = weight > 0
    weight = weight[sure]
    frame, plate = (picture[some].reshape(-1, 3)[sure] for picture in (src, bgr))
    gain, bias = fit_colours(frame, plate, weight)
    matched = plate * gain + bias
    mean_gain = matched.mean(axis=0) / plate.mean(axis=0)
    changes = _measure_change(plate, matched)
    change = float(np.average(changes, weights=weight))
    report = partial(
        report,
        gain=_round(gain),
        bias=_round(bias),
        stops=GAMMA * float(np.log2(max(mean_gain.mean(), 1e-3))),
        balance=(float(mean_gain[0] / mean_gain[1]), float(mean_gain[2] / mean_gain[1])),
        change=change,
    )
    if max(gain.max(), 1 / max(gain.min(), 1e-9)) > MAX_GAIN or np.abs(bias).max() > MAX_BIAS:
        reason = (
            f"implausible change: gain {', '.join(f'{g:.2f}' for g in gain)} (at most "
            f"{MAX_GAIN} up or down), bias {', '.join(f'{b:.0f}' for b in bias)} grey levels "
            f"(at most {MAX_BIAS:.0f})"
        )
        return report(ExposureVerdict.IMPLAUSIBLE, reason)
    if change < MIN_CHANGE:
        reason = f"already matched: {change:.1f} grey levels apart, under {MIN_CHANGE}"
        return report(ExposureVerdict.ALREADY_MATCHED, reason)
    deciding = weight * (changes >= DECIDING_CHANGE)
    if deciding.mean() < MIN_DECIDING:
        reason = f"no gain: a match would change {deciding.mean():.1%}"
        return report(ExposureVerdict.NO_GAIN, reason)
    before, after = (
        _weighted_quantile(_measure_change(frame, colours), deciding)
        for colours in (plate, matched)
    )
    report = partial(report, residual_before=before, residual_after=after)
    if after <= MAX_RESIDUAL_RATIO * before:
        return report(ExposureVerdict.MATCHED, "matched")
    reason = (
        f"no gain: the plate is {before:.2f} grey levels from the frame as captured, "
        f"{after:.2f} matched, at most {MAX_RESIDUAL_RATIO * before:.2f} needed"
    )
    return report(ExposureVerdict.NO_GAIN, reason)


def take_background(pha: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Background of a matte in [0, 1] at another size: float32, 0 within 2 px of the subject."""
    height, width = shape[:2]
    small = cv2.resize(pha.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    near = cv2.dilate(small, np.ones((5, 5), np.uint8))
    return (near < BACKGROUND_ALPHA).astype(np.float32)


def apply_exposure(bgr: np.ndarray, report: ExposureReport | None) -> np.ndarray:
    """Applies a report's match with `apply_match`; returns `bgr` itself if there is none."""
    if not (report and report.applied and report.gain and report.bias):
        return bgr
    return apply_match(bgr, report.gain, report.bias)


def apply_match(bgr: np.ndarray, gain: Colour, bias: Colour) -> np.ndarray:
    """Multiplies (H, W, 3), uint8, uint16 or reduced, adds a bias in grey levels, and clips."""
    if bgr.dtype == np.float32:
        return np.clip(bgr * np.asarray(gain, np.float32) + np.asarray(bias, np.float32), 0, 255)
    white = np.iinfo(bgr.dtype).max
    levels = np.arange(white + 1, dtype=np.float64)[:, None]
    table = levels * gain + np.multiply(bias, white / 255)
    table = np.clip(np.rint(table), 0, white).astype(bgr.dtype)
    return np.stack([table[:, channel][bgr[..., channel]] for channel in range(3)], axis=-1)


def _is_unclipped(picture: np.ndarray) -> np.ndarray:
    """(h, w) bool: where no channel is near black or white."""
    return cv2.inRange(picture, (DARKEST,) * 3, (BRIGHTEST,) * 3) > 0


def _measure_change(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Grey levels, mean over the channels; (N,)."""
    return np.abs(after - before).mean(axis=1)


def _round(values: np.ndarray) -> Colour:
    red, green, blue = (round(float(value), 4) for value in values)
    return red, green, blue


def _weighted_quantile(values: np.ndarray, weight: np.ndarray) -> float:
    order = np.argsort(values)
    reached = np.cumsum(weight[order])
    return float(values[order][np.searchsorted(reached, RESIDUAL_QUANTILE * reached[-1])])


def fit_colours(
    src: np.ndarray, bgr: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Fits gain and bias from a plate's colours to a frame's; most pixels may be outliers.

    Colours are (N, 3) float32, grey levels above 0, at the same positions; weights, (N,), are the
    certainty that both show the same. Returns gain (3,), and bias (3,) in grey levels, added after
    the gain. Of fits that are about equally good, returns the one with the smallest change.
    """
    fits = []
    for gain in _find_starts(src, bgr, weight):
        fit = _reweight(src, bgr, weight, gain)
        error = _measure_error(src, bgr, *fit)
        score = float((weight / (1 + error / LAST_SCALE**2)).sum())
        fits.append((score, float(np.abs(bgr * (fit[0] - 1) + fit[1]).mean()), fit))
    best = max(score for score, _, _ in fits)
    good = [(change, fit) for score, change, fit in fits if score >= TIE * best]
    return min(good, key=lambda one: one[0])[1]


def _measure_error(
    src: np.ndarray, bgr: np.ndarray, gain: np.ndarray, bias: np.ndarray
) -> np.ndarray:
    """Squared grey levels, mean over the channels; (N,)."""
    error = src - (bgr * gain.astype(np.float32) + bias.astype(np.float32))
    return np.einsum("nc,nc->n", error, error) / 3


def _find_starts(src: np.ndarray, bgr: np.ndarray, weight: np.ndarray) -> list[np.ndarray]:
    """Initial gains (3,): 1, and the peaks of the histogram of frame over plate."""
    ratio = np.log(src.sum(axis=1) / bgr.sum(axis=1))
    counts, edges = np.histogram(ratio, RATIO_BINS, (-RATIO_RANGE, RATIO_RANGE), weights=weight)
    smooth = np.convolve(counts, [0.25, 0.5, 1, 0.5, 0.25], mode="same")
    peaks = np.flatnonzero(
        (smooth[1:-1] >= smooth[:-2]) & (smooth[1:-1] > smooth[2:]) & (smooth[1:-1] > 0)
    )
    peaks = peaks[np.argsort(-smooth[peaks + 1], kind="stable")][:MAX_STARTS] + 1
    starts = [np.ones(3)]
    for centre in (edges[peaks] + edges[peaks + 1]) / 2:
        near = np.abs(ratio - centre) < 0.05
        if near.any():
            starts.append(np.median(src[near] / bgr[near], axis=0))
    return starts


def _reweight(
    src: np.ndarray, bgr: np.ndarray, weight: np.ndarray, gain: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Iteratively reweighted least squares with increasingly narrow Geman-McClure weights."""
    gain, bias = gain.astype(np.float64), np.zeros(3)
    vote = BIAS_WEIGHT * float(weight.sum())
    for scale in np.geomspace(FIRST_SCALE, LAST_SCALE, FIT_STEPS):
        error = _measure_error(src, bgr, gain, bias)
        trust = (weight / np.square(1 + error / scale**2)).astype(np.float64)
        means, squares, products, wanted = (trust @ part for part in (bgr, bgr**2, bgr * src, src))
        for c in range(3):
            system = np.array([[squares[c], means[c]], [means[c], trust.sum() + vote]])
            right = np.array([products[c], wanted[c]])
            gain[c], bias[c] = np.linalg.lstsq(system, right, rcond=None)[0]
    return gain, bias
