"""Figures of synthetic foregrounds: bodies, limbs, clothes, and objects that they hold."""

from dataclasses import replace

import cv2
import numpy as np

from .canvas import Canvas, Marks
from .heads import HAIR_WEIGHTS, Figure, draw_hair_behind, draw_hair_in_front, draw_head
from .materials import pick, random_colour, random_material
from .shapes import BOX, blob, blur_motion, disk, fill, limb, lines, smooth_path

CROP_WEIGHTS = {
    "close": 0.19,
    "bust": 0.26,
    "half": 0.19,
    "whole": 0.18,
    "group": 0.08,
    "far": 0.10,
}
# Height of the head, as a fraction of the picture's shorter side.
HEAD_SIZES = {
    "close": (0.45, 0.85),
    "bust": (0.26, 0.45),
    "half": (0.16, 0.26),
    "whole": (0.085, 0.14),
    "group": (0.10, 0.24),
    "far": (0.02, 0.07),
}
POSE_WEIGHTS = {"hang": 0.34, "hip": 0.20, "raise": 0.12, "aside": 0.10, "fold": 0.14, "wave": 0.10}
# Angles of the upper and the lower arm from straight down, in radians.
POSES = {
    "hang": ((0.05, 0.35), (-0.2, 0.2)),
    "hip": ((0.6, 1.1), (-1.4, -0.8)),
    "raise": ((1.9, 2.9), (2.0, 3.4)),
    "aside": ((1.1, 1.9), (0.8, 2.2)),
    "fold": ((0.1, 0.4), (-1.9, -1.3)),
    "wave": ((0.9, 1.5), (2.4, 3.2)),
}
HAIR_COLOURS = np.array(
    ((25, 20, 18), (50, 36, 28), (95, 70, 48), (180, 150, 105), (150, 150, 150), (105, 60, 36))
)
BAG_SHARE, LOGO_SHARE, HELD_SHARE, SKIRT_SHARE = 0.15, 0.3, 0.2, 0.25
MOVING_ARM_SHARE = 0.08  # motion-blurred, while the rest of the figure is still
AWAY_SHARE = 0.1  # seen from behind
SIMILAR_PART_SHARE = 0.5  # of the materials in samples with parts like the background
ODD_SKIN_SHARE = 0.1  # any colour: masks, paint, statues, shop dummies


def draw_people(canvas: Canvas) -> None:
    """Draws one person or several."""
    canvas.similar_share = SIMILAR_PART_SHARE
    rng, crop = canvas.rng, pick(canvas.rng, CROP_WEIGHTS)
    count = int(rng.integers(2, 5)) if crop in ("group", "far") else 1
    places = (np.arange(count) + rng.uniform(0.2, 0.8, count)) / count
    if count == 1:
        places = np.clip(rng.normal(0.5, 0.16, 1), 0.02, 0.98)
    for place in rng.permutation(places):
        head = rng.uniform(*HEAD_SIZES[crop]) * canvas.unit
        bounds = {"whole": (0.0, 0.2), "close": (-0.25, 0.2), "far": (0.0, 0.7)}
        top = rng.uniform(*bounds.get(crop, (0.0, 0.35)))
        chin = np.array((place * canvas.width, top * canvas.height + head))
        _draw_person(_make_figure(canvas, chin, head))


def _make_figure(canvas: Canvas, chin: np.ndarray, head: float) -> Figure:
    rng = canvas.rng
    tone = rng.beta(1.6, 1.2)
    skin = np.array((80, 50, 35)) * (1 - tone) + np.array((240, 200, 175)) * tone
    if rng.random() < ODD_SKIN_SHARE:
        skin = random_colour(rng)
    hair = HAIR_COLOURS[rng.integers(6)]
    if rng.random() < 0.15:
        hair = random_colour(rng)
    plain = random_material(rng, skin + rng.normal(0, 6, 3), "plain")
    strands = random_material(rng, hair * rng.uniform(0.6, 1.4), "plain")
    tilt, relief = float(rng.normal(0, 0.07)), float(rng.uniform(0.2, 0.6))
    return Figure(
        canvas=canvas,
        chin=chin,
        head=head,
        tilt=tilt,
        skin=canvas.dress(replace(plain, relief=relief, folds=0.03, grain=0.01)),
        hair=canvas.dress(replace(strands, relief=0.3)),
        top=canvas.material(),
        bulk=float(np.clip(rng.normal(1, 0.14), 0.75, 1.5)),
        turn=float(np.clip(rng.normal(0, 0.45), -1, 1)),
        away=bool(rng.random() < AWAY_SHARE),
    )


