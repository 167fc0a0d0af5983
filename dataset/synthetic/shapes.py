"""Drawing for synthetic foregrounds: a canvas of parts, outlines, limbs and strands.

Points are pixels, (x, y), float; everything is drawn anti-aliased at 1/16 pixel.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import cv2
import numpy as np

from .materials import Material, close_to
from .textures import paint

_SHIFT = 4
_RIM = 0.5  # pixels that OpenCV's anti-aliasing adds to the edge of a filled shape, and more
_FAR = 16_000.0  # pixels; fixed-point drawing overflows beyond


def fixed(points: np.ndarray) -> np.ndarray:
    """Turns points in pixels into OpenCV's fixed-point numbers, pixel centres on whole numbers."""
    return np.rint((np.clip(points, -_FAR, _FAR) - 0.5) * (1 << _SHIFT)).astype(np.int32)


def fill(mask: np.ndarray, *outlines: np.ndarray, value: int = 255) -> None:
    """Fills outlines of shape (N, 2); several at once leave holes where two overlap."""
    cv2.fillPoly(mask, [fixed(outline) for outline in outlines], value, cv2.LINE_AA, _SHIFT)


def disk(mask: np.ndarray, centre: np.ndarray, radius: float, value: int = 255) -> None:
    """Fills a disk."""
    radius -= _RIM
    x, y = fixed(np.asarray(centre, np.float64)).tolist()
    cv2.circle(mask, (x, y), max(1, round(radius * 16)), value, -1, cv2.LINE_AA, _SHIFT)


def smooth_path(points: np.ndarray, samples: int, closed: bool = False) -> np.ndarray:
    """Interpolates points with a Catmull-Rom spline.

    Args:
        points: (N, D) float.
        samples: points for each interval.
        closed: whether the last point leads back to the first.

    Returns:
        (M, D) float.
    """
    points = np.asarray(points, np.float64)
    if closed:
        around = np.concatenate((points[-1:], points, points[:2]))
    else:
        around = np.concatenate((points[:1], points, points[-1:]))
    p0, p1, p2, p3 = (around[i : len(around) - 3 + i, None] for i in range(4))
    t = np.linspace(0, 1, samples, endpoint=False)[None, :, None]
    path = 0.5 * (
        2 * p1
        + (p2 - p0) * t
        + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2
        + (3 * p1 - p0 - 3 * p2 + p3) * t**3
    )
    path = path.reshape(-1, points.shape[1])
    return path if closed else np.concatenate((path, points[-1:]))


