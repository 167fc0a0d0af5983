"""Hairs of synthetic foregrounds: how they grow, and how they are drawn."""

from dataclasses import replace

import cv2
import numpy as np

from .materials import Material
from .shapes import SHIFT, Canvas, fixed, round_off

_FAINTEST = 0.06  # alpha of a hair alone, however thin


def grow_strands(
    rng: np.random.Generator,
    roots: np.ndarray,
    directions: np.ndarray,
    length: float,
    curl: float = 0.3,
    gravity: float = 0.0,
    steps: int = 12,
    clump: float = 0.0,
) -> np.ndarray:
    """Grows hairs from their roots.

    Args:
        rng: the source of randomness.
        roots: (N, 2) pixels.
        directions: (N,) radians, at the root.
        length: mean length, pixels.
        curl: 0 for straight hairs, 1 for tight curls.
        gravity: 0 keeps the direction, 1 lets them fall.
        steps: points of each hair after its root.
        clump: 0 to 1, how far the tips of neighbours draw together.

    Returns:
        (N, steps + 1, 2) pixels.
    """
    # Neighbours by their direction from the middle, for the clumps.
    from_middle = roots - roots.mean(0)
    order = np.argsort(np.arctan2(from_middle[:, 1], from_middle[:, 0]))
    roots, directions, count = roots[order], directions[order], len(roots)
    lengths = length * rng.lognormal(-0.1, 0.45, (count, 1)).clip(0.2, 2.0)
    t = np.linspace(0, 1, steps)[None]
    phase, pace = rng.uniform(0, 2 * np.pi, (count, 1)), rng.uniform(0.5, 2.5, (count, 1))
    angle = directions[:, None] + rng.normal(0, 0.25 * curl + 0.05, (count, steps)).cumsum(1)
    angle = angle + 2.2 * curl * np.sin(phase + t * pace * 2 * np.pi * (0.5 + curl))
    vector = np.stack((np.cos(angle), np.sin(angle)), -1)
    fall = (gravity * np.sqrt(t))[..., None]
    vector = vector * (1 - fall) + fall * np.array((0.0, 1.0))
    path = roots[:, None] + np.cumsum(vector * (lengths / steps)[..., None], 1)
    leader = np.arange(count) // 9 * 9
    near = np.linalg.norm(roots[leader] - roots, axis=1, keepdims=True) < 0.5 * length
    path += (path[leader] - path) * (clump * near * t)[..., None]
    strands = np.concatenate((roots[:, None], path), 1)
    return strands[rng.permutation(count)]


def draw_strands(mask: np.ndarray, strands: np.ndarray, width: float) -> None:
    """Adds hairs to a mask; those thinner than a pixel are drawn fainter instead.

    Args:
        mask: (H, W) uint8, changed in place.
        strands: (N, S, 2) pixels.
        width: of a hair, pixels.
    """
    layer = np.zeros_like(mask)
    strands = round_off(strands)
    half = strands.shape[1] // 2 + 1
    # Groups are added up, so that many faint hairs make an opaque tuft.
    strengths = (0.5, 0.7, 0.9, 1.1, 1.5)
    for group, strength in enumerate(strengths):
        hairs = fixed(strands[group :: len(strengths)])
        stroke = np.zeros_like(mask)
        # The second half of each hair is thinner. From faint to strong, since drawing a faint line
        # over a strong one would weaken it.
        for points, taper in ((hairs, 0.65), (hairs[:, :half], 1.0)):
            wide = width * strength * taper
            value = int(255 * min(1.0, max(_FAINTEST, wide)))
            thickness = max(1, round(wide))
            cv2.polylines(stroke, list(points), False, value, thickness, cv2.LINE_AA, SHIFT)
        cv2.add(layer, stroke, layer)
    np.maximum(mask, layer, out=mask)


def layer_strands(
    rng: np.random.Generator,
    canvas: Canvas,
    material: Material,
    strands: np.ndarray,
    width: float,
    layers: int = 6,
) -> None:
    """Lays hairs over the picture, layer over layer, each of its own tone.

    Where few of them cross, the background shows between and through them; many are opaque.

    Args:
        rng: the source of randomness.
        canvas: to draw on.
        material: of the hairs.
        strands: (N, S, 2) pixels.
        width: of a hair, pixels.
        layers: groups of hairs.
    """
    contrast, opacity = rng.uniform(0.1, 0.55), rng.uniform(0.4, 1.0)
    for group in range(layers):
        mask = canvas.mask()
        draw_strands(mask, strands[group::layers], width)
        tone = np.float32(1 + contrast * (2 * group / max(1, layers - 1) - 1))
        colours = np.clip(material.colours * tone, 0, 255)
        canvas.add(mask, replace(material, colours=colours), opacity)
