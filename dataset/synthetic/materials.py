"""Materials of synthetic foregrounds: drawn at random, and painted with their pattern and shading.

Sizes are fractions of the picture's shorter side, so a seed gives the same content at any
resolution. Parts that need more random values at a higher resolution use a separate generator
(`branch`).
"""

from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.random import Generator

# Probability of each pattern.
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
LARGEST_TEXTURE = 768  # pixels per side; larger textures are enlarged from this, for speed
_LETTERS = "ABCDEFGHKLMNOPRSTUVWXYZabcdeghknorstuwxyz0123456789&!?"
Light = tuple[float, float]  # the direction (x, y) towards which surfaces are bright


@dataclass(frozen=True)
class Material:
    """The material of a part."""

    pattern: str  # a key of PATTERN_WEIGHTS
    colours: np.ndarray  # (3, 3) float32, RGB in [0, 255], the first one dominant
    period: float  # of the pattern, a fraction of the picture's shorter side
    angle: float  # of the pattern, radians
    relief: float  # strength of the shading, 0 for none
    folds: float  # strength of creases, 0 for none
    grain: float  # strength of the grain, as a fraction of the brightness
    seed: int  # of the pattern's random values
    # Source of its colours: "" for `colours`, "mean" for the background's mean colour at its
    # position, "shifted" for the background's texture, moved, "shaded" for the background without
    # texture, times `factor`, "photograph" for a piece of one.
    source: str = ""
    factor: float = 1.0
    offset: np.ndarray = field(default_factory=lambda: np.zeros(3, np.float32))  # added to these

    def toned(self, factor: float | np.floating) -> "Material":
        """Returns it with its brightness multiplied by a factor."""
        return replace(self, colours=np.clip(self.colours * np.float32(factor), 0, 255))


def branch(rng: Generator) -> Generator:
    """Makes an independent generator; draws one value from `rng`."""
    return np.random.Generator(np.random.SFC64(int(rng.integers(1 << 62))))


def log_uniform(rng: Generator, low: float, high: float) -> float:
    """Draws from a log-uniform distribution between `low` and `high`."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def pick(rng: Generator, weights: dict[str, float]) -> str:
    """Draws a key by the weights, which sum to 1."""
    return str(rng.choice(list(weights), p=list(weights.values())))


def smooth_noise(
    rng: Generator,
    height: int,
    width: int,
    cells: float,
    octaves: int = 4,
    persistence: float = 0.5,
    stretch: float = 1.0,
) -> np.ndarray:
    """Draws noise (H, W), float32 of mean 0 and standard deviation about 1; takes one `rng` value.

    The first octave has `cells` cells along the longer side, `stretch` times longer vertically.
    Each further octave is 2 times finer and weaker by the factor `persistence`. None is finer than
    the pixels.
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
    # Cubic enlargement keeps about 0.8 of the nodes' standard deviation.
    noise *= np.float32(1.25 / np.sqrt(variance))
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)


def random_colour(rng: Generator) -> np.ndarray:
    """Draws a colour, (3,) float32 RGB in [0, 255], mostly of low saturation, as in photographs."""
    value = rng.beta(1.3, 1.2)
    saturation = rng.beta(1.1, 2.6) if rng.random() < 0.8 else rng.uniform(0.5, 1.0)
    hue = rng.random()
    channels = np.abs((hue * 6 + np.array((0.0, 4.0, 2.0))) % 6 - 3) - 1
    rgb = value * (1 - saturation * (1 - np.clip(channels, 0, 1)))
    return (rgb * 255).astype(np.float32)