def limb(
    mask: np.ndarray, joints: np.ndarray, radii: Sequence[float] | np.ndarray, bends: bool = True
) -> None:
    """Draws a tapering limb through joints (N, 2) of the radii given, in pixels."""
    nodes = np.column_stack((joints, radii))
    path = smooth_path(nodes, 5) if bends else nodes
    places, widths = path[:, :2], np.maximum(path[:, 2], 0.3 + _RIM)
    along = np.diff(places, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-6
    side = along[:, ::-1] * (-1, 1)
    starts, ends = side * (widths[:-1, None] - _RIM), side * (widths[1:, None] - _RIM)
    a, b = places[:-1], places[1:]
    quads = fixed(np.stack((a + starts, b + ends, b - ends, a - starts), 1))
    for quad in quads:
        cv2.fillConvexPoly(mask, quad, 255, cv2.LINE_AA, _SHIFT)
    for place, width in zip(places, widths, strict=True):
        disk(mask, place, width)


def blob(
    rng: np.random.Generator,
    centre: np.ndarray,
    radii: tuple[float, float],
    roughness: float = 0.2,
    count: int = 96,
) -> np.ndarray:
    """Makes a closed wavy outline (count, 2) round a centre."""
    waves = np.arange(2, 10)
    sizes = rng.normal(0, 1, (2, len(waves))) * roughness / waves
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    radius = (
        1 + sizes[0] @ np.cos(waves[:, None] * angle) + sizes[1] @ np.sin(waves[:, None] * angle)
    )
    radius = np.maximum(radius, 0.15)
    return centre + np.stack((np.cos(angle), np.sin(angle)), 1) * radius[:, None] * radii


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


def _round_off(strands: np.ndarray) -> np.ndarray:
    """Adds points between those of strands (N, S, 2) that are far apart, to hide the corners."""
    if np.abs(np.diff(strands, axis=1)).mean() < 6:
        return strands
    count, steps, _ = strands.shape
    path = smooth_path(strands.transpose(1, 0, 2).reshape(steps, -1), 4)
    return np.ascontiguousarray(path.reshape(-1, count, 2).transpose(1, 0, 2))


def draw_strands(mask: np.ndarray, strands: np.ndarray, width: float) -> None:
    """Adds hairs to a mask; those thinner than a pixel are drawn fainter instead.

    Args:
        mask: (H, W) uint8, changed in place.
        strands: (N, S, 2) pixels.
        width: of a hair, pixels.
    """
    layer = np.zeros_like(mask)
    strands = _round_off(strands)
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
            value = int(255 * min(1.0, max(0.2, wide)))
            thickness = max(1, round(wide))
            cv2.polylines(stroke, list(points), False, value, thickness, cv2.LINE_AA, _SHIFT)
        cv2.add(layer, stroke, layer)
    np.maximum(mask, layer, out=mask)


def lines(mask: np.ndarray, paths: Sequence[np.ndarray], width: float, value: int = 255) -> None:
    """Draws open paths of one width in pixels; thinner than a pixel means fainter."""
    value = int(value * min(1.0, max(0.3, width)))
    thickness = max(1, round(width))
    cv2.polylines(
        mask, [fixed(path) for path in paths], False, value, thickness, cv2.LINE_AA, _SHIFT
    )


class Canvas:
    """A picture that grows part by part, each over the ones before it.

    Attributes:
        height: pixels.
        width: pixels.
        unit: the shorter side, pixels.
        colour: (H, W, 3) uint8 RGB, not premultiplied; undefined where alpha is 0.
        alpha: (H, W) uint8.
        light: the direction (x, y) towards which surfaces are bright.
    """

    def __init__(
        self, height: int, width: int, light: tuple[float, float], background: np.ndarray | None
    ) -> None:
        self.height, self.width = height, width
        self.unit = float(min(height, width))
        self.light = light
        self.colour: np.ndarray = np.zeros((height, width, 3), np.uint8)
        self.alpha: np.ndarray = np.zeros((height, width), np.uint8)
        self._background = background

    def mask(self) -> np.ndarray:
        """Makes an empty (H, W) uint8 mask of the whole canvas."""
        return np.zeros((self.height, self.width), np.uint8)

    def add(
        self,
        mask: np.ndarray,
        material: Material,
        opacity: float = 1.0,
        tones: Sequence[tuple[np.ndarray, float]] = (),
        marks: Callable[[np.ndarray, tuple[int, int]], None] | None = None,
    ) -> None:
        """Lays a part over the picture.

        Args:
            mask: (H, W) uint8, the part.
            material: its colours and texture.
            opacity: factor of the mask, for veils and glass.
            tones: strands (N, S, 2) drawn on the part, each with a factor of its colour.
            marks: draws on the part's (h, w, 3) texture, given its upper left corner (x, y).
        """
        x, y, width, height = cv2.boundingRect(mask)
        if width < 1 or height < 1:
            return
        box = np.s_[y : y + height, x : x + width]
        part = mask[box]
        texture, dominant = self._texture(material, part, x, y)
        for strands, factor in tones:
            colour = tuple(np.clip(dominant * factor, 0, 255).tolist())
            wide = max(1, round(0.002 * self.unit))
            corner = fixed(_round_off(strands) - (x, y))
            cv2.polylines(texture, list(corner), False, colour, wide, cv2.LINE_AA, _SHIFT)
        if marks is not None:
            marks(texture, (x, y))
        over = part.astype(np.float32)
        if opacity < 1:
            over *= np.float32(opacity)
        under = self.alpha[box] * (1 - over * np.float32(1 / 255))
        # (over * texture + under * colour) / (over + under): "over" without premultiplication.
        self.colour[box] = cv2.blendLinear(texture, self.colour[box], over, under)
        self.alpha[box] = np.rint(over + under)

    def _texture(
        self, material: Material, part: np.ndarray, x: int, y: int
    ) -> tuple[np.ndarray, np.ndarray]:
        if not material.near or self._background is None:
            return paint(material, part, self.unit, self.light), material.colours[0]
        height, width = part.shape
        if material.near == "shifted" and material.offset is not None:
            # Within the frame, by up to a third of the part's size.
            share = np.array((material.seed % 997, material.seed % 991)) / 500 - 1
            move = share * (height / 3 + 2, width / 3 + 2)
            top = int(np.clip(y + move[0], 0, self.height - height))
            left = int(np.clip(x + move[1], 0, self.width - width))
            crop = self._background[top : top + height, left : left + width].astype(np.int16)
            texture = np.clip(crop + material.offset.astype(np.int16), 0, 255).astype(np.uint8)
            return texture, texture.reshape(-1, 3).mean(0)
        here = self._background[y : y + height, x : x + width]
        step = max(1, min(height, width) // 32)
        mean = here[::step, ::step].reshape(-1, 3).mean(0)
        material = close_to(material, mean)
        return paint(material, part, self.unit, self.light), material.colours[0]


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
