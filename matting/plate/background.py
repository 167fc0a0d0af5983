"""Tell, at a small size, where a frame shows the background that its plate shows.

Source: ours; normalised cross-correlation is blind to gain and bias.
"""

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
