"""Pictures of known alpha for the gate: shadows, dark cloth, strands, a clip that moves slowly.

None is made by the disturbances of training, because weights that were trained on a synthesis do
well on it.
"""

from collections.abc import Iterator
from functools import partial

import cv2
import numpy as np

from benchmarks.composites import CAPTURE, Pair, Subject, cover
from benchmarks.conditions import CONDITIONS
from benchmarks.gate_cases import Case, Material, Measure
from benchmarks.gate_measures import (
    erode_core,
    find_strands,
    measure_change,
    measure_grad,
    measure_holes,
    measure_islands,
    measure_lowest,
    measure_mad,
    measure_strands,
    measure_within,
)
from media.pictures import read_picture

SCENE = 600, 800  # height and width of pictures with shadows
FACTORS = 0.3, 0.5, 0.7, 0.85  # of the plate's light that a shadow leaves
BLURS = {"sharp": 0.7, "soft": 12.0}  # sigma of a shadow's edge, pixels
LEVELS = 4, 8, 16, 40  # of difference between dark cloth and the mean of the plate
NOISE, QUALITY = 0.004, 92  # of frame and plate: sigma of white, JPEG
HAIR = np.array((60, 40, 30), np.uint8)  # RGB of drawn hair
STRANDY = 0.02  # share of a subject's alpha in strands from which it counts as hairy


def composites_none(material: Material) -> Iterator[Case]:
    """Composites that were captured perfectly."""
    for pair in material.compose({}):
        yield Case(
            [pair.src],
            pair.bgr,
            {
                "best": errors("none", pair.pha),
                "coarse": {"coarse-none-mad": partial(measure_mad, true=pair.pha)},
            },
        )


def composites_capture(material: Material) -> Iterator[Case]:
    """Composites as a careful user captures them."""
    for pair in material.compose(CAPTURE):
        true, core = pair.pha, erode_core(pair.pha)
        measures = errors("capture", true) | solidity("composites", core)
        far = 0.02 * max(true.shape)
        measures["islands"] = partial(measure_islands, subject=true > 0, distance=far)
        if find_strands(true).sum() >= STRANDY * true.sum():
            measures["strands-real"] = partial(measure_strands, true=true)
        coarse: dict[str, Measure] = {"coarse-capture-mad": partial(measure_mad, true=true)}
        yield Case([pair.src], pair.bgr, {"best": measures, "coarse": coarse})


def composites_shift(material: Material) -> Iterator[Case]:
    """Composites whose plate is moved by 2%."""
    moved = [condition for condition in CONDITIONS if condition.name == "shift"][-1]
    for pair in material.compose(moved.capture):
        measures: dict[str, Measure] = {"shift-mad": partial(measure_mad, true=pair.pha)}
        yield Case([pair.src], pair.bgr, {"best": measures})


