"""Makes docs/pictures/augmentation.png: each augmentation by itself, as strong as it gets.

python -m docs.make_augmentation_picture PHOTOGRAPH
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import default_collate

from dataset.colours import blur_and_sharpen, change_colours
from dataset.draws import UNDISTURBED, PictureChange
from dataset.geometry import needed_side, reduce_picture, warp_background, warp_foreground
from dataset.synthetic import draw_foreground
from media.fast_pictures import read_rgb
from training.synthesis import synthesise

HEIGHT, WIDTH, COLUMNS, LABEL = 180, 240, 6, 20
FOREGROUND_SEED = 3
CPU = torch.device("cpu")
TARGET = Path(__file__).parent / "pictures" / "augmentation.png"

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
PLACES = {"change_size": 0.12, "change_share": 0.03, "change_seed": 2}
FRAMES: dict[str, dict[str, float]] = {
    "shadow 0.3": {
        **{"shadow_strength": 0.3, "shadow_shift_x": 0.18, "shadow_blur": 20},
        "shadow_scale": 1.1,
    },
    "noise 0.03": {"noise_src": 0.03},
    "dark noise 0.06 *": {"dark_noise": 0.06},
    "JPEG quality 40 *": {"jpeg_src": 40},
    "scene change: steam *": {"change_opacity": 0.8, "change_grey": 0.9} | PLACES,
    "zoom 2 *": {"zoom_factor": 2.0},
}
PLATES: dict[str, dict[str, float]] = {
    "plate: 1 degree, 1 %": {"plate_rotation": 1, "plate_shift_x": 0.01, "plate_shift_y": 0.01},
    "plate: colour jitter": {
        **{"plate_brightness": 0.1, "plate_contrast": 0.85, "plate_saturation": 1.18},
        "plate_hue": 0.1,
    },
    "plate: exposure -0.5 stops *": {"exposure_stops": -0.5},
    "plate: white balance 0.1 *": {"white_balance_red": 1.1, "white_balance_blue": 0.9},
    "plate: defocus, radius 4 *": {"defocus_radius": 4.0},
    "plate: steam *": {"change_opacity": 0.8, "change_grey": 0.9, "change_on_plate": 1} | PLACES,
    "plate: movement 1.5 % *": {"change_shift_x": 0.015, "change_shift_y": 0.015} | PLACES,
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
        both: np.ndarray, bgr: np.ndarray, drawn: dict[str, float]
    ) -> tuple[np.ndarray, np.ndarray]:
        planes = torch.from_numpy(np.dstack((both, bgr))).permute(2, 0, 1)
        parts = {"fgr": planes[:3], "pha": planes[3:4], "bgr": planes[4:]}
        disturbance = dict(UNDISTURBED) | drawn
        sample = synthesise(default_collate([parts | {"disturbance": disturbance}]), CPU)
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


def main() -> None:
    """Writes the picture."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    cells = list(make_cells(read_rgb(Path(sys.argv[1]))))
    rows = -(-len(cells) // COLUMNS)
    sheet = np.full((rows * (HEIGHT + LABEL), COLUMNS * (WIDTH + 4) - 4, 3), 255, np.uint8)
    for n, (label, picture) in enumerate(cells):
        top, left = n // COLUMNS * (HEIGHT + LABEL), n % COLUMNS * (WIDTH + 4)
        sheet[top + LABEL : top + LABEL + HEIGHT, left : left + WIDTH] = picture
        place = (left + 2, top + LABEL - 6)
        cv2.putText(sheet, label, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0,) * 3, 1, cv2.LINE_AA)
    cv2.imwrite(str(TARGET), sheet[..., ::-1], (cv2.IMWRITE_PNG_COMPRESSION, 9))


if __name__ == "__main__":
    main()
