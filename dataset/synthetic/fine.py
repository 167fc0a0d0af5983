"""Fine structures for synthetic foregrounds: leaves, cords, wires, and gaps between them.

A network that learned from solid shapes fills them all in.
"""

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np

from .materials import Dress, log_uniform, random_colour, random_material
from .shapes import Canvas, blob, disk, fill, lines, smooth_path

Draw = Callable[[np.random.Generator, Canvas, Dress, np.ndarray, float], None]


def plant(
    rng: np.random.Generator, canvas: Canvas, dress: Dress, centre: np.ndarray, size: float
) -> None:
    """Leaves along a few bent stems."""
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
                fill(leaves, turned(outline, place, angle))
        canvas.add(stems, stem)
        shade = replace(leaf, colours=np.clip(leaf.colours * np.float32(tone), 0, 255))
        canvas.add(leaves, shade)


def turned(points: np.ndarray, centre: np.ndarray, angle: float) -> np.ndarray:
    """Turns points (..., 2) by radians and moves them from the origin to a centre."""
    cos, sin = np.cos(angle), np.sin(angle)
    return centre + points @ np.array(((cos, sin), (-sin, cos)))


def net(
    rng: np.random.Generator, canvas: Canvas, dress: Dress, centre: np.ndarray, size: float
) -> None:
    """Cords that cross, sagging; some may be missing."""
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
            paths.append(turned(bent * size, centre, angle))
    kept = rng.random(len(paths)) < rng.choice((0.5, 1.0))
    chosen = [path for path, keep in zip(paths, kept, strict=True) if keep]
    lines(mask, chosen or paths, rng.uniform(0.004, 0.04) * size)
    canvas.add(mask, dress(random_material(rng)))


def cables(
    rng: np.random.Generator, canvas: Canvas, dress: Dress, centre: np.ndarray, size: float
) -> None:
    """Loose cables."""
    for _ in range(int(rng.integers(1, 6))):
        mask = canvas.mask()
        nodes = centre + rng.normal(0, 0.8, (int(rng.integers(3, 7)), 2)) * size
        lines(mask, [smooth_path(nodes, 16)], rng.uniform(0.003, 0.05) * size)
        canvas.add(mask, dress(random_material(rng)))


def wheel(
    rng: np.random.Generator, canvas: Canvas, dress: Dress, centre: np.ndarray, size: float
) -> None:
    """A wheel with spokes."""
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


def foliage(
    rng: np.random.Generator, canvas: Canvas, dress: Dress, centre: np.ndarray, size: float
) -> None:
    """A bush or grass: many narrow leaves over one another, with gaps all through it."""
    green = np.array((70, 105, 45)) * rng.uniform(0.4, 1.7) + rng.normal(0, 12, 3)
    leaf = dress(random_material(rng, green if rng.random() < 0.7 else None, "plain"))
    grass = rng.random() < 0.3
    if not grass and rng.random() < 0.5:  # what lies deeper is dark and closed
        core = canvas.mask()
        fill(core, blob(rng, centre, tuple(rng.uniform(0.2, 0.6, 2) * size), 0.6))
        canvas.add(core, replace(leaf, colours=leaf.colours * np.float32(0.5)))
    length, wide = rng.uniform(0.12, 0.45) * size, float(np.exp(rng.uniform(-3.5, -1.2)))
    t = np.linspace(0, 1, 9)
    rim = np.sin(np.pi * t ** rng.uniform(0.5, 1.0)) * wide / 2
    count = int(rng.integers(40, 260))
    if grass:
        roots = centre + np.stack((rng.normal(0, 0.6, count), rng.uniform(0.5, 1.0, count)), 1) * (
            size
        )
        angles = -np.pi / 2 + rng.normal(0, 0.35, count)
        length = rng.uniform(0.5, 1.5) * size
    else:
        roots = centre + rng.normal(0, 0.5, (count, 2)) * size
        away = roots - centre - (0.0, 0.3 * size)
        angles = np.arctan2(away[:, 1], away[:, 0]) + rng.normal(0, rng.uniform(0.3, 1.5), count)
    lengths = length * rng.uniform(0.5, 1.2, count)
    bows = rng.normal(0, 0.25, count)
    for tones in np.array_split(np.arange(count), 4):
        leaves = canvas.mask()
        for i in tones:
            bow = bows[i] * (t - t**2)
            outline = np.concatenate(
                (np.stack((t, bow + rim), 1), np.stack((t, bow - rim), 1)[::-1])
            )
            fill(leaves, turned(outline * lengths[i], roots[i], float(angles[i])))
        tone = np.float32(rng.uniform(0.55, 1.45))
        canvas.add(leaves, replace(leaf, colours=np.clip(leaf.colours * tone, 0, 255)))


