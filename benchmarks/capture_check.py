"""Measures the effect of preprocessing on badly captured pictures, and what the check reports.

Example: python -m benchmarks.capture_check --mattes MATTES --backgrounds PHOTOGRAPHS
"""

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import mean
from time import perf_counter

import cv2
import numpy as np
import torch

from benchmarks.composites import CAPTURE, Capture, Pair, compose, cover, read_mattes
from matting.plate.prepare import Preprocess, predict_prepared, prepare_plate
from matting.predictor import Predictor
from matting.quality import resolve_budget
from matting.settings import DEFAULT_CHECKPOINT
from media.listing import list_pictures
from model.weights import load_network
from training.metrics import gradient_error, mean_absolute_difference

# The degraded captures below also have noise and JPEG 88, but no shadow (docs/capture.md).
FIXED: Capture = {name: CAPTURE[name] for name in ("noise", "jpeg")}


def _move(part: float) -> Capture:
    return {**FIXED, "plate_position": {"shift_x": part, "shift_y": -part}}


CONDITIONS: dict[str, Capture] = {
    "perfect": {},
    "as a camera captures": CAPTURE,
    "fixed camera": FIXED,
    **{f"plate {s:+.2f} stops": {**FIXED, "exposure": {"stops": s}} for s in (-1, -0.5, -0.25)},
    **{f"plate {s:+.2f} stops": {**FIXED, "exposure": {"stops": s}} for s in (0.25, 0.5, 1)},
    "red +10%, blue -10%": {**FIXED, "white_balance": {"red": 1.1, "blue": 0.9}},
    **{f"moved {part:.1%}": _move(part) for part in (0.002, 0.005, 0.01, 0.02)},
    **{
        f"turned {angle} degrees": {**FIXED, "plate_position": {"rotation": angle}}
        for angle in (0.5, 2.0)
    },
    "moved 1%, +0.50 stops": {**_move(0.01), "exposure": {"stops": 0.5}},
    "moved 1%, -1.00 stops": {**_move(0.01), "exposure": {"stops": -1.0}},
}
CLIP_STEP, CLIP_APART = 40, 60  # frames
MODES = {"none": Preprocess("none"), "auto": Preprocess("auto")}


def judge(predictor: Predictor, pairs: Iterable[Pair]) -> tuple[dict[str, list[float]], Counter]:
    """Mattes pairs in each mode.

    Args:
        predictor: of the network.
        pairs: frames, plates and true alphas.

    Returns:
        Means of MAD and Grad (thousands) by mode; and how often the check reported each problem.
    """
    errors: dict[str, list[list[float]]] = {name: [] for name in MODES}
    problems: Counter = Counter()
    for _, src, bgr, true in pairs:
        budget = resolve_budget(src.shape[0], src.shape[1], "auto")
        target = torch.from_numpy(true)[None, None]
        for name, preprocess in MODES.items():
            preparation = prepare_plate(src, bgr, preprocess)
            if preparation.capture:
                problems.update(preparation.capture.problems or ["nothing"])
            _, matte = predict_prepared(predictor, src, preparation, budget)
            pha = torch.from_numpy(matte.pha)[None, None].double()
            metrics = (mean_absolute_difference, gradient_error)
            errors[name].append([metric(pha, target).item() for metric in metrics])
    means = {n: [mean(column) for column in zip(*e, strict=True)] for n, e in errors.items()}
    return means, problems


