"""Arms, hands, legs and skirts of synthetic people, and what they hold."""

from dataclasses import replace

import numpy as np

from .finish import move
from .heads import Figure
from .materials import random_material
from .shapes import blob, disk, fill, limb

# How often.
POSE_WEIGHTS = {"hang": 0.34, "hip": 0.20, "raise": 0.12, "aside": 0.10, "fold": 0.14, "wave": 0.10}
HELD_SHARE = 0.2
SKIRT_SHARE = 0.25
MOVING_ARM_SHARE = 0.08  # blurred by its motion, the rest of the figure being still


def _arm_angles(figure: Figure) -> tuple[float, float]:
    rng = figure.rng
    pose = str(rng.choice(list(POSE_WEIGHTS), p=list(POSE_WEIGHTS.values())))
    ranges = {
        "hang": ((0.05, 0.35), (-0.2, 0.2)),
        "hip": ((0.6, 1.1), (-1.4, -0.8)),
        "raise": ((1.9, 2.9), (2.0, 3.4)),
        "aside": ((1.1, 1.9), (0.8, 2.2)),
        "fold": ((0.1, 0.4), (-1.9, -1.3)),
        "wave": ((0.9, 1.5), (2.4, 3.2)),
    }
    upper, lower = ranges[pose]
    return float(rng.uniform(*upper)), float(rng.uniform(*lower))


def draw_arm(figure: Figure, side: int, sleeves: float) -> None:
    """Draws an arm in a pose of `POSE_WEIGHTS`.

    Args:
        figure: whose arm.
        side: -1 for the left of the picture, 1 for the right.
        sleeves: 0 for none, 1 for long ones.
    """
    rng, head, bulk = figure.rng, figure.head, figure.bulk
    upper, lower = _arm_angles(figure)
    joint = np.array((side * (0.78 * bulk - 0.02), 0.62))
    elbow = joint + rng.uniform(1.2, 1.5) * np.array((side * np.sin(upper), np.cos(upper)))
    toward = np.array((side * np.sin(lower), np.cos(lower)))
    wrist = elbow + rng.uniform(1.0, 1.3) * toward
    thick = np.array((0.23, 0.17, 0.1)) * (0.35 + 0.65 * bulk) * head
    joints = figure.at((joint, elbow, wrist))
    moves = rng.random() < MOVING_ARM_SHARE
    travel, heading = rng.uniform(0.05, 0.3) * head, rng.uniform(0, np.pi)
    skin = figure.canvas.mask()
    if sleeves < 1:
        limb(skin, joints, thick)
    _hand(figure, skin, wrist, toward, thick[2])
    figure.add(move(skin, travel, heading) if moves else skin, figure.skin)
    if sleeves > 0:
        mask = figure.canvas.mask()
        loose = rng.uniform(1.05, 1.4)
        end = joints if sleeves == 1 else figure.at((joint, joint + 0.75 * (elbow - joint)))
        limb(mask, end, (thick * loose)[: len(end)])
        sleeve = replace(figure.top, seed=figure.top.seed ^ (side + 2))
        figure.add(move(mask, travel, heading) if moves else mask, sleeve)
    if rng.random() < HELD_SHARE:
        _held(figure, wrist + 0.3 * toward)


def _hand(
    figure: Figure, mask: np.ndarray, wrist: np.ndarray, toward: np.ndarray, radius: float
) -> None:
    rng, head = figure.rng, figure.head
    palm = wrist + 0.28 * toward
    limb(mask, figure.at((wrist - 0.1 * toward, palm)), (radius, radius * 1.25), bends=False)
    if rng.random() < 0.3:  # a fist
        disk(mask, figure.at(palm), 0.17 * head)
        return
    heading = np.arctan2(toward[1], toward[0])
    spread = rng.uniform(0.08, 0.3)
    for finger in range(5):
        angle = heading + (finger - 2) * spread + rng.normal(0, 0.06)
        if finger == 0:
            angle -= 0.4
        base = palm + 0.07 * np.array((np.cos(angle), np.sin(angle))) * 1.3
        length = rng.uniform(0.2, 0.32) * (0.75 if finger in (0, 4) else 1)
        tip = base + length * np.array((np.cos(angle), np.sin(angle)))
        limb(mask, figure.at((base, tip)), (0.04 * head, 0.03 * head), bends=False)


def _held(figure: Figure, hand: np.ndarray) -> None:
    rng, mask = figure.rng, figure.canvas.mask()
    turn, length = rng.uniform(0, np.pi), rng.uniform(0.2, 2.2)
    along = np.array((np.cos(turn), np.sin(turn)))
    if rng.random() < 0.5:  # a stick, a racket, an instrument
        ends = figure.at((hand - 0.3 * length * along, hand + 0.7 * length * along))
        limb(mask, ends, (0.05 * figure.head, rng.uniform(0.02, 0.08) * figure.head), bends=False)
        ring = blob(rng, hand + 0.9 * length * along, (0.3, 0.3), 0.1)
        if rng.random() < 0.5:
            outer, inner = figure.at(ring), figure.at(hand + 0.9 * length * along)
            fill(mask, outer, inner + (outer - inner) * rng.uniform(0.5, 0.9))
    else:
        size = rng.uniform(0.12, 0.5, 2)
        box = np.array(((-1, -1), (1, -1), (1, 1), (-1, 1))) * size
        fill(mask, figure.at(hand + box @ np.array((along, along[::-1] * (-1, 1)))))
    figure.add(mask, figure.dress(random_material(rng)))


def draw_legs(figure: Figure) -> None:
    """Draws legs with shoes, and a skirt over them in its share."""
    rng, head, bulk = figure.rng, figure.head, figure.bulk
    trousers = figure.dress(random_material(rng))
    shoes = figure.dress(random_material(rng))
    bare = rng.random() < 0.25
    thick = np.array((0.4, 0.26, 0.15)) * bulk * head
    stance = rng.uniform(0, 0.45)
    for side in (-1, 1):
        hip = np.array((side * 0.32 * bulk, 2.9))
        out, bend = rng.normal(stance, 0.12), rng.normal(0, 0.2)
        knee = hip + 1.75 * np.array((side * np.sin(out), np.cos(out)))
        ankle = knee + 1.75 * np.array((side * np.sin(out + bend), np.cos(out + bend)))
        mask = figure.canvas.mask()
        limb(mask, figure.at((hip, knee, ankle)), thick)
        figure.add(
            mask, figure.skin if bare else replace(trousers, seed=trousers.seed ^ (side + 2))
        )
        foot = figure.canvas.mask()
        toe = ankle + np.array((side * rng.uniform(0.1, 0.45), rng.uniform(0.15, 0.3)))
        ends = figure.at((ankle, toe))
        limb(foot, ends, (0.17 * head, 0.12 * head), bends=False)
        figure.add(foot, shoes)
    if rng.random() < SKIRT_SHARE or bare:
        length, width = rng.uniform(3.4, 6.2), rng.uniform(0.7, 1.6) * bulk
        waist = 0.6 * bulk
        top, hem = np.linspace(-waist, waist, 6), np.linspace(width, -width, 14)
        edge = length + 0.12 * np.sin(np.arange(14) * rng.uniform(0.8, 2.5))
        outline = np.concatenate((np.stack((top, np.full(6, 2.2)), 1), np.stack((hem, edge), 1)))
        mask = figure.canvas.mask()
        fill(mask, figure.at(outline))
        opacity = float(rng.choice((1.0, 0.75), p=(0.85, 0.15)))
        figure.canvas.add(mask, trousers, opacity)
