"""Compare a frame with its plate at a small size: where they show the same, and who stands where.

Where texture correlates is background, at whatever exposure. Elsewhere, colours change across the
outline of a subject in the picture that shows it; in the other one the scene goes on.

Source: ours; normalised cross-correlation is blind to gain and bias, and the second idea is that of
ghost detection in background subtraction.
"""

from dataclasses import dataclass

import cv2
import numpy as np

WORKING_LONG_SIDE = 320  # pixels; averaging takes out noise and what misalignment leaves
TEXTURE_WINDOW_PX = 9
TEXTURE_VARIANCE = 9.0  # grey levels squared; below it in both pictures, a place is plain
NOISE_VARIANCE = 4.0  # grey levels squared, of a reduced picture: plain places don't correlate
MIN_CORRELATION = 0.7  # of the texture of frame and plate where a place is background
PLAIN_WEIGHT = 0.25  # of a pixel without texture, which may be subject or background
PLAIN_DIFFERENCE = 8.0  # grey levels, within which places without texture are the same
BACKGROUND_ALPHA = 0.02  # of a first matte, nowhere within two pixels reached

DIFFERENCE = 14.0  # grey levels, any channel, of smoothed pictures
DIFFERENCE_SIGMA_PX = 1.5
OPENING_PX, CLOSING_PX = 3, 7  # specks are dropped, and gaps closed
MIN_AREA = 0.004  # of the picture; smaller areas are not judged
OUTLINE_SIGMA_PX = 2.5  # over which colours on the two sides of an outline are averaged
BORDER_PX = 3  # at the picture's edge areas are cut, and that is no outline
MIN_OUTLINE_PX = 20  # with less, an area's owner is in doubt
ALONG_SIGMA_PX = 6.0  # over which neighbours on an outline vote together
OWNED = 0.7  # of the change of colours there, for the outline to be of one picture


def reduce_colours(picture: np.ndarray) -> np.ndarray:
    """Reduces (H, W, 3) uint8 or uint16 to the working size: float32, grey levels (0-255)."""
    factor = min(1.0, WORKING_LONG_SIDE / max(picture.shape))
    height, width = (max(1, round(side * factor)) for side in picture.shape[:2])
    small = cv2.resize(np.ascontiguousarray(picture), (width, height), interpolation=cv2.INTER_AREA)
    return small.astype(np.float32) * (255 / np.iinfo(picture.dtype).max)


def average_channels(picture: np.ndarray) -> np.ndarray:
    """Averages the channels of (h, w, 3) float32, ten times as fast as NumPy; (h, w)."""
    return cv2.transform(picture, np.full((1, 3), 1 / 3, np.float32))


def largest_channel(picture: np.ndarray) -> np.ndarray:
    """Takes the largest channel of (h, w, 3), as fast; (h, w)."""
    red, green, blue = cv2.split(picture)
    return np.maximum(np.maximum(red, green), blue)


def judge_background(src: np.ndarray, bgr: np.ndarray) -> np.ndarray:
    """Weighs how surely each pixel shows the same in reduced frame and plate, at any exposure.

    Returns:
        (h, w) float32: 1 where the texture around is the same, `PLAIN_WEIGHT` where neither has
        any, 0 elsewhere.
    """
    frame, plate = average_channels(src), average_channels(bgr)
    correlation, variance = correlate_texture(frame, plate, TEXTURE_WINDOW_PX)
    same = (correlation > MIN_CORRELATION).astype(np.float32)
    return np.where(variance < TEXTURE_VARIANCE, np.float32(PLAIN_WEIGHT), same)


