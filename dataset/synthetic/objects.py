"""Object-like shapes for synthetic foregrounds: solid, thin, full of holes, hairy, translucent.

Translucent ones never resemble the background: nothing would tell where they are.
"""

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np

from .materials import Dress, random_colour, random_material, smooth_noise
from .shapes import (
    Canvas,
    blob,
    disk,
    draw_strands,
    fill,
    grow_strands,
    limb,
    lines,
    smooth_path,
)

Draw = Callable[[np.random.Generator, Canvas, Dress, np.ndarray, float], None]


def _blob(
    rng: np.random.Generator, canvas: Canvas, dress: Dress, centre: np.ndarray, size: float
) -> None:
    mask = canvas.mask()
    radii = (size, size * rng.uniform(0.4, 1.3))
    outlines = [blob(rng, centre, radii, rng.uniform(0.02, 1.0))]
    for _ in range(int(rng.choice((0, 1, 2), p=(0.6, 0.25, 0.15)))):
        place = centre + rng.normal(0, 0.3, 2) * size
        outlines.append(blob(rng, place, (size * rng.uniform(0.05, 0.3),) * 2, 0.3))
    fill(mask, *outlines)
    canvas.add(mask, dress(random_material(rng)))


def _polygons(
    rng: np.random.Generator, canvas: Canvas, dress: Dress, centre: np.ndarray, size: float
) -> None:
    for _ in range(int(rng.integers(1, 5))):
        mask = canvas.mask()
        corners = int(rng.integers(3, 9))
        angle = np.sort(rng.uniform(0, 2 * np.pi, corners))
        radius = size * rng.uniform(0.4, 1.0, (corners, 1))
        place = centre + rng.normal(0, 0.35, 2) * size
        fill(mask, place + radius * np.stack((np.cos(angle), np.sin(angle)), 1))
        canvas.add(mask, dress(random_material(rng)))


def _plant(
    rng: np.random.Generator, canvas: Canvas, dress: Dress, centre: np.ndarray, size: float
) -> None:
    green = np.array((60, 110, 45)) * rng.uniform(0.5, 1.7)
    colour = green if rng.random() < 0.7 else random_colour(rng)
    leaf, stem = dress(random_material(rng, colour, "plain")), dress(random_material(rng))
    length, wide = rng.uniform(0.12, 0.5) * size, rng.uniform(0.12, 0.5)
    root = centre + np.array((0, 0.9 * size))
    for tone in (0.7, 1.0, 1.3):
        leaves, stems = canvas.mask(), canvas.mask()
        for _ in range(int(rng.integers(1, 4))):
            tip = centre + rng.normal(0, 0.5, 2) * size - (0, 0.5 * size)
            bow = (root + tip) / 2 + rng.normal(0, 0.2, 2) * size
            path = smooth_path(np.stack((root, bow, tip)), 8)
            lines(stems, [path], rng.uniform(0.01, 0.04) * size)
            for place in path[4:]:
                angle = rng.uniform(0, 2 * np.pi)
                t = np.linspace(0, 1, 10)
                rim = np.sin(np.pi * t**0.8) * wide / 2
                outline = np.concatenate((np.stack((t, rim), 1), np.stack((t, -rim), 1)[::-1])) * (
                    length * rng.uniform(0.6, 1.2)
                )
                fill(leaves, _turned(outline, place, angle))
        canvas.add(stems, stem)
        shade = replace(leaf, colours=np.clip(leaf.colours * np.float32(tone), 0, 255))
        canvas.add(leaves, shade)


def _turned(points: np.ndarray, centre: np.ndarray, angle: float) -> np.ndarray:
    cos, sin = np.cos(angle), np.sin(angle)
    return centre + points @ np.array(((cos, sin), (-sin, cos)))


