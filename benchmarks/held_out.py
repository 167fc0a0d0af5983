"""Measures checkpoints on pictures outside the training data: composites, and captured pairs.

Example: python -m benchmarks.held_out checkpoint/run/best.pth --mattes MATTES \
    --backgrounds PHOTOGRAPHS --pairs PAIRS
"""

import argparse
from pathlib import Path
from statistics import mean

import cv2
import torch

from benchmarks.composites import CAPTURE, Pair, captured, compose, read_mattes
from matting.plate.prepare import Preprocess, predict_prepared, prepare_plate
from matting.predictor import Predictor
from matting.quality import resolve_budget
from media.listing import list_pictures
from model import MattingRefine
from model.weights import load_network
from training.metrics import gradient_error, mean_absolute_difference


def judge(
    predictors: dict[str, Predictor],
    pairs: list[Pair],
    scale: float | None,
    preprocess: Preprocess,
) -> None:
    """Prints mean MAD and Grad over the pictures for each network."""
    prepared = [(src, prepare_plate(src, bgr, preprocess), true) for _, src, bgr, true in pairs]
    for name, predictor in predictors.items():
        errors = []
        for src, preparation, true in prepared:
            height, width = src.shape[:2]
            budget = resolve_budget(height, width, "auto", scale)
            _, matte = predict_prepared(predictor, src, preparation, budget)
            pha = torch.from_numpy(matte.pha)[None, None].double()
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
    parser.add_argument("--backbone-scale", type=float, help="default: by size")
    parser.add_argument(
        "--preprocess",
        choices=("auto", "none"),
        default="none",
        help="preparation of the composites' plates; plates of pairs are always aligned",
    )
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
        judge(predictors, list(captured(args.pairs)), args.backbone_scale, Preprocess("none"))
    if args.mattes and args.backgrounds:
        subjects, photographs = read_mattes(args.mattes), list_pictures(args.backgrounds).pictures
        for name, capture in (("perfectly captured", {}), ("as a camera captures", CAPTURE)):
            composites = list(compose(subjects, photographs, capture))
            print(f"{len(composites)} composites, {name}")
            judge(predictors, composites, args.backbone_scale, Preprocess(args.preprocess))


if __name__ == "__main__":
    main()
