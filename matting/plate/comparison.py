"""Compares two pictures of a scene: where they agree, and how the camera moved between them.

Motion is a homography from positions in the plate to positions in the frame, in pixels of the given
pictures; integers are pixel centres. Results do not depend on exposure. Source: ours.
"""

from enum import StrEnum
from typing import NamedTuple

import cv2
import numpy as np

from media.pictures import reduced_size, to_8_bits

WORKING_LONG_SIDE = 320  # pixels; averaging removes noise and remaining misalignment
TEXTURE_WINDOW_PX = 9
TEXTURE_VARIANCE = 9.0  # grey levels squared; an area is plain if both pictures are below
NOISE_VARIANCE = 4.0  # grey levels squared, of a reduced picture; plain areas don't correlate
MIN_CORRELATION = 0.7  # of the texture of frame and plate, for background
PLAIN_WEIGHT = 0.25  # weight of a pixel without texture, which may be subject or background
PLAIN_DIFFERENCE = 8.0  # grey levels; areas without texture that differ less are equal

DIFFERENCE = 14.0  # grey levels, any channel, of smoothed pictures
DIFFERENCE_SIGMA_PX = 1.5
OPENING_PX, CLOSING_PX = 3, 7  # to remove specks and close gaps

DETAIL_SIGMA_PX = 1.0  # removes sensor noise and the blur of resampling from comparisons
DETAIL_WINDOW_PX = 31  # the mean brightness of this window is subtracted, to ignore exposure
MAX_STEPS = 10  # refining stops at the first without improvement, usually after 3 to 5
PIXEL_STEP = 2  # every fourth pixel is enough: median error 0.07 px, the same as for all
FIT_SCALE = 5.0  # of the weights, times the lower third of the errors: about two sigma

MAX_SHIFT = 0.3  # fraction of the diagonal, any corner. Beyond this and the next three limits
MAX_STRETCH = 1.6  # the view is another one, or the fit is wrong. Stretch and turn are limited
MAX_TURN_DEG = 20.0  # for each edge, which bounds scale, rotation, shear and perspective
MIN_COVERAGE = 0.5  # fraction of the frame; areas without a plate become background
ALIGNED_PX = 0.25  # pixels of the frame; less is the fit's error, and resampling blurs
DECIDING_CHANGE = 1.0  # grey levels; where the warp changes less, both plates are equally good
MIN_DECIDING = 0.002  # fraction of the frame; with fewer such pixels, no change is visible
RESIDUAL_QUANTILE = 1 / 3  # so that a subject on up to 2/3 of the pixels has no effect
MAX_RESIDUAL_RATIO = 0.85  # warped over captured; a warp that only blurs noise reaches 0.89


class AlignmentVerdict(StrEnum):
    """Outcomes of an alignment; all but the first leave the plate as captured."""

    ALIGNED = "aligned"
    ALREADY_FITS = "already aligned"
    TOO_SMALL = "too small to align"
    TOO_LITTLE_IN_COMMON = "too little in common"
    TOO_NARROW = "matching features lie too close together"
    IMPLAUSIBLE = "implausible camera motion"
    NO_GAIN = "no gain"


class Refusal(NamedTuple):
    """Why a plate is not warped: verdict, and description with numbers."""

    verdict: AlignmentVerdict
    reason: str


def check_pictures(src: np.ndarray, bgr: np.ndarray) -> None:
    """Raises ValueError unless both are (H, W, 3) uint8 or uint16 pictures of one size and type."""
    wanted = "src and bgr must be (H, W, 3) RGB pictures, not empty, uint8 or uint16, both alike"
    got = f"got {src.shape} {src.dtype} and {bgr.shape} {bgr.dtype}"
    if src.shape != bgr.shape or src.dtype != bgr.dtype:
        raise ValueError(f"{wanted}; {got}: resize or convert the plate to the frame first")
    if src.ndim != 3 or src.shape[2] != 3 or src.size == 0:
        raise ValueError(f"{wanted}; {got}: convert grey or RGBA pictures to RGB first")
    if src.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"{wanted}; {got}: scale to 0-255 and convert to uint8 first")


def reduce_colours(picture: np.ndarray) -> np.ndarray:
    """Reduces (H, W, 3) uint8 or uint16 to the working size: float32, grey levels (0-255)."""
    small = _reduce(np.ascontiguousarray(picture), WORKING_LONG_SIDE)
    return small.astype(np.float32) * (255 / np.iinfo(picture.dtype).max)


def to_grey(picture: np.ndarray, long_side: int) -> np.ndarray:
    """Converts (H, W, 3) uint8 or uint16 RGB to grey uint8 of at most `long_side` pixels."""
    grey = _reduce(cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY), long_side)
    return to_8_bits(grey)


def _reduce(picture: np.ndarray, long_side: int) -> np.ndarray:
    height, width = reduced_size(picture.shape, long_side)
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)


