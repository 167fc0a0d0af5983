"""Real pictures for the gate: the person, captured pairs, the demo, a room, a fixed camera."""

from collections.abc import Iterator
from contextlib import closing
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from benchmarks.composites import CAPTURE, read_people
from benchmarks.gate_cases import Case, Material, Measure, MissingError
from benchmarks.gate_measures import (
    erode_core,
    find_core,
    find_shadow,
    measure_flicker,
    measure_islands,
)
from benchmarks.gate_pictures import errors, solidity
from benchmarks.static_camera import PLATE_FRAMES
from matting.video.open import open_source
from matting.video.plate import median_plate
from matting.video.settings import VideoSettings
from media.pictures import read_picture
from runtime.files import SHIPPED

PLACES = 40  # in the clip; at each, a frame and the next one
TALL = 40  # pixels; people in the clip are taller
FAR = 60  # pixels from the person of the pairs; beyond is nothing
# Left, top, right and bottom of the floor around feet and chair, pixels; looked at.
FLOOR = 310, 270, 440, 345
TILE = 16  # pixels; one picture has no pictures to resample, so its tiles are


def person(material: Material) -> Iterator[Case]:
    """The person of the pairs before other plates, as a careful user captures them."""
    folder = need(material, "real_pairs")
    if find_spec("pymatting") is None:
        raise MissingError(
            "cutting people out of their frames needs pymatting: pip install pymatting"
        )
    for pair in material.compose(CAPTURE, read_people(folder)):
        measures = errors("person", pair.pha) | solidity("person", erode_core(pair.pha))
        yield Case([pair.src], pair.bgr, {"best": measures})


def pairs(material: Material) -> Iterator[Case]:
    """Real frames with a captured plate and a reference alpha."""
    folder = need(material, "real_pairs")
    plate = read_picture(folder / "plate.png").pixels
    for path in sorted(folder.glob("*_src.png")):
        reference = path.with_name(path.name.replace("_src", "_reference"))
        true = read_picture(reference).pixels[..., 0] / 255
        measures = errors("pairs", true)
        measures["pairs-islands"] = partial(measure_islands, subject=true > 0.5, distance=FAR)
        yield Case([read_picture(path).pixels], plate, {"best": measures})


def demo(_: Material) -> Iterator[Case]:
    """The demo's photographs; the core is found by the difference from the plate."""
    for path in sorted((SHIPPED / "demo/src").glob("*.jpg")):
        src, bgr = (read_picture(p).pixels for p in (path, SHIPPED / "demo/bgr" / path.name))
        core = find_core(src, bgr, src.shape[0] // 6)
        yield Case([src], bgr, {"best": solidity("demo", core)})


def clip(material: Material) -> Iterator[Case]:
    """Pairs of consecutive frames of a fixed camera; the plate is the clip's median."""
    path = need(material, "video/static_camera.avi")
    settings = VideoSettings(path)
    with closing(open_source(settings)) as source:
        plate = median_plate(source, PLATE_FRAMES).pixels
    with closing(open_source(settings)) as source:
        count = sum(1 for _ in iter(source.read, None))
    places = material.thin([k * (count - 1) // PLACES for k in range(PLACES)])
    before = plate
    with closing(open_source(settings)) as source:
        for frame in iter(source.read, None):
            if frame.number - 1 in places:
                measures = _measure_two(before, frame.pixels, plate)
                yield Case([before, frame.pixels], plate, {"auto": measures}, "none")
            before = frame.pixels


def _measure_two(first: np.ndarray, second: np.ndarray, plate: np.ndarray) -> dict[str, Measure]:
    """Measures of two consecutive frames: solidity on the first, and flicker."""
    solid = solidity("clip", find_core(first, plate, TALL))
    measures: dict[str, Measure] = {
        name: lambda before, _, measure=measure: measure(before) for name, measure in solid.items()
    }
    measures["flicker"] = partial(measure_flicker, src_before=first, src_after=second)
    return measures


def room(material: Material) -> Iterator[Case]:
    """A room with contact shadows on its floor: their share of all alpha."""
    folder = need(material, "room")
    src, bgr = (read_picture(folder / f"room_{name}.png").pixels for name in ("src", "bgr"))
    mask = room_shadow(src, bgr)
    yield Case([src], bgr, {"best": {"shadow-room": partial(measure_share, mask=mask)}})


def room_shadow(src: np.ndarray, bgr: np.ndarray) -> np.ndarray:
    """(H, W) bool: the contact shadows on the room's floor."""
    left, top, right, bottom = FLOOR
    floor = np.zeros(src.shape[:2], bool)
    floor[top:bottom, left:right] = True
    return find_shadow(src, bgr) & floor


def measure_share(pha: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Share of all alpha that lies in a mask, by tiles: their mean is the share."""
    inside = np.where(mask, pha, 0) / max(float(pha.sum()), 1e-9)
    rows, columns = (np.arange(0, side, TILE) for side in mask.shape)
    sums, covered = (
        np.add.reduceat(np.add.reduceat(values, rows, 0), columns, 1).ravel()
        for values in (inside, mask.astype(float))
    )
    used = sums[covered > 0]
    return used * len(used)


def need(material: Material, name: str) -> Path:
    """The path of data by name; `MissingError` if it is not there."""
    path = material.data / name
    if not path.exists():
        raise MissingError(f"{path} does not exist")
    return path
