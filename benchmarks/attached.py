"""Measures what `--keep-attached` empties and what it loses, on clips with known alpha.

Example: python -m benchmarks.attached --backgrounds PHOTOGRAPHS --mattes MATTES --picture sheet.png

A subject walks before a photograph, and islands come and go beside it (benchmarks/scenes.py). Every
clip is matted once, as `matting video` does. Its alphas are then measured with and without islands.
"""

import argparse
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import mean
from time import process_time
from typing import NamedTuple

import cv2
import numpy as np
import torch

from benchmarks.composites import Subject, cover, read_mattes
from benchmarks.scenes import SCENES, Scene, Stage
from dataset.synthetic import draw_foreground
from evaluation.metrics import map_change_error, reduce_error
from matting.plate.prepare import Preprocess
from matting.predictor import Predictor
from matting.quality import resolve_budget
from matting.settings import DEFAULT_CHECKPOINT
from matting.video.attached import SubjectTracker
from matting.video.stream import matte_frames
from media.listing import list_pictures
from media.pictures import read_picture, write_png
from model.weights import load_network

DRAWN = 2, 17  # seeds of drawn subjects that are whole people
SHOWN = 4  # frames of each clip in the picture


class Score(NamedTuple):
    """Means over the frames of a clip.

    Attributes:
        mad: 0 to 1.
        islands: pixels with alpha above 0.1 where the true alpha is 0.
        lost: pixels with alpha below 0.1 where the true alpha is above 0.9.
        dtssd: see `evaluation.metrics`.
    """

    mad: float
    islands: float
    lost: float
    dtssd: float


def draw_person(seed: int, side: int) -> Subject:
    """Draws a subject of `DRAWN` in a square, side in pixels."""
    return Subject(f"drawn {seed}", *draw_foreground(np.random.default_rng(seed), side, side))


def measure(alphas: Sequence[np.ndarray], scenes: Sequence[Scene]) -> Score:
    """Measures the alphas, (H, W) float in [0, 1], of two or more frames."""
    trues = [scene.pha for scene in scenes]
    pairs = list(zip(alphas, trues, strict=True))
    whole, changes = np.ones(trues[0].shape, bool), []
    for (before, true_before), (now, true_now) in pairwise(pairs):
        change = map_change_error(now, before, true_now, true_before)
        changes.append(reduce_error("dtssd", change, whole) or 0.0)
    return Score(
        mean(float(np.abs(pha - true).mean()) for pha, true in pairs),
        mean(int(((pha > 0.1) & (true == 0)).sum()) for pha, true in pairs),
        mean(int(((pha < 0.1) & (true > 0.9)).sum()) for pha, true in pairs),
        mean(changes),
    )


def draw(scenes: Sequence[Scene], *alphas: Sequence[np.ndarray]) -> np.ndarray:
    """Draws frames, a row each: frame, true alpha, and the alphas."""
    rows = []
    for number in np.linspace(0, len(scenes) - 1, SHOWN).round().astype(int).tolist():
        greys = (scenes[number].pha, *(one[number] for one in alphas))
        levels = [(255 * grey).astype(np.uint8) for grey in greys]
        pictures = [cv2.cvtColor(one, cv2.COLOR_GRAY2RGB) for one in levels]
        rows.append(np.hstack([scenes[number].src, *pictures]))
    return cv2.resize(np.vstack(rows), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)


def main() -> None:
    """Reads the command line and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--backgrounds", type=Path, required=True, help="folder of photographs")
    parser.add_argument("--mattes", type=Path, help="subjects; drawn ones if not given")
    parser.add_argument("--every", type=int, default=1, help="use every N-th matte")
    parser.add_argument("--checkpoint", type=Path, default=DEFAULT_CHECKPOINT)
    parser.add_argument("--size", type=int, nargs=2, default=(960, 540), help="width, height")
    parser.add_argument("--frames", type=int, default=16, help="of each clip; 2 or more")
    parser.add_argument("--scenes", nargs="+", choices=SCENES, default=list(SCENES))
    parser.add_argument("--picture", type=Path, help="PNG of some frames")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    (width, height), sheet = args.size, []
    pairs = [(draw_person(DRAWN[0], height), draw_person(DRAWN[1], height))]
    if args.mattes:
        mattes = read_mattes(args.mattes)[:: args.every]
        pairs = list(zip(mattes, mattes[1:] + mattes[:1], strict=True))
    photographs = [read_picture(path).pixels for path in list_pictures(args.backgrounds).pictures]
    predictor = Predictor(load_network(args.checkpoint), torch.device("cpu"))
    budget = resolve_budget(height, width, "auto")
    print("scene: MAD, island pixels, lost pixels, dtSSD without | with --keep-attached")
    for name in args.scenes:
        rows, seconds = [], [0.0, 0.0]  # of all, and of the islands
        for number, pair in enumerate(pairs):
            plate = cover(photographs[number % len(photographs)], height, width)
            scenes = list(Stage(*pair, plate, args.frames).play(name))
            frames = [scene.src for scene in scenes]
            start = process_time()
            mattes_of = matte_frames(frames, plate, predictor, budget, Preprocess("auto"))
            alphas = [matte.prediction.pha for matte in mattes_of]
            tracker, middle = SubjectTracker(), process_time()
            kept = [tracker.keep(pha) for pha in alphas]
            seconds[0] += process_time() - start
            seconds[1] += process_time() - middle
            rows.append((measure(alphas, scenes), measure(kept, scenes)))
            sheet.append(draw(scenes, alphas, kept))
        before, after = (
            Score(*map(mean, zip(*column, strict=True))) for column in zip(*rows, strict=True)
        )
        cost = 1000 * seconds[1] / (len(pairs) * args.frames)
        share = f"{cost:.1f} ms a frame, {seconds[1] / seconds[0]:.1%} of its time"
        print(f"{name}: {describe(before)} | {describe(after)} ({share})", flush=True)
    if args.picture:
        write_png(args.picture, np.vstack(sheet))


def describe(score: Score) -> str:
    """Formats a score for the table."""
    return f"{score.mad:.4f}, {score.islands:.0f}, {score.lost:.0f}, {score.dtssd:.2f}"


if __name__ == "__main__":
    main()
