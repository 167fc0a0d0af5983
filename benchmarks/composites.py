"""Test pictures with known alpha: composites of subjects and backgrounds, and captured pairs."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch.utils.data import default_collate

from dataset.augmentation import make_disturbance
from dataset.synthesis import synthesise
from dataset.synthetic import draw_foreground
from matting.plate.align import align_plate
from media.pictures import read_picture

Capture = Mapping[str, Mapping[str, float]]  # as `make_disturbance` takes it
# A realistic capture of composites: noise, JPEG 88, a shadow of 25%, the plate
# moved by 0.2% and 4% brighter.
CAPTURE: Capture = {
    "noise": {"src": 0.01, "bgr": 0.01},
    "jpeg": {"src": 88, "bgr": 88},
    "shadow": {"strength": 0.25, "shift_x": 0.06, "shift_y": 0.03, "blur": 30},
    "plate_position": {"shift_x": 0.002, "shift_y": 0.002},
    "plate_colour": {"contrast": 1.04},
}


class Subject(NamedTuple):
    """A foreground with its alpha.

    Attributes:
        name: for tables.
        fgr: (H, W, 3) uint8, RGB, not premultiplied.
        pha: (H, W) uint8.
    """

    name: str
    fgr: np.ndarray
    pha: np.ndarray


class Pair(NamedTuple):
    """A frame with its plate and its true alpha.

    Attributes:
        name: for tables.
        src: (H, W, 3) uint8, RGB.
        bgr: (H, W, 3) uint8, RGB.
        pha: (H, W) float64 in [0, 1].
    """

    name: str
    src: np.ndarray
    bgr: np.ndarray
    pha: np.ndarray


def read_mattes(folder: Path) -> list[Subject]:
    """Reads every NAME_fgr.png with its NAME_pha.png.

    Raises:
        ValueError: when there is none, or one has no partner.
    """
    paths = sorted(folder.glob("*_pha.png"))
    if not paths:
        raise ValueError(f"{folder} has no NAME_pha.png; give a folder of NAME_fgr.png with them")
    subjects = []
    for path in paths:
        fgr = read_picture(path.with_name(path.name.replace("_pha", "_fgr"))).pixels
        subjects.append(Subject(path.stem, fgr, read_picture(path).pixels[..., 0]))
    return subjects


def read_people(pairs: Path) -> list[Subject]:
    """Cuts the person out of every NAME_src.png, with NAME_reference.png as alpha.

    The colours of the foreground are estimated by pymatting.

    Raises:
        ValueError: when there is none, or pymatting is not installed.

    Source: Germer et al., "Fast multi-level foreground estimation", ICPR 2020.
    """
    try:
        from pymatting import estimate_foreground_ml
    except ImportError as error:
        raise ValueError(
            "cutting people out of their frames needs pymatting: pip install pymatting"
        ) from error
    subjects = []
    for path in sorted(pairs.glob("*_src.png")):
        reference = path.with_name(path.name.replace("_src", "_reference"))
        pha = read_picture(reference).pixels[..., 0]
        fgr = estimate_foreground_ml(read_picture(path).pixels / 255, pha / 255)
        fgr = (np.clip(fgr, 0, 1) * 255 + 0.5).astype(np.uint8)
        subjects.append(Subject(path.stem.removesuffix("_src"), fgr, pha))
    if not subjects:
        raise ValueError(f"{pairs} has no NAME_src.png; give a folder of frames and references")
    return subjects


def draw_subjects(count: int, height: int, width: int) -> list[Subject]:
    """Draws synthetic subjects, for use without mattes."""
    subjects = []
    for number in range(count):
        fgr, pha = draw_foreground(np.random.default_rng(number), height, width)
        subjects.append(Subject(f"drawn {number}", fgr, pha))
    return subjects


def compose(
    subjects: Sequence[Subject],
    backgrounds: Sequence[Path],
    capture: Capture,
    likeness: float = 0.0,
) -> Iterator[Pair]:
    """Composites every subject over every background and disturbs frame and plate.

    Args:
        subjects: foregrounds with alpha.
        backgrounds: photographs; each is resized and cropped to the subject's size.
        capture: disturbances of frame and plate, as `make_disturbance` takes them.
        likeness: how similar the subject's colours are made to the background's, from 0 to 1.

    Yields:
        See `Pair`.
    """
    photographs = [read_picture(path).pixels for path in backgrounds]
    for seed, (name, fgr, pha) in enumerate(subjects):
        alpha = pha / 255
        for number, (path, photograph) in enumerate(zip(backgrounds, photographs, strict=True)):
            bgr = cover(photograph, *pha.shape)
            noise = {**capture.get("noise", {}), "seed": 100 * seed + number}
            disturbance = make_disturbance(**{**capture, "noise": noise})
            coloured = imitate(fgr, alpha, bgr, likeness) if likeness else fgr
            batch = {
                **{"fgr": planes(coloured), "pha": planes(pha[..., None]), "bgr": planes(bgr)},
                "disturbance": default_collate([disturbance]),
            }
            sample = synthesise(batch, torch.device("cpu"))
            src, plate = (
                (picture[0].permute(1, 2, 0).numpy() * 255 + 0.5).astype(np.uint8)
                for picture in (sample.src, sample.bgr)
            )
            yield Pair(f"{name} on {path.stem}", src, plate, alpha)


def imitate(fgr: np.ndarray, pha: np.ndarray, bgr: np.ndarray, likeness: float) -> np.ndarray:
    """Changes mean and deviation of a foreground's colours towards those of the background.

    Args:
        fgr: (H, W, 3) uint8, RGB.
        pha: (H, W) float64 in [0, 1], the weight of each pixel.
        bgr: (H, W, 3) uint8, RGB.
        likeness: 0 leaves the foreground unchanged, 1 gives the background's mean and deviation.

    Returns:
        (H, W, 3) uint8, RGB.

    Source: Reinhard et al., "Color transfer between images", 2001; in RGB.
    """
    weights = pha / max(pha.sum(), 1e-9)

    def moments(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean = np.tensordot(weights, picture, 2)
        return mean, np.sqrt(np.tensordot(weights, np.square(picture - mean), 2))

    (fgr_mean, fgr_deviation), (bgr_mean, bgr_deviation) = (
        moments(picture.astype(np.float64)) for picture in (fgr, bgr)
    )
    alike = (fgr - fgr_mean) * (bgr_deviation / np.maximum(fgr_deviation, 1)) + bgr_mean
    return (np.clip(fgr + likeness * (alike - fgr), 0, 255) + 0.5).astype(np.uint8)


def cover(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resizes a picture to cover a size, and crops its centre."""
    scale = max(height / picture.shape[0], width / picture.shape[1])
    size = (
        max(width, round(picture.shape[1] * scale)),
        max(height, round(picture.shape[0] * scale)),
    )
    picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    return picture[top : top + height, left : left + width]


def planes(picture: np.ndarray) -> torch.Tensor:
    """Converts (H, W, C) to a batch of one, (1, C, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[None]


def captured(pairs: Path) -> Iterator[Pair]:
    """Reads each NAME_src.png with plate.png, which it aligns, and NAME_reference.png."""
    plate = read_picture(pairs / "plate.png").pixels
    for path in sorted(pairs.glob("*_src.png")):
        src = read_picture(path).pixels
        reference = read_picture(path.with_name(path.name.replace("_src", "_reference"))).pixels
        yield Pair(path.stem, src, align_plate(src, plate)[0], reference[..., 0] / 255)
