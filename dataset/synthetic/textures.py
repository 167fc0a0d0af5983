"""Painting a material: patterns of cloth, photograph-like clutter, folds and shading."""

import cv2
import numpy as np

from .materials import Material, smooth_noise

# Textures are computed with at most this many pixels a side and enlarged, for speed.
LARGEST_TEXTURE = 768
# How much larger a piece of a photograph is shown than in the photograph, both filling the frame.
CUT_OUT_ZOOM = (0.7, 3.0)
_LETTERS = "ABCDEFGHKLMNOPRSTUVWXYZabcdeghknorstuwxyz0123456789&!?"


def _wave(phase: np.ndarray, sharpness: float) -> np.ndarray:
    return np.clip(0.5 + sharpness * np.sin(phase), 0, 1)


def _scatter(
    rng: np.random.Generator, height: int, width: int, count: int, unit: float
) -> np.ndarray:
    """Draws overlapping ellipses and boxes, many small and few large (the dead-leaves model)."""
    index = np.full((height, width), 128, np.uint8)
    sizes = np.minimum(0.02 / np.sqrt(rng.random(count) + 0.004), 0.35)
    centres = rng.random((count, 2))
    shades = rng.integers(0, 256, count)
    angles = rng.uniform(0, 180, count)
    ratios = rng.uniform(0.25, 1, count)
    for i in np.argsort(-sizes):
        box = (
            (float(centres[i, 0] * width), float(centres[i, 1] * height)),
            (float(2 * sizes[i] * unit), float(2 * sizes[i] * unit * ratios[i])),
            float(angles[i]),
        )
        shade = int(shades[i])
        if i % 2:
            cv2.ellipse(index, box, shade, -1, cv2.LINE_AA)
        else:
            corners = np.rint(cv2.boxPoints(box) * 16).astype(np.int32)
            cv2.fillConvexPoly(index, corners, shade, cv2.LINE_AA, 4)
    return index


def _write(rng: np.random.Generator, height: int, width: int, period: float) -> np.ndarray:
    """Writes rows of letters without sense."""
    index = np.zeros((height, width), np.uint8)
    step = max(6.0, period)
    for row in range(min(40, int(height / step) + 1)):
        letters = "".join(rng.choice(list(_LETTERS), 40))
        left, scale = int(-step * rng.random() * 3), step / 30
        shade = int(rng.integers(140, 256))
        place = (left, int((row + 1) * step))
        font = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_TRIPLEX)[row % 2]
        thickness = max(1, int(step / 10))
        cv2.putText(index, letters, place, font, scale, shade, thickness, cv2.LINE_AA)
    return index


def _pattern_index(
    material: Material, rng: np.random.Generator, height: int, width: int, unit: float
) -> np.ndarray:
    """Computes (H, W) uint8: 0 for the first colour, 128 for the second, 255 for the third."""
    pattern = material.pattern
    if pattern == "plain":
        return np.zeros((height, width), np.uint8)
    if pattern == "clutter":
        return _scatter(rng, height, width, 120, unit)
    if pattern == "text":
        return _write(rng, height, width, material.period * unit)
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
        return (_wave(along, rng.choice((0.5, 4.0))) * rng.choice((128, 255))).astype(np.uint8)
    across = y * np.float32(cos) - x * np.float32(sin) + bend
    if pattern == "checks":
        return (_wave(along, 3.0) * 127 + _wave(across, 3.0) * 128).astype(np.uint8)
    if pattern == "dots":
        product = np.sin(along) * np.sin(across)
        return (np.clip((product - 0.35) * 6, 0, 1) * 255).astype(np.uint8)
    return ((np.sin(along * 3) * np.sin(across * 3) + 1) * 60).astype(np.uint8)  # knit


def _ramp(colours: np.ndarray) -> np.ndarray:
    nodes = np.array((0, 128, 255))
    table = [np.interp(np.arange(256), nodes, colours[:, channel]) for channel in range(3)]
    return np.stack(table, -1).clip(0, 255).astype(np.uint8)[:, None]


