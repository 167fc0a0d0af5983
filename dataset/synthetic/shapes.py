"""Drawing for synthetic foregrounds: a canvas of parts, outlines, limbs and lines.

Points are pixels, (x, y), float; everything is drawn anti-aliased at 1/16 pixel.
"""

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from .materials import Material, close_to
from .textures import cut_out, paint

SHIFT = 4
_RIM = 0.5  # pixels that OpenCV's anti-aliasing adds to the edge of a filled shape, and more
_FAR = 16_000.0  # pixels; fixed-point drawing overflows beyond


def fixed(points: np.ndarray) -> np.ndarray:
    """Turns points in pixels into OpenCV's fixed-point numbers, pixel centres on whole numbers."""
    return np.rint((np.clip(points, -_FAR, _FAR) - 0.5) * (1 << SHIFT)).astype(np.int32)


def fill(mask: np.ndarray, *outlines: np.ndarray, value: int = 255) -> None:
    """Fills outlines of shape (N, 2); several at once leave holes where two overlap."""
    cv2.fillPoly(mask, [fixed(outline) for outline in outlines], value, cv2.LINE_AA, SHIFT)


def disk(mask: np.ndarray, centre: np.ndarray, radius: float, value: int = 255) -> None:
    """Fills a disk."""
    radius -= _RIM
    x, y = fixed(np.asarray(centre, np.float64)).tolist()
    cv2.circle(mask, (x, y), max(1, round(radius * 16)), value, -1, cv2.LINE_AA, SHIFT)


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
        cv2.fillConvexPoly(mask, quad, 255, cv2.LINE_AA, SHIFT)
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


def round_off(strands: np.ndarray) -> np.ndarray:
    """Adds points between those of strands (N, S, 2) that are far apart, to hide the corners."""
    if np.abs(np.diff(strands, axis=1)).mean() < 6:
        return strands
    count, steps, _ = strands.shape
    path = smooth_path(strands.transpose(1, 0, 2).reshape(steps, -1), 4)
    return np.ascontiguousarray(path.reshape(-1, count, 2).transpose(1, 0, 2))


def lines(mask: np.ndarray, paths: Sequence[np.ndarray], width: float, value: int = 255) -> None:
    """Draws open paths of one width in pixels; thinner than a pixel means fainter."""
    value = int(value * min(1.0, max(0.3, width)))
    thickness = max(1, round(width))
    cv2.polylines(
        mask, [fixed(path) for path in paths], False, value, thickness, cv2.LINE_AA, SHIFT
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
        self,
        height: int,
        width: int,
        light: tuple[float, float],
        background: np.ndarray | None,
        photograph: np.ndarray | None = None,
    ) -> None:
        self.height, self.width = height, width
        self.unit = float(min(height, width))
        self.light = light
        self.colour: np.ndarray = np.zeros((height, width, 3), np.uint8)
        self.alpha: np.ndarray = np.zeros((height, width), np.uint8)
        self._background, self._photograph = background, photograph

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
            corner = fixed(round_off(strands) - (x, y))
            cv2.polylines(texture, list(corner), False, colour, wide, cv2.LINE_AA, SHIFT)
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
        if material.source == "photograph" and self._photograph is not None:
            texture = cut_out(self._photograph, material, part, self.unit, self.light)
            return texture, _mean_colour(texture)
        if material.source not in ("mean", "shifted") or self._background is None:
            return paint(material, part, self.unit, self.light), material.colours[0]
        height, width = part.shape
        if material.source == "shifted" and material.offset is not None:
            # Within the frame, by up to a third of the part's size.
            share = np.array((material.seed % 997, material.seed % 991)) / 500 - 1
            move = share * (height / 3 + 2, width / 3 + 2)
            top = int(np.clip(y + move[0], 0, self.height - height))
            left = int(np.clip(x + move[1], 0, self.width - width))
            crop = self._background[top : top + height, left : left + width].astype(np.int16)
            texture = np.clip(crop + material.offset.astype(np.int16), 0, 255).astype(np.uint8)
            return texture, _mean_colour(texture)
        here = self._background[y : y + height, x : x + width]
        material = close_to(material, _mean_colour(here))
        return paint(material, part, self.unit, self.light), material.colours[0]


def _mean_colour(picture: np.ndarray) -> np.ndarray:
    return np.array(cv2.mean(picture)[:3])
