"""Heads of synthetic people: face, glasses, beard, hair of many kinds, hats and scarves."""

from dataclasses import dataclass

import cv2
import numpy as np

from .canvas import Canvas
from .growth import Strands, draw_strands, layer_strands
from .materials import Material, log_uniform, random_colour
from .shapes import blob, disk, fill, limb, smooth_path, turned

HAIR_WEIGHTS = {
    "none": 0.07,
    "short": 0.20,
    "long": 0.25,
    "curls": 0.14,
    "wild": 0.12,
    "tied": 0.09,
    "hat": 0.09,
    "scarf": 0.04,
}
BEARD_SHARE, GLASSES_SHARE = 0.18, 0.25
HALO_SHARE = 0.35  # hair with a translucent rim
LOOSE_SHARE = 0.4  # of long, wild and curly hair: more of it stands off and is translucent


@dataclass(frozen=True)
class Figure:
    """Position and build of a figure."""

    canvas: Canvas
    chin: np.ndarray  # (2,) pixels
    head: float  # height of the head, pixels
    tilt: float  # radians
    skin: Material
    hair: Material
    top: Material  # of the shirt
    bulk: float  # width of the body, 1 on average
    turn: float  # -1 to 1, how far the face is turned to the side
    away: bool  # seen from behind

    def at(self, points: object) -> np.ndarray:
        """Converts points (..., 2) from head heights to pixels."""
        return turned(self.head * np.asarray(points, np.float64), self.chin, self.tilt)

    def hair_width(self) -> float:
        """Draws a random width of a hair in pixels, of several real hairs stuck together."""
        return self.head * log_uniform(self.canvas.rng, 0.0006, 0.007)


