"""Pictures of known alpha for the gate: shadows, dark cloth, strands, a clip that moves slowly.

None is made by the disturbances of training, because weights that were trained on a synthesis do
well on it.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import cv2
import numpy as np

from benchmarks.composites import CAPTURE, Subject, cover
from benchmarks.conditions import CONDITIONS
from benchmarks.gate_cases import Case, Material, Measure
from benchmarks.gate_drawing import (
    SCENE,
    add_hair,
    cast,
    darken,
    dress,
    measure_texture,
    place,
    shoot,
)
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

FACTORS = 0.3, 0.5, 0.7, 0.85  # of the plate's light that a shadow leaves
BLURS = {"sharp": 0.7, "soft": 12.0}  # sigma of a shadow's edge, pixels
LEVELS = 4, 8, 16, 40  # of difference between dark cloth and the mean of the plate
TEXTURE = 5  # levels of deviation over 15 x 15 pixels from which a plate is textured
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
    """Every second composite, with the plate moved by 2%: aligning takes time."""
    material = replace(material, every=2 * material.every)
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
        light = np.ones(SCENE)
        for shadow in depths.values():
            light = light * (1 - (1 - factor) * shadow)
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
        ellipses = np.zeros(SCENE, np.float32)
        below = np.argwhere(subject.pha > 127)
        bottom = int(below[:, 0].max())
        feet = below[below[:, 0] > bottom - 20, 1]
        for x in np.quantile(feet, (0.1, 0.5, 0.9)):
            size = int(rng.integers(30, 70)), int(rng.integers(8, 16))
            cv2.ellipse(ellipses, (int(x), bottom), size, 0, 0, 360, 1.0, cv2.FILLED)
        depth = cv2.GaussianBlur(ellipses, (0, 0), 3)
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
        # On a plain plate, dark cloth and a shadow are the same picture.
        core = erode_core(pair.pha) & (measure_texture(plate) >= TEXTURE)
        holes = partial(measure_holes, core=core)
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
            {"auto": {"dtssd": partial(measure_change, trues=trues)}},
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
