"""Scaling over processes: measured on this machine, and simulated for more from the same times.

Example: python -m benchmarks.scaling --frames photos --plate plate.jpg

Every process mattes one shard of the photographs on a core of its own (Linux), because alone it
would read and write on the others. Rates count from the moment that the networks are loaded. The
simulation gives every photograph a time measured in one process alone and, by chance, a shard. It
adds the start of a process, and storage that transfers a limited number of bytes per second for
all. It has no machines that fail.
"""

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np

from benchmarks.timing import count_cores
from runtime.files import SHIPPED

_SIMULATED = (1, 2, 4, 8, 16, 32, 64)
_MIB = 2**20


@dataclass(frozen=True)
class Measured:
    """A run in several processes."""

    rate: float
    """Photographs per second, of all."""
    start: float
    """Seconds that a process takes before its first photograph, in the mean."""
    seconds: np.ndarray
    """Of each photograph, so that the mean is that of its process."""
    bytes_each: float
    """Bytes read and written for a photograph, in the mean."""


@dataclass(frozen=True)
class Simulated:
    """A run in many processes, as fractions of its time."""

    efficiency: float
    """Time that would do if nothing were lost."""
    start: float
    """Lost to starting."""
    shards: float
    """Lost because shards differ in number and content."""
    storage: float
    """Lost to waiting for storage."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads the command line and prints both tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--frames", type=Path, default=SHIPPED / "demo/src", help="a folder")
    parser.add_argument("--plate", type=Path, default=SHIPPED / "demo/bgr", help="or a folder")
    parser.add_argument("--copies", type=int, default=96, help="of each photograph and plate")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--photographs", type=int, default=1_000_000, help="of the simulated run")
    parser.add_argument(
        "--storage", type=float, default=math.inf, help="MiB/s for all processes (default: any)"
    )
    chosen = parser.parse_args(arguments)
    runs: dict[int, list[Measured]] = {n: [] for n in range(1, count_cores() + 1)}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        copy_pictures(chosen.frames, root / "src", chosen.copies)
        copy_pictures(chosen.plate, root / "bgr", chosen.copies)
        for _ in range(chosen.rounds):
            for processes, timed in runs.items():
                timed.append(measure(root, processes))
    print("| processes | photographs/s | efficiency |\n|---|---|---|")
    for processes, timed in runs.items():
        gains = [run.rate / alone.rate for run, alone in zip(timed, runs[1], strict=True)]
        rate = np.median([run.rate for run in timed])
        print(f"| {processes} | {rate:.2f} | {np.median(gains) / processes:.2f} |")
    seconds = np.concatenate([run.seconds for run in runs[1]])
    start = float(np.median([run.start for run in runs[1]]))
    size = runs[1][0].bytes_each / _MIB
    print(
        f"\nSimulated: {chosen.photographs} photographs of {seconds.mean():.3f} s and {size:.2f} "
        f"MiB, start {start:.1f} s, storage {chosen.storage} MiB/s\n\n"
        "| processes | efficiency | lost to starting | to unequal shards | to storage |\n"
        "|---|---|---|---|---|"
    )
    for processes in _SIMULATED:
        run = simulate(processes, chosen.photographs, seconds, start, size / chosen.storage)
        print(
            f"| {processes} | {run.efficiency:.3f} | {run.start:.1%} | {run.shards:.1%} | "
            f"{run.storage:.1%} |"
        )


def copy_pictures(source: Path, target: Path, copies: int) -> None:
    """Copies every picture of a folder several times, or one picture as it is."""
    target.mkdir()
    if source.is_file():
        shutil.copyfile(source, target / source.name)
        return
    for path in sorted(source.iterdir()):
        for number in range(copies):
            shutil.copyfile(path, target / f"{path.stem}_{number:04}{path.suffix}")


def measure(root: Path, processes: int) -> Measured:
    """Mattes the pictures below a folder in processes of one thread, each one shard."""
    plates = list((root / "bgr").iterdir())
    plate = plates[0] if len(plates) == 1 else root / "bgr"
    output = root / f"output{processes}"
    command = [sys.executable, str(SHIPPED / "inference_images.py"), "--quality", "auto"]
    command += ["--images-src", str(root / "src"), "--images-bgr", str(plate)]
    command += ["--output-dir", str(output), "--overwrite"]
    alone = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    begin = perf_counter()
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    running = [
        subprocess.Popen(  # noqa: S603 - our own script
            [*command, "--shard", f"{index}/{processes}"], env=alone, stdout=subprocess.DEVNULL
        )
        for index in range(processes)
    ]
    for process, core in zip(running, cores, strict=False):
        os.sched_setaffinity(process.pid, {core})
    walls = []
    for process in running:
        if process.wait() != 0:
            raise RuntimeError(f"a process ended with exit code {process.returncode}")
        walls.append(perf_counter() - begin)
    summaries = [json.loads(path.read_text("utf-8")) for path in output.glob("summary*.json")]
    rates, seconds = [], []
    for summary in summaries:
        own = np.array([image["compute_seconds"] for image in details(summary)])
        rates.append(len(own) / summary["seconds"])
        seconds.append(own * summary["seconds"] / own.sum())
    places = root / "src", root / "bgr", output
    files = (path for place in places for path in place.rglob("*") if path.is_file())
    moved = sum(path.stat().st_size for path in files)
    count = sum(map(len, seconds))
    start = float(np.mean(walls)) - float(np.mean([s["seconds"] for s in summaries]))
    return Measured(sum(rates), start, np.concatenate(seconds), moved / count)


def details(summary: dict) -> list[dict]:
    """The figures of every photograph that was matted."""
    return [image["details"] for image in summary["images"] if image["status"] == "done"]


def simulate(
    processes: int, photographs: int, seconds: np.ndarray, start: float, transfer: float
) -> Simulated:
    """Simulates a run in shards.

    Args:
        processes: their number.
        photographs: number of all.
        seconds: times of photographs, from which those of the run are drawn.
        start: seconds of a process before its first photograph.
        transfer: seconds of storage for a photograph, if nothing else is transferred.
    """
    random = np.random.default_rng(0)
    times = random.choice(seconds, photographs)
    shard = random.integers(processes, size=photographs)
    busy = np.bincount(shard, times, minlength=processes)
    mean, slowest = busy.mean(), busy.max()
    whole = max(start + slowest, photographs * transfer)
    return Simulated(
        mean / whole,
        start / whole,
        (slowest - mean) / whole,
        (whole - start - slowest) / whole,
    )


if __name__ == "__main__":
    main()