def relief_of(
    mask: np.ndarray, material: Material, light: tuple[float, float], height: int, width: int
) -> np.ndarray:
    """Computes the shading of a rounded body with folds.

    Args:
        mask: (h, w) uint8, the body; any size.
        material: its `relief`, `folds` and `seed` are used.
        light: the direction (x, y) towards which surfaces are bright.
        height: of the result, pixels.
        width: of the result, pixels.

    Returns:
        (H, W) float32, the factor of the brightness.
    """
    longer = max(mask.shape)
    small = (max(4, 64 * mask.shape[1] // longer), max(4, 64 * mask.shape[0] // longer))
    body: np.ndarray = cv2.resize(mask, small, interpolation=cv2.INTER_AREA)
    body = body.astype(np.float32) / 255
    body = cv2.copyMakeBorder(body, 8, 8, 8, 8, cv2.BORDER_CONSTANT)
    body = cv2.GaussianBlur(body, (0, 0), 5)
    slope = -(
        cv2.Sobel(body, cv2.CV_32F, 1, 0) * light[0] + cv2.Sobel(body, cv2.CV_32F, 0, 1) * light[1]
    )
    shade: np.ndarray = np.clip(
        1 + material.relief * (1.6 * slope + 0.25 * (body - 0.7)), 0.25, 1.6
    )
    shade = cv2.resize(np.ascontiguousarray(shade[8:-8, 8:-8]), (width, height))
    rng = np.random.Generator(np.random.SFC64(material.seed))
    folds = smooth_noise(rng, height, width, 5, 4, 0.6, float(rng.choice((0.6, 1.0, 2.5))))
    # Ridges rather than waves: cloth is smooth between its creases.
    folds = 0.5 - np.abs(folds)
    shade *= 1 + np.float32(material.folds) * folds
    return shade


def paint(
    material: Material, mask: np.ndarray, unit: float, light: tuple[float, float] = (0.5, -0.7)
) -> np.ndarray:
    """Paints a material over the box of a part.

    Args:
        material: what to paint; its `source` is the caller's matter.
        mask: (H, W) uint8, the part inside its box, for the shading.
        unit: the picture's shorter side, pixels.
        light: the direction (x, y) towards which surfaces are bright.

    Returns:
        (H, W, 3) uint8, RGB, defined everywhere.
    """
    height, width = mask.shape
    shrink = min(1.0, LARGEST_TEXTURE / max(height, width))
    rows, columns = max(2, round(height * shrink)), max(2, round(width * shrink))
    rng = np.random.Generator(np.random.SFC64(material.seed))
    index = _pattern_index(material, rng, rows, columns, unit * shrink)
    colour = cv2.applyColorMap(index, _ramp(material.colours))
    shade = relief_of(mask, material, light, rows, columns)
    if material.grain > 0.02:
        cells = 60 * max(height, width) / unit
        shade += np.float32(material.grain) * smooth_noise(rng, rows, columns, cells, 3, 0.9)
    colour = cv2.multiply(colour, cv2.merge((shade, shade, shade)), dtype=cv2.CV_8U)
    if (rows, columns) != (height, width):
        colour = cv2.resize(colour, (width, height), interpolation=cv2.INTER_LINEAR)
    return colour


def cut_out(
    photograph: np.ndarray,
    material: Material,
    mask: np.ndarray,
    unit: float,
    light: tuple[float, float] = (0.5, -0.7),
) -> np.ndarray:
    """Covers the box of a part with a piece of a photograph, shaded as a body.

    Plain materials, and half of the others, take its light and shade only and keep their colour.

    Args:
        photograph: (H', W', 3) uint8, RGB, any size.
        material: its seed says which piece.
        mask: (H, W) uint8, the part inside its box, for the shading.
        unit: the picture's shorter side, pixels.
        light: the direction (x, y) towards which surfaces are bright.

    Returns:
        (H, W, 3) uint8, RGB.

    Source: ours, because a network that has only met drawn textures in front of photographs tells
        the two apart by that.
    """
    rng = np.random.Generator(np.random.SFC64(material.seed))
    height, width = mask.shape
    rows, columns = photograph.shape[:2]
    scale = min(rows, columns) / (unit * np.exp(rng.uniform(*np.log(CUT_OUT_ZOOM))))
    tall = int(np.clip(round(height * scale), 2, rows))
    wide = int(np.clip(round(width * scale), 2, columns))
    top, left = int(rng.integers(rows - tall + 1)), int(rng.integers(columns - wide + 1))
    piece = photograph[top : top + tall, left : left + wide]
    if rng.random() < 0.5:
        piece = piece[:, ::-1]
    if rng.random() < 0.2:
        piece = piece[::-1]
    tinted = material.pattern == "plain" or rng.random() < 0.5
    if tinted:
        grey = cv2.cvtColor(np.ascontiguousarray(piece), cv2.COLOR_RGB2GRAY)
        gain = material.colours[0] / max(cv2.mean(grey)[0], 16.0)
        piece = cv2.merge((grey, grey, grey))
    else:
        gain = rng.uniform(0.7, 1.3) * rng.uniform(0.9, 1.1, 3)
    smaller = tall > height or wide > width
    kind = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    piece = cv2.resize(np.ascontiguousarray(piece), (width, height), interpolation=kind)
    shade = cv2.resize(relief_of(mask, material, light, 64, 64), (width, height))
    factors = cv2.merge([shade * np.float32(value) for value in gain])
    return cv2.multiply(piece, factors, dtype=cv2.CV_8U)
