"""Fine structures of synthetic foregrounds: hairs, fur, feathers, loose hair, leaves and twigs.

A network trained only on solid shapes would fill the gaps between them.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from .canvas import Canvas
from .materials import Material, log_uniform, random_colour
from .shapes import SHIFT, blob, fill, fixed, lines, round_off, smooth_path, turned

_FAINTEST = 0.06  # smallest alpha of a single hair


@dataclass(frozen=True)
class Strands:
    """Parameters of growing hairs."""

    length: float  # mean, pixels
    curl: float = 0.3  # 0 for straight hairs, 1 for tight curls
    gravity: float = 0.0  # 0 keeps the direction, 1 bends them down
    steps: int = 12  # points of each hair after its root
    clump: float = 0.0  # 0 to 1, how close the tips of adjacent hairs come

    def grow(self, rng: Generator, roots: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """Grows (N, steps + 1, 2) from roots (N, 2) in directions (N,), pixels and radians."""
        # For the clumps, sorted by direction from the centre.
        from_middle = roots - roots.mean(0)
        order = np.argsort(np.arctan2(from_middle[:, 1], from_middle[:, 0]))
        roots, directions, count = roots[order], directions[order], len(roots)
        lengths = self.length * rng.lognormal(-0.1, 0.45, (count, 1)).clip(0.2, 2.0)
        t = np.linspace(0, 1, self.steps)[None]
        phase, pace = rng.uniform(0, 2 * np.pi, (count, 1)), rng.uniform(0.5, 2.5, (count, 1))
        bends = rng.normal(0, 0.25 * self.curl + 0.05, (count, self.steps)).cumsum(1)
        angle = directions[:, None] + bends
        angle += 2.2 * self.curl * np.sin(phase + t * pace * 2 * np.pi * (0.5 + self.curl))
        vector = np.stack((np.cos(angle), np.sin(angle)), -1)
        fall = (self.gravity * np.sqrt(t))[..., None]
        vector = vector * (1 - fall) + fall * np.array((0.0, 1.0))
        path = roots[:, None] + np.cumsum(vector * (lengths / self.steps)[..., None], 1)
        leader = np.arange(count) // 9 * 9
        apart = np.linalg.norm(roots[leader] - roots, axis=1, keepdims=True)
        path += (path[leader] - path) * (self.clump * (apart < 0.5 * self.length) * t)[..., None]
        return np.concatenate((roots[:, None], path), 1)[rng.permutation(count)]


def draw_strands(mask: np.ndarray, strands: np.ndarray, width: float) -> None:
    """Adds hairs (N, S, 2) of a width in pixels to a mask; below a pixel they are fainter."""
    layer = np.zeros_like(mask)
    strands = round_off(strands)
    half = strands.shape[1] // 2 + 1
    # Groups are summed, so many faint hairs make an opaque tuft.
    for group, strength in enumerate((0.5, 0.7, 0.9, 1.1, 1.5)):
        hairs = fixed(strands[group::5])
        stroke = np.zeros_like(mask)
        # The second half of each hair is thinner. Faint lines are drawn first, because a faint line
        # over a strong one would weaken it.
        for points, taper in ((hairs, 0.65), (hairs[:, :half], 1.0)):
            wide = width * strength * taper
            value = int(255 * min(1.0, max(_FAINTEST, wide)))
            thickness = max(1, round(wide))
            cv2.polylines(stroke, list(points), False, value, thickness, cv2.LINE_AA, SHIFT)
        cv2.add(layer, stroke, layer)
    np.maximum(mask, layer, out=mask)


def layer_strands(
    canvas: Canvas, material: Material, strands: np.ndarray, width: float, layers: int = 6
) -> None:
    """Adds hairs (N, S, 2), of a width in pixels, over the picture in layers of one tone each.

    Few hairs are translucent and leave gaps; many overlapping hairs are opaque.
    """
    contrast, opacity = canvas.rng.uniform(0.1, 0.55), canvas.rng.uniform(0.4, 1.0)
    for group in range(layers):
        mask = canvas.mask()
        draw_strands(mask, strands[group::layers], width)
        tone = 1 + contrast * (2 * group / max(1, layers - 1) - 1)
        canvas.add(mask, material.toned(tone), opacity)


def draw_fur(canvas: Canvas, centre: np.ndarray, size: float) -> None:
    """Draws a furry body: an animal's back, a toy, a collar."""
    rng, mask = canvas.rng, canvas.mask()
    outline = blob(rng, centre, (size * 0.8, size * rng.uniform(0.4, 1.0)), rng.uniform(0, 0.6))
    fill(mask, outline)
    count = int(rng.integers(500, 1400))
    rim = outline[rng.integers(0, len(outline), count)]
    inward = rng.uniform(0.0, 0.15, (count, 1))
    roots = rim * (1 - inward) + centre * inward + rng.normal(0, 0.012, (count, 2)) * size
    away = rim - centre
    directions = np.arctan2(away[:, 1], away[:, 0]) + rng.normal(0, 0.4, count) + rng.normal(0, 0.5)
    length = rng.uniform(0.04, 0.3) * size
    fringe = Strands(length, rng.beta(1, 2), rng.uniform(0, 0.6), 7)
    draw_strands(mask, fringe.grow(rng, roots, directions), rng.uniform(0.004, 0.012) * size)
    spread = np.sqrt(rng.random((240, 1)))
    inside = centre + (outline[rng.integers(0, len(outline), 240)] - centre) * spread
    coat = Strands(length, 0.2, 0.4, 6).grow(rng, inside, rng.normal(1.2, 0.6, 240))
    canvas.add(mask, tones=((coat[::2], 0.7), (coat[1::2], 1.35)))


