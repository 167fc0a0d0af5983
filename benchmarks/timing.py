"""Measures a computation: its time, its multiply-adds, and the machine's peak rate."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from time import perf_counter

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from runtime.device import DTYPES, Precision
from runtime.progress import show_progress

# Sides of the matrix products that measure the machine's peak. Small ones do not reach it; the
# search ends with the first that takes longer than this many seconds.
_SIDES = (512, 1024, 2048, 4096, 8192)
_LONG_ENOUGH = 0.05
_REPEATS = 5


@dataclass(frozen=True)
class Timing:
    """Seconds of each timed call, in order; at least one."""

    seconds: tuple[float, ...]

    @property
    def disturbed(self) -> bool:
        """Whether other programs seem to run: the 95th percentile is above 3 times the median.

        On an idle machine, twenty calls differ by some percent.
        """
        return len(self.seconds) > 4 and self.percentile(95) > 3 * self.percentile(50)

    @property
    def mean(self) -> float:
        """Mean seconds of a call."""
        return sum(self.seconds) / len(self.seconds)

    def percentile(self, percent: float) -> float:
        """A percentile of the seconds of a call, linearly interpolated."""
        return float(np.percentile(self.seconds, percent))


def time_calls(
    call: Callable[[], object], device: torch.device, warm_up: int, iterations: int
) -> Timing:
    """Times calls one by one, each until the device has finished; with CUDA events on a GPU.

    `torch.utils.benchmark` does not fit: its `Timer` returns means of blocks of calls, but the 95th
    percentile needs each call; it adds warm-up calls; and its import warns on stderr if CUDA is
    installed without a GPU.

    Raises:
        ValueError: for a negative number of warm-up calls, or no iteration.
    """
    if warm_up < 0 or iterations < 1:
        raise ValueError(
            f"warm-up calls must be 0 or more and iterations 1 or more, got {warm_up}, {iterations}"
        )
    for _ in show_progress(range(warm_up), "warming up", unit="call"):
        call()
    synchronise(device)
    if device.type == "cuda":
        return _time_by_events(call, device, iterations)
    seconds = []
    for _ in show_progress(range(iterations), "timing", unit="call"):
        start = perf_counter()
        call()
        synchronise(device)
        seconds.append(perf_counter() - start)
    return Timing(tuple(seconds))


def count_cores() -> int:
    """Counts the processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def synchronise(device: torch.device) -> None:
    """Waits until a device has finished all work; returns at once for a CPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def count_macs(call: Callable[[], object]) -> int:
    """Counts the multiply-adds of all convolutions that a call computes in PyTorch.

    Matrix products are not counted, because these networks use them for interpolation only.

    Source: the paper, table 3, which leaves out interpolation and cropping.
    """
    with FlopCounterMode(display=False) as counter:
        call()
    counts = counter.get_flop_counts().get("Global", {})
    return sum(n for operator, n in counts.items() if "convolution" in str(operator)) // 2


def measure_peak(device: torch.device, precision: Precision) -> float:
    """Measures a machine's peak rate, by products of square matrices of increasing size.

    If PyTorch lets convolutions on a GPU round float32 to TF32, these products do so too.

    Returns:
        Floating-point operations per second, two for a multiply-add: the best of all products, 5 of
        each size.
    """
    before = torch.get_float32_matmul_precision()
    if device.type == "cuda":  # round float32 as convolutions do
        torch.set_float32_matmul_precision("high" if torch.backends.cudnn.allow_tf32 else "highest")
    best = 0.0
    try:
        for side in _SIDES:
            a, b = torch.rand(2, side, side, device=device).to(DTYPES[precision])
            seconds = min(time_calls(partial(torch.matmul, a, b), device, 1, _REPEATS).seconds)
            best = max(best, 2 * side**3 / seconds)
            if seconds > _LONG_ENOUGH:
                break
    finally:
        torch.set_float32_matmul_precision(before)
    return best


def _time_by_events(call: Callable[[], object], device: torch.device, iterations: int) -> Timing:
    with torch.cuda.device(device):
        pairs = [
            tuple(torch.cuda.Event(enable_timing=True) for _ in range(2)) for _ in range(iterations)
        ]
        for start, end in pairs:
            start.record()
            call()
            end.record()
        torch.cuda.synchronize(device)
    return Timing(tuple(start.elapsed_time(end) / 1e3 for start, end in pairs))
