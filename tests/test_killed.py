"""Runs that `kill -9` ends at random moments: final names are whole, and going on gives the rest.

What is there in the end must equal, bit by bit, what a run makes that nobody disturbs.
"""

import io
import os
import random
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from runtime.settings import to_yaml
from training.checkpoint import load_checkpoint

from .conftest import Run, RunScript, fork_script
from .training.conftest import make_settings

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no kill -9"),
]

MOMENTS = 30
KILL = "import os, threading; threading.Timer({}, os.kill, (os.getpid(), 9)).start()"
Files = dict[str, bytes]


def read_files(folder: Path) -> Files:
    """All files below a folder but the summary, hidden ones too."""
    found = [path for path in folder.rglob("*") if path.is_file() and path.name != "summary.json"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def kill_and_go_on(
    start: Callable[[str], Run],
    go_on: Callable[[str], Run],
    folder: Path,
    check: Callable[[Files], object],
    read: Callable[[Path], dict[str, Any]] = read_files,
) -> None:
    """Kills runs at 30 random moments, several times each, and compares what is made in the end.

    Args:
        start: begins a run after some code, which is empty for one that is left alone.
        go_on: begins the run that continues it.
        folder: of the outputs; emptied before each start.
        check: raises for files of which one that has its final name is not whole.
        read: what is compared.
    """
    begin = time.monotonic()
    assert start("").code == 0
    seconds, wanted = time.monotonic() - begin, read(folder)
    moment, kills, run = random.Random(0), 0, start
    shutil.rmtree(folder)
    while kills < MOMENTS:
        # All of it takes longer once it waits for another test.
        code = run(KILL.format(moment.uniform(0, 1.1 * seconds))).code
        if code == -9:
            kills += 1
            run = go_on
            files = read_files(folder).items()
            check({name: data for name, data in files if not name.endswith(".partial")})
            continue
        assert code == 0
        assert read(folder) == wanted
        shutil.rmtree(folder)
        run = start
    assert run("").code == 0
    assert read(folder) == wanted


def check_pictures(files: Files) -> None:
    for data in files.values():
        Image.open(io.BytesIO(data)).load()


def test_photographs(tmp_path: Path, run_forked: RunScript, photographs) -> None:
    names = [f"{index:02}.png" for index in range(10)]
    src, bgr = photographs.pair(tmp_path, *names, height=128, width=192)
    out = tmp_path / "out"
    line = ("--images-src", src, "--images-bgr", bgr, "--output-dir", out, "--num-workers", 2)
    line = (*line, "--output-types", "com", "pha", "fgr", "--quality", "auto")

    def start(before: str) -> Run:
        return run_forked(*line, before=before)

    def go_on(before: str) -> Run:
        return run_forked(*line, "--on-existing", "skip", before=before)

    kill_and_go_on(start, go_on, out, check_pictures)


def test_videos_with_smoothing(tmp_path: Path, run_video: RunScript, clips, photographs) -> None:
    rng = np.random.default_rng(0)
    noisy = [
        np.clip(picture + rng.normal(0, 4, picture.shape), 0, 255).astype(np.uint8)
        for picture in clips.moving(16, 64, 96)
    ]
    src = clips.write(tmp_path / "a.mp4", noisy, crf="4")
    bgr = photographs.save(tmp_path / "plate.png", photographs.plate(64, 96))
    out = tmp_path / "out"
    line = ("--video-src", src, "--video-bgr", bgr, "--output-dir", out)
    line = (*line, "--output-format", "image_sequences", "--temporal-smoothing", 0.7)

    def start(before: str) -> Run:
        return run_video(*line, before=before)

    def go_on(before: str) -> Run:
        return run_video(*line, "--resume", before=before)

    kill_and_go_on(start, go_on, out, check_pictures)


def test_video_files(tmp_path: Path, run_video: RunScript, clips, photographs) -> None:
    src = clips.write(tmp_path / "a.mp4", clips.moving(30, 96, 128), crf="4")
    bgr = photographs.save(tmp_path / "plate.png", photographs.plate(96, 128))
    out = tmp_path / "out"

    def start(before: str) -> Run:
        # One thread: those of libx264 choose other bits from run to run.
        line = ("--video-src", src, "--video-bgr", bgr, "--output-dir", out, "-y")
        return run_video(*line, "--preset", "ultrafast", before=before)

    def check(files: Files) -> None:
        for name in files:
            if "partial" not in name:
                assert len(clips.read(out / name)) == 30

    kill_and_go_on(start, start, out, check)


def read_checkpoints(folder: Path) -> Any:
    """Content of all files of a run, hidden ones too; tensors as bytes. Archives have numbers."""

    def plain(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return value.numpy().tobytes()
        if isinstance(value, dict):
            return {key: plain(part) for key, part in value.items()}
        return [plain(part) for part in value] if isinstance(value, list | tuple) else value

    # A commit while the test runs is no difference.
    fields = {
        path.name: vars(load_checkpoint(path)) | {"revision": ""} for path in folder.iterdir()
    }
    return plain(fields)


@pytest.fixture(scope="module")
def run_training(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunScript]:
    """train_base.py, see `fork_script`."""
    yield from fork_script("train_base.py", tmp_path_factory.mktemp("forked_training"))


def test_training_with_validation(tmp_path: Path, run_training: RunScript) -> None:
    settings = make_settings(tmp_path, checkpoint_interval=1, epoch_end=2)
    settings = replace(
        settings,
        model=replace(settings.model, last_checkpoint="auto"),
        log=replace(settings.log, valid_interval=2),
    )
    config = tmp_path / "run.yaml"
    config.write_text(to_yaml(settings))
    folder = settings.run.checkpoint_dir / settings.model.name

    def start(before: str) -> Run:
        return run_training("--config", config, before=before)

    def check(files: Files) -> None:
        for name in files:
            assert load_checkpoint(folder / name) is not None

    kill_and_go_on(start, start, folder, check, read_checkpoints)