def shadows(material: Material) -> Iterator[Case]:
    """Pictures with two shadows of one factor: a sharp one on one side, a soft one on the other."""
    for number, (_, subject, plate, other) in enumerate(scenes(material)):
        factor = FACTORS[(number + number // len(FACTORS)) % len(FACTORS)]
        depths = {
            kind: cast(other.pha, side, blur)
            for (kind, blur), side in zip(BLURS.items(), (-1, 1), strict=True)
        }
        light = np.ones(SCENE, np.float32)
        for depth in depths.values():
            light *= 1 - (1 - factor) * depth
        pair = shoot(subject, plate, light, number)
        near = cv2.dilate((pair.pha > 0).astype(np.uint8), np.ones((17, 17), np.uint8)) > 0
        measures: dict[str, Measure] = {}
        for kind, depth in depths.items():
            rest = sum(value for name, value in depths.items() if name != kind)
            where = (depth >= 0.95) & (rest < 0.05) & ~near
            measures[f"shadow-{kind}-{factor:g}"] = partial(measure_within, mask=where)
        yield Case([pair.src], pair.bgr, {"best": measures})


def contact_shadows(material: Material) -> Iterator[Case]:
    """Pictures with small dark ellipses on the ground where the subject stands."""
    for number, (rng, subject, plate, _) in enumerate(scenes(material)):
        if number % 4:
            continue
        depth = np.zeros(SCENE, np.float32)
        below = np.argwhere(subject.pha > 127)
        bottom = int(below[:, 0].max())
        feet = below[below[:, 0] > bottom - 20, 1]
        for x in np.quantile(feet, (0.1, 0.5, 0.9)):
            size = int(rng.integers(30, 70)), int(rng.integers(8, 16))
            cv2.ellipse(depth, (int(x), bottom), size, 0, 0, 360, 1.0, cv2.FILLED)
        depth = cv2.GaussianBlur(depth, (0, 0), 3)
        pair = shoot(subject, plate, 1 - 0.6 * depth, number)
        # Nearer than 3 pixels alpha may be soft.
        near = cv2.dilate((pair.pha > 0).astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
        where = (depth >= 0.5) & ~near
        yield Case(
            [pair.src],
            pair.bgr,
            {"best": {"shadow-contact": partial(measure_within, mask=where)}},
        )


def dark_cloth(material: Material) -> Iterator[Case]:
    """Subjects of nearly plain dark cloth before dark textured plates."""
    for number, (s, b) in enumerate(material.combine()):
        subject = material.subjects[s]
        rng = np.random.default_rng([2, s, b])
        difference = LEVELS[(number + number // len(LEVELS)) % len(LEVELS)]
        photograph = cover(read_picture(material.backgrounds[b]).pixels, *subject.pha.shape)
        plate = darken(photograph, float(rng.uniform(25, 60)))
        cloth = dress(subject, plate, difference, rng)
        pair = shoot(subject._replace(fgr=cloth), plate, np.ones(subject.pha.shape), number)
        holes = partial(measure_holes, core=erode_core(pair.pha))
        measures: dict[str, Measure] = {f"dark-{difference}": holes, "dark-worst": holes}
        yield Case([pair.src], pair.bgr, {"best": measures})


def drawn_strands(material: Material) -> Iterator[Case]:
    """Subjects with drawn hair: curves of 1 to 3 pixels that leave the outline."""
    for number, (rng, subject, plate, _) in enumerate(scenes(material)):
        if number % 4:
            continue
        haired, hair = add_hair(subject, rng)
        pair = shoot(haired, plate, np.ones(SCENE), number)
        only = np.where(hair > 0, pair.pha, 0)
        measures: dict[str, Measure] = {"strands-drawn": partial(measure_strands, true=only)}
        yield Case([pair.src], pair.bgr, {"best": measures})


def slow_clip(material: Material, frames: int = 5) -> Iterator[Case]:
    """Clips of a subject that moves by 1.5 pixels a frame; noise is new in each frame."""
    for number, (_, subject, plate, _) in enumerate(scenes(material)):
        if number % 8:
            continue
        pairs = []
        for t in range(frames):
            step = np.array([[1, 0, 1.5 * t], [0, 1, 0.5 * t]])
            size = SCENE[::-1]
            moved = Subject(
                subject.name,
                cv2.warpAffine(subject.fgr, step, size, borderMode=cv2.BORDER_REPLICATE),
                cv2.warpAffine(subject.pha, step, size),
            )
            pairs.append(shoot(moved, plate, np.ones(SCENE), 100 * number + t))
        trues = [pair.pha for pair in pairs]
        yield Case(
            [pair.src for pair in pairs],
            pairs[0].bgr,
            {"auto": {"dtssd": lambda *phas, trues=trues: measure_change(list(phas), trues)}},
            preprocess="none",
        )


def errors(name: str, true: np.ndarray) -> dict[str, Measure]:
    """MAD and Grad of an alpha."""
    return {
        f"{name}-mad": partial(measure_mad, true=true),
        f"{name}-grad": partial(measure_grad, true=true),
    }


def solidity(name: str, core: np.ndarray) -> dict[str, Measure]:
    """Holes and lowest alpha of a core."""
    return {
        f"holes-{name}": partial(measure_holes, core=core),
        f"lowest-{name}": partial(measure_lowest, core=core),
    }


def scenes(
    material: Material,
) -> Iterator[tuple[np.random.Generator, Subject, np.ndarray, Subject]]:
    """Subjects at 60% of a scene's height, with the plate, and another subject to cast shadows."""
    for s, b in material.combine():
        plate = cover(read_picture(material.backgrounds[b]).pixels, *SCENE)
        other = material.subjects[(s + 1) % len(material.subjects)]
        yield np.random.default_rng([1, s, b]), place(material.subjects[s]), plate, place(other)


def place(subject: Subject) -> Subject:
    """Puts a subject into the middle of a scene, standing a tenth above its lower edge."""
    height, width = SCENE
    high, wide = subject.pha.shape
    scale = min(0.6 * height / high, 0.5 * width / wide)
    size = round(wide * scale), round(high * scale)
    top, left = round(0.9 * height) - size[1], (width - size[0]) // 2
    room = (top, height - top - size[1], left, width - left - size[0])
    fgr, pha = (
        cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        for picture in (subject.fgr, subject.pha)
    )
    return Subject(
        subject.name,
        cv2.copyMakeBorder(fgr, *room, cv2.BORDER_REPLICATE),
        cv2.copyMakeBorder(pha, *room, cv2.BORDER_CONSTANT, value=0),
    )


def cast(pha: np.ndarray, side: int, blur: float) -> np.ndarray:
    """Casts a silhouette to a side, -1 or 1, mirrored and sheared: (H, W) depth in [0, 1]."""
    height, width = pha.shape
    shear = 0.25 * side
    move = width / 2 + side * 0.28 * width
    # Mirrored from left to right about the middle, leaning outwards from the ground.
    matrix = np.array([[-0.9, -shear, move + 0.45 * width + shear * 0.9 * height], [0, 1.0, 0.0]])
    depth = cv2.warpAffine(pha.astype(np.float32) / 255, matrix, (width, height))
    return cv2.GaussianBlur(depth, (0, 0), blur)


def shoot(subject: Subject, plate: np.ndarray, light: np.ndarray, seed: int) -> Pair:
    """Photographs a subject and its plate, with light noise and JPEG.

    Args:
        subject: as large as the plate.
        plate: (H, W, 3) uint8.
        light: (H, W), factor of the plate's light in the frame.
        seed: of the noise.
    """
    alpha = subject.pha / 255
    lit = plate * light[..., None]
    frame = alpha[..., None] * subject.fgr + (1 - alpha[..., None]) * lit
    rng = np.random.default_rng(seed)
    shots = []
    for picture in (frame, plate):
        noisy = picture + 255 * NOISE * rng.standard_normal(picture.shape)
        pixels = (np.clip(noisy, 0, 255) + 0.5).astype(np.uint8)
        _, data = cv2.imencode(".jpg", pixels[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, QUALITY))
        shots.append(
            cv2.cvtColor(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR)), cv2.COLOR_BGR2RGB)
        )
    return Pair(subject.name, shots[0], shots[1], alpha)


def darken(photograph: np.ndarray, mean: float) -> np.ndarray:
    """Darkens a photograph to a mean in levels, and keeps a texture of 5 levels and more."""
    picture = photograph.astype(np.float32) * (mean / max(float(photograph.mean()), 1))
    smooth = cv2.GaussianBlur(picture, (0, 0), 8)
    detail = picture - smooth
    gain = max(1.0, 5 / max(float(detail.std()), 0.1))
    # Light areas would not be dark plates: their level is brought down to twice the mean.
    dark = np.minimum(smooth, 2 * mean) + gain * detail
    return (np.clip(dark, 0, 255) + 0.5).astype(np.uint8)


def dress(
    subject: Subject, plate: np.ndarray, difference: int, rng: np.random.Generator
) -> np.ndarray:
    """Colours of a subject in plain cloth, some levels from the mean of the plate behind it.

    Darker than the plate where that is possible and the generator says so. Of the subject's own
    detail 0.1 remains, and there are folds of 2 levels.
    """
    weights = subject.pha / 255
    mean = np.tensordot(weights, plate, 2) / max(float(weights.sum()), 1e-9)
    darker = bool(rng.integers(2)) and mean.min() - difference >= 5
    fgr = subject.fgr.astype(np.float32)
    detail = fgr - cv2.GaussianBlur(fgr, (0, 0), 12)
    folds = cv2.GaussianBlur(rng.standard_normal(subject.pha.shape).astype(np.float32), (0, 0), 25)
    folds = folds * (2 / max(float(folds.std()), 1e-9))
    cloth = mean + (-difference if darker else difference) + 0.1 * detail + folds[..., None]
    return (np.clip(cloth, 0, 255) + 0.5).astype(np.uint8)


def add_hair(subject: Subject, rng: np.random.Generator) -> tuple[Subject, np.ndarray]:
    """Adds 40 strands of 60 to 140 pixels; returns the subject, and the alpha of strands alone."""
    outlines, _ = cv2.findContours(
        (subject.pha > 127).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    rim = np.concatenate([outline[:, 0] for outline in outlines]).astype(np.float64)
    middle = rim.mean(axis=0)
    upper = rim[rim[:, 1] < middle[1]]
    hair = np.zeros(subject.pha.shape, np.uint8)
    steps = np.linspace(0, 1, 40)[:, None]
    for root in upper[rng.integers(len(upper), size=40)]:
        out = (root - middle) / max(float(np.linalg.norm(root - middle)), 1)
        side = np.array([-out[1], out[0]]) * rng.uniform(-0.4, 0.4)
        points = root + rng.uniform(60, 140) * (steps * out + np.square(steps) * side)
        fixed = np.round(points * 16).astype(np.int32)  # 4 bits of a pixel's fraction
        strand = np.zeros_like(hair)
        cv2.polylines(strand, [fixed], False, 255, int(rng.integers(1, 4)), cv2.LINE_AA, 4)
        hair = np.maximum(hair, strand)
    hair[subject.pha > 0] = 0
    fgr = np.where(hair[..., None] > 0, HAIR, subject.fgr)
    return Subject(subject.name, fgr, np.maximum(subject.pha, hair)), hair