def _draw_person(figure: Figure) -> None:
    canvas, rng = figure.canvas, figure.canvas.rng
    kind = pick(rng, HAIR_WEIGHTS)
    sleeves = float(rng.choice((0.0, 0.45, 1.0), p=(0.15, 0.3, 0.55)))
    first_arm_behind = rng.random() < 0.4
    draw_hair_behind(figure, kind)
    if canvas.height - figure.chin[1] > 2.5 * figure.head:
        _draw_legs(figure)
    if first_arm_behind:
        _draw_arm(figure, -1, sleeves)
    neck, width = canvas.mask(), 0.2 * figure.head * (0.4 + 0.6 * figure.bulk)
    limb(neck, figure.at(((0, -0.25), (0, 0.2), (0, 0.7))), (width, width, width * 1.5))
    canvas.add(neck, replace(figure.skin, relief=figure.skin.relief * 0.6))
    _draw_torso(figure)
    draw_head(figure)
    draw_hair_in_front(figure, kind)
    for side in (1,) if first_arm_behind else (-1, 1):
        if rng.random() < 0.92:
            _draw_arm(figure, side, sleeves)


def _draw_torso(figure: Figure) -> None:
    canvas, rng, bulk = figure.canvas, figure.canvas.rng, figure.bulk
    shoulder, waist = rng.uniform(0.8, 1.0) * bulk, rng.uniform(0.55, 0.75) * bulk**1.5
    hip = waist * rng.uniform(1.0, 1.25)
    hem = rng.uniform(2.8, 4.4) if rng.random() < 0.3 else rng.uniform(2.6, 3.2)
    neckline = rng.uniform(0.1, 0.6)
    collar, end = (0.2 * bulk, 0.16 + rng.uniform(0, 0.1)), (hip * rng.uniform(0.95, 1.25), hem)
    upper = ((0.5 * shoulder + 0.1, 0.3), (shoulder, 0.52), (shoulder * 0.92, 1.1))
    half = np.array((collar, *upper, (waist * 1.05, 1.9), (hip, 2.7), end))
    half[:, 0] += rng.normal(0, 0.015, len(half))
    left = half[::-1] * (-1, 1) + rng.normal(0, 0.015, half.shape)
    outline = np.concatenate((((0.0, neckline),), half, ((0.0, hem + 0.05),), left))
    mask = canvas.mask()
    fill(mask, figure.at(smooth_path(outline, 10, closed=True)))
    canvas.add(mask, figure.top, marks=_mark_shirt(figure, neckline))
    if rng.random() < BAG_SHARE:
        mask, material, side = canvas.mask(), canvas.material(), rng.choice((-1, 1))
        strap = smooth_path(np.array(((-0.5, 0.3), (-0.1, 1.3), (0.75, 2.4))) * (side, 1), 8)
        lines(mask, [figure.at(strap)], rng.uniform(0.04, 0.14) * figure.head)
        size = rng.uniform(0.3, 0.6, 2)
        fill(mask, figure.at(blob(rng, np.array((side * 0.85, 2.7)), tuple(size), 0.15)))
        canvas.add(mask, material)


def _mark_shirt(figure: Figure, neckline: float) -> Marks:
    """Draws random details of a shirt: an opening, a collar, a logo."""
    rng = figure.canvas.rng
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


def _draw_arm(figure: Figure, side: int, sleeves: float) -> None:
    """Draws the left (-1) or right (1) arm; `sleeves` is 0 for none to 1 for long ones."""
    canvas, rng, head, bulk = figure.canvas, figure.canvas.rng, figure.head, figure.bulk
    upper, lower = (float(rng.uniform(*bounds)) for bounds in POSES[pick(rng, POSE_WEIGHTS)])
    joint = np.array((side * (0.78 * bulk - 0.02), 0.62))
    elbow = joint + rng.uniform(1.2, 1.5) * np.array((side * np.sin(upper), np.cos(upper)))
    toward = np.array((side * np.sin(lower), np.cos(lower)))
    wrist = elbow + rng.uniform(1.0, 1.3) * toward
    thick = np.array((0.23, 0.17, 0.1)) * (0.35 + 0.65 * bulk) * head
    joints = figure.at((joint, elbow, wrist))
    moves = rng.random() < MOVING_ARM_SHARE
    travel, heading = rng.uniform(0.05, 0.3) * head, rng.uniform(0, np.pi)
    skin = canvas.mask()
    if sleeves < 1:
        limb(skin, joints, thick)
    _draw_hand(figure, skin, wrist, toward, thick[2])
    canvas.add(blur_motion(skin, travel, heading) if moves else skin, figure.skin)
    if sleeves > 0:
        mask, loose = canvas.mask(), rng.uniform(1.05, 1.4)
        end = joints if sleeves == 1 else figure.at((joint, joint + 0.75 * (elbow - joint)))
        limb(mask, end, (thick * loose)[: len(end)])
        sleeve = replace(figure.top, seed=figure.top.seed ^ (side + 2))
        canvas.add(blur_motion(mask, travel, heading) if moves else mask, sleeve)
    if rng.random() < HELD_SHARE:
        _draw_held(figure, wrist + 0.3 * toward)