def average_channels(picture: np.ndarray) -> np.ndarray:
    """Averages the channels of (h, w, 3) float32, 10 times faster than NumPy."""
    return cv2.transform(picture, np.full((1, 3), 1 / 3, np.float32))


def largest_channel(picture: np.ndarray) -> np.ndarray:
    """Takes the largest channel of (h, w, 3), also faster than NumPy."""
    red, green, blue = cv2.split(picture)
    return np.maximum(np.maximum(red, green), blue)


def judge_background(src: np.ndarray, bgr: np.ndarray) -> np.ndarray:
    """Estimates the certainty that reduced frame and plate show the same, at any exposure.

    Returns (h, w) float32: 1 where the local texture agrees, `PLAIN_WEIGHT` where neither has any.
    """
    frame, plate = average_channels(src), average_channels(bgr)
    correlation, variance = correlate_texture(frame, plate, TEXTURE_WINDOW_PX)
    same = (correlation > MIN_CORRELATION).astype(np.float32)
    return np.where(variance < TEXTURE_VARIANCE, np.float32(PLAIN_WEIGHT), same)


def correlate_texture(src: np.ndarray, bgr: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Correlates (h, w) grey levels of frame and plate in windows of `side` pixels.

    Returns the correlation, from -1 to 1, and the larger variance of both, in grey levels squared.
    """

    def average(values: np.ndarray) -> np.ndarray:
        return cv2.blur(values, (side, side))

    frame, plate = src - average(src), bgr - average(bgr)
    frame_variance, plate_variance = average(frame * frame), average(plate * plate)
    noise = np.float32(NOISE_VARIANCE)
    spread = np.sqrt((frame_variance + noise) * (plate_variance + noise))
    return average(frame * plate) / spread, np.maximum(frame_variance, plate_variance)


def measure_seen_again(src: np.ndarray, bgr: np.ndarray) -> float:
    """Fraction of reduced pictures with equal texture, or with similar colours and no texture."""
    weight = judge_background(src, bgr)
    near = largest_channel(np.abs(src - bgr)) < PLAIN_DIFFERENCE
    return float(((weight == 1) | ((weight > 0) & near)).mean())


def find_differences(src: np.ndarray, bgr: np.ndarray) -> np.ndarray:
    """Finds where two reduced pictures differ: (h, w) bool, without specks and small gaps."""
    frame, plate = (
        cv2.GaussianBlur(picture, (0, 0), DIFFERENCE_SIGMA_PX) for picture in (src, bgr)
    )
    mask = (largest_channel(np.abs(frame - plate)) > DIFFERENCE).astype(np.uint8)
    for how, side in ((cv2.MORPH_OPEN, OPENING_PX), (cv2.MORPH_CLOSE, CLOSING_PX)):
        cv2.morphologyEx(mask, how, np.ones((side, side), np.uint8), dst=mask)
    return mask > 0


def resize_transform(
    transform: np.ndarray, old_shape: tuple[int, ...], new_shape: tuple[int, ...]
) -> np.ndarray:
    """Converts a homography to pictures of another size, x to (x + 0.5) * factor - 0.5."""
    x, y = new_shape[1] / old_shape[1], new_shape[0] / old_shape[0]
    resize = np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])
    return resize @ transform @ np.linalg.inv(resize)


def extract_detail(grey: np.ndarray) -> np.ndarray:
    """Smooths (H, W) grey levels and subtracts local brightness: float32 around 0."""
    smooth = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), DETAIL_SIGMA_PX)
    return smooth - cv2.blur(smooth, (DETAIL_WINDOW_PX, DETAIL_WINDOW_PX))


def warp(picture: np.ndarray, transform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Warps (H, W) or (H, W, 3) by a homography.

    Returns it with (H, W) bool: True where no pixel beyond the picture's edge was needed.
    """
    size = (picture.shape[1], picture.shape[0])
    warped = cv2.warpPerspective(picture, transform, size, borderMode=cv2.BORDER_REPLICATE)
    whole = np.full(picture.shape[:2], 255, np.uint8)
    return warped, cv2.warpPerspective(whole, transform, size) == 255


def refine(src: np.ndarray, bgr: np.ndarray, transform: np.ndarray) -> np.ndarray:
    """Refines the homography by Gauss-Newton steps on the detail of plate and frame.

    `transform` must be accurate to a few pixels; the best one found is returned. Geman-McClure
    weights exclude outliers such as the subject; a ninth parameter models contrast.

    Source: Baker and Matthews 2004, "Lucas-Kanade 20 Years On", the forwards compositional form;
    the weights are ours.
    """
    unit = 2 / src.shape[1]  # coordinates from -1 to 1 keep the equations well scaled
    normalize = np.array([[unit, 0, -1], [0, unit, -src.shape[0] / src.shape[1]], [0, 0, 1]])
    denormalize = np.linalg.inv(normalize)
    some = (slice(None, None, PIXEL_STEP), slice(None, None, PIXEL_STEP))
    rows, columns = np.mgrid[: src.shape[0], : src.shape[1]].astype(np.float32)[:, *some]
    rows, columns = rows * unit + normalize[1, 2], columns * unit - 1
    best, least = transform, np.inf
    for _ in range(MAX_STEPS):
        warped, covered = warp(bgr, transform)
        covered = covered[some]
        if covered.mean() < MIN_COVERAGE:
            break
        error = (src - warped)[some][covered]
        bound = float(np.quantile(np.abs(error), RESIDUAL_QUANTILE))
        if bound >= least:
            break
        best, least = transform, bound
        x, y = columns[covered], rows[covered]
        along_x = cv2.Sobel(warped, cv2.CV_32F, 1, 0, scale=1 / 8)[some][covered]
        along_y = cv2.Sobel(warped, cv2.CV_32F, 0, 1, scale=1 / 8)[some][covered]
        radial = -(along_x * x + along_y * y)
        slopes = [along_x * x, along_x * y, along_x, along_y * x, along_y * y, along_y]
        system = np.stack([*slopes, radial * x, radial * y, warped[some][covered], error])
        system /= 1 + (error / (FIT_SCALE * bound + 1)) ** 2  # (10, N)
        # Unlike a BLAS product, this is bit-identical for any number of threads.
        normal = cv2.mulTransposed(system, False, dtype=cv2.CV_64F)
        step = np.linalg.lstsq(normal[:9, :9], normal[:9, 9], rcond=None)[0]
        motion = np.append(step[:8], 0).reshape(3, 3) * unit  # from px to normalized coordinates
        transform = denormalize @ (np.eye(3) - motion) @ normalize @ transform
    return best


def judge_motion(transform: np.ndarray, covered: np.ndarray) -> tuple[float, Refusal | None]:
    """Judges whether a motion is plausible for a hand-held camera.

    `covered` is (H, W) bool, where the warped plate covers the frame. Returns the largest shift of
    a corner in pixels; and why not to warp, or None.
    """
    right, bottom = covered.shape[1] - 1, covered.shape[0] - 1
    corners = np.array([0, right, right + 1j * bottom, 1j * bottom])
    x, y, depth = transform @ np.stack([corners.real, corners.imag, np.ones(4)])
    with np.errstate(all="ignore"):  # a wrong transform may divide by 0; it is refused
        moved = (x + 1j * y) / depth
        edges = (np.roll(moved, -1) - moved) / (np.roll(corners, -1) - corners)
        measures = abs(moved - corners), np.exp(abs(np.log(abs(edges)))), abs(np.angle(edges, True))
    shift, stretch, turn = (
        float(np.nan_to_num(part, nan=1e9, posinf=1e9).max()) for part in measures
    )
    coverage, limit = float(covered.mean()), MAX_SHIFT * abs(corners[2])
    plausible = shift <= limit and stretch <= MAX_STRETCH and turn <= MAX_TURN_DEG
    if not plausible or coverage < MIN_COVERAGE:
        reason = (
            f"implausible camera motion: shift {shift:.0f} px (at most {limit:.0f}), stretch "
            f"{stretch:.2f} ({MAX_STRETCH}), turn {turn:.0f} degrees ({MAX_TURN_DEG:.0f}), plate "
            f"on {coverage:.0%} of the frame (at least {MIN_COVERAGE:.0%})"
        )
        return shift, Refusal(AlignmentVerdict.IMPLAUSIBLE, reason)
    if shift < ALIGNED_PX:
        reason = f"already aligned: largest shift {shift:.2f} px, under {ALIGNED_PX}"
        return shift, Refusal(AlignmentVerdict.ALREADY_FITS, reason)
    return shift, None


def judge_residual(
    src: np.ndarray, bgr: np.ndarray, transform: np.ndarray
) -> tuple[float | None, float | None, Refusal | None]:
    """Judges whether a plate's detail fits the frame better after warping.

    Returns residuals before and after in grey levels (lower third over the pixels that the warp
    changes), or None; and why not to warp, or None.
    """
    warped, covered = warp(bgr, transform)
    deciding = covered & (np.abs(warped - bgr) >= DECIDING_CHANGE)
    if deciding.mean() < MIN_DECIDING:
        reason = f"no gain: a warp would change {deciding.mean():.2%} of the frame"
        return None, None, Refusal(AlignmentVerdict.NO_GAIN, reason)
    before, after = (
        float(np.quantile(np.abs(src[deciding] - plate[deciding]), RESIDUAL_QUANTILE))
        for plate in (bgr, warped)
    )
    limit = MAX_RESIDUAL_RATIO * before
    if after <= limit:
        return before, after, None
    reason = (
        f"no gain: the plate is {before:.2f} grey levels from the frame as captured, "
        f"{after:.2f} warped, at most {limit:.2f} needed"
    )
    return before, after, Refusal(AlignmentVerdict.NO_GAIN, reason)