def twigs(
    rng: np.random.Generator, canvas: Canvas, dress: Dress, centre: np.ndarray, size: float
) -> None:
    """Bare branches that divide into ever thinner ones."""
    mask = canvas.mask()
    thick, spread = rng.uniform(0.02, 0.08) * size, rng.uniform(0.3, 0.9)
    tips = [(centre + np.array((0.0, size)), -np.pi / 2 + rng.normal(0, 0.3), 0.6 * size)]
    for _ in range(int(rng.integers(4, 7))):
        paths, following = [], []
        for root, angle, length in tips:
            along = angle + rng.normal(0, 0.15, 5).cumsum()
            steps = np.stack((np.cos(along), np.sin(along)), 1) * length / 5
            path = np.concatenate((root[None], root + steps.cumsum(0)))
            paths.append(path)
            for _ in range(int(rng.integers(2, 4))):
                start = path[int(rng.integers(2, 6))]
                turn = angle + rng.normal(0, spread)
                following.append((start, turn, length * rng.uniform(0.55, 0.9)))
        lines(mask, paths, thick)
        tips, thick = following, thick * 0.62
    canvas.add(mask, dress(random_material(rng)))


def mesh(
    rng: np.random.Generator, canvas: Canvas, dress: Dress, centre: np.ndarray, size: float
) -> None:
    """A basket, a grille or a perforated sheet, often with things inside or behind."""
    wide, high = size * rng.uniform(0.4, 0.9, 2)
    if rng.random() < 0.7:  # things in it
        for _ in range(int(rng.integers(1, 6))):
            mask = canvas.mask()
            foot = centre + np.array((rng.uniform(-0.7, 0.7) * wide, high))
            tip = centre + np.array((rng.uniform(-1, 1) * wide, -high * rng.uniform(-0.2, 1.8)))
            lines(mask, [np.stack((foot, tip))], size * log_uniform(rng, 0.02, 0.4))
            canvas.add(mask, dress(random_material(rng)))
    taper = rng.uniform(0.6, 1.1)
    box = np.array(((-1, -1), (1, -1), (taper, 1), (-taper, 1))) * (wide, high)
    angle = rng.normal(0, 0.2)
    outline = turned(box, centre, angle)
    sheet = canvas.mask()
    fill(sheet, outline)
    spacing = log_uniform(rng, 0.02, 0.15) * size
    bulge = rng.uniform(0.3, 1.5) if rng.random() < 0.5 else 0.0
    wires = canvas.mask()

    def place(shapes: np.ndarray) -> np.ndarray:
        shift = rng.normal(0, spacing, 2)
        return turned(_around(shapes, size, bulge), centre + shift, angle)

    for _ in range(int(rng.choice((1, 2), p=(0.7, 0.3)))):  # the far side of a basket as well
        if rng.random() < 0.5:
            holes = canvas.mask()
            fill(holes, *place(_perforation(rng, size, spacing)))
            np.maximum(wires, cv2.bitwise_not(holes), out=wires)
        else:
            paths = _weave(rng, size, spacing, 2 if bulge == 0 else 24)
            width = spacing * rng.uniform(0.1, 0.5)
            lines(wires, list(place(paths)), width)
    mask = np.minimum(wires, sheet)
    lines(mask, [np.concatenate((outline, outline[:1]))], size * rng.uniform(0.01, 0.09))
    canvas.add(mask, dress(random_material(rng)))


def _weave(rng: np.random.Generator, size: float, spacing: float, points: int) -> np.ndarray:
    """Makes wires that cross around the origin, (N, points, 2)."""
    slope = rng.choice((0.0, np.pi / 4)) + rng.normal(0, 0.1)
    along = np.linspace(-1.7, 1.7, points) * size
    paths = []
    for offset in np.arange(-1.6 * size, 1.6 * size, spacing):
        still = np.full(points, offset)
        paths += [np.stack((along, still), 1), np.stack((still, along), 1)]
    if rng.random() < 0.3:
        paths = paths[::2]
    return turned(np.stack(paths), np.zeros(2), slope)


def _perforation(rng: np.random.Generator, size: float, spacing: float) -> np.ndarray:
    """Makes round or six-cornered holes in staggered rows around the origin, (N, corners, 2)."""
    rows = np.arange(-1.5 * size, 1.5 * size, spacing * np.sqrt(0.75))
    columns = np.arange(-1.5 * size, 1.5 * size, spacing)
    y, x = np.meshgrid(rows, columns, indexing="ij")
    x = x + spacing / 2 * (np.arange(len(rows)) % 2)[:, None]
    middles = np.stack((x.ravel(), y.ravel()), 1)
    corners = int(rng.choice((6, 12)))
    turn = (np.arange(corners) + 0.5) / corners * 2 * np.pi
    shape = rng.uniform(0.33, 0.48) * spacing * np.stack((np.sin(turn), np.cos(turn)), 1)
    return middles[:, None] + shape


def _around(points: np.ndarray, size: float, bulge: float) -> np.ndarray:
    """Bends points (..., 2) around an upright cylinder, so that columns narrow at its sides."""
    if bulge == 0:
        return points
    turn = np.clip(points[..., :1] / size * bulge, -np.pi / 2, np.pi / 2)
    x = size * np.sin(turn) / np.sin(min(bulge, np.pi / 2))
    return np.concatenate((x, points[..., 1:]), -1)