def _draw_hand(
    figure: Figure, mask: np.ndarray, wrist: np.ndarray, toward: np.ndarray, radius: float
) -> None:
    rng, head = figure.canvas.rng, figure.head
    palm = wrist + 0.28 * toward
    limb(mask, figure.at((wrist - 0.1 * toward, palm)), (radius, radius * 1.25), bends=False)
    if rng.random() < 0.3:  # a fist
        disk(mask, figure.at(palm), 0.17 * head)
        return
    heading, spread = np.arctan2(toward[1], toward[0]), rng.uniform(0.08, 0.3)
    for finger in range(5):
        angle = heading + (finger - 2) * spread + rng.normal(0, 0.06) - 0.4 * (finger == 0)
        along = np.array((np.cos(angle), np.sin(angle)))
        base = palm + 0.07 * along * 1.3
        length = rng.uniform(0.2, 0.32) * (0.75 if finger in (0, 4) else 1)
        tip = base + length * along
        limb(mask, figure.at((base, tip)), (0.04 * head, 0.03 * head), bends=False)


def _draw_held(figure: Figure, hand: np.ndarray) -> None:
    rng, mask = figure.canvas.rng, figure.canvas.mask()
    turn, length = rng.uniform(0, np.pi), rng.uniform(0.2, 2.2)
    along = np.array((np.cos(turn), np.sin(turn)))
    if rng.random() < 0.5:  # a stick, a racket, an instrument
        ends = figure.at((hand - 0.3 * length * along, hand + 0.7 * length * along))
        limb(mask, ends, (0.05 * figure.head, rng.uniform(0.02, 0.08) * figure.head), bends=False)
        middle = hand + 0.9 * length * along
        ring = blob(rng, middle, (0.3, 0.3), 0.1)
        if rng.random() < 0.5:
            outer, inner = figure.at(ring), figure.at(middle)
            fill(mask, outer, inner + (outer - inner) * rng.uniform(0.5, 0.9))
    else:
        box = BOX * rng.uniform(0.12, 0.5, 2)
        fill(mask, figure.at(hand + box @ np.array((along, along[::-1] * (-1, 1)))))
    figure.canvas.add(mask)


def _draw_legs(figure: Figure) -> None:
    """Draws legs with shoes, and in a fraction of samples a skirt."""
    canvas, rng, head, bulk = figure.canvas, figure.canvas.rng, figure.head, figure.bulk
    trousers, shoes = canvas.material(), canvas.material()
    bare, stance = rng.random() < 0.25, rng.uniform(0, 0.45)
    thick = np.array((0.4, 0.26, 0.15)) * bulk * head
    for side in (-1, 1):
        hip = np.array((side * 0.32 * bulk, 2.9))
        out, bend = rng.normal(stance, 0.12), rng.normal(0, 0.2)
        knee = hip + 1.75 * np.array((side * np.sin(out), np.cos(out)))
        ankle = knee + 1.75 * np.array((side * np.sin(out + bend), np.cos(out + bend)))
        leg, foot = canvas.mask(), canvas.mask()
        limb(leg, figure.at((hip, knee, ankle)), thick)
        cloth = replace(trousers, seed=trousers.seed ^ (side + 2))
        canvas.add(leg, figure.skin if bare else cloth)
        toe = ankle + np.array((side * rng.uniform(0.1, 0.45), rng.uniform(0.15, 0.3)))
        limb(foot, figure.at((ankle, toe)), (0.17 * head, 0.12 * head), bends=False)
        canvas.add(foot, shoes)
    if rng.random() < SKIRT_SHARE or bare:
        length, width = rng.uniform(3.4, 6.2), rng.uniform(0.7, 1.6) * bulk
        waist = 0.6 * bulk
        top, hem = np.linspace(-waist, waist, 6), np.linspace(width, -width, 14)
        edge = length + 0.12 * np.sin(np.arange(14) * rng.uniform(0.8, 2.5))
        outline = np.concatenate((np.stack((top, np.full(6, 2.2)), 1), np.stack((hem, edge), 1)))
        opacity = float(rng.choice((1.0, 0.75), p=(0.85, 0.15)))
        canvas.fill(figure.at(outline), material=trousers, opacity=opacity)
