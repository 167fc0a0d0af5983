"""The picture of augmentations: each by itself, as strong as it gets."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import default_collate

from dataset.augmentation import make_disturbance
from dataset.changes import PictureChange, blur_and_sharpen, change_colours
from dataset.geometry import needed_side, reduce_picture, warp_background, warp_foreground
from dataset.synthesis import synthesise
from dataset.synthetic import draw_foreground
from docs.making.sources import Sources
from media.fast_pictures import read_rgb

HEIGHT, WIDTH, COLUMNS, LABEL = 180, 240, 6, 20
FOREGROUND_SEED = 3
CPU = torch.device("cpu")
PHOTOGRAPH = "elementary_Viktor_Forgacs.jpg"

CHANGES = {
    "rotation 5 degrees": PictureChange(rotation=5),
    "shift 10 %": PictureChange(shift_x=0.1, shift_y=0.1),
    "shear 5 degrees": PictureChange(shear=5),
    "scale 0.4": PictureChange(scale=0.4),
    "flip": PictureChange(flip=True),
    "brightness 1.15": PictureChange(brightness=1.15),
    "contrast 0.85": PictureChange(contrast=0.85),
    "saturation 1.15": PictureChange(saturation=1.15),
    "hue 0.05": PictureChange(hue=0.05),
    "blur, radius 5": PictureChange(blur_radius=5),
    "sharpen": PictureChange(sharpen=True),
}
BACKGROUND_CHANGES = {
    "background: scale 2": PictureChange(scale=2),
    "background: hue -0.05": PictureChange(hue=-0.05),
}
PLACES = {"size": 0.12, "share": 0.03, "seed": 2}
STEAM = {"opacity": 0.8, "grey": 0.9} | PLACES
FRAMES: dict[str, dict[str, dict[str, float]]] = {
    "shadow 0.3": {
        "shadow": {"strength": 0.3, "shift_x": 0.18, "blur": 20, "scale": 1.1},
    },
    "noise 0.03": {"noise": {"src": 0.03}},
    "dark noise 0.06 *": {"dark_noise": {"sigma": 0.06}},
    "JPEG quality 40 *": {"jpeg": {"src": 40}},
    "scene change: steam *": {"scene_change": STEAM},
    "low light 0.3 *": {"low_light": {"light": 0.3}},
    "cast shadow 0.5 *": {"cast_shadow": {"light": 0.5, "shift_x": 0.18, "sharpness": 6.0}},
    "zoom 2 *": {"zoom": {"factor": 2.0}},
}
PLATES: dict[str, dict[str, dict[str, float]]] = {
    "plate: 1 degree, 1 %": {"plate_position": {"rotation": 1, "shift_x": 0.01, "shift_y": 0.01}},
    "plate: colour jitter": {
        "plate_colour": {"brightness": 0.1, "contrast": 0.85, "saturation": 1.18, "hue": 0.1},
    },
    "plate: exposure -0.5 stops *": {"exposure": {"stops": -0.5}},
    "plate: white balance 0.1 *": {"white_balance": {"red": 1.1, "blue": 0.9}},
    "plate: defocus, radius 4 *": {"defocus": {"radius": 4.0}},
    "plate: steam *": {"scene_change": STEAM | {"on_plate": 1}},
    "plate: movement 1.5 % *": {"scene_change": {"shift_x": 0.015, "shift_y": 0.015} | PLACES},
}


def make_cells(photograph: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Makes the pictures.

    Args:
        photograph: (H, W, 3) uint8, RGB.

    Yields:
        What a picture shows, and (180, 240, 3) uint8 RGB.
    """
    crop = (HEIGHT, WIDTH)
    fgr, pha = draw_foreground(np.random.default_rng(FOREGROUND_SEED), 540, 540)

    def front(change: PictureChange) -> np.ndarray:
        side = needed_side(change, crop)
        colours = reduce_picture(change_colours(fgr, change, pha), side)
        both = warp_foreground(colours, reduce_picture(pha, side), change, crop)
        return blur_and_sharpen(both, change)

    def back(change: PictureChange) -> np.ndarray:
        reduced = reduce_picture(photograph, needed_side(change, crop))
        changed = change_colours(reduced, change)
        return blur_and_sharpen(warp_background(changed, change, crop), change)

    def compose(
        both: np.ndarray, bgr: np.ndarray, drawn: dict[str, dict[str, float]]
    ) -> tuple[np.ndarray, np.ndarray]:
        planes = torch.from_numpy(np.dstack((both, bgr))).permute(2, 0, 1)
        parts: dict[str, Any] = {"fgr": planes[:3], "pha": planes[3:4], "bgr": planes[4:]}
        parts["disturbance"] = make_disturbance(**drawn)
        sample = synthesise(default_collate([parts]), CPU)
        src, plate = (
            (picture[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
            for picture in (sample.src, sample.bgr)
        )
        return src, plate

    person = front(PictureChange())
    scene = back(PictureChange())
    yield "frame", compose(person, scene, {})[0]
    for label, change in CHANGES.items():
        yield label, compose(front(change), scene, {})[0]
    for label, change in BACKGROUND_CHANGES.items():
        yield label, compose(person, back(change), {})[0]
    for label, drawn in FRAMES.items():
        yield label, compose(person, scene, drawn)[0]
    yield "plate", scene
    for label, drawn in PLATES.items():
        yield label, compose(person, scene, drawn)[1]


def make_augmentation(sources: Sources, path: Path) -> None:
    """Makes the picture over Viktor Forgacs' photograph."""
    (photograph,) = sources.find_photographs(PHOTOGRAPH)
    cells = list(make_cells(read_rgb(photograph)))
    rows = -(-len(cells) // COLUMNS)
    sheet = np.full((rows * (HEIGHT + LABEL), COLUMNS * (WIDTH + 4) - 4, 3), 255, np.uint8)
    for n, (label, picture) in enumerate(cells):
        top, left = n // COLUMNS * (HEIGHT + LABEL), n % COLUMNS * (WIDTH + 4)
        sheet[top + LABEL : top + LABEL + HEIGHT, left : left + WIDTH] = picture
        place = (left + 2, top + LABEL - 6)
        cv2.putText(sheet, label, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0,) * 3, 1, cv2.LINE_AA)
    cv2.imwrite(str(path), sheet[..., ::-1], (cv2.IMWRITE_PNG_COMPRESSION, 9))
