"""Person-like figures for synthetic foregrounds: bodies, clothes and what they carry."""

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np

from .heads import HAIR_WEIGHTS, Figure, draw_hair_behind, draw_hair_in_front, draw_head
from .limbs import draw_arm, draw_legs
from .materials import Dress, random_colour, random_material
from .shapes import Canvas, blob, fill, limb, lines, smooth_path

# How large the head is, as a fraction of the picture's shorter side, and how often.
CROPS = {
    "close": (0.22, (0.45, 0.85)),
    "bust": (0.30, (0.26, 0.45)),
    "half": (0.22, (0.16, 0.26)),
    "whole": (0.18, (0.085, 0.14)),
    "group": (0.08, (0.10, 0.24)),
}
BAG_SHARE = 0.15
LOGO_SHARE = 0.3
AWAY_SHARE = 0.1  # seen from behind
ODD_SKIN_SHARE = 0.1  # any colour: masks, paint, statues, shop dummies


def draw_people(rng: np.random.Generator, canvas: Canvas, dress: Dress) -> None:
    """Draws one person or several.

    Args:
        rng: the source of randomness.
        canvas: to draw on.
        dress: changes each material on its way, for similarity to the background.
    """
    crop = str(rng.choice(list(CROPS), p=[share for share, _ in CROPS.values()]))
    count = int(rng.integers(2, 5)) if crop == "group" else 1
    places = (np.arange(count) + rng.uniform(0.2, 0.8, count)) / count
    if count == 1:
        places = np.clip(rng.normal(0.5, 0.16, 1), 0.02, 0.98)
    for place in rng.permutation(places):
        low, high = CROPS[crop][1]
        head = rng.uniform(low, high) * canvas.unit
        top = {"whole": rng.uniform(0.0, 0.2), "close": rng.uniform(-0.25, 0.2)}.get(
            crop, rng.uniform(0.0, 0.35)
        )
        chin = np.array((place * canvas.width, top * canvas.height + head))
        _draw_person(_make_figure(rng, canvas, chin, head, dress))


def _make_figure(
    rng: np.random.Generator, canvas: Canvas, chin: np.ndarray, head: float, dress: Dress
) -> Figure:
    tone = rng.beta(1.6, 1.2)
    skin = np.array((80, 50, 35)) * (1 - tone) + np.array((240, 200, 175)) * tone
    if rng.random() < ODD_SKIN_SHARE:
        skin = random_colour(rng)
    hair = np.array(
        ((25, 20, 18), (50, 36, 28), (95, 70, 48), (180, 150, 105), (150, 150, 150), (105, 60, 36))
    )[rng.integers(6)]
    if rng.random() < 0.15:
        hair = random_colour(rng)
    plain = random_material(rng, skin + rng.normal(0, 6, 3), "plain")
    strands = random_material(rng, hair * rng.uniform(0.6, 1.4), "plain")
    return Figure(
        rng=rng,
        canvas=canvas,
        chin=chin,
        head=head,
        tilt=float(rng.normal(0, 0.07)),
        dress=dress,
        skin=dress(replace(plain, relief=float(rng.uniform(0.2, 0.6)), folds=0.03, grain=0.01)),
        hair=dress(replace(strands, relief=0.3)),
        top=dress(random_material(rng)),
        bulk=float(np.clip(rng.normal(1, 0.14), 0.75, 1.5)),
        turn=float(np.clip(rng.normal(0, 0.45), -1, 1)),
        away=bool(rng.random() < AWAY_SHARE),
    )


def _draw_person(figure: Figure) -> None:
    rng, canvas = figure.rng, figure.canvas
    kind = str(rng.choice(list(HAIR_WEIGHTS), p=list(HAIR_WEIGHTS.values())))
    sleeves = float(rng.choice((0.0, 0.45, 1.0), p=(0.15, 0.3, 0.55)))
    first_arm_behind = rng.random() < 0.4
    draw_hair_behind(figure, kind)
    if canvas.height - figure.chin[1] > 2.5 * figure.head:
        draw_legs(figure)
    if first_arm_behind:
        draw_arm(figure, -1, sleeves)
    _neck(figure)
    _torso(figure)
    draw_head(figure)
    draw_hair_in_front(figure, kind)
    for side in (1,) if first_arm_behind else (-1, 1):
        if rng.random() < 0.92:
            draw_arm(figure, side, sleeves)


