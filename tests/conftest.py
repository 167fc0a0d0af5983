"""Small photographs made of numbers, and the script called on them as a user calls it."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter

REPOSITORY = Path(__file__).resolve().parents[1]
SCRIPT = "inference_images.py"

# The CPU, where results are repeatable. One thread: on a machine that does other things too,
# threads that wait for each other make small pictures ten times as slow.
ENVIRONMENT = os.environ | {
    "CUDA_VISIBLE_DEVICES": "",
    "OMP_NUM_THREADS": "1",
    "PYTHONIOENCODING": "utf-8",
    "COLUMNS": "999",  # messages in boxes are not broken in the middle of a path
}

# The same for the tests themselves, which import torch after this.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Runs the script's file as __main__ after some code of the test.
PATCHED = f"""
import os, runpy, sys
sys.path.insert(0, os.getcwd())
exec(sys.argv.pop(1))
sys.argv[0] = {SCRIPT!r}
runpy.run_path({SCRIPT!r}, run_name="__main__")
"""

# Imports what the script imports, then does that for every line that it reads, each in a process of
# its own. They end without tearing down the libraries, which takes longer than the script.
FORKS = f"""
import gc, json, os, signal, sys, traceback
sys.path.insert(0, os.getcwd())
import {SCRIPT.removesuffix(".py")}
gc.collect()
gc.freeze()  # otherwise collecting garbage copies all of these objects
while line := sys.stdin.readline():
    call = json.loads(line)
    if child := os.fork():
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        continue
    signal.alarm(call["timeout"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, path in enumerate((os.devnull, call["out"], call["err"])):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC), number)
    sys.argv = ["-c", call["before"], *call["args"]]
    code = 0
    try:
        exec({PATCHED!r})
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)
"""


@dataclass(frozen=True)
class Run:
    """What a call left behind: exit code (negative: the signal that ended it), stdout, stderr."""

    code: int
    out: str
    err: str

    def check(self, code: int, *patterns: str) -> "Run":
        """Compares the exit code, and searches the messages, boxes and line ends taken out.

        Args:
            code: the exit code wanted.
            patterns: regular expressions; what is wrong must be told on stderr.
        """
        shown = f"exit code {self.code}\n{self.out}\n{self.err}"
        assert self.code == code, shown
        assert "Traceback" not in self.err, shown
        said = self.err if code else self.out
        said = re.sub(r"[\s│╭╮╰╯─]+", " ", said)
        missing = [pattern for pattern in patterns if not re.search(pattern, said)]
        assert missing == [], shown
        return self


RunScript = Callable[..., Run]


class Photographs:
    """Makes plates, and frames on which the default network finds the subject."""

    COLOUR = (205, 60, 40)

    @staticmethod
    def plate(height: int = 128, width: int = 192, seed: int = 0) -> np.ndarray:
        """(height, width, 3) uint8, RGB: noise at three scales, in no way like the subject."""
        generator = np.random.default_rng(seed)
        texture = np.zeros((height, width, 3))
        for radius in (2, 8, 24):
            noise = generator.integers(0, 256, texture.shape, np.uint8)
            smooth = np.asarray(Image.fromarray(noise).filter(ImageFilter.GaussianBlur(radius)))
            texture += (smooth - smooth.mean()) / smooth.std()
        return np.clip(120 + 45 * texture / texture.std(), 0, 255).astype(np.uint8)

    @staticmethod
    def disc(height: int = 128, width: int = 192) -> np.ndarray:
        """(height, width) bool, where the subject is."""
        y, x = np.mgrid[:height, :width] + 0.5
        return (x - width / 2) ** 2 + (y - height / 2) ** 2 < (0.32 * height) ** 2

    @classmethod
    def frame(cls, plate: np.ndarray) -> np.ndarray:
        """The plate with a disc of one colour in front of its middle."""
        return np.where(cls.disc(*plate.shape[:2])[..., None], cls.COLOUR, plate).astype(np.uint8)

    @staticmethod
    def save(path: Path, pixels: np.ndarray, **options: Any) -> Path:
        """Writes a picture, and the folders that it needs; returns the path."""
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, **options)
        return path

    @classmethod
    def pair(
        cls, folder: Path, *names: str, height: int = 64, width: int = 96
    ) -> tuple[Path, Path]:
        """Writes folder/src/NAME... and folder/bgr.png; returns the two paths."""
        plate = cls.plate(height, width)
        for name in names:
            cls.save(folder / "src" / name, cls.frame(plate))
        return folder / "src", cls.save(folder / "bgr.png", plate)


@pytest.fixture(scope="session")
def photographs() -> type[Photographs]:
    """See `Photographs`."""
    return Photographs


@pytest.fixture(scope="session")
def start_script() -> Callable[..., subprocess.Popen]:
    """Starts the script in the repository's root, and lets it run."""

    def start(*args: object, command: tuple[str, ...] = ()) -> subprocess.Popen:
        """Starts `command`, by default Python with the script, with `args` behind."""
        return subprocess.Popen(
            [*(command or (sys.executable, SCRIPT)), *map(str, args)],
            cwd=REPOSITORY,
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )

    return start


@pytest.fixture(scope="session")
def run_script(start_script: Callable[..., subprocess.Popen]) -> RunScript:
    """Runs the script in the repository's root, as a user does, and captures its output."""

    def run(*args: object, command: tuple[str, ...] = (), timeout: int = 120) -> Run:
        """Runs `command`, by default Python with the script, with `args` behind."""
        with start_script(*args, command=command) as process:
            try:
                out, err = process.communicate(timeout=timeout)
            except BaseException:
                process.kill()
                raise
        return Run(process.returncode, out, err)

    return run


@pytest.fixture(scope="session")
def run_forked(
    run_script: RunScript, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunScript]:
    """Runs the script in a process forked from one that has only imported what it imports.

    The imports take seconds, and with this every case does not wait for them. Where the system
    can't fork, the script is started afresh.
    """
    if not hasattr(os, "fork"):

        def run_patched(*args: object, before: str = "", timeout: int = 120) -> Run:
            command = (sys.executable, "-c", PATCHED, before)
            return run_script(*args, command=command, timeout=timeout)

        yield run_patched
        return
    folder = tmp_path_factory.mktemp("forked")
    out, err = folder / "out.txt", folder / "err.txt"
    server = subprocess.Popen(
        [sys.executable, "-c", FORKS],
        cwd=REPOSITORY,
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )

    def run(*args: object, before: str = "", timeout: int = 120) -> Run:
        """Runs the script with `args`, after the code `before`, which may patch something."""
        call = {"args": [*map(str, args)], "before": before, "timeout": timeout}
        server.stdin.write(json.dumps(call | {"out": str(out), "err": str(err)}) + "\n")
        server.stdin.flush()
        code = int(server.stdout.readline())
        return Run(code, out.read_text("utf-8"), err.read_text("utf-8"))

    with server:
        yield run
    assert server.returncode == 0
