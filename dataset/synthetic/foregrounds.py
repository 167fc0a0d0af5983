"""Synthetic foregrounds and backgrounds: endless, seeded, drawn at any resolution.

People and objects made of shapes, hairs and textures, with exact alpha. Nothing is downloaded and
nothing is read from files.
"""

from dataclasses import replace
from functools import partial

import cv2
import numpy as np

from .finish import blur, extend_colours, treat_colours, treat_edges
from .materials import Material, branch, random_colour, random_material, smooth_noise
from .objects import draw_objects
from .people import draw_people
from .shapes import Canvas, blob, fill
from .textures import paint

# Shares of samples, except where said otherwise.
PEOPLE_SHARE = 0.5  # the others show objects alone
OBJECT_BESIDE_SHARE = 0.18  # of the samples with people: an object in front of or behind them
# Some parts take colours close to the background's, where networks otherwise make holes. Within
# such a sample each material does so with a part share, half of them by the background's mean
# colour at that place and half by its texture, moved. The share of objects is lower, since little
# else of an object shows what belongs to it.
SIMILAR_SHARE = 0.45
SIMILAR_PERSON_PART_SHARE = 0.5
SIMILAR_OBJECT_PART_SHARE = 0.35
PHOTOGRAPH_PART_SHARE = 0.6  # of the other materials, where there is a photograph to cut from
SIMILAR_OFFSET = (8.0, 45.0)  # of 255: distance in RGB from the background's colour
# Samples outside these bounds of the mean alpha are drawn anew.
AREA_BOUNDS = (0.015, 0.97)
_ATTEMPTS = 6
SMALLEST = 32  # pixels a side


