"""Measures the memory that a block of code needs."""

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import torch

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")
# Written to this file, 5 resets the peak of the resident memory (proc(5), since Linux 4.0).
_RESET_PEAK = "5"


@dataclass
class AddedMemory:
    """Peak memory of a block above that before it; None until the block ends, or if unknown."""

    bytes: int | None = None


@contextmanager
def added_memory(device: torch.device) -> Iterator[AddedMemory]:
    """Measures the peak memory of a block: of the device on CUDA, of the process on Linux.

    Args:
        device: where the block computes.

    Yields:
        The result, filled when the block ends.
    """
    added = AddedMemory()
    before = _reset_peak(device)
    yield added
    if before is not None:
        added.bytes = max(0, _read_peak(device) - before)


def _reset_peak(device: torch.device) -> int | None:
    """Resets the peak to the present memory and returns it in bytes; None if not supported."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        return _read_peak(device)
    if device.type != "cpu":
        return None
    with suppress(AttributeError, OSError, TypeError):  # where the C library is not glibc
        # Return unused memory to the system first: the block would use it without raising the peak.
        ctypes.CDLL(None).malloc_trim(0)
    try:
        _CLEAR_REFS.write_text(_RESET_PEAK)
    except OSError:
        return None
    return _read_peak(device)


def _read_peak(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return read_own_peak()


def read_own_peak() -> int:
    """The peak of this process's resident memory in bytes; OSError where the system has none."""
    # Not getrusage's ru_maxrss, which includes the peak of the parent process.
    return int(_STATUS.read_text().split("VmHWM:")[1].split()[0]) * 1024  # "kB" means KiB here