def draw_whiskers(canvas: Canvas, centre: np.ndarray, size: float) -> None:
    """Draws single thin strands that stand apart, on a small body: whiskers, wires, stray hair."""
    rng, mask = canvas.rng, canvas.mask()
    body = size * rng.uniform(0.1, 0.4)
    outline = blob(rng, centre, (body, body * rng.uniform(0.5, 1.2)), 0.2)
    canvas.fill(outline)
    hairs = _stray(rng, outline, centre, float(rng.uniform(0.3, 1.2)) * size)
    draw_strands(mask, hairs, log_uniform(rng, 0.0015, 0.005) * canvas.unit)
    canvas.add(mask)


def _stray(rng: Generator, outline: np.ndarray, centre: np.ndarray, length: float) -> np.ndarray:
    """Grows 5 to 60 strands outwards from an outline, straight or slightly bent."""
    count = int(log_uniform(rng, 5, 60))
    roots = outline[rng.integers(0, len(outline), count)]
    away = roots - centre
    directions = np.arctan2(away[:, 1], away[:, 0]) + rng.normal(0, 0.3, count)
    return Strands(length, rng.beta(1, 4), rng.uniform(0, 0.5)).grow(rng, roots, directions)


def draw_feathers(canvas: Canvas, centre: np.ndarray, size: float) -> None:
    """Draws up to four feathers."""
    rng = canvas.rng
    for _ in range(int(rng.integers(1, 5))):
        mask, angle = canvas.mask(), rng.uniform(0, 2 * np.pi)
        t = np.linspace(-1, 1, 90)
        bow = rng.uniform(-0.3, 0.3) * (1 - t**2)
        spine = turned(np.stack((t, bow), 1) * size, centre, angle)
        lines(mask, [spine], 0.015 * size)
        for side in (-1, 1):
            heading = angle + side * rng.uniform(0.6, 1.2) + rng.normal(0, 0.05, 60)
            reach = rng.uniform(0.1, 0.4) * size
            barbs = Strands(reach, 0.1, 0.0, 6).grow(rng, spine[25:85], heading)
            draw_strands(mask, barbs, rng.uniform(0.006, 0.02) * size)
        canvas.add(mask)


def draw_tuft(canvas: Canvas, centre: np.ndarray, size: float) -> None:
    """Draws long loose hair on a base: dense at the roots, single hairs at the tips."""
    rng = canvas.rng
    for _ in range(int(rng.integers(1, 3))):
        mask, middle = canvas.mask(), centre + rng.normal(0, 0.3, 2) * size
        base = size * rng.uniform(0.1, 0.35)
        outline = blob(rng, middle, (base, base * rng.uniform(0.5, 1.2)), 0.2)
        fill(mask, outline)
        count = int(log_uniform(rng, 150, 2500))
        around = outline[rng.integers(0, len(outline), count)] - middle
        roots = middle + around * np.sqrt(rng.random((count, 1)))
        heading, fan = rng.normal(-np.pi / 2, 0.8), rng.uniform(0.25, 1.6)
        directions = heading + rng.normal(0, fan, count) + 0.5 * (roots[:, 0] - middle[0]) / base
        reach, curl = rng.uniform(0.3, 1.0) * size, rng.beta(1, 3)
        loose = Strands(reach, curl, rng.uniform(0, 0.6), 12, rng.uniform(0, 0.9))
        hairs = loose.grow(rng, roots, directions)
        draw_strands(mask, hairs, log_uniform(rng, 0.0008, 0.014) * size)
        canvas.add(mask, tones=((hairs[::3], 0.65), (hairs[1::3], 1.4)))


def draw_mane(canvas: Canvas, centre: np.ndarray, size: float) -> None:
    """Draws a mass of loose hair that is more transparent towards its tips."""
    rng = canvas.rng
    for _ in range(int(rng.integers(1, 3))):
        middle = centre + rng.normal(0, 0.3, 2) * size
        base = size * rng.uniform(0.15, 0.5)
        outline = blob(rng, middle, (base, base * rng.uniform(0.4, 1.0)), 0.2)
        if rng.random() < 0.6:  # the body that it grows on
            canvas.fill(outline)
        count = int(log_uniform(rng, 250, 5000))
        around = outline[rng.integers(0, len(outline), count)] - middle
        roots = middle + around * np.sqrt(rng.random((count, 1)))
        heading, fan = rng.normal(-np.pi / 2, 0.7), rng.uniform(0.2, 1.4)
        across = (around @ np.array((-np.sin(heading), np.cos(heading)))) / base
        directions = heading + fan * across + rng.normal(0, rng.uniform(0.08, 0.5), count)
        reach, curl = rng.uniform(0.4, 1.8) * size, rng.beta(1, 4) * 0.6
        loose = Strands(reach, curl, rng.uniform(0, 0.7), 10, rng.uniform(0, 0.9))
        hairs = loose.grow(rng, roots, directions)
        width = log_uniform(rng, 0.0004, 0.007) * canvas.unit
        layer_strands(canvas, canvas.material(pattern="plain"), hairs, width)