def draw_foreground(
    rng: np.random.Generator,
    height: int,
    width: int,
    background: np.ndarray | None = None,
    photograph: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Draws a foreground and its alpha.

    Sizes are fractions of the picture, so the same seed gives about the same picture at every
    resolution.

    Args:
        rng: the source of randomness; the same state gives the same picture.
        height: pixels, 32 or more.
        width: pixels, 32 or more.
        background: (H, W, 3) uint8 RGB on which the foreground will be laid. With it, some parts
            of some samples (`SIMILAR_SHARE`) take colours close to it.
        photograph: (H', W', 3) uint8 RGB of any size, of which some parts are cut out. It doesn't
            change alpha.

    Returns:
        The foreground, (H, W, 3) uint8 RGB, not premultiplied and defined everywhere: outside the
        shapes it continues the colours at their edges; and alpha, (H, W) uint8.

    Raises:
        ValueError: when the size is too small or the background doesn't match it.
    """
    _check(rng, height, width)
    if background is not None:
        _check_background(background, height, width)
    if photograph is not None:
        _check_photograph(photograph)
    for _ in range(_ATTEMPTS):
        canvas = _draw(branch(rng), height, width, background, photograph)
        area = float(cv2.mean(canvas.alpha)[0]) / 255
        if AREA_BOUNDS[0] <= area <= AREA_BOUNDS[1]:
            break
    else:
        own = branch(rng)
        canvas = Canvas(height, width, (0.5, -0.7), background)
        mask = canvas.mask()
        radii = (0.3 * canvas.unit, 0.3 * canvas.unit)
        fill(mask, blob(own, np.array((width / 2, height / 2)), radii))
        canvas.add(mask, random_material(own))
    return extend_colours(canvas.colour, canvas.alpha), canvas.alpha


def _check(rng: np.random.Generator, height: int, width: int) -> None:
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


def _check_background(background: np.ndarray, height: int, width: int) -> None:
    shape, kind = getattr(background, "shape", None), getattr(background, "dtype", None)
    if shape != (height, width, 3) or kind != np.uint8:
        raise ValueError(
            f"background must be ({height}, {width}, 3) uint8, the size of the foreground, got "
            f"{shape} {kind}; resize it first"
        )


def _check_photograph(photograph: np.ndarray) -> None:
    shape: tuple[int, ...] = getattr(photograph, "shape", ())
    kind = getattr(photograph, "dtype", None)
    if len(shape) != 3 or shape[2] != 3 or min(shape) < 2 or kind != np.uint8:
        raise ValueError(f"photograph must be (H, W, 3) uint8, got {shape} {kind}")


def _draw(
    rng: np.random.Generator,
    height: int,
    width: int,
    background: np.ndarray | None,
    photograph: np.ndarray | None,
) -> Canvas:
    turn = rng.uniform(0, 2 * np.pi)
    light = (float(np.cos(turn)), -0.5 + 0.6 * float(np.sin(turn)))
    canvas = Canvas(height, width, light, background, photograph)
    similar = rng.random() < SIMILAR_SHARE and background is not None
    choices = branch(rng)  # as many values as there are materials

    def dress(material: Material, share: float) -> Material:
        if not similar or choices.random() >= share:
            # By the material's own seed, so that a photograph leaves all other choices as they are.
            cut = photograph is not None and material.seed % 1009 < 1009 * PHOTOGRAPH_PART_SHARE
            return replace(material, source="photograph") if cut else material
        direction = choices.normal(0, 1, 3)
        offset = direction / np.linalg.norm(direction) * choices.uniform(*SIMILAR_OFFSET)
        source = "mean" if choices.random() < 0.5 else "shifted"
        return replace(material, source=source, offset=offset.astype(np.float32))

    dress_person = partial(dress, share=SIMILAR_PERSON_PART_SHARE)
    dress_object = partial(dress, share=SIMILAR_OBJECT_PART_SHARE)

    if rng.random() < PEOPLE_SHARE:
        beside, before = rng.random() < OBJECT_BESIDE_SHARE, rng.random() < 0.5
        if beside and not before:
            draw_objects(rng, canvas, dress_object, 1)
        draw_people(rng, canvas, dress_person)
        if beside and before:
            draw_objects(rng, canvas, dress_object, 1)
    else:
        draw_objects(rng, canvas, dress_object, int(rng.choice((1, 2, 3), p=(0.5, 0.3, 0.2))))
    treat_edges(rng, canvas)
    treat_colours(rng, canvas)
    return canvas


def draw_background(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Draws a background for when there are no photographs.

    Args:
        rng: the source of randomness; the same state gives the same picture.
        height: pixels, 32 or more.
        width: pixels, 32 or more.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ValueError: when the size is too small.
    """
    _check(rng, height, width)
    rng = branch(rng)
    canvas = Canvas(height, width, (0.3, -0.8), None)
    whole = np.full((height, width), 255, np.uint8)
    pattern = str(rng.choice(("mottled", "clutter", "gradient", "plain"), p=(0.35, 0.3, 0.2, 0.15)))
    wall = replace(random_material(rng, pattern=pattern), grain=0.04)
    canvas.colour, canvas.alpha = paint(wall, whole, canvas.unit, canvas.light), whole
    if rng.random() < 0.55:  # a floor, a table or a horizon
        y = height * rng.uniform(0.4, 0.9)
        slope = height * rng.normal(0, 0.05)
        floor = np.array(((-9, y - slope), (width + 9, y + slope), (width + 9, height + 9)))
        mask = canvas.mask()
        fill(mask, np.concatenate((floor, ((-9.0, height + 9.0),))))
        canvas.add(mask, random_material(rng))
    if rng.random() < 0.65:
        draw_objects(rng, canvas, lambda material: material, int(rng.integers(1, 6)))
    if rng.random() < 0.35:
        draw_people(rng, canvas, lambda material: material)
    tint = smooth_noise(rng, 16, 16, 3, 3) * np.float32(rng.uniform(0.05, 0.3))
    gain = cv2.resize(1 + tint, (width, height), interpolation=cv2.INTER_CUBIC).clip(0.3, 1.7)
    picture = cv2.multiply(canvas.colour, cv2.merge((gain, gain, gain)), dtype=cv2.CV_8U)
    if rng.random() < 0.5:
        picture = blur(picture, "soft", float(rng.uniform(0.002, 0.03)) * canvas.unit, 0.0)
    haze = rng.uniform(0, 0.3)
    return cv2.addWeighted(
        picture, 1 - haze, np.full_like(picture, random_colour(rng).astype(np.uint8)), haze, 0
    )


class SyntheticForegrounds:
    """Drawn foregrounds, a new set every epoch, at any size.

    Args:
        length: samples in an epoch.
        seed: 0 or more; foregrounds depend on nothing but (seed, epoch, index) and their size.

    Attributes:
        runs: indices that are best drawn one after another: each for itself.

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
        """Runs of one index each."""
        return tuple(range(index, index + 1) for index in range(self.length))

    def __len__(self) -> int:
        return self.length

    def name(self, index: int) -> str:
        """Names a foreground, for messages.

        Args:
            index: from 0 to the length less 1.

        Returns:
            Such as "synthetic 7 (seed 0)".
        """
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
        """Draws a foreground, optionally for a background that some parts are to resemble.

        Args:
            index: from 0 to the length less 1.
            epoch: 0 or more.
            height: pixels, 32 or more.
            width: pixels, 32 or more.
            background: (H, W, 3) uint8 RGB, of this size.
            photograph: (H', W', 3) uint8 RGB, of which some parts are cut out.

        Returns:
            Foreground (H, W, 3) uint8 RGB and alpha (H, W) uint8, as `draw_foreground`.

        Raises:
            IndexError: when there is no such index.
            ValueError: when the epoch or the size is out of range, or the background doesn't match.
        """
        if not 0 <= index < self.length:
            raise IndexError(f"index must be from 0 to {self.length - 1}, got {index}")
        if epoch < 0:
            raise ValueError(f"epoch must be 0 or more, got {epoch}")
        rng = np.random.default_rng((self.seed, epoch, index))
        return draw_foreground(rng, height, width, background, photograph)
