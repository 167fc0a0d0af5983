"""How good checkpoints are on pictures that nobody trained on: composites, and captured pairs.

Example: python -m benchmarks.held_out checkpoint/run/best.pth --mattes MATTES \
    --backgrounds PHOTOGRAPHS --pairs PAIRS
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from statistics import mean

import cv2
import numpy as np
import torch

from dataset.augmentation import UNDISTURBED
from dataset.images import list_pictures, read_picture
from inference.alignment import align_plate
from inference.budget import resolve_budget
from inference.predictor import Predictor
from model import MattingRefine
from model.weights import load_network
from training.metrics import gradient_error, mean_absolute_difference
from training.synthesis import synthesise

# How composites are captured, beside perfectly: noise, JPEG 88, a shadow of a quarter, the plate
# moved by 0.2% and 4% brighter.
CAPTURE = {
    **{"noise_src": 0.01, "noise_bgr": 0.01, "jpeg_src": 88, "jpeg_bgr": 88},
    **{"shadow_strength": 0.25, "shadow_shift_x": 0.06, "shadow_shift_y": 0.03},
    **{"shadow_blur": 30, "plate_shift_x": 0.002, "plate_shift_y": 0.002, "plate_contrast": 1.04},
}
Pair = tuple[str, np.ndarray, np.ndarray, np.ndarray]  # name, src, bgr, true alpha in [0, 1]


def compose(mattes: Path, backgrounds: Path, capture: dict[str, float]) -> Iterator[Pair]:
    """Lays every matte over every background and captures both.

    Args:
        mattes: folder of NAME_fgr.png and NAME_pha.png.
        backgrounds: folder of photographs; each is resized and cropped to the matte's size.
        capture: disturbances of frame and plate, by the names of `UNDISTURBED`.

    Yields:
        Frames and plates, (H, W, 3) uint8 RGB, with alpha (H, W) float64.
    """
    for seed, path in enumerate(sorted(mattes.glob("*_pha.png"))):
        pha = read_picture(path).pixels[..., 0]
        fgr = read_picture(path.with_name(path.name.replace("_pha", "_fgr"))).pixels
        height, width = pha.shape
        for number, photograph in enumerate(list_pictures(backgrounds)):
            bgr = cover(read_picture(photograph).pixels, height, width)
            disturbance = {**UNDISTURBED, **capture, "noise_seed": 100 * seed + number}
            batch = {
                **{"fgr": planes(fgr), "pha": planes(pha[..., None]), "bgr": planes(bgr)},
                "disturbance": {k: torch.tensor([v]) for k, v in disturbance.items()},
            }
            sample = synthesise(batch, torch.device("cpu"))
            src, plate = (
                (picture[0].permute(1, 2, 0).numpy() * 255 + 0.5).astype(np.uint8)
                for picture in (sample.src, sample.bgr)
            )
            yield f"{path.stem} on {photograph.stem}", src, plate, pha / 255


def cover(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resizes a picture to cover a size, and crops its middle."""
    scale = max(height / picture.shape[0], width / picture.shape[1])
    size = (
        max(width, round(picture.shape[1] * scale)),
        max(height, round(picture.shape[0] * scale)),
    )
    picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    return picture[top : top + height, left : left + width]


def planes(picture: np.ndarray) -> torch.Tensor:
    """(H, W, C) to a batch of one, (1, C, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[None]


def captured(pairs: Path) -> Iterator[Pair]:
    """Reads NAME_src.png with plate.png, aligned, and NAME_reference.png."""
    plate = read_picture(pairs / "plate.png").pixels
    for path in sorted(pairs.glob("*_src.png")):
        src = read_picture(path).pixels
        reference = read_picture(path.with_name(path.name.replace("_src", "_reference"))).pixels
        yield path.stem, src, align_plate(src, plate)[0], reference[..., 0] / 255


def judge(predictors: dict[str, Predictor], pairs: list[Pair], scale: float | None) -> None:
    """Prints MAD and Grad of each network, means over the pictures."""
    for name, predictor in predictors.items():
        errors = []
        for _, src, bgr, true in pairs:
            height, width = src.shape[:2]
            budget = resolve_budget(height, width, "auto", scale)
            pha = torch.from_numpy(predictor.predict(src, bgr, budget).pha)[None, None].double()
            target = torch.from_numpy(true)[None, None]
            errors.append(
                [m(pha, target).item() for m in (mean_absolute_difference, gradient_error)]
            )
        mad, grad = (mean(column) for column in zip(*errors, strict=True))
        single = ", ".join(f"{e[0]:.4f}" for e in errors) if len(errors) < 5 else ""
        print(f"  {name:60} MAD {mad:.4f}  Grad {grad:.3f}  {single}", flush=True)


def main() -> None:
    """Reads the command line and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("checkpoints", nargs="+", type=Path)
    parser.add_argument("--mattes", type=Path)
    parser.add_argument("--backgrounds", type=Path)
    parser.add_argument("--pairs", type=Path)
    parser.add_argument("--backbone-scale", type=float, help="by size when not given")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    predictors: dict[str, Predictor] = {}
    for path in args.checkpoints:
        network = load_network(path)
        coarse = load_network(path, type="mattingbase")
        predictors[f"{path}, coarse"] = Predictor(coarse, torch.device("cpu"))
        if isinstance(network, MattingRefine):
            predictors[f"{path}, refined"] = Predictor(network, torch.device("cpu"))
    if args.pairs:
        print("captured pairs, plate aligned")
        judge(predictors, list(captured(args.pairs)), args.backbone_scale)
    if args.mattes and args.backgrounds:
        for name, capture in (("perfectly captured", {}), ("as a camera captures", CAPTURE)):
            composites = list(compose(args.mattes, args.backgrounds, capture))
            print(f"{len(composites)} composites, {name}")
            judge(predictors, composites, args.backbone_scale)


if __name__ == "__main__":
    main()