def _neck(figure: Figure) -> None:
    mask = figure.canvas.mask()
    width = 0.2 * figure.head * (0.4 + 0.6 * figure.bulk)
    limb(mask, figure.at(((0, -0.25), (0, 0.2), (0, 0.7))), (width, width, width * 1.5))
    figure.add(mask, replace(figure.skin, relief=figure.skin.relief * 0.6))


def _torso(figure: Figure) -> None:
    rng, bulk = figure.rng, figure.bulk
    shoulder, waist = rng.uniform(0.8, 1.0) * bulk, rng.uniform(0.55, 0.75) * bulk**1.5
    hip = waist * rng.uniform(1.0, 1.25)
    hem = rng.uniform(2.8, 4.4) if rng.random() < 0.3 else rng.uniform(2.6, 3.2)
    neckline = rng.uniform(0.1, 0.6)
    half = np.array(
        (
            (0.2 * bulk, 0.16 + rng.uniform(0, 0.1)),
            (0.5 * shoulder + 0.1, 0.3),
            (shoulder, 0.52),
            (shoulder * 0.92, 1.1),
            (waist * 1.05, 1.9),
            (hip, 2.7),
            (hip * rng.uniform(0.95, 1.25), hem),
        )
    )
    half[:, 0] += rng.normal(0, 0.015, len(half))
    left = half[::-1] * (-1, 1) + rng.normal(0, 0.015, half.shape)
    outline = np.concatenate((((0.0, neckline),), half, ((0.0, hem + 0.05),), left))
    mask = figure.canvas.mask()
    fill(mask, figure.at(smooth_path(outline, 10, closed=True)))
    figure.canvas.add(mask, figure.top, marks=_marks_on_shirt(figure, neckline))
    if rng.random() < BAG_SHARE:
        _bag(figure)


def _marks_on_shirt(figure: Figure, neckline: float) -> Callable[[np.ndarray, tuple], None]:
    rng = figure.rng
    logo, opening, collar = rng.random() < LOGO_SHARE, rng.random() < 0.35, rng.random() < 0.4
    colours = [random_colour(rng).tolist() for _ in range(3)]
    centre, size = rng.uniform(-0.3, 0.3), rng.uniform(0.08, 0.35)
    word = "".join(rng.choice(list("ABCDEHKLMNORSTUX2479"), int(rng.integers(1, 6))))
    shape = blob(rng, np.array((centre, 1.1)), (size, size), rng.uniform(0, 0.8))

    def draw(texture: np.ndarray, corner: tuple[int, int]) -> None:
        thick = max(1, round(figure.head * 0.04))
        if opening:
            seam = figure.at(((0.02, neckline), (0.04, 1.6), (0.0, 4.5))) - corner
            lines(texture, [seam], thick * 0.5)
            cv2.polylines(texture, [np.rint(seam).astype(np.int32)], False, colours[2], thick, 16)
        if collar:
            edge = figure.at(((-0.3, 0.1), (0, neckline + 0.08), (0.3, 0.1))) - corner
            points = np.rint(edge).astype(np.int32)
            cv2.polylines(texture, [points], False, colours[1], 3 * thick, cv2.LINE_AA)
        if logo:
            layer = np.zeros(texture.shape[:2], np.uint8)
            fill(layer, figure.at(shape) - corner)
            texture[layer > 127] = colours[0]
            place = np.rint(figure.at((centre - size, 1.2)) - corner).astype(int).tolist()
            scale = figure.head * size / 40
            cv2.putText(texture, word, place, 2, scale, colours[1], thick, cv2.LINE_AA)

    return draw


def _bag(figure: Figure) -> None:
    rng, mask = figure.rng, figure.canvas.mask()
    material = figure.dress(random_material(rng))
    side = rng.choice((-1, 1))
    strap = smooth_path(np.array(((-0.5, 0.3), (-0.1, 1.3), (0.75, 2.4))) * (side, 1), 8)
    lines(mask, [figure.at(strap)], rng.uniform(0.04, 0.14) * figure.head)
    size = rng.uniform(0.3, 0.6, 2)
    fill(mask, figure.at(blob(rng, np.array((side * 0.85, 2.7)), tuple(size), 0.15)))
    figure.add(mask, material)
