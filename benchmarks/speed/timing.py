"""Measuring a computation: how long it takes, what it multiplies and needs, what is possible."""

import ctypes
import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from runtime.device import DTYPES, Precision

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")
# Writing this resets the peak of the resident memory (proc(5), since Linux 4.0).
_RESET_PEAK = "5"
# Sides of the products that look for the machine's peak; small ones do not reach it, and one that
# takes longer than this many seconds is large enough.
_SIDES = (512, 1024, 2048, 4096, 8192)
_LONG_ENOUGH = 0.05
_REPEATS = 5


@dataclass(frozen=True)
class Timing:
    """How long the calls of something took.

    Attributes:
        seconds: of each call, in order; at least one.
    """

    seconds: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Seconds of a call on average."""
        return sum(self.seconds) / len(self.seconds)

    def percentile(self, percent: float) -> float:
        """Seconds that so many percent of the calls do not exceed, linearly interpolated."""
        return float(np.percentile(self.seconds, percent))


@dataclass
class PeakMemory:
    """What a block of code needs at most beyond what the program held before.

    Attributes:
        bytes: None until the block has ended, or where it can't be known.
    """

    bytes: int | None = None


def time_calls(
    call: Callable[[], object], device: torch.device, warm_up: int, iterations: int
) -> Timing:
    """Times calls one by one, each until the device has finished: CUDA events on a GPU.

    Args:
        call: does the work on the device.
        device: where.
        warm_up: calls before, that are not timed.
        iterations: calls to time, at least 1.

    Returns:
        The times.

    Raises:
        ValueError: for a number of calls that makes no sense.
    """
    if warm_up < 0 or iterations < 1:
        raise ValueError(
            f"warm-up calls must be 0 or more and iterations 1 or more, got {warm_up}, {iterations}"
        )
    for _ in range(warm_up):
        call()
    synchronise(device)
    if device.type == "cuda":
        return _time_by_events(call, device, iterations)
    seconds = []
    for _ in range(iterations):
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
    """Waits until a device has done what it was given; a CPU always has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def count_macs(call: Callable[[], object]) -> int:
    """Counts the multiply-adds of the convolutions that a call computes in PyTorch.

    Products of matrices are not counted: these networks interpolate with them.

    Args:
        call: does the work once, without gradients.

    Returns:
        Multiply-adds, of the whole batch.

    Source: the paper, table 3, which leaves out interpolation and cropping.
    """
    with FlopCounterMode(display=False) as counter:
        call()
    counts = counter.get_flop_counts().get("Global", {})
    return sum(n for operator, n in counts.items() if "convolution" in str(operator)) // 2


def measure_peak(device: torch.device, precision: Precision) -> float:
    """Measures what a machine computes at most: products of square matrices, larger and larger.

    Where PyTorch lets convolutions on a GPU round float32 to TF32, so do these products.

    Args:
        device: where.
        precision: of the matrices.

    Returns:
        Floating-point operations a second, two for a multiply-add; of the best product of 5 of
        every size.
    """
    best = 0.0
    with _precision_of_convolutions(device):
        for side in _SIDES:
            a, b = torch.rand(2, side, side, device=device).to(DTYPES[precision])
            seconds = min(time_calls(partial(torch.matmul, a, b), device, 1, _REPEATS).seconds)
            best = max(best, 2 * side**3 / seconds)
            if seconds > _LONG_ENOUGH:
                break
    return best


@contextmanager
def peak_memory(device: torch.device) -> Iterator[PeakMemory]:
    """Measures the memory that a block needs: the device's on CUDA, on a Linux CPU the process's.

    Args:
        device: where the block computes.

    Yields:
        The result, filled when the block ends.
    """
    peak = PeakMemory()
    before = _reset_peak(device)
    yield peak
    after = _read_peak(device)
    if before is not None and after is not None:
        peak.bytes = max(0, after - before)


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


@contextmanager
def _precision_of_convolutions(device: torch.device) -> Iterator[None]:
    """Lets products of float32 matrices on CUDA round as convolutions there do."""
    if device.type != "cuda":
        yield
        return
    previous = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if torch.backends.cudnn.allow_tf32 else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(previous)


def _reset_peak(device: torch.device) -> int | None:
    """Makes the present memory the peak, and returns it in bytes; None where that can't be done."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        return _read_peak(device)
    if device.type != "cpu":
        return None
    with suppress(AttributeError, OSError, TypeError):  # where the C library is not glibc
        # What earlier work left unused would hide what comes.
        ctypes.CDLL(None).malloc_trim(0)
    try:
        _CLEAR_REFS.write_text(_RESET_PEAK)
    except OSError:
        return None
    return _read_peak(device)


def _read_peak(device: torch.device) -> int | None:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        status = _STATUS.read_text()
    except OSError:
        return None
    lines = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    peak = lines.get("VmHWM", "").split()
    return int(peak[0]) * 1024 if peak else None  # given in kB, which are KiB
