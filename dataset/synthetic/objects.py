"""Objects of synthetic foregrounds: solid, thin, full of holes, hairy, translucent.

Translucent ones never resemble the background, because they would be indistinguishable from it.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.random import Generator

from . import growth
from .canvas import Canvas
from .materials import log_uniform, pick, random_material, smooth_noise
from .shapes import BOX, blob, disk, fill, limb, lines, smooth_path, turned


def _draw_blob(canvas: Canvas, centre: np.ndarray, size: float) -> None:
    rng = canvas.rng
    radii = (size, size * rng.uniform(0.4, 1.3))
    outlines = [blob(rng, centre, radii, rng.uniform(0.02, 1.0))]
    for _ in range(int(rng.choice((0, 1, 2), p=(0.6, 0.25, 0.15)))):
        place = centre + rng.normal(0, 0.3, 2) * size
        outlines.append(blob(rng, place, (size * rng.uniform(0.05, 0.3),) * 2, 0.3))
    canvas.fill(*outlines)


def _draw_polygons(canvas: Canvas, centre: np.ndarray, size: float) -> None:
    rng = canvas.rng
    for _ in range(int(rng.integers(1, 5))):
        corners = int(rng.integers(3, 9))
        angle = np.sort(rng.uniform(0, 2 * np.pi, corners))
        radius = size * rng.uniform(0.4, 1.0, (corners, 1))
        place = centre + rng.normal(0, 0.35, 2) * size
        canvas.fill(place + radius * np.stack((np.cos(angle), np.sin(angle)), 1))


def _draw_frame(canvas: Canvas, centre: np.ndarray, size: float) -> None:
    """Draws a frame with one or several openings, such as a window, a shelf or a ladder."""
    rng = canvas.rng
    half, (rows, columns) = size * rng.uniform(0.5, 1.0, 2), rng.integers(1, 6, 2)
    rim, angle = rng.uniform(0.02, 0.12) * size, rng.normal(0, 0.2)
    outlines = [turned(BOX * half, centre, angle)]
    cell = half * 2 / (columns, rows)
    inner = np.maximum(cell / 2 - rim, 0.5)
    for row, column in np.ndindex(rows, columns):
        middle = -half + cell * (column + 0.5, row + 0.5)
        outlines.append(turned(middle + BOX * inner, centre, angle))
    canvas.fill(*outlines)


def _draw_furniture(canvas: Canvas, centre: np.ndarray, size: float) -> None:
    """Draws a table, a chair or a lamp: a board on thin legs."""
    rng, mask, material = canvas.rng, canvas.mask(), canvas.material()
    wide, high = size * rng.uniform(0.5, 1.0), size * rng.uniform(0.5, 1.1)
    thick = size * rng.uniform(0.02, 0.07)
    bars: list[tuple] = []  # start, end and the radius at each
    for x in np.linspace(-0.9, 0.9, int(rng.integers(2, 5))) * wide:
        bars.append(((x, 0), (x * rng.uniform(0.8, 1.1), high), thick, thick * 0.7))
    bars.append(((-wide, 0), (wide, 0), thick * 2, thick * 2))
    if rng.random() < 0.6:
        for x in np.linspace(-0.9, 0.9, int(rng.integers(2, 7))) * wide:
            bars.append(((x, 0), (x, -high), thick, thick))
        bars.append(((-wide, -high), (wide, -high), thick * 1.5, thick * 1.5))
    for start, end, *radii in bars:
        limb(mask, centre + np.array((start, end)), radii, bends=False)
    canvas.add(mask, material)


def _draw_net(canvas: Canvas, centre: np.ndarray, size: float) -> None:
    """Draws a net of crossing, sagging cords; some may be missing."""
    rng, mask = canvas.rng, canvas.mask()
    count, angle = int(rng.integers(4, 14)), rng.uniform(0, np.pi)
    phase, sag = rng.uniform(0, 2 * np.pi, 2), rng.uniform(0, 0.15)
    t = np.linspace(-1, 1, 24)
    paths = []
    for offset in np.linspace(-1, 1, count):
        still = np.full(24, offset)
        for x, y in ((t, still), (still, t)):
            bent = np.stack((x + sag * np.sin(3 * y + phase[0]), y + sag * np.sin(3 * x)), 1)
            paths.append(turned(bent * size, centre, angle))
    kept = rng.random(len(paths)) < rng.choice((0.5, 1.0))
    chosen = [path for path, keep in zip(paths, kept, strict=True) if keep]
    lines(mask, chosen or paths, rng.uniform(0.004, 0.04) * size)
    canvas.add(mask)


def _draw_cables(canvas: Canvas, centre: np.ndarray, size: float) -> None:
    rng = canvas.rng
    for _ in range(int(rng.integers(1, 6))):
        mask = canvas.mask()
        nodes = centre + rng.normal(0, 0.8, (int(rng.integers(3, 7)), 2)) * size
        lines(mask, [smooth_path(nodes, 16)], rng.uniform(0.003, 0.05) * size)
        canvas.add(mask)


def _draw_wheel(canvas: Canvas, centre: np.ndarray, size: float) -> None:
    """Draws a rim with spokes."""
    rng, mask = canvas.rng, canvas.mask()
    angle = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    squash = np.array((rng.uniform(0.4, 1.0), 1.0))
    circle = np.stack((np.cos(angle), np.sin(angle)), 1) * squash
    inner, count = rng.uniform(0.75, 0.95), int(rng.integers(3, 32))
    turn = rng.uniform(0, 2 * np.pi) + np.arange(count) / count * 2 * np.pi
    ends = centre + size * 0.9 * np.stack((np.cos(turn), np.sin(turn)), 1) * squash
    lines(mask, [np.stack((centre, end)) for end in ends], size * rng.uniform(0.004, 0.05))
    disk(mask, centre, size * rng.uniform(0.05, 0.2))
    canvas.add(mask)
    canvas.fill(centre + size * circle, centre + size * inner * circle)


def _draw_mesh(canvas: Canvas, centre: np.ndarray, size: float) -> None:
    """Draws a basket, a grille or a perforated sheet, often with objects inside or behind."""
    rng = canvas.rng
    wide, high = size * rng.uniform(0.4, 0.9, 2)
    if rng.random() < 0.7:  # objects inside
        for _ in range(int(rng.integers(1, 6))):
            mask = canvas.mask()
            foot = centre + np.array((rng.uniform(-0.7, 0.7) * wide, high))
            tip = centre + np.array((rng.uniform(-1, 1) * wide, -high * rng.uniform(-0.2, 1.8)))
            lines(mask, [np.stack((foot, tip))], size * log_uniform(rng, 0.02, 0.4))
            canvas.add(mask)
    taper, angle = rng.uniform(0.6, 1.1), rng.normal(0, 0.2)
    box = np.array(((-1, -1), (1, -1), (taper, 1), (-taper, 1))) * (wide, high)
    outline = turned(box, centre, angle)
    spacing = log_uniform(rng, 0.02, 0.15) * size
    bulge = rng.uniform(0.3, 1.5) if rng.random() < 0.5 else 0.0
    sheet, wires = canvas.mask(), canvas.mask()
    fill(sheet, outline)
    for _ in range(int(rng.choice((1, 2), p=(0.7, 0.3)))):  # also the far side of a basket
        if perforated := rng.random() < 0.5:
            shapes = _perforate(rng, size, spacing)
        else:
            shapes = _weave(rng, size, spacing, 2 if bulge == 0 else 24)
            width = spacing * rng.uniform(0.1, 0.5)
        middle = centre + rng.normal(0, spacing, 2)
        shapes = turned(_bend_around(shapes, size, bulge), middle, angle)
        if perforated:
            holes = canvas.mask()
            fill(holes, *shapes)
            np.maximum(wires, cv2.bitwise_not(holes), out=wires)
        else:
            lines(wires, list(shapes), width)
    mask = np.minimum(wires, sheet)
    lines(mask, [np.concatenate((outline, outline[:1]))], size * rng.uniform(0.01, 0.09))
    canvas.add(mask)


def _weave(rng: Generator, size: float, spacing: float, points: int) -> np.ndarray:
    """Makes crossing wires around the origin, (N, points, 2)."""
    slope = rng.choice((0.0, np.pi / 4)) + rng.normal(0, 0.1)
    along = np.linspace(-1.7, 1.7, points) * size
    paths = []
    for offset in np.arange(-1.6 * size, 1.6 * size, spacing):
        still = np.full(points, offset)
        paths += [np.stack((along, still), 1), np.stack((still, along), 1)]
    if rng.random() < 0.3:
        paths = paths[::2]
    return turned(np.stack(paths), np.zeros(2), slope)


def _perforate(rng: Generator, size: float, spacing: float) -> np.ndarray:
    """Makes round or hexagonal holes in staggered rows around the origin, (N, corners, 2)."""
    rows = np.arange(-1.5 * size, 1.5 * size, spacing * np.sqrt(0.75))
    columns = np.arange(-1.5 * size, 1.5 * size, spacing)
    y, x = np.meshgrid(rows, columns, indexing="ij")
    x = x + spacing / 2 * (np.arange(len(rows)) % 2)[:, None]
    middles = np.stack((x.ravel(), y.ravel()), 1)
    corners = int(rng.choice((6, 12)))
    turn = (np.arange(corners) + 0.5) / corners * 2 * np.pi
    shape = rng.uniform(0.33, 0.48) * spacing * np.stack((np.sin(turn), np.cos(turn)), 1)
    return middles[:, None] + shape


def _bend_around(points: np.ndarray, size: float, bulge: float) -> np.ndarray:
    """Bends points (..., 2) around an upright cylinder, so columns are narrower at its sides."""
    if bulge == 0:
        return points
    turn = np.clip(points[..., :1] / size * bulge, -np.pi / 2, np.pi / 2)
    x = size * np.sin(turn) / np.sin(min(bulge, np.pi / 2))
    return np.concatenate((x, points[..., 1:]), -1)


def _draw_glass(canvas: Canvas, centre: np.ndarray, size: float) -> None:
    """Draws a glass, a bottle or a bubble: opaque rim, translucent inside, highlights."""
    rng, rim = canvas.rng, canvas.mask()
    half = np.stack((rng.uniform(0.15, 0.6, 7), np.linspace(-1, 1, 7)), 1)
    around = np.concatenate((half, half[::-1] * (-1, 1)))
    outline = centre + size * smooth_path(around, 6, closed=True)
    lines(rim, [np.concatenate((outline, outline[:1]))], rng.uniform(0.01, 0.05) * size)
    material = random_material(rng, pattern="plain")
    canvas.fill(outline, material=material, opacity=float(rng.uniform(0.08, 0.6)))
    canvas.add(rim, material, float(rng.uniform(0.4, 1.0)))
    shine = blob(rng, centre + np.array((0.08, -0.2)) * size, (0.05 * size, 0.4 * size), 0.2)
    white = random_material(rng, np.array((245, 245, 250)), "plain")
    canvas.fill(shine, material=white, opacity=0.7)


def _draw_smoke(canvas: Canvas, centre: np.ndarray, size: float) -> None:
    rng, extent = canvas.rng, (canvas.width, canvas.height)
    grid = 128  # size of the noise at any resolution
    noise = smooth_noise(rng, grid, grid, rng.uniform(2, 6), 5, 0.55)
    y, x = np.mgrid[:grid, :grid] * (canvas.unit / grid)
    stretch = np.array(extent) / canvas.unit
    distance = ((x * stretch[0] - centre[0]) ** 2 + (y * stretch[1] - centre[1]) ** 2) / size**2
    cloud = np.clip(1.1 - distance + 0.5 * noise, 0, 1) * rng.uniform(0.3, 1.0)
    mask = cv2.resize((cloud * 255).astype(np.uint8), extent, interpolation=cv2.INTER_LINEAR)
    canvas.add(mask, random_material(rng, pattern="mottled"))


def _draw_veil(canvas: Canvas, centre: np.ndarray, size: float) -> None:
    """Draws thin cloth: translucent, denser in its folds."""
    rng, mask = canvas.rng, canvas.mask()
    fill(mask, blob(rng, centre, (size * 0.6, size), rng.uniform(0.1, 0.6)))
    grid = np.abs(smooth_noise(rng, 96, 96, rng.uniform(3, 9), 3, 0.5, rng.uniform(0.3, 4)))
    dense = np.clip(rng.uniform(0.2, 0.6) + 0.3 * (1 - grid), 0, 1).astype(np.float32)
    dense = cv2.resize(dense, (canvas.width, canvas.height))
    mask = cv2.multiply(mask, dense, dtype=cv2.CV_8U)
    canvas.add(mask, random_material(rng))


# Functions and their probabilities; each draws around a centre (x, y) with half a size, in pixels.
OBJECTS: dict[str, tuple[float, Callable[[Canvas, np.ndarray, float], None]]] = {
    "blob": (0.03, _draw_blob),
    "polygons": (0.04, _draw_polygons),
    "plant": (0.06, growth.draw_plant),
    "foliage": (0.12, growth.draw_foliage),
    "twigs": (0.04, growth.draw_twigs),
    "frame": (0.03, _draw_frame),
    "furniture": (0.04, _draw_furniture),
    "net": (0.03, _draw_net),
    "mesh": (0.09, _draw_mesh),
    "cables": (0.02, _draw_cables),
    "wheel": (0.02, _draw_wheel),
    "fur": (0.08, growth.draw_fur),
    "tuft": (0.08, growth.draw_tuft),
    "mane": (0.15, growth.draw_mane),
    "whiskers": (0.12, growth.draw_whiskers),
    "feather": (0.02, growth.draw_feathers),
    "glass": (0.02, _draw_glass),
    "smoke": (0.005, _draw_smoke),
    "veil": (0.005, _draw_veil),
}
SIZES = (0.1, 0.7)  # half of an object's size, as a fraction of the picture's shorter side
SIMILAR_PART_SHARE = 0.35  # less than for people, whose shape is easier to recognise


def draw_objects(canvas: Canvas, count: int) -> None:
    """Draws `count` objects anywhere in the frame."""
    canvas.similar_share = SIMILAR_PART_SHARE
    rng, weights = canvas.rng, {name: share for name, (share, _) in OBJECTS.items()}
    for _ in range(count):
        draw = OBJECTS[pick(rng, weights)][1]
        centre = rng.normal(0.5, 0.22, 2).clip(0, 1) * (canvas.width, canvas.height)
        draw(canvas, centre, float(rng.uniform(*SIZES)) * canvas.unit)
