"""Hairy things for synthetic foregrounds: fur, feathers, loose hair that one sees through."""

import numpy as np

from .fine import turned
from .materials import Dress, log_uniform, random_material
from .shapes import Canvas, blob, fill, lines
from .strands import draw_strands, grow_strands, layer_strands


def fur(
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


def feather(
    rng: np.random.Generator, canvas: Canvas, dress: Dress, centre: np.ndarray, size: float
) -> None:
    """Feathers."""
    for _ in range(int(rng.integers(1, 5))):
        mask, angle = canvas.mask(), rng.uniform(0, 2 * np.pi)
        t = np.linspace(-1, 1, 90)
        bow = rng.uniform(-0.3, 0.3) * (1 - t**2)
        spine = turned(np.stack((t, bow), 1) * size, centre, angle)
        lines(mask, [spine], 0.015 * size)
        for side in (-1, 1):
            heading = angle + side * rng.uniform(0.6, 1.2) + rng.normal(0, 0.05, 60)
            reach = rng.uniform(0.1, 0.4) * size
            barbs = grow_strands(rng, spine[25:85], heading, reach, 0.1, 0.0, 6)
            draw_strands(mask, barbs, rng.uniform(0.006, 0.02) * size)
        canvas.add(mask, dress(random_material(rng)))


def tuft(
    rng: np.random.Generator, canvas: Canvas, dress: Dress, centre: np.ndarray, size: float
) -> None:
    """Long loose hair that stands off a base: dense at the roots, single hairs at the tips."""
    for _ in range(int(rng.integers(1, 3))):
        mask = canvas.mask()
        middle = centre + rng.normal(0, 0.3, 2) * size
        base = size * rng.uniform(0.1, 0.35)
        outline = blob(rng, middle, (base, base * rng.uniform(0.5, 1.2)), 0.2)
        fill(mask, outline)
        count = int(log_uniform(rng, 150, 2500))
        roots = middle + (outline[rng.integers(0, len(outline), count)] - middle) * np.sqrt(
            rng.random((count, 1))
        )
        heading, fan = rng.normal(-np.pi / 2, 0.8), rng.uniform(0.25, 1.6)
        directions = heading + rng.normal(0, fan, count)
        directions += 0.5 * (roots[:, 0] - middle[0]) / base
        hairs = grow_strands(
            *(rng, roots, directions, rng.uniform(0.3, 1.0) * size, rng.beta(1, 3)),
            *(rng.uniform(0, 0.6), 12, rng.uniform(0, 0.9)),
        )
        width = log_uniform(rng, 0.0008, 0.014) * size
        draw_strands(mask, hairs, width)
        tones = ((hairs[::3], 0.65), (hairs[1::3], 1.4))
        canvas.add(mask, dress(random_material(rng)), tones=tones)


def mane(
    rng: np.random.Generator, canvas: Canvas, dress: Dress, centre: np.ndarray, size: float
) -> None:
    """A mass of loose hair that one sees through more and more towards its tips."""
    for _ in range(int(rng.integers(1, 3))):
        middle = centre + rng.normal(0, 0.3, 2) * size
        base = size * rng.uniform(0.15, 0.5)
        outline = blob(rng, middle, (base, base * rng.uniform(0.4, 1.0)), 0.2)
        if rng.random() < 0.6:  # what it grows on
            body = canvas.mask()
            fill(body, outline)
            canvas.add(body, dress(random_material(rng)))
        count = int(log_uniform(rng, 250, 5000))
        around = outline[rng.integers(0, len(outline), count)] - middle
        roots = middle + around * np.sqrt(rng.random((count, 1)))
        heading, fan = rng.normal(-np.pi / 2, 0.7), rng.uniform(0.2, 1.4)
        across = (around @ np.array((-np.sin(heading), np.cos(heading)))) / base
        directions = heading + fan * across + rng.normal(0, rng.uniform(0.08, 0.5), count)
        hairs = grow_strands(
            *(rng, roots, directions, rng.uniform(0.4, 1.8) * size, rng.beta(1, 4) * 0.6),
            *(rng.uniform(0, 0.7), 10, rng.uniform(0, 0.9)),
        )
        width = log_uniform(rng, 0.0004, 0.007) * canvas.unit
        layer_strands(rng, canvas, dress(random_material(rng, pattern="plain")), hairs, width)