def _frame(
    rng: np.random.Generator, canvas: Canvas, dress: Dress, centre: np.ndarray, size: float
) -> None:
    """A frame with one opening or several, as a window, a shelf or a ladder."""
    mask = canvas.mask()
    half = size * rng.uniform(0.5, 1.0, 2)
    rows, columns = rng.integers(1, 6, 2)
    rim = rng.uniform(0.02, 0.12) * size
    box = np.array(((-1, -1), (1, -1), (1, 1), (-1, 1)), np.float64)
    angle = rng.normal(0, 0.2)
    outlines = [_turned(box * half, centre, angle)]
    cell = half * 2 / (columns, rows)
    for row in range(rows):
        for column in range(columns):
            middle = -half + cell * (column + 0.5, row + 0.5)
            inner = np.maximum(cell / 2 - rim, 0.5)
            outlines.append(_turned(middle + box * inner, centre, angle))
    fill(mask, *outlines)
    canvas.add(mask, dress(random_material(rng)))


def _furniture(
    rng: np.random.Generator, canvas: Canvas, dress: Dress, centre: np.ndarray, size: float
) -> None:
    """A table, a chair or a lamp: a board on thin legs."""
    mask, material = canvas.mask(), dress(random_material(rng))
    wide, high = size * rng.uniform(0.5, 1.0), size * rng.uniform(0.5, 1.1)
    thick = size * rng.uniform(0.02, 0.07)
    for place in np.linspace(-0.9, 0.9, int(rng.integers(2, 5))):
        top = centre + np.array((place * wide, 0))
        foot = centre + np.array((place * wide * rng.uniform(0.8, 1.1), high))
        limb(mask, np.stack((top, foot)), (thick, thick * 0.7), bends=False)
    board = centre + np.array(((-wide, 0), (wide, 0)))
    limb(mask, board, (thick * 2,) * 2, bends=False)
    if rng.random() < 0.6:
        for place in np.linspace(-0.9, 0.9, int(rng.integers(2, 7))):
            bar = centre + np.array((place * wide, 0))
            limb(mask, np.stack((bar, bar - (0, high))), (thick, thick), bends=False)
        rail = np.array(((-wide, -high), (wide, -high)))
        limb(mask, centre + rail, (thick * 1.5,) * 2, bends=False)
    canvas.add(mask, material)


def _net(
    rng: np.random.Generator, canvas: Canvas, dress: Dress, centre: np.ndarray, size: float
) -> None:
    mask = canvas.mask()
    count, angle = int(rng.integers(4, 14)), rng.uniform(0, np.pi)
    t = np.linspace(-1, 1, 24)
    paths = []
    phase = rng.uniform(0, 2 * np.pi, 2)
    sag = rng.uniform(0, 0.15)
    for offset in np.linspace(-1, 1, count):
        for first in (True, False):
            x, y = (t, np.full(24, offset)) if first else (np.full(24, offset), t)
            bent = np.stack((x + sag * np.sin(3 * y + phase[0]), y + sag * np.sin(3 * x)), 1)
            paths.append(_turned(bent * size, centre, angle))
    kept = rng.random(len(paths)) < rng.choice((0.5, 1.0))
    chosen = [path for path, keep in zip(paths, kept, strict=True) if keep]
    lines(mask, chosen or paths, rng.uniform(0.004, 0.04) * size)
    canvas.add(mask, dress(random_material(rng)))


def _cables(
    rng: np.random.Generator, canvas: Canvas, dress: Dress, centre: np.ndarray, size: float
) -> None:
    for _ in range(int(rng.integers(1, 6))):
        mask = canvas.mask()
        nodes = centre + rng.normal(0, 0.8, (int(rng.integers(3, 7)), 2)) * size
        lines(mask, [smooth_path(nodes, 16)], rng.uniform(0.003, 0.05) * size)
        canvas.add(mask, dress(random_material(rng)))


