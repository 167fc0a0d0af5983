"""Times the network at HD and 4K, one frame a call, and lists its kernels.

Example: python -m benchmarks.gpu.network --device cuda --json network.json
"""

import argparse
import json
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any, get_args

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.speed.table import Preset
from benchmarks.speed_cases import PRESETS, build_network, preset_work, read_pair
from benchmarks.timing import Timing, synchronise, time_calls
from matting.settings import DEFAULT_CHECKPOINT
from model import MattingRefine
from model.cuda import CudaMatting
from model.fast import accelerate
from model.refiner import BUDGETED
from runtime.device import Precision, autocast, describe_device, resolve_device

# Frames per second on an H200, and the largest ratio of the 95th percentile to the median.
GOALS = {"HD": 1000, "4K": 600}
STEADY = 1.2
_PROFILED, _LISTED = 10, 30  # calls, and kernels of the report
HEAD = """\
| size | mode | precision | alpha | frames/s | p50, ms | p95, ms | p95 / p50 | alpha differs by |
|---|---|---|---|---|---|---|---|---|"""
HEAD_KERNELS = """
{title}: {total:.3f} ms a frame in kernels

| kernel | calls a frame | us a frame | of all |
|---|---|---|---|"""

Run = Callable[[], Any]


def measure(
    network: MattingRefine, preset: Preset, precision: Precision, calls: int
) -> dict[str, Any]:
    """Times a network on a real frame, with the whole budget refined, and prints the rows.

    Args:
        network: on its device, in evaluation mode; its mode is kept.
        preset: size and budget.
        precision: of the convolutions.
        calls: number of timed calls.

    Returns:
        For each of `corrected` and `predicted` alpha: frames per second, percentiles, and the mean
        difference of alpha from the plain network's in float32, which is the rounding, and that of
        cells that are chosen otherwise.
    """
    device = next(network.parameters()).device
    src, bgr = (x.to(device) for x in read_pair(preset.height, preset.width))
    fast = accelerate(network) if device.type == "cuda" else CudaMatting(network)
    rows = {}
    for name, corrects in (("predicted", False), ("corrected", True)):
        work = preset_work(preset) | {"corrects_alpha": corrects}

        def run(work: dict[str, Any] = work) -> Any:
            with autocast(device, precision):
                return fast(src, bgr, **work)

        timing = time_calls(run, device, 5, calls)
        difference = float((run().pha - network(src, bgr, **work).pha).abs().mean())
        row = rows[name] = _figures(timing) | {"alpha_mean_difference": difference}
        what = preset.name, network.refiner.mode, precision, name
        p50, p95 = row["p50_ms"], row["p95_ms"]
        times = f"{row['frames_per_second']:.0f}", f"{p50:.3f}", f"{p95:.3f}", f"{p95 / p50:.2f}"
        print_row(*what, *times, f"{difference:.1e}")
    return rows | {"kernels": list_kernels(run, device)}


def _figures(timing: Timing) -> dict[str, float]:
    return {
        "frames_per_second": 1 / timing.mean,
        "p50_ms": timing.percentile(50) * 1e3,
        "p95_ms": timing.percentile(95) * 1e3,
    }


def print_row(*cells: str) -> None:
    """Prints a row of a Markdown table."""
    print(f"| {' | '.join(cells)} |", flush=True)


def list_kernels(run: Run, device: torch.device) -> list[dict[str, Any]]:
    """Profiles calls; returns name, calls and microseconds a frame of what took longest."""
    on_gpu = device.type == "cuda"
    activities = [ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU]
    run()
    synchronise(device)
    with profile(activities=activities) as profiler:
        for _ in range(_PROFILED):
            run()
        synchronise(device)
    kernels = [
        {
            "name": event.key,
            "calls": event.count / _PROFILED,
            "us": (event.self_device_time_total if on_gpu else event.self_cpu_time_total)
            / _PROFILED,
        }
        for event in profiler.key_averages()
    ]
    return sorted(kernels, key=lambda kernel: -kernel["us"])


def print_kernels(title: str, kernels: list[dict[str, Any]]) -> None:
    """Prints a table of the kernels that take longest, and the sum of all."""
    total = sum(kernel["us"] for kernel in kernels)
    print(HEAD_KERNELS.format(title=title, total=total / 1e3))
    for kernel in kernels[:_LISTED]:
        name = kernel["name"].replace("|", "\\|")[:100]
        calls, spent, share = kernel["calls"], kernel["us"], kernel["us"] / total
        print_row(f"`{name}`", f"{calls:g}", f"{spent:.1f}", f"{share:.1%}")


def judge(rows: dict[str, Any]) -> list[str]:
    """Compares the fastest row of each size with its goal."""
    told = []
    for size, goal in GOALS.items():
        of_size = [
            row["predicted"] | {"name": name} for name, row in rows.items() if name.startswith(size)
        ]
        if not of_size:
            continue
        best = max(of_size, key=lambda row: row["frames_per_second"])
        ratio = best["p95_ms"] / best["p50_ms"]
        rate = best["frames_per_second"]
        verdict = "reached" if rate >= goal and ratio <= STEADY else "not reached"
        told.append(
            f"{size} {verdict}: {rate:.0f} of {goal} frames/s, p95 {ratio:.2f} of at most {STEADY} "
            f"times p50 ({best['name']})"
        )
    return told


@torch.inference_mode()
def main() -> None:
    """Reads the command line and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--sizes", nargs="+", default=list(PRESETS), choices=list(PRESETS))
    parser.add_argument(
        "--resolution", nargs=2, type=int, help="width and height, instead of sizes"
    )
    parser.add_argument("--modes", nargs="+", default=list(BUDGETED), choices=list(BUDGETED))
    parser.add_argument(
        "--precisions", nargs="+", default=["float16", "float32"], choices=get_args(Precision)
    )
    parser.add_argument("--calls", type=int, default=200, help="timed calls of each")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    args = parser.parse_args()
    device = resolve_device(args.device)
    network = build_network("mobilenetv2", DEFAULT_CHECKPOINT).to(device)
    network.refiner.prevent_oversampling = False
    print(f"MobileNetV2 on {describe_device(device)}, torch {torch.__version__}\n\n{HEAD}")
    presets = [PRESETS[size] for size in args.sizes]
    if args.resolution:
        width, height = args.resolution
        presets = [Preset(f"{width} x {height}", width, height, PRESETS["HD"].budget)]
    rows = {}
    for preset, mode, precision in product(presets, args.modes, args.precisions):
        network.refiner.mode = mode
        row = measure(network, preset, precision, args.calls)
        rows[f"{preset.name}, {mode}, {precision}"] = row
    for line in ("", "Goals, for an H200:", *judge(rows)):
        print(line)
    for name, row in rows.items():
        print_kernels(name, row["kernels"])
    if args.json:
        args.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
