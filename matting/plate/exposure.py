"""Bring a captured plate to its frame's exposure and white balance, or leave it and say why.

An automatic camera meters the scene anew when somebody steps in. Plate and frame then differ by a
gain and a bias in each channel: found from the pixels that are judged to be background, applied
only if the pixels that it changes agree with the frame much better than before.

Source: ours. A stop doubles the light, which multiplies coded values by 2^(1/2.2); the bias takes
up what flare and tone curves add.
"""

from dataclasses import dataclass, replace

import numpy as np

from media.colour import GAMMA

from .background import judge_background, largest_channel, reduce_colours, take_background
from .colour_fit import fit_colours
from .registration import check_pictures

PIXEL_STEP = 2  # every fourth pixel of these is fitted, in a quarter of the time
DARKEST, BRIGHTEST = 6.0, 246.0  # grey levels; outside, a channel may be clipped
MIN_BACKGROUND = 0.04  # of the pixels, by weight; with fewer, the subject might decide

MAX_GAIN = 2.5  # up or down: 2.9 stops; past this limit and the next the fit is false
MAX_BIAS = 40.0  # grey levels
MIN_CHANGE = 2.5  # grey levels, mean over the background; less is not worth the risk
DECIDING_CHANGE = 2.0  # grey levels; where the match changes less, both plates are as good
MIN_DECIDING = 0.02  # fraction of the pixels, by weight
RESIDUAL_QUANTILE = 0.5  # over pixels judged to be background
MAX_RESIDUAL_RATIO = 0.6  # matched over captured

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class ExposureReport:
    """What was found out about one plate; None for what was not reached.

    Attributes:
        applied: True if the plate was changed, False if it was kept as captured.
        reason: "matched", or in plain words and numbers why the plate was kept.
        gain: factors of red, green and blue that bring the plate to the frame.
        bias: grey levels (0-255) that are added after it.
        stops: exposure of the frame against the plate's; positive where the frame is brighter.
        balance: factors of red and of blue against green, a change of white balance.
        change: grey levels that the match changes the background by, mean.
        background: fraction of the pixels judged to be background, those without texture by their
            weight.
        residual_before: grey levels; how far background of frame and captured plate differ, median.
        residual_after: the same pixels, plate matched.
        refined: True if a first matte told the background.
    """

    applied: bool
    reason: str
    gain: Colour | None = None
    bias: Colour | None = None
    stops: float | None = None
    balance: tuple[float, float] | None = None
    change: float | None = None
    background: float | None = None
    residual_before: float | None = None
    residual_after: float | None = None
    refined: bool = False


def match_exposure(
    src: np.ndarray, bgr: np.ndarray, pha: np.ndarray | None = None
) -> tuple[np.ndarray, ExposureReport]:
    """Brings a plate that lies on its frame to the frame's exposure, if that can be done safely.

    Args:
        src: (H, W, 3) uint8 or uint16, RGB; the captured frame.
        bgr: same shape and dtype as `src`, RGB; the captured plate, aligned if it has to be.
        pha: (H, W) float, a first alpha matte in [0, 1], which tells the background; None judges it
            from the two pictures.

    Returns:
        The matched plate, same shape and dtype; `bgr` itself where no match passes the guards. And
        the report.

    Raises:
        ValueError: a picture is empty, not (H, W, 3), not uint8 or uint16, or unlike the other.

    Source:
        Ours; see the module.
    """
    check_pictures(src, bgr)
    report = estimate_exposure(reduce_colours(src), reduce_colours(bgr), pha)
    return apply_exposure(bgr, report), report


def estimate_exposure(
    src: np.ndarray, bgr: np.ndarray, pha: np.ndarray | None = None
) -> ExposureReport:
    """Finds what brings a plate to its frame's exposure, and whether to do it.

    Args:
        src: (h, w, 3) float32, grey levels, RGB; the frame as `reduce_colours` makes it.
        bgr: the same of the plate.
        pha: (H, W) float, a first alpha matte in [0, 1] of any size, or None.

    Returns:
        The report.
    """
    weight = judge_background(src, bgr) if pha is None else take_background(pha, src.shape)
    weight = weight * (_is_unclipped(src) & _is_unclipped(bgr))
    some = (slice(None, None, PIXEL_STEP), slice(None, None, PIXEL_STEP))
    weight = weight[some].ravel()
    background = float(weight.mean())
    report = ExposureReport(False, "", background=background, refined=pha is not None)
    if background < MIN_BACKGROUND:
        reason = f"too little in common: {background:.1%} of the picture seen to be background"
        return replace(report, reason=f"{reason}, {MIN_BACKGROUND:.0%} needed")
    sure = weight > 0
    frame, plate = (picture[some].reshape(-1, 3)[sure] for picture in (src, bgr))
    gain, bias = fit_colours(frame, plate, weight[sure])
    return _judge(frame, plate, weight[sure], gain, bias, report)


