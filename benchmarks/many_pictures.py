"""Measures memory and processor time per picture of a run over very many tiny pictures.

Pictures are 16 x 16 pixels, and the network is replaced by constants, so that what is left is the
run itself: listing, planning, threads, the summary.

Example: python -m benchmarks.many_pictures --counts 1000 100000
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.memory import read_own_peak
from matting.__main__ import main as run_program
from matting.images import frame as parts
from matting.library import Matte, Matting
from matting.prediction import Prediction

_SIDE = 16  # pixels
_FOLDER = 5000  # pictures in each folder
_LINKS = 30_000  # names of one file; file systems allow 65,000


class Clock:
    """Adds up the processor time of functions, whichever thread calls them."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._lock = Lock()

    def watch(self, owner: Any, name: str, part: str) -> None:
        """Replaces a function by one that adds its time to a part."""
        function: Callable[..., Any] = getattr(owner, name)

        def timed(*args: Any) -> Any:
            start = time.thread_time()
            try:
                return function(*args)
            finally:
                with self._lock:
                    self.seconds[part] += time.thread_time() - start

        setattr(owner, name, timed)


def make_pictures(root: Path, count: int) -> None:
    """Writes `root/plate.png` and `count` names of a few frames below `root/src`."""
    noise = np.random.default_rng(0).integers(0, 256, (_SIDE, _SIDE, 3), np.uint8)
    Image.fromarray(noise).save(root / "plate.png")
    for number in range(count):
        folder = root / "src" / f"{number // _FOLDER:04}"
        if number % _FOLDER == 0:
            folder.mkdir(parents=True)
        path = folder / f"photograph-{number:07}.png"
        if number % _LINKS == 0:
            first = path
            Image.fromarray(noise[:, ::-1]).save(first)
        else:
            path.hardlink_to(first)


def answer(loaded: parts.LoadedFrame, matting: Matting) -> tuple[Matte, float]:
    """Stands for the network: a matte of constants."""
    height, width = loaded.src.pixels.shape[:2]
    flat = np.full((height, width), 0.5, np.float32)
    prediction = Prediction(flat, np.repeat(flat[..., None], 3, 2))
    return Matte(prediction, loaded.plate, matting.resolve_budget(height, width)), 0.0


def measure(flags: list[str]) -> dict[str, float]:
    """Runs `matting images` in this process; returns its memory in MiB and seconds of each part."""
    clock = Clock()
    load = Matting.from_settings

    def load_early(*args: Any) -> Matting:
        start = time.process_time()
        try:
            return load(*args)
        finally:
            clock.seconds["loading"] += time.process_time() - start

    Matting.from_settings = load_early  # type: ignore[method-assign,assignment]
    parts.matte_frame = answer  # type: ignore[assignment]
    clock.watch(parts, "load_frame", "reading")
    clock.watch(parts, "matte_frame", "network")
    clock.watch(parts, "render", "writing")
    clock.watch(parts, "write_png", "writing")
    sys.argv = ["matting", "images", *flags]
    begun, start = time.perf_counter(), time.process_time()
    code = run_program()
    spent = time.process_time() - start
    if code:
        raise SystemExit(code)
    own = spent - sum(clock.seconds.values())
    peak = read_own_peak() / 2**20
    wall = time.perf_counter() - begun
    return {"peak": peak, "wall": wall, "own": own, **clock.seconds}


def run(root: Path, count: int, *flags: str) -> dict[str, float]:
    """Measures a run over the pictures below a folder in a process of its own."""
    assert __spec__ is not None  # noqa: S101 - the program is a module
    line = ["--images-src", root / "src", "--images-bgr", root / "plate.png"]
    line += ["--output-dir", root / "out", "--preprocess", "none", "--device", "cpu", *flags]
    command = [sys.executable, "-m", __spec__.name, "--inside", *map(str, line)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603 - this program
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    per = {name: 1000 * found.get(name, 0.0) / count for name in ("reading", "network", "writing")}
    print(
        f"{count:>9,} | {found['peak']:8.0f} | "
        + " | ".join(f"{value:7.2f}" for value in per.values())
        + f" | {1000 * found['own'] / count:7.2f} | {found['wall']:7.1f}",
        flush=True,
    )
    return found


def main() -> None:
    """Runs the program."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--counts", type=int, nargs="+", default=[1000, 100_000])
    parser.add_argument("--folder", type=Path, help="where to write; by default a temporary folder")
    parser.add_argument("--inside", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside is not None:
        print(json.dumps(measure(args.inside)))
        return
    print("the network is replaced by constants; times are of the processor, in ms per picture")
    print(" pictures | peak MiB | reading | network | writing |  beyond |  wall s")
    for count in args.counts:
        with tempfile.TemporaryDirectory(dir=args.folder) as name:
            root = Path(name)
            make_pictures(root, count)
            run(root, count)
            run(root, count, "--on-existing", "skip")


if __name__ == "__main__":
    main()