def _wheel(
    rng: np.random.Generator, canvas: Canvas, dress: Dress, centre: np.ndarray, size: float
) -> None:
    mask, rim = canvas.mask(), canvas.mask()
    angle = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    squash = np.array((rng.uniform(0.4, 1.0), 1.0))
    circle = np.stack((np.cos(angle), np.sin(angle)), 1) * squash
    inner = rng.uniform(0.75, 0.95)
    count = int(rng.integers(3, 32))
    turn = rng.uniform(0, 2 * np.pi) + np.arange(count) / count * 2 * np.pi
    ends = centre + size * 0.9 * np.stack((np.cos(turn), np.sin(turn)), 1) * squash
    lines(mask, [np.stack((centre, end)) for end in ends], size * rng.uniform(0.004, 0.05))
    disk(mask, centre, size * rng.uniform(0.05, 0.2))
    canvas.add(mask, dress(random_material(rng)))
    fill(rim, centre + size * circle, centre + size * inner * circle)
    canvas.add(rim, dress(random_material(rng)))


def _fur(
    rng: np.random.Generator, canvas: Canvas, dress: Dress, centre: np.ndarray, size: float
) -> None:
    """A furry body: an animal's back, a toy, a collar."""
    mask = canvas.mask()
    outline = blob(rng, centre, (size * 0.8, size * rng.uniform(0.4, 1.0)), rng.uniform(0, 0.6))
    fill(mask, outline)
    count = int(rng.integers(500, 1400))
    pick = rng.integers(0, len(outline), count)
    inward = rng.uniform(0.0, 0.15, (count, 1))
    roots = outline[pick] * (1 - inward) + centre * inward + rng.normal(0, 0.012, (count, 2)) * size
    away = outline[pick] - centre
    directions = np.arctan2(away[:, 1], away[:, 0]) + rng.normal(0, 0.4, count) + rng.normal(0, 0.5)
    length = rng.uniform(0.04, 0.3) * size
    hairs = grow_strands(rng, roots, directions, length, rng.beta(1, 2), rng.uniform(0, 0.6), 7)
    draw_strands(mask, hairs, rng.uniform(0.004, 0.012) * size)
    spread = np.sqrt(rng.random((240, 1)))
    inside = centre + (outline[rng.integers(0, len(outline), 240)] - centre) * spread
    coat = grow_strands(rng, inside, rng.normal(1.2, 0.6, 240), length, 0.2, 0.4, 6)
    material = dress(random_material(rng))
    canvas.add(mask, material, tones=((coat[::2], 0.7), (coat[1::2], 1.35)))


def _feather(
    rng: np.random.Generator, canvas: Canvas, dress: Dress, centre: np.ndarray, size: float
) -> None:
    for _ in range(int(rng.integers(1, 5))):
        mask, angle = canvas.mask(), rng.uniform(0, 2 * np.pi)
        t = np.linspace(-1, 1, 90)
        bow = rng.uniform(-0.3, 0.3) * (1 - t**2)
        spine = _turned(np.stack((t, bow), 1) * size, centre, angle)
        lines(mask, [spine], 0.015 * size)
        for side in (-1, 1):
            heading = angle + side * rng.uniform(0.6, 1.2) + rng.normal(0, 0.05, 60)
            reach = rng.uniform(0.1, 0.4) * size
            barbs = grow_strands(rng, spine[25:85], heading, reach, 0.1, 0.0, 6)
            draw_strands(mask, barbs, rng.uniform(0.006, 0.02) * size)
        canvas.add(mask, dress(random_material(rng)))