def draw_head(figure: Figure) -> None:
    """Draws the face, and in fractions of samples a beard and glasses."""
    canvas, rng, turn, mask = figure.canvas, figure.canvas.rng, figure.turn, figure.canvas.mask()
    fill(mask, figure.at(_face_outline(figure)))
    for side in (-1, 1):
        if turn * side < 0.5:
            x = side * (0.385 - 0.05 * turn * side)
            fill(mask, figure.at(blob(rng, np.array((x, -0.47)), (0.06, 0.11), 0.1, 24)))
    look, glasses = rng.uniform(0.35, 0.6, 3), rng.random() < GLASSES_SHARE
    frame, lens = random_colour(rng).tolist(), rng.random() < 0.4
    lips = np.clip(figure.skin.colours[0] * (1.0, 0.62, 0.62), 0, 255).tolist()
    dark = (figure.skin.colours[0] * look[0]).tolist()

    def draw_face(texture: np.ndarray, corner: tuple[int, int]) -> None:
        def pixels(x: float, y: float) -> list[int]:
            return np.rint(figure.at((x + 0.22 * turn, y)) - corner).astype(int).tolist()

        thick, size = max(1, round(figure.head * 0.025)), max(1, round(figure.head * 0.055))
        for side in (-1, 1):
            eye = pixels(side * 0.15, -0.5)
            cv2.ellipse(texture, eye, (size, size // 2 + 1), 0, 0, 360, (225, 225, 225), -1, 16)
            cv2.circle(texture, eye, size // 2 + 1, (45, 35, 30), -1, cv2.LINE_AA)
            brow = (pixels(side * 0.07, -0.59), pixels(side * 0.24, -0.6))
            cv2.line(texture, *brow, dark, thick * 2, cv2.LINE_AA)
            if glasses:
                ring = -1 if lens else thick
                cv2.ellipse(texture, eye, (size * 2, size * 2), 0, 0, 360, frame, ring, 16)
        if glasses:
            cv2.line(texture, pixels(-0.38, -0.52), pixels(0.38, -0.52), frame, thick, 16)
        cv2.line(texture, pixels(0.03, -0.45), pixels(0.05, -0.3), dark, thick, cv2.LINE_AA)
        mouth = (round(figure.head * 0.11 * look[1] * 2), max(1, round(figure.head * 0.03)))
        cv2.ellipse(texture, pixels(0, -0.17), mouth, 0, 0, 360, lips, -1, cv2.LINE_AA)

    canvas.add(mask, figure.skin, marks=None if figure.away else draw_face)
    if not figure.away and rng.random() < BEARD_SHARE:
        _draw_beard(figure)


def draw_hair_behind(figure: Figure, kind: str) -> None:
    """Draws the hair behind the body; `kind` is a key of `HAIR_WEIGHTS`."""
    if kind not in ("long", "tied", "scarf"):
        return
    canvas, rng, mask = figure.canvas, figure.canvas.rng, figure.canvas.mask()
    length = rng.uniform(0.3, 2.2) if kind != "tied" else rng.uniform(0.2, 0.6)
    if kind == "tied":
        centre = np.array((-0.45 * np.sign(figure.turn), rng.uniform(-1.1, -0.5)))
        outline = blob(rng, centre, (rng.uniform(0.15, 0.3),) * 2, 0.2)
    else:
        width = rng.uniform(0.42, 0.65)
        half = np.array(((0.25, -1.02), (width, -0.6), (width * 1.1, 0.0), (width, length)))
        half = half + rng.normal(0, 0.04, half.shape)
        outline = np.concatenate((half, (half * (-1, 1) + rng.normal(0, 0.04, half.shape))[::-1]))
        outline = smooth_path(outline, 6, closed=True)
    fill(mask, figure.at(outline))
    if kind == "scarf":
        canvas.add(mask)
        return
    count = int(rng.integers(250, 900))
    roots = outline[rng.integers(0, len(outline), count)] * rng.uniform(0.7, 1.0, (count, 1))
    directions = np.pi / 2 - np.clip(roots[:, 0], -1, 1) * rng.uniform(0.2, 1.2)
    directions += rng.normal(0, 0.3, count)
    reach = length * rng.uniform(0.15, 0.6) * figure.head
    strands = Strands(reach, rng.beta(1, 3), rng.random(), clump=rng.uniform(0, 0.9))
    hairs = strands.grow(rng, figure.at(roots), directions)
    draw_strands(mask, hairs, figure.hair_width())
    canvas.add(mask, figure.hair, tones=((hairs[::2], 0.7), (hairs[1::4], 1.4)))


def draw_hair_in_front(figure: Figure, kind: str) -> None:
    """Draws the hair on the skull; `kind` is a key of `HAIR_WEIGHTS`."""
    if kind == "none":
        return
    canvas, rng, mask = figure.canvas, figure.canvas.rng, figure.canvas.mask()
    grow = rng.uniform(1.04, 1.12) if kind in ("short", "tied", "long") else rng.uniform(1.08, 1.3)
    rough = {"short": 0.01, "tied": 0.01, "hat": 0.0, "scarf": 0.0}.get(kind, 0.04)
    cap = _cap_outline(figure, grow, rough)
    whole = _face_outline(figure, grow)
    whole[:, 1] = np.minimum(whole[:, 1], -0.12)  # the nape
    fill(mask, figure.at(whole if figure.away else cap))
    if kind in ("hat", "scarf"):
        if kind == "hat":
            brim, shift = rng.uniform(0.35, 0.75), 0.4 * figure.turn
            ends = figure.at(((-brim + shift, -0.74), (brim + shift, -0.74)))
            limb(mask, ends, (rng.uniform(0.03, 0.09) * figure.head,) * 2, bends=False)
        canvas.add(mask)
        return
    arc = cap[:33]
    if kind == "curls":
        size = rng.uniform(0.07, 0.2)
        for place in arc[::2] + rng.normal(0, 0.05, (17, 2)):
            disk(mask, figure.at(place), size * figure.head * rng.uniform(0.6, 1.2))
    count = int({"short": 800, "tied": 250, "long": 500}.get(kind, 800) * rng.uniform(0.4, 1.3))
    roots = arc[rng.integers(1, 32, count)] + rng.normal(0, 0.04, (count, 2))
    outward = np.arctan2(roots[:, 1] + 0.5, roots[:, 0]) + rng.normal(0, 0.45, count)
    # Combed to one side and down.
    outward += rng.normal(0, 0.5) + rng.uniform(0, 0.8) * np.sign(roots[:, 0])
    reach = {"short": rng.uniform(0.03, 0.12), "curls": rng.uniform(0.1, 0.35)}.get(
        kind, rng.uniform(0.12, 0.7) if kind == "wild" else rng.uniform(0.05, 0.3)
    )
    curl = {"curls": rng.uniform(0.6, 1.0)}.get(kind, rng.beta(1, 2) * 0.7)
    gravity = rng.uniform(0.1, 0.9) if kind in ("long", "wild") else 0.1
    clump = rng.uniform(0, 0.9)
    strands = Strands(reach * figure.head, curl, gravity, clump=clump)
    hairs = strands.grow(rng, figure.at(roots), outward)
    if rng.random() < HALO_SHARE:  # a translucent rim
        side = 2 * max(1, round(rng.uniform(0.02, 0.12) * figure.head)) + 1
        rim = cv2.blur(cv2.blur(mask, (side, side)), (side, side))
        np.maximum(mask, cv2.convertScaleAbs(rim, alpha=rng.uniform(0.3, 0.9)), out=mask)
    draw_strands(mask, hairs, figure.hair_width())
    inside = arc[rng.integers(1, 32, 160)] * (0.95, 1.0)
    toward = np.arctan2(0.3 - inside[:, 1] - 1.0, 0.6 * inside[:, 0] + 1e-3)
    locks = Strands(0.4 * figure.head, curl * 0.5, 0.5, 8).grow(rng, figure.at(inside), toward)
    canvas.add(mask, figure.hair, tones=((locks[::2], 0.65), (locks[1::2], 1.4)))
    if kind in ("wild", "long", "curls") and rng.random() < LOOSE_SHARE:  # translucent
        count = int(log_uniform(rng, 200, 3000))
        roots = arc[rng.integers(1, 32, count)] + rng.normal(0, 0.05, (count, 2))
        outward = np.arctan2(roots[:, 1] + 0.5, roots[:, 0]) + rng.normal(0, 0.3, count)
        loose = Strands(figure.head * rng.uniform(0.1, 0.9), curl * 0.5, gravity, clump=clump)
        hairs = loose.grow(rng, figure.at(roots), outward)
        layer_strands(canvas, figure.hair, hairs, figure.hair_width(), 4)


def _draw_beard(figure: Figure) -> None:
    rng, mask = figure.canvas.rng, figure.canvas.mask()
    arc = _face_outline(figure, 1.02)[14:35]
    upper = arc[::-1] * (0.7, 1) + (0, -0.02)
    upper[:, 1] = np.minimum(upper[:, 1], -0.28 + rng.uniform(0, 0.1))
    fill(mask, figure.at(np.concatenate((arc, upper))))
    count = int(rng.integers(250, 700))
    roots = arc[rng.integers(0, len(arc), count)] * rng.uniform(0.85, 1, (count, 1))
    length = rng.uniform(0.03, 0.4) * figure.head
    directions = np.pi / 2 - roots[:, 0] * 1.5 + rng.normal(0, 0.3, count)
    hairs = Strands(length, rng.random(), 0.3, 6).grow(rng, figure.at(roots), directions)
    draw_strands(mask, hairs, figure.hair_width())
    figure.canvas.add(mask, figure.hair, tones=((hairs[::3], 0.7), (hairs[1::3], 1.35)))


def _face_outline(figure: Figure, grow: float = 1.0) -> np.ndarray:
    """Head outline in head heights, clockwise from the top; `grow` widens it."""
    own = np.random.default_rng(figure.skin.seed)
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    jaw = own.uniform(0.05, 0.3) * np.clip(-np.cos(angle), 0, 1) ** 1.5
    half = own.uniform(0.34, 0.41) * min(1.12, 0.6 + 0.4 * figure.bulk)
    x = np.sin(angle) * half * (1 - jaw)
    # Turned to the side: the nose protrudes and the back of the head is longer.
    nose = np.exp(-(((angle - np.pi * 0.57) / 0.13) ** 2)) * max(0.0, abs(figure.turn) - 0.55)
    x = (x * (1 + 0.1 * abs(figure.turn)) + nose * 0.3) * (1 if figure.turn >= 0 else -1)
    return np.stack((x * grow, -0.5 - 0.5 * grow * np.cos(angle)), 1)


def _cap_outline(figure: Figure, grow: float, roughness: float) -> np.ndarray:
    """Outline of the hair on the skull: outer arc of 33 points, then back along the hairline."""
    rng = figure.canvas.rng
    outline = np.roll(_face_outline(figure, grow), 16, axis=0)[:33]
    outline = outline * (1 + rng.normal(0, roughness, (33, 1)))
    line = rng.uniform(-0.82, -0.68)
    brow = np.stack((np.linspace(0.33, -0.33, 9), np.full(9, line)), 1)
    brow[:, 1] += rng.uniform(-0.1, 0.15) * np.linspace(-1, 1, 9) + rng.normal(0, 0.02, 9)
    brow[:, 0] += 0.12 * figure.turn
    brow = smooth_path(brow, 4)
    return np.concatenate((outline, brow if outline[0, 0] < 0 else brow[::-1]))
