"""Synthetic foregrounds and backgrounds: unlimited, seeded, with exact alpha, at any resolution."""

from dataclasses import replace
from typing import Any

import cv2
import numpy as np

from .canvas import Canvas, extend_colours, treat_edges
from .materials import branch, paint, pick, random_colour, random_material, smooth_noise
from .objects import draw_objects
from .people import draw_people
from .shapes import blob, blur

# Fractions of samples, unless stated otherwise.
PEOPLE_SHARE = 0.5  # the others show only objects
OBJECT_BESIDE_SHARE = 0.18  # of the samples with people: an object in front of or behind them
# Some parts have colours close to the background's, because networks make holes there. For such
# samples people.py and objects.py have the fraction of similar materials.
SIMILAR_SHARE = 0.45
GAIN_SHARE = 0.5  # uneven light over the whole foreground
GRAIN_SHARE = 0.4
AREA_BOUNDS = (0.006, 0.97)  # bounds of the mean alpha; samples outside are drawn again
_ATTEMPTS = 6
SMALLEST = 32  # pixels per side


class SyntheticForegrounds:
    """Drawn foregrounds, different ones every epoch, at any size.

    Args:
        length: samples per epoch.
        seed: 0 or more; foregrounds depend only on (seed, epoch, index) and their size.

    Raises:
        ValueError: when the length or the seed is out of range.
    """

    def __init__(self, length: int, seed: int = 0) -> None:
        if length < 1:
            raise ValueError(f"length must be 1 or more, got {length}")
        if seed < 0:
            raise ValueError(f"seed must be 0 or more, got {seed}")
        self.length, self.seed = length, seed

    @property
    def runs(self) -> tuple[range, ...]:
        """One range per foreground, because their order does not matter."""
        return tuple(range(index, index + 1) for index in range(self.length))

    def __len__(self) -> int:
        return self.length

    def name(self, index: int) -> str:
        """Names a foreground in messages, such as "synthetic 7 (seed 0)"."""
        return f"synthetic {index} (seed {self.seed})"

    def draw(
        self,
        index: int,
        epoch: int,
        height: int,
        width: int,
        background: np.ndarray | None = None,
        photograph: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draws the foreground of an index and epoch, 0 or more; the rest as `draw_foreground`.

        Raises:
            IndexError: when the index is not below the length.
            ValueError: when the epoch or the size is out of range, or the background doesn't match.
        """
        if not 0 <= index < self.length:
            raise IndexError(f"index must be from 0 to {self.length - 1}, got {index}")
        if epoch < 0:
            raise ValueError(f"epoch must be 0 or more, got {epoch}")
        rng = np.random.default_rng((self.seed, epoch, index))
        return draw_foreground(rng, height, width, background, photograph)


def draw_foreground(
    rng: np.random.Generator,
    height: int,
    width: int,
    background: np.ndarray | None = None,
    photograph: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Draws a foreground and its alpha, with about the same content at every resolution.

    Args:
        rng: the source of randomness; the same state gives the same picture.
        height: pixels, 32 or more.
        width: pixels, 32 or more.
        background: (H, W, 3) uint8 RGB behind the foreground; in a fraction of samples
            (`SIMILAR_SHARE`) some parts have similar colours.
        photograph: (H', W', 3) uint8 RGB, from which some parts are cut out; does not change alpha.

    Returns:
        The foreground, (H, W, 3) uint8 RGB, not premultiplied and defined everywhere: outside the
        shapes it extends the colours at their edges; and alpha, (H, W) uint8.

    Raises:
        ValueError: when the size is too small, or a picture has a wrong shape or type.
    """
    _check_size(rng, height, width)
    _check_pictures(background, photograph, (height, width, 3))
    for _ in range(_ATTEMPTS):
        own = branch(rng)
        turn = own.uniform(0, 2 * np.pi)
        light = (float(np.cos(turn)), -0.5 + 0.6 * float(np.sin(turn)))
        canvas = Canvas(own, height, width, light, background, photograph)
        _draw_subjects(canvas, background is not None)
        treat_edges(canvas)
        _treat_colours(canvas)
        area = float(cv2.mean(canvas.alpha)[0]) / 255
        if AREA_BOUNDS[0] <= area <= AREA_BOUNDS[1]:
            break
    else:
        canvas = Canvas(branch(rng), height, width, (0.5, -0.7))
        canvas.fill(blob(canvas.rng, np.array((width / 2, height / 2)), (0.3 * canvas.unit,) * 2))
    return extend_colours(canvas.colour, canvas.alpha), canvas.alpha


def draw_background(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Draws a background, (H, W, 3) uint8 RGB; arguments and errors as `draw_foreground`."""
    _check_size(rng, height, width)
    rng = branch(rng)
    canvas = Canvas(rng, height, width, (0.3, -0.8))
    whole = np.full((height, width), 255, np.uint8)
    pattern = pick(rng, {"mottled": 0.35, "clutter": 0.3, "gradient": 0.2, "plain": 0.15})
    wall = replace(random_material(rng, pattern=pattern), grain=0.04)
    canvas.colour, canvas.alpha = paint(wall, whole, canvas.unit, canvas.light), whole
    if rng.random() < 0.55:  # a floor, a table or a horizon
        y = height * rng.uniform(0.4, 0.9)
        slope = height * rng.normal(0, 0.05)
        below = ((width + 9, height + 9), (-9, height + 9))
        canvas.fill(np.array(((-9, y - slope), (width + 9, y + slope), *below)))
    if rng.random() < 0.65:
        draw_objects(canvas, int(rng.integers(1, 6)))
    if rng.random() < 0.35:
        draw_people(canvas)
    tint = smooth_noise(rng, 16, 16, 3, 3) * np.float32(rng.uniform(0.05, 0.3))
    gain = cv2.resize(1 + tint, (width, height), interpolation=cv2.INTER_CUBIC).clip(0.3, 1.7)
    picture = cv2.multiply(canvas.colour, cv2.merge((gain, gain, gain)), dtype=cv2.CV_8U)
    if rng.random() < 0.5:
        picture = blur(picture, "soft", float(rng.uniform(0.002, 0.03)) * canvas.unit)
    haze = rng.uniform(0, 0.3)
    veil = np.full_like(picture, random_colour(rng).astype(np.uint8))
    return cv2.addWeighted(picture, 1 - haze, veil, haze, 0)


def _check_size(rng: np.random.Generator, height: int, width: int) -> None:
    if not isinstance(rng, np.random.Generator):
        raise ValueError(
            f"rng must be a numpy.random.Generator, got {type(rng).__name__}; "
            "make one with numpy.random.default_rng(seed)"
        )
    for name, value in (("height", height), ("width", width)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            raise ValueError(f"{name} must be a whole number of pixels, got {value!r}")
        if value < SMALLEST:
            raise ValueError(f"{name} must be at least {SMALLEST} pixels, got {value}")


def _check_pictures(background: object, photograph: object, wanted: tuple[int, ...]) -> None:
    shape: Any = getattr(background, "shape", None)
    kind = getattr(background, "dtype", None)
    if background is not None and (shape != wanted or kind != np.uint8):
        raise ValueError(
            f"background must be {wanted} uint8, the size of the foreground, got {shape} {kind}; "
            "resize it first"
        )
    shape, kind = getattr(photograph, "shape", ()), getattr(photograph, "dtype", None)
    fits = len(shape) == 3 and shape[2] == 3 and min(shape) >= 2 and kind == np.uint8
    if photograph is not None and not fits:
        raise ValueError(f"photograph must be (H, W, 3) uint8, got {shape} {kind}")


def _draw_subjects(canvas: Canvas, has_background: bool) -> None:
    """Draws people, objects or both."""
    rng = canvas.rng
    similar = rng.random() < SIMILAR_SHARE and has_background
    choices = branch(rng)  # draws one value per material or more
    canvas.choices = choices if similar else None
    if rng.random() >= PEOPLE_SHARE:
        draw_objects(canvas, int(rng.choice((1, 2, 3), p=(0.5, 0.3, 0.2))))
        return
    beside, before = rng.random() < OBJECT_BESIDE_SHARE, rng.random() < 0.5
    if beside and not before:
        draw_objects(canvas, 1)
    draw_people(canvas)
    if beside and before:
        draw_objects(canvas, 1)


def _treat_colours(canvas: Canvas) -> None:
    """Adds uneven light and grain to the colours."""
    rng, height, width = canvas.rng, canvas.height, canvas.width
    if rng.random() < GAIN_SHARE:
        low = smooth_noise(rng, 16, 16, 2, 2) * np.float32(rng.uniform(0.05, 0.25))
        cast = rng.normal(1, 0.04, 3)
        factor = np.clip(1 + low[..., None] * rng.uniform(0.8, 1.2, 3), 0.4, 1.6) * cast
        gain = cv2.resize(factor.astype(np.float32), (width, height))
        canvas.colour = cv2.multiply(canvas.colour, gain, dtype=cv2.CV_8U)
    if rng.random() < GRAIN_SHARE:
        sigma = float(rng.uniform(1, 5))
        tile = branch(rng).normal(0, sigma, (257, 263, 3)).astype(np.int8)
        grain = np.tile(tile, (-(-height // 257), -(-width // 263), 1))[:height, :width]
        canvas.colour = cv2.add(canvas.colour, grain, dtype=cv2.CV_8U)