def _glass(
    rng: np.random.Generator, canvas: Canvas, dress: Dress, centre: np.ndarray, size: float
) -> None:
    """A glass, a bottle or a bubble: a strong rim, a weak inside, highlights."""
    inside, rim, light = canvas.mask(), canvas.mask(), canvas.mask()
    heights = np.linspace(-1, 1, 7)
    widths = rng.uniform(0.15, 0.6, 7)
    half = np.stack((widths, heights), 1)
    outline = centre + size * smooth_path(
        np.concatenate((half, half[::-1] * (-1, 1))), 6, closed=True
    )
    fill(inside, outline)
    lines(rim, [np.concatenate((outline, outline[:1]))], rng.uniform(0.01, 0.05) * size)
    material = random_material(rng, pattern="plain")
    canvas.add(inside, material, float(rng.uniform(0.08, 0.6)))
    canvas.add(rim, material, float(rng.uniform(0.4, 1.0)))
    middle = centre + np.array((0.08, -0.2)) * size
    shine = blob(rng, middle, (0.05 * size, 0.4 * size), 0.2)
    fill(light, shine)
    canvas.add(light, random_material(rng, np.array((245, 245, 250)), "plain"), 0.7)


def _smoke(
    rng: np.random.Generator, canvas: Canvas, dress: Dress, centre: np.ndarray, size: float
) -> None:
    # The noise is drawn on a grid that doesn't depend on the resolution.
    grid = 128
    noise = smooth_noise(rng, grid, grid, rng.uniform(2, 6), 5, 0.55)
    y, x = np.mgrid[:grid, :grid] * (canvas.unit / grid)
    extent = np.array((canvas.width, canvas.height)) / canvas.unit
    distance = ((x * extent[0] - centre[0]) ** 2 + (y * extent[1] - centre[1]) ** 2) / size**2
    cloud = np.clip(1.1 - distance + 0.5 * noise, 0, 1) * rng.uniform(0.3, 1.0)
    mask = cv2.resize(
        (cloud * 255).astype(np.uint8),
        (canvas.width, canvas.height),
        interpolation=cv2.INTER_LINEAR,
    )
    canvas.add(mask, random_material(rng, pattern="mottled"))


def _veil(
    rng: np.random.Generator, canvas: Canvas, dress: Dress, centre: np.ndarray, size: float
) -> None:
    """Thin cloth: translucent, denser in its folds."""
    mask = canvas.mask()
    fill(mask, blob(rng, centre, (size * 0.6, size), rng.uniform(0.1, 0.6)))
    grid = np.abs(smooth_noise(rng, 96, 96, rng.uniform(3, 9), 3, 0.5, rng.uniform(0.3, 4)))
    dense = np.clip(rng.uniform(0.2, 0.6) + 0.3 * (1 - grid), 0, 1).astype(np.float32)
    dense = cv2.resize(dense, (canvas.width, canvas.height))
    mask = cv2.multiply(mask, dense, dtype=cv2.CV_8U)
    canvas.add(mask, random_material(rng))


# What is drawn and how often.
OBJECTS: dict[str, tuple[float, Draw]] = {
    "blob": (0.13, _blob),
    "polygons": (0.13, _polygons),
    "plant": (0.13, _plant),
    "frame": (0.08, _frame),
    "furniture": (0.09, _furniture),
    "net": (0.06, _net),
    "cables": (0.04, _cables),
    "wheel": (0.07, _wheel),
    "fur": (0.10, _fur),
    "feather": (0.04, _feather),
    "glass": (0.06, _glass),
    "smoke": (0.03, _smoke),
    "veil": (0.04, _veil),
}
# Half the size of an object, as a fraction of the picture's shorter side.
SIZES = (0.1, 0.7)


def draw_objects(rng: np.random.Generator, canvas: Canvas, dress: Dress, count: int) -> None:
    """Draws objects anywhere in the frame.

    Args:
        rng: the source of randomness.
        canvas: to draw on.
        dress: changes each material on its way, for similarity to the background.
        count: of objects.
    """
    names, shares = list(OBJECTS), [share for share, _ in OBJECTS.values()]
    for _ in range(count):
        draw = OBJECTS[str(rng.choice(names, p=shares))][1]
        centre = rng.normal(0.5, 0.22, 2).clip(0, 1) * (canvas.width, canvas.height)
        draw(rng, canvas, dress, centre, float(rng.uniform(*SIZES)) * canvas.unit)