def random_material(
    rng: Generator, colour: np.ndarray | None = None, pattern: str | None = None
) -> Material:
    """Draws a material, with the given dominant colour or pattern if there is one."""
    chosen = pick(rng, PATTERN_WEIGHTS)
    first = random_colour(rng) if colour is None else np.asarray(colour, np.float32)
    colours = np.stack((first, random_colour(rng), random_colour(rng)))
    if rng.random() < 0.5:  # tones of one colour
        colours[1:] = first * rng.uniform(0.55, 1.5, (2, 1))
    return Material(
        pattern=chosen if pattern is None else pattern,
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


def paint(material: Material, mask: np.ndarray, unit: float, light: Light) -> np.ndarray:
    """Paints a part, (H, W) uint8, in a material's `colours`: (H, W, 3) uint8 RGB.

    The unit is the picture's shorter side in pixels.
    """
    height, width = mask.shape
    shrink = min(1.0, LARGEST_TEXTURE / max(height, width))
    rows, columns = max(2, round(height * shrink)), max(2, round(width * shrink))
    rng = np.random.Generator(np.random.SFC64(material.seed))
    index = _draw_pattern(material, rng, rows, columns, unit * shrink)
    table = [np.interp(np.arange(256), (0, 128, 255), nodes) for nodes in material.colours.T]
    ramp = np.stack(table, -1).clip(0, 255).astype(np.uint8)[:, None]
    colour = cv2.applyColorMap(index, ramp)
    shade = shade_body(mask, material, light, rows, columns)
    if material.grain > 0.02:
        cells = 60 * max(height, width) / unit
        shade += np.float32(material.grain) * smooth_noise(rng, rows, columns, cells, 3, 0.9)
    colour = cv2.multiply(colour, cv2.merge((shade, shade, shade)), dtype=cv2.CV_8U)
    if (rows, columns) != (height, width):
        colour = cv2.resize(colour, (width, height), interpolation=cv2.INTER_LINEAR)
    return colour


def shade_body(
    mask: np.ndarray, material: Material, light: Light, height: int, width: int
) -> np.ndarray:
    """Shades a rounded body, (h, w) uint8 of any size: brightness factors (height, width)."""
    longer = max(mask.shape)
    small = (max(4, 64 * mask.shape[1] // longer), max(4, 64 * mask.shape[0] // longer))
    body: np.ndarray = cv2.resize(mask, small, interpolation=cv2.INTER_AREA)
    body = body.astype(np.float32) / 255
    body = cv2.copyMakeBorder(body, 8, 8, 8, 8, cv2.BORDER_CONSTANT)
    body = cv2.GaussianBlur(body, (0, 0), 5)
    across, down = cv2.Sobel(body, cv2.CV_32F, 1, 0), cv2.Sobel(body, cv2.CV_32F, 0, 1)
    slope = -(across * light[0] + down * light[1])
    shade: np.ndarray = 1 + material.relief * (1.6 * slope + 0.25 * (body - 0.7))
    shade = np.clip(shade, 0.25, 1.6)
    shade = cv2.resize(np.ascontiguousarray(shade[8:-8, 8:-8]), (width, height))
    rng = np.random.Generator(np.random.SFC64(material.seed))
    folds = smooth_noise(rng, height, width, 5, 4, 0.6, float(rng.choice((0.6, 1.0, 2.5))))
    # Ridges instead of waves, because cloth is smooth between its creases.
    shade *= 1 + np.float32(material.folds) * (0.5 - np.abs(folds))
    return shade


def _draw_pattern(
    material: Material, rng: Generator, height: int, width: int, unit: float
) -> np.ndarray:
    """Draws (H, W) uint8: 0 for the first colour, 128 for the second, 255 for the third."""
    pattern = material.pattern
    if pattern == "plain":
        return np.zeros((height, width), np.uint8)
    if pattern == "clutter":
        return _draw_clutter(rng, height, width, unit)
    if pattern == "text":
        return _draw_text(rng, height, width, material.period * unit)
    cells = max(2.0, max(height, width) / unit / material.period)
    if pattern == "print":
        noise = smooth_noise(rng, height, width, min(cells, 40) / 2, 2)
        steps = np.clip(noise * 8, 0, 1) + np.clip((noise - 0.9) * 8, 0, 1)
        return (steps * 127).astype(np.uint8)
    if pattern == "mottled":
        noise = smooth_noise(rng, height, width, 3, 6, 0.65)
        return np.clip(noise * 60 + 90, 0, 255).astype(np.uint8)
    turn = np.float32(2 * np.pi / (material.period * unit))
    cos, sin = np.cos(material.angle) * turn, np.sin(material.angle) * turn
    x = np.arange(width, dtype=np.float32)[None]
    y = np.arange(height, dtype=np.float32)[:, None]
    bend = smooth_noise(rng, height, width, 3, 2) * np.float32(rng.uniform(0, 1.2))
    along = x * np.float32(cos) + y * np.float32(sin) + bend
    if pattern == "gradient":
        ramp = along * np.float32(material.period)
        low, high = float(ramp.min()), float(ramp.max())
        return ((ramp - low) * (255 / (high - low + 1e-6))).astype(np.uint8)
    if pattern == "stripes":
        wave = np.clip(0.5 + rng.choice((0.5, 4.0)) * np.sin(along), 0, 1)
        return (wave * rng.choice((128, 255))).astype(np.uint8)
    across = y * np.float32(cos) - x * np.float32(sin) + bend
    if pattern == "checks":
        first, second = (np.clip(0.5 + 3.0 * np.sin(phase), 0, 1) for phase in (along, across))
        return (first * 127 + second * 128).astype(np.uint8)
    if pattern == "dots":
        product = np.sin(along) * np.sin(across)
        return (np.clip((product - 0.35) * 6, 0, 1) * 255).astype(np.uint8)
    return ((np.sin(along * 3) * np.sin(across * 3) + 1) * 60).astype(np.uint8)  # knit


def _draw_clutter(rng: Generator, height: int, width: int, unit: float) -> np.ndarray:
    """Draws overlapping ellipses and boxes, many small and few large (the dead-leaves model)."""
    count = 120
    index = np.full((height, width), 128, np.uint8)
    sizes = np.minimum(0.02 / np.sqrt(rng.random(count) + 0.004), 0.35)
    centres = rng.random((count, 2)) * (width, height)
    shades = rng.integers(0, 256, count).tolist()
    angles = rng.uniform(0, 180, count).tolist()
    extents = np.stack((2 * sizes * unit, 2 * sizes * unit * rng.uniform(0.25, 1, count)), 1)
    for i in np.argsort(-sizes).tolist():
        box = (centres[i].tolist(), extents[i].tolist(), angles[i])
        if i % 2:
            cv2.ellipse(index, box, shades[i], -1, cv2.LINE_AA)
        else:
            corners = np.rint(cv2.boxPoints(box) * 16).astype(np.int32)
            cv2.fillConvexPoly(index, corners, shades[i], cv2.LINE_AA, 4)
    return index


def _draw_text(rng: Generator, height: int, width: int, period: float) -> np.ndarray:
    """Draws rows of random letters."""
    index = np.zeros((height, width), np.uint8)
    step = max(6.0, period)
    for row in range(min(40, int(height / step) + 1)):
        letters = "".join(rng.choice(list(_LETTERS), 40))
        place = (int(-step * rng.random() * 3), int((row + 1) * step))
        shade = int(rng.integers(140, 256))
        font = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_TRIPLEX)[row % 2]
        thickness = max(1, int(step / 10))
        cv2.putText(index, letters, place, font, step / 30, shade, thickness, cv2.LINE_AA)
    return index