def spoil(pairs: list[Pair]) -> dict[str, Iterator[tuple[np.ndarray, np.ndarray]]]:
    """Makes faulty captures that the check should report, from pairs without faults.

    Args:
        pairs: of composites; adjacent ones differ in subject or background.

    Returns:
        Frames and plates by the name of the fault.
    """
    turned = [*pairs[1:], pairs[0]]

    def fit(picture: np.ndarray, src: np.ndarray) -> np.ndarray:
        return cover(picture, *src.shape[:2])

    def move(src: np.ndarray, bgr: np.ndarray, true: np.ndarray) -> np.ndarray:
        """Pastes the subject into the plate, shifted by a tenth of the width."""
        step = src.shape[1] // 10
        there = np.roll(true, step, axis=1)[..., None] > 0.5
        return np.where(there, np.roll(src, step, axis=1), bgr)

    return {
        "nothing": ((src, bgr) for _, src, bgr, _ in pairs),
        "frame and plate swapped": ((bgr, src) for _, src, bgr, _ in pairs),
        "plate of another scene": (
            (src, fit(other[2], src)) for (_, src, _, _), other in zip(pairs, turned, strict=True)
        ),
        "subject in the plate, aside": ((src, move(src, bgr, true)) for _, src, bgr, true in pairs),
        "subject in the plate as in the frame": ((src, src.copy()) for _, src, _, _ in pairs),
    }


def clip_pairs(clip: Path) -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
    """Makes pairs from a clip of a fixed camera: frames with its median, and with other frames."""
    reader = cv2.VideoCapture(str(clip))
    frames = []
    while (read := reader.read())[0]:
        frames.append(read[1][..., ::-1].copy())
    plate = np.median(np.stack(frames[::20]), axis=0).astype(np.uint8)
    chosen = range(0, len(frames) - CLIP_APART, CLIP_STEP)
    return {
        "clip: nothing": [(frames[i], plate) for i in chosen],
        "clip: frame and plate swapped": [(plate, frames[i]) for i in chosen],
        "clip: plate is another frame": [(frames[i], frames[i + CLIP_APART]) for i in chosen],
    }


def tell_problems(name: str, pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> None:
    """Prints what the check reports for frames and plates, and the time of the preparation."""
    problems: Counter = Counter()
    total, start = 0, perf_counter()
    for src, bgr in pairs:
        capture = prepare_plate(src, bgr, MODES["auto"]).capture
        problems.update((capture and capture.problems) or ["nothing"])
        total += 1
    told = ", ".join(f"{problem} {count}" for problem, count in problems.most_common())
    print(f"  {name:38} {total:3} pairs, {(perf_counter() - start) / total:.2f} s each: {told}")


def main() -> None:
    """Reads the command line and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--checkpoint", type=Path, default=DEFAULT_CHECKPOINT)
    parser.add_argument("--mattes", type=Path, required=True)
    parser.add_argument("--backgrounds", type=Path, required=True)
    parser.add_argument("--clip", type=Path, help="clip of moving people by a fixed camera")
    parser.add_argument("--every", type=int, default=1, help="use every N-th composite")
    parser.add_argument("--conditions", nargs="*", help="all by default, none if empty")
    args = parser.parse_args()
    cv2.setNumThreads(1)

    subjects, photographs = read_mattes(args.mattes), list_pictures(args.backgrounds).pictures

    def composites(capture: Capture) -> list[Pair]:
        return list(compose(subjects, photographs, capture))[:: args.every]

    print("what the check reports")
    for name in ("perfect", "as a camera captures"):
        for wrong, pairs in spoil(composites(CONDITIONS[name])).items():
            tell_problems(f"{name}: {wrong}", pairs)
    for wrong, clip in (clip_pairs(args.clip) if args.clip else {}).items():
        tell_problems(wrong, clip)
    predictor = Predictor(load_network(args.checkpoint), torch.device("cpu"))
    print("MAD and Grad with --preprocess none, and auto")
    for name in CONDITIONS if args.conditions is None else args.conditions:
        means, problems = judge(predictor, composites(CONDITIONS[name]))
        rows = "   ".join(f"{mad:.4f} {grad:5.2f}" for mad, grad in means.values())
        told = ", ".join(f"{problem} {count}" for problem, count in problems.most_common())
        print(f"  {name:24} {rows}   {told}", flush=True)


if __name__ == "__main__":
    main()
