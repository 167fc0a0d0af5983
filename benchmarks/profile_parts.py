"""Times the parts of the network on a real frame, and compares them with the machine's peak.

Example: python -m benchmarks.profile_parts --backends pytorch openvino
"""

import argparse
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from benchmarks.speed_cases import CPU, PRESETS, build_network, preset_work, read_pair, time_in_turn
from benchmarks.timing import count_macs, measure_peak
from matting.backends import accelerate_by
from matting.settings import DEFAULT_CHECKPOINT
from model.fast import FastMatting

Run = Callable[[FastMatting], object]
PARTS = ("coarse", "_hidden", "_refine")  # methods of `FastMatting` and of its refiner


def measure_parts(
    fast: FastMatting, plain: FastMatting, run: Run, rounds: int
) -> tuple[float, dict[str, tuple[float, int]]]:
    """Times the parts of our network, and counts their multiply-adds.

    Args:
        fast: the network to time.
        plain: the same network in PyTorch, whose multiply-adds are counted.
        run: calls a network on a frame.
        rounds: calls of each; medians are returned.

    Returns:
        Seconds of the whole; seconds and multiply-adds by part. `rest` is the remaining time:
        reducing the frame, selecting cells, and making the outputs.
    """
    calls: dict[str, list[tuple[Any, ...]]] = {name: [] for name in PARTS}
    with ExitStack() as patches:
        for name, remembered in calls.items():
            owner = _owner(fast, name)
            noted = _noting(getattr(owner, name), remembered)
            patches.enter_context(patch.object(owner, name, noted))
        run(fast)

    def repeat(network: FastMatting, name: str) -> None:
        for args in calls[name]:
            getattr(_owner(network, name), name)(*args)

    runs: dict[str, Callable[[], object]] = {"whole": partial(run, fast)}
    runs |= {name: partial(repeat, fast, name) for name in PARTS}
    seconds = time_in_turn(runs, rounds)
    whole = seconds.pop("whole")
    parts = {
        name.strip("_"): (spent, count_macs(partial(repeat, plain, name)))
        for name, spent in seconds.items()
    }
    return whole, parts | {"rest": (whole - sum(seconds.values()), 0)}


def _owner(network: FastMatting, part: str) -> Any:
    return network if part == "coarse" else network.refine


def _noting(part: Any, calls: list[tuple[Any, ...]]) -> Callable[..., Any]:
    """Wraps a function so that it records its arguments."""

    def call(*args: Any) -> Any:
        calls.append(args)
        return part(*args)

    return call


def print_parts(title: str, whole: float, parts: dict[str, tuple[float, int]], peak: float) -> None:
    """Prints the parts, with the percentage of the machine's peak that each reaches."""
    print(f"\n{title}: {whole * 1e3:.0f} ms; peak of matrix products {peak / 1e9:.0f} GFLOP/s")
    for part, (seconds, macs) in parts.items():
        share = (
            f"{macs / 1e9:5.2f} GMac, {2 * macs / seconds / peak:4.0%} of the peak" if macs else ""
        )
        print(f"  {part:8} {seconds * 1e3:5.0f} ms  {share}", flush=True)


@torch.inference_mode()
def main() -> None:
    """Reads the command line and prints the parts."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--backbones", nargs="+", default=["mobilenetv2", "resnet50"])
    parser.add_argument("--sizes", nargs="+", default=list(PRESETS), choices=list(PRESETS))
    parser.add_argument("--backends", nargs="+", default=["pytorch"])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--checkpoint", type=Path, default=DEFAULT_CHECKPOINT)
    args = parser.parse_args()
    for backbone, size, backend in product(args.backbones, args.sizes, args.backends):
        network, preset = build_network(backbone, args.checkpoint), PRESETS[size]
        pair, work = read_pair(preset.height, preset.width), preset_work(preset)
        plain = fast = FastMatting(network)
        if backend != "pytorch":
            fast, _ = accelerate_by(backend, network, "float32")

        def run(network: FastMatting, pair: Any = pair, work: Any = work) -> object:
            return network(*pair, **work)

        figures = measure_parts(fast, plain, run, args.rounds)
        print_parts(f"{backbone}, {size}, {backend}", *figures, measure_peak(CPU, "float32"))


if __name__ == "__main__":
    main()