def apply_exposure(bgr: np.ndarray, report: ExposureReport) -> np.ndarray:
    """Does what a report says to a plate.

    Args:
        bgr: (H, W, 3) uint8 or uint16, RGB.
        report: of the plate.

    Returns:
        (H, W, 3) of the same type, rounded and clipped; `bgr` itself where nothing is to be done.
    """
    if not report.applied or report.gain is None or report.bias is None:
        return bgr
    white = np.iinfo(bgr.dtype).max
    levels = np.arange(white + 1, dtype=np.float64)[:, None]
    table = levels * report.gain + np.multiply(report.bias, white / 255)
    table = np.clip(np.rint(table), 0, white).astype(bgr.dtype)
    return np.stack([table[:, channel][bgr[..., channel]] for channel in range(3)], axis=-1)


def _is_unclipped(picture: np.ndarray) -> np.ndarray:
    """(h, w) bool: where no channel is near its end."""
    return (largest_channel(-picture) <= -DARKEST) & (largest_channel(picture) <= BRIGHTEST)


def _judge(
    src: np.ndarray,
    bgr: np.ndarray,
    weight: np.ndarray,
    gain: np.ndarray,
    bias: np.ndarray,
    report: ExposureReport,
) -> ExposureReport:
    """Fills the report in: `applied` if the match passes the guards, else the reason."""
    matched = bgr * gain + bias
    change = np.abs(matched - bgr).mean(axis=1)
    mean_gain = matched.mean(axis=0) / bgr.mean(axis=0)
    level = float(np.average(change, weights=weight))
    report = replace(
        report,
        gain=_colour(gain),
        bias=_colour(bias),
        stops=GAMMA * float(np.log2(max(mean_gain.mean(), 1e-3))),
        balance=(float(mean_gain[0] / mean_gain[1]), float(mean_gain[2] / mean_gain[1])),
        change=level,
    )
    if max(gain.max(), 1 / max(gain.min(), 1e-9)) > MAX_GAIN or np.abs(bias).max() > MAX_BIAS:
        return replace(
            report,
            reason=(
                f"implausible change: gain {', '.join(f'{g:.2f}' for g in gain)} (at most "
                f"{MAX_GAIN} up or down), bias {', '.join(f'{b:.0f}' for b in bias)} grey levels "
                f"(at most {MAX_BIAS:.0f})"
            ),
        )
    if level < MIN_CHANGE:
        return replace(
            report, reason=f"already matched: {level:.1f} grey levels apart, under {MIN_CHANGE}"
        )
    deciding = weight * (change >= DECIDING_CHANGE)
    if deciding.mean() < MIN_DECIDING:
        return replace(report, reason=f"no gain: a match would change {deciding.mean():.1%}")
    before, after = (
        _weighted_quantile(np.abs(src - plate).mean(axis=1), deciding) for plate in (bgr, matched)
    )
    report = replace(report, residual_before=before, residual_after=after)
    if after > MAX_RESIDUAL_RATIO * before:
        return replace(
            report,
            reason=(
                f"no gain: the plate is {before:.2f} grey levels from the frame as captured, "
                f"{after:.2f} matched, at most {MAX_RESIDUAL_RATIO * before:.2f} needed"
            ),
        )
    return replace(report, applied=True, reason="matched")


def _colour(values: np.ndarray) -> Colour:
    red, green, blue = (round(float(value), 4) for value in values)
    return red, green, blue


def _weighted_quantile(values: np.ndarray, weight: np.ndarray) -> float:
    order = np.argsort(values)
    reached = np.cumsum(weight[order])
    return float(values[order][np.searchsorted(reached, RESIDUAL_QUANTILE * reached[-1])])
