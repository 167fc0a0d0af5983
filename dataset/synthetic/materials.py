"""Materials of synthetic foregrounds: colours, patterns and the noise they are made with.

Sizes are fractions of the picture's shorter side, so that the same seed gives the same content at
any resolution. Whatever needs a number of random values that depends on the resolution takes them
from a generator of its own (`branch`), so that the caller's generator is not disturbed.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np

# How often each pattern is taken for a material; the rest is plain.
PATTERN_WEIGHTS = {
    "plain": 0.26,
    "mottled": 0.14,
    "stripes": 0.13,
    "checks": 0.09,
    "dots": 0.06,
    "print": 0.09,
    "knit": 0.06,
    "gradient": 0.06,
    "clutter": 0.06,
    "text": 0.05,
}


@dataclass(frozen=True)
class Material:
    """What a part is made of.

    Attributes:
        pattern: a key of `PATTERN_WEIGHTS`.
        colours: (3, 3) float32, RGB in [0, 255], the first one dominant.
        period: of the pattern, a fraction of the picture's shorter side.
        angle: of the pattern, radians.
        relief: strength of the shading, 0 for none.
        folds: strength of creases, 0 for none.
        grain: strength of the fine mottling, a fraction of the brightness.
        seed: of the pattern's random values.
        source: "" for its own colours, "mean" for the background's mean colour at that place,
            "shifted" for the background's own texture, moved, "photograph" for a piece of another
            photograph.
        offset: (3,) float32, added to a colour taken from the background.
    """

    pattern: str
    colours: np.ndarray
    period: float
    angle: float
    relief: float
    folds: float
    grain: float
    seed: int
    source: str = ""
    offset: np.ndarray | None = None


# Changes a material on its way to the canvas: where its colours come from.
Dress = Callable[[Material], Material]


def branch(rng: np.random.Generator) -> np.random.Generator:
    """Makes an independent generator and moves `rng` on by one value."""
    return np.random.Generator(np.random.SFC64(int(rng.integers(1 << 62))))


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draws from `low` to `high`, each factor as likely as any other."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def smooth_noise(
    rng: np.random.Generator,
    height: int,
    width: int,
    cells: float,
    octaves: int = 4,
    persistence: float = 0.5,
    stretch: float = 1.0,
) -> np.ndarray:
    """Draws noise of several octaves, coarse to fine.

    Args:
        rng: moves on by one value.
        height: pixels.
        width: pixels.
        cells: of the coarsest octave along the longer side.
        octaves: each one twice as fine; those finer than the pixels are left out.
        persistence: amplitude of an octave as a fraction of the previous one's.
        stretch: how many times longer the cells are vertically.

    Returns:
        (H, W) float32 of mean 0 and standard deviation about 1.
    """
    own = branch(rng)
    longer = max(height, width)
    rows = max(2, round(cells * height / longer / stretch))
    columns = max(2, round(cells * width / longer))
    noise: np.ndarray = own.standard_normal((rows, columns), np.float32)
    amplitude, variance = 1.0, 1.0
    for _ in range(octaves - 1):
        rows, columns = rows * 2, columns * 2
        if rows > height or columns > width:
            break
        amplitude *= persistence
        variance += amplitude**2
        finer = own.standard_normal((rows, columns), np.float32)
        noise = cv2.resize(noise, (columns, rows), interpolation=cv2.INTER_CUBIC)
        noise = cv2.scaleAdd(finer, amplitude, noise)
    # Cubic enlargement keeps about 0.8 of the deviation of the values at the nodes.
    noise *= np.float32(1.25 / np.sqrt(variance))
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)


def random_colour(rng: np.random.Generator) -> np.ndarray:
    """Draws a colour as photographs have them: mostly of low saturation, of any brightness.

    Args:
        rng: the source of randomness.

    Returns:
        (3,) float32, RGB in [0, 255].
    """
    value = rng.beta(1.3, 1.2)
    saturation = rng.beta(1.1, 2.6) if rng.random() < 0.8 else rng.uniform(0.5, 1.0)
    hue = rng.random()
    channels = np.abs((hue * 6 + np.array((0.0, 4.0, 2.0))) % 6 - 3) - 1
    rgb = value * (1 - saturation * (1 - np.clip(channels, 0, 1)))
    return (rgb * 255).astype(np.float32)


def random_material(
    rng: np.random.Generator, colour: np.ndarray | None = None, pattern: str | None = None
) -> Material:
    """Draws a material, of a given dominant colour or pattern where one is given."""
    chosen = rng.choice(list(PATTERN_WEIGHTS), p=list(PATTERN_WEIGHTS.values()))
    first = random_colour(rng) if colour is None else np.asarray(colour, np.float32)
    colours = np.stack((first, random_colour(rng), random_colour(rng)))
    if rng.random() < 0.5:  # tones of one colour
        colours[1:] = first * rng.uniform(0.55, 1.5, (2, 1))
    return Material(
        pattern=str(chosen) if pattern is None else pattern,
        colours=np.clip(colours, 0, 255).astype(np.float32),
        period=log_uniform(rng, 0.012, 0.15),
        angle=float(rng.choice((0.0, np.pi / 2)) + rng.normal(0, 0.15))
        if rng.random() < 0.7
        else float(rng.uniform(0, np.pi)),
        relief=float(rng.uniform(0.1, 0.55)),
        folds=float(rng.uniform(0.0, 0.2)),
        grain=float(rng.choice((0.01, 0.03, 0.08), p=(0.5, 0.35, 0.15))),
        seed=int(rng.integers(1 << 62)),
    )


def close_to(material: Material, mean: np.ndarray) -> Material:
    """Takes a mean colour, with the material's offset, and keeps a little of its own pattern."""
    offset = np.zeros(3, np.float32) if material.offset is None else material.offset
    deviations = (material.colours - material.colours[0]) * np.float32(0.15)
    return replace(material, colours=np.clip(mean + offset + deviations, 0, 255))
