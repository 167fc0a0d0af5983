"""What happens to a drawn foreground as a whole: edges, light, grain, colours beyond the edge."""

import cv2
import numpy as np

from .materials import branch, log_uniform, smooth_noise
from .shapes import Canvas

# Shares of samples.
EDGE_WEIGHTS = {"sharp": 0.62, "soft": 0.16, "defocus": 0.06, "motion": 0.08, "depth": 0.08}
GAIN_SHARE = 0.5  # uneven light over the whole foreground
GRAIN_SHARE = 0.4


def move(picture: np.ndarray, size: float, angle: float) -> np.ndarray:
    """Blurs as a motion by `size` pixels each way along a direction in radians does."""
    if size > 12:  # a long blur needs no more than a part of the pixels
        height, width = picture.shape[:2]
        small = (max(8, round(width * 6 / size)), max(8, round(height * 6 / size)))
        less = move(cv2.resize(picture, small, interpolation=cv2.INTER_AREA), 6.0, angle)
        return cv2.resize(less, (width, height), interpolation=cv2.INTER_LINEAR)
    half = size * np.array((np.cos(angle), np.sin(angle)))
    side = 2 * int(np.ceil(size)) + 1
    kernel = np.zeros((side, side), np.uint8)
    ends = np.rint((side // 2 + np.stack((-half, half))) * 16).astype(int).tolist()
    cv2.line(kernel, ends[0], ends[1], 255, 1, cv2.LINE_AA, 4)
    return cv2.filter2D(picture, -1, kernel / np.float32(kernel.sum()))


def blur(picture: np.ndarray, kind: str, size: float, angle: float) -> np.ndarray:
    """Blurs by `size` pixels: Gaussian, lens or motion."""
    if kind == "soft":
        return cv2.GaussianBlur(picture, (0, 0), max(0.3, size / 2))
    if kind == "motion":
        return move(picture, size, angle)
    side = 2 * max(1, round(size * 0.6)) + 1
    return cv2.blur(cv2.blur(picture, (side, side)), (side // 3 * 2 + 1,) * 2)


def treat_edges(rng: np.random.Generator, canvas: Canvas) -> None:
    """Softens, defocuses or moves the whole foreground, as `EDGE_WEIGHTS` says.

    Args:
        rng: the source of randomness.
        canvas: changed in place.
    """
    kind = str(rng.choice(list(EDGE_WEIGHTS), p=list(EDGE_WEIGHTS.values())))
    size, angle = log_uniform(rng, 0.003, 0.03), rng.uniform(0, np.pi)
    turn = rng.uniform(0, 2 * np.pi)
    if kind == "sharp":
        return
    size = size * canvas.unit * (0.35 if kind == "soft" else 1.0)
    colour = extend_colours(canvas.colour, canvas.alpha)
    # Wide blurs are computed at a lower resolution, which they don't need.
    shrink = min(1.0, 6 / size)
    small = (max(8, round(canvas.width * shrink)), max(8, round(canvas.height * shrink)))
    both = cv2.merge((colour, canvas.alpha))
    if shrink < 1:
        both = cv2.resize(both, small, interpolation=cv2.INTER_AREA)
    both = blur(both, kind, size * shrink, angle)
    both = cv2.resize(both, (canvas.width, canvas.height), interpolation=cv2.INTER_LINEAR)
    blurred, alpha = both[..., :3], both[..., 3]
    if kind == "depth":  # in focus on one side only
        ramp = np.clip(_ramp(canvas.height, canvas.width, turn) * 2.5 + 0.3, 0, 1)
        blurred = cv2.blendLinear(np.ascontiguousarray(blurred), colour, ramp, 1 - ramp)
        alpha = np.rint(canvas.alpha + (alpha - canvas.alpha.astype(np.float32)) * ramp)
    canvas.colour, canvas.alpha = np.ascontiguousarray(blurred), alpha.astype(np.uint8)


def _ramp(height: int, width: int, turn: float) -> np.ndarray:
    x = np.linspace(-0.5, 0.5, width, dtype=np.float32)[None] * np.float32(np.cos(turn))
    y = np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None] * np.float32(np.sin(turn))
    return x + y


def treat_colours(rng: np.random.Generator, canvas: Canvas) -> None:
    """Puts uneven light and grain on the colours.

    Args:
        rng: the source of randomness.
        canvas: changed in place.
    """
    size = (canvas.width, canvas.height)
    if rng.random() < GAIN_SHARE:
        low = smooth_noise(rng, 16, 16, 2, 2) * np.float32(rng.uniform(0.05, 0.25))
        cast = rng.normal(1, 0.04, 3)
        factor = np.clip(1 + low[..., None] * rng.uniform(0.8, 1.2, 3), 0.4, 1.6) * cast
        gain = cv2.resize(factor.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
        canvas.colour = cv2.multiply(canvas.colour, gain, dtype=cv2.CV_8U)
    if rng.random() < GRAIN_SHARE:
        sigma = float(rng.uniform(1, 5))
        tile = branch(rng).normal(0, sigma, (257, 263, 3)).astype(np.int8)
        rows, columns = -(-canvas.height // 257), -(-canvas.width // 263)
        grain = np.tile(tile, (rows, columns, 1))[: canvas.height, : canvas.width]
        canvas.colour = cv2.add(canvas.colour, grain, dtype=cv2.CV_8U)


def extend_colours(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Continues colours outside the shapes, so that resampling never mixes in black.

    Args:
        colour: (H, W, 3) uint8, not premultiplied, undefined where alpha is 0.
        alpha: (H, W) uint8.

    Returns:
        (H, W, 3) uint8, unchanged where alpha is above 0.

    Source: push-pull; Gortler et al., "The Lumigraph", SIGGRAPH 1996, section 3.4.
    """
    height, width = alpha.shape
    empty = np.where(alpha == 0, 255, 0).astype(np.uint8)
    shrink = min(1.0, 128 / max(height, width))
    size = (max(2, round(width * shrink)), max(2, round(height * shrink)))
    weight = (alpha > 0).astype(np.float32)
    # Float, since a mean over few known pixels must not be rounded before it is divided.
    known = cv2.copyTo(colour, cv2.bitwise_not(empty)).astype(np.float32)
    levels: list[tuple[np.ndarray, np.ndarray]] = [
        (
            cv2.resize(known, size, interpolation=cv2.INTER_AREA),
            cv2.resize(weight, size, interpolation=cv2.INTER_AREA),
        )
    ]
    while max(levels[-1][1].shape) > 1:
        total, share = levels[-1]
        half = ((share.shape[1] + 1) // 2, (share.shape[0] + 1) // 2)
        levels.append(
            (
                cv2.resize(total, half, interpolation=cv2.INTER_AREA),
                cv2.resize(share, half, interpolation=cv2.INTER_AREA),
            )
        )
    filled = np.full((1, 1, 3), 128, np.float32)  # stays where nothing is known
    for total, share in reversed(levels):
        mean = total / np.maximum(share, 1e-9)[..., None]
        coarse = cv2.resize(filled, share.shape[::-1], interpolation=cv2.INTER_LINEAR)
        filled = np.where(share[..., None] > 1e-9, mean, coarse)
    whole = cv2.resize(filled.clip(0, 255).astype(np.uint8), (width, height))
    return cv2.copyTo(whole, empty, colour.copy())