def draw_plant(canvas: Canvas, centre: np.ndarray, size: float) -> None:
    """Draws leaves along a few bent stems."""
    rng = canvas.rng
    green = np.array((60, 110, 45)) * rng.uniform(0.5, 1.7)
    colour = green if rng.random() < 0.7 else random_colour(rng)
    leaf, stem = canvas.material(colour, "plain"), canvas.material()
    length, wide = rng.uniform(0.12, 0.5) * size, rng.uniform(0.12, 0.5)
    root = centre + np.array((0, 0.9 * size))
    t = np.linspace(0, 1, 10)
    outline = _leaf(t, np.sin(np.pi * t**0.8) * wide / 2)
    for tone in (0.7, 1.0, 1.3):
        leaves, stems = canvas.mask(), canvas.mask()
        for _ in range(int(rng.integers(1, 4))):
            tip = centre + rng.normal(0, 0.5, 2) * size - (0, 0.5 * size)
            bow = (root + tip) / 2 + rng.normal(0, 0.2, 2) * size
            path = smooth_path(np.stack((root, bow, tip)), 8)
            lines(stems, [path], rng.uniform(0.01, 0.04) * size)
            for place in path[4:]:
                angle, scale = rng.uniform(0, 2 * np.pi), length * rng.uniform(0.6, 1.2)
                fill(leaves, turned(outline * scale, place, angle))
        canvas.add(stems, stem)
        canvas.add(leaves, leaf.toned(tone))


def draw_foliage(canvas: Canvas, centre: np.ndarray, size: float) -> None:
    """Draws a bush or grass: many overlapping narrow leaves with gaps between them."""
    rng = canvas.rng
    green = np.array((70, 105, 45)) * rng.uniform(0.4, 1.7) + rng.normal(0, 12, 3)
    leaf = canvas.material(green if rng.random() < 0.7 else None, "plain")
    grass = rng.random() < 0.3
    if not grass and rng.random() < 0.5:  # a dark layer without gaps behind the leaves
        core = blob(rng, centre, tuple(rng.uniform(0.2, 0.6, 2) * size), 0.6)
        canvas.fill(core, material=leaf.toned(0.5))
    length, wide = rng.uniform(0.12, 0.45) * size, float(np.exp(rng.uniform(-3.5, -1.2)))
    t = np.linspace(0, 1, 9)
    rim = np.sin(np.pi * t ** rng.uniform(0.5, 1.0)) * wide / 2
    count = int(rng.integers(40, 260))
    if grass:
        foot = np.stack((rng.normal(0, 0.6, count), rng.uniform(0.5, 1.0, count)), 1)
        roots = centre + foot * size
        angles = -np.pi / 2 + rng.normal(0, 0.35, count)
        length = rng.uniform(0.5, 1.5) * size
    else:
        roots, spread = centre + rng.normal(0, 0.5, (count, 2)) * size, rng.uniform(0.3, 1.5)
        away = roots - centre - (0.0, 0.3 * size)
        angles = np.arctan2(away[:, 1], away[:, 0]) + rng.normal(0, spread, count)
    lengths, bows = length * rng.uniform(0.5, 1.2, count), rng.normal(0, 0.25, count)
    for tones in np.array_split(np.arange(count), 4):
        leaves = canvas.mask()
        for i in tones:
            outline = _leaf(t, rim, bows[i] * (t - t**2))
            fill(leaves, turned(outline * lengths[i], roots[i], float(angles[i])))
        canvas.add(leaves, leaf.toned(rng.uniform(0.55, 1.45)))


def draw_twigs(canvas: Canvas, centre: np.ndarray, size: float) -> None:
    """Draws bare branches that divide into thinner ones."""
    rng, mask = canvas.rng, canvas.mask()
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
                start, turn = path[int(rng.integers(2, 6))], angle + rng.normal(0, spread)
                following.append((start, turn, length * rng.uniform(0.55, 0.9)))
        lines(mask, paths, thick)
        tips, thick = following, thick * 0.62
    canvas.add(mask)


def _leaf(t: np.ndarray, rim: np.ndarray, bow: np.ndarray | float = 0.0) -> np.ndarray:
    """Outline (2 N, 2) of a leaf along the x axis, of half width `rim` around a bent centre."""
    return np.concatenate((np.stack((t, bow + rim), 1), np.stack((t, bow - rim), 1)[::-1]))