def correlate_texture(src: np.ndarray, bgr: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Correlates (h, w) grey levels of frame and plate in windows of `side` pixels.

    Returns:
        (h, w) float32 each: the correlation, from -1 to 1, and the greater variance of both, grey
        levels squared. Plain places don't correlate.
    """

    def average(values: np.ndarray) -> np.ndarray:
        return cv2.blur(values, (side, side))

    frame, plate = src - average(src), bgr - average(bgr)
    frame_variance, plate_variance = average(frame * frame), average(plate * plate)
    noise = np.float32(NOISE_VARIANCE)
    spread = np.sqrt((frame_variance + noise) * (plate_variance + noise))
    return average(frame * plate) / spread, np.maximum(frame_variance, plate_variance)


def measure_seen_again(src: np.ndarray, bgr: np.ndarray) -> float:
    """Fraction of reduced pictures with the same texture, or none in both and a near colour."""
    weight = judge_background(src, bgr)
    near = largest_channel(np.abs(src - bgr)) < PLAIN_DIFFERENCE
    return float(((weight == 1) | ((weight > 0) & near)).mean())


def take_background(pha: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Takes the background from a matte (H, W) in [0, 1], at a size that begins `shape`.

    Returns:
        (h, w) float32: 1 where there is no trace of the subject within two pixels, else 0.
    """
    height, width = shape[:2]
    small = cv2.resize(pha.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    near = cv2.dilate(small, np.ones((5, 5), np.uint8))
    return (near < BACKGROUND_ALPHA).astype(np.float32)


@dataclass(frozen=True)
class Area:
    """A connected area where frame and plate differ, in fractions; what is neither is in doubt."""

    size: float
    """Of the picture."""
    in_frame: float
    """Of its outline, that somebody in the frame makes; 0 where little of it can be seen."""
    in_plate: float
    """Of its outline, that somebody in the plate makes; the same."""


def find_differences(src: np.ndarray, bgr: np.ndarray) -> np.ndarray:
    """Finds where two pictures of a scene differ.

    Args:
        src: (h, w, 3) float32, grey levels, RGB, the frame as `reduce_colours` makes it.
        bgr: the same of the plate, aligned and at the frame's exposure.

    Returns:
        (h, w) bool, without specks and small gaps.
    """
    frame, plate = (
        cv2.GaussianBlur(picture, (0, 0), DIFFERENCE_SIGMA_PX) for picture in (src, bgr)
    )
    differing = largest_channel(np.abs(frame - plate)) > DIFFERENCE
    mask = differing.astype(np.uint8)
    for how, side in ((cv2.MORPH_OPEN, OPENING_PX), (cv2.MORPH_CLOSE, CLOSING_PX)):
        cv2.morphologyEx(mask, how, np.ones((side, side), np.uint8), dst=mask)
    return mask > 0


def judge_areas(src: np.ndarray, bgr: np.ndarray, differing: np.ndarray) -> list[Area]:
    """Tells for each larger area of `find_differences` in which picture somebody stands there.

    Largest first.
    """
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(differing.astype(np.uint8))
    sizes = statistics[1:, cv2.CC_STAT_AREA] / differing.size
    return [
        Area(float(sizes[label - 1]), *_judge_outline(src, bgr, labels == label))
        for label in sorted(range(1, count), key=lambda label: -sizes[label - 1])
        if sizes[label - 1] >= MIN_AREA
    ]


def _judge_outline(src: np.ndarray, bgr: np.ndarray, area: np.ndarray) -> tuple[float, float]:
    """Fractions of an area's outline that are the frame's and the plate's."""
    inside = area.astype(np.float32)
    seen = np.zeros_like(area)
    middle = (slice(BORDER_PX, -BORDER_PX), slice(BORDER_PX, -BORDER_PX))
    seen[middle] = (area & (cv2.erode(inside, np.ones((3, 3))) == 0))[middle]
    if seen.sum() < MIN_OUTLINE_PX:
        return 0.0, 0.0
    frame, plate = (_measure_step(picture, inside, seen) for picture in (src, bgr))
    share = frame / np.maximum(frame + plate, 1e-6)
    return float((share > OWNED).mean()), float((share < 1 - OWNED).mean())


def _measure_step(picture: np.ndarray, inside: np.ndarray, outline: np.ndarray) -> np.ndarray:
    """Change of colours across an outline at each of its pixels, averaged along it; (N,)."""

    def average(values: np.ndarray, sigma: float) -> np.ndarray:
        return cv2.GaussianBlur(values, (0, 0), sigma)[outline]

    sides = [
        average(picture * part[..., None], OUTLINE_SIGMA_PX)
        / (average(part, OUTLINE_SIGMA_PX)[:, None] + 1e-4)
        for part in (inside, 1 - inside)
    ]
    step = np.zeros(outline.shape, np.float32)
    step[outline] = np.abs(sides[0] - sides[1]).mean(axis=1)
    return average(step, ALONG_SIGMA_PX)
