"""Times the parts of the network on a real frame, beside what the machine can multiply at most.

Example: python -m benchmarks.profile_parts --backends pytorch openvino
"""

import argparse
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.speed.timing import count_macs, measure_peak
from benchmarks.speed_cases import CPU, PRESETS, build_network, read_pair, set_preset, time_in_turn
from matting.backends import Backend, accelerate_by
from matting.settings import DEFAULT_CHECKPOINT
from model import MattingRefine
from model.fast import FastMatting


def measure_parts(
    ours: MattingRefine, backend: Backend, pair: tuple[Tensor, Tensor]
) -> dict[str, Any]:
    """Times the parts of our network, and counts their multiply-adds.

    Returns:
        Seconds and multiply-adds by part; `rest` is what is left of the whole: reducing the frame,
        selecting cells, and the outputs.
    """
    fast = FastMatting(ours)
    if backend != "pytorch":
        fast, _ = accelerate_by(backend, ours, "float32")
    counted = FastMatting(ours)
    calls: dict[str, list[tuple[Any, ...]]] = {"coarse": [], "_hidden": [], "_refine": []}
    originals = {name: getattr(fast, name) for name in calls}
    for name, original in originals.items():

        def remember(*args: Any, name: str = name, original: Any = original) -> Any:
            calls[name].append(args)
            return original(*args)

        setattr(fast, name, remember)
    fast(*pair)
    for name, original in originals.items():
        setattr(fast, name, original)

    def repeat(network: Any, name: str) -> None:
        for args in calls[name]:
            getattr(network, name)(*args)

    runs: dict[str, Callable[[], object]] = {"whole": partial(fast, *pair)}
    runs |= {name: partial(repeat, fast, name) for name in calls}
    seconds = time_in_turn(runs, 9)
    parts = {
        name.strip("_"): (seconds[name], count_macs(partial(repeat, counted, name)))
        for name in calls
    }
    parts["rest"] = seconds["whole"] - sum(seconds[name] for name in calls), 0
    return {"whole": seconds["whole"], "parts": parts}


def print_profile(preset: str, backbone: str, backend: str, figures: dict[str, Any]) -> None:
    """Prints the parts, and what share of the machine's peak each reaches."""
    peak = measure_peak(CPU, "float32")
    print(
        f"\n{backbone}, {preset}, {backend}: {figures['whole'] * 1e3:.0f} ms; "
        f"peak of matrix products {peak / 1e9:.0f} GFLOP/s"
    )
    for part, (seconds, macs) in figures["parts"].items():
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
    parser.add_argument("--checkpoint", type=Path, default=DEFAULT_CHECKPOINT)
    args = parser.parse_args()
    for backbone, preset, backend in product(args.backbones, args.sizes, args.backends):
        network = build_network(backbone, args.checkpoint)
        set_preset(network, preset)
        figures = measure_parts(network, backend, read_pair(*PRESETS[preset][:2]))
        print_profile(preset, backbone, backend, figures)


if __name__ == "__main__":
    main()
