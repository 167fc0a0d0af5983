"""inference_video.py --resume: what a continued run makes is what an uninterrupted one makes."""

import os
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no kill -9")

# Ends the process, as `kill -9` does, when so many pictures have been written. The outputs of a
# frame are written at the same time: without the lock, one more may appear before the process ends.
KILL = """
import os, threading, media.pictures
write, count, one_by_one = media.pictures.write_whole, 0, threading.Lock()
def write_some(*args):
    global count
    with one_by_one:
        write(*args)
        count += 1
        if count == {after}:
            os.kill(os.getpid(), 9)
media.pictures.write_whole = write_some
"""


@pytest.fixture
def source(tmp_path: Path, clips, photographs) -> tuple:
    """A clip of 24 frames with noise, its plate, from a camera that drifts: tracking has a past."""
    rng = np.random.default_rng(0)
    pictures = [
        np.clip(np.roll(picture, number // 4, 1) + rng.normal(0, 4, picture.shape), 0, 255)
        for number, picture in enumerate(clips.moving(24, 96, 128))
    ]
    clip = clips.write(tmp_path / "a.mp4", [p.astype(np.uint8) for p in pictures], crf="4")
    plate = photographs.save(tmp_path / "plate.png", photographs.plate(96, 128))
    return ("--video-src", clip, "--video-bgr", plate, "--output-format", "image_sequences")


def read_outputs(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.png")}


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param(("--temporal-smoothing", 0.8), marks=pytest.mark.slow),
        pytest.param(("--preprocess-alignment", "--preprocess-exposure"), marks=pytest.mark.slow),
        ("--temporal-smoothing", 0.5, "--preprocess-alignment"),
    ],
    ids=["smoothing", "tracking", "both"],
)
def test_a_killed_run_that_is_continued_equals_an_uninterrupted_one(
    tmp_path: Path, run_video, source, flags: tuple
) -> None:
    whole, continued = tmp_path / "whole", tmp_path / "continued"
    run_video(*source, *flags, "--output-dir", whole).check(0)
    line = (*source, *flags, "--output-dir", continued)
    assert run_video(*line, before=KILL.format(after=11)).code == -9
    made = len(read_outputs(continued))
    assert made == 11
    # From there, killed once more, with half of a frame's outputs written.
    assert run_video(*line, "--resume", before=KILL.format(after=8)).code == -9
    run_video(*line, "--resume").check(0, "9 existed already")
    assert read_outputs(continued) == read_outputs(whole)
    assert not list(continued.rglob(".*"))


def test_a_killed_run_has_said_its_settings(tmp_path: Path, run_video, source) -> None:
    line = (*source, "--output-dir", tmp_path / "out", "--video-target-bgr")
    assert run_video(*line, "red", before=KILL.format(after=6)).code == -9
    run_video(*line, "blue", "--resume").check(2, "had other settings: video")
    run_video(*line, "red", "--resume").check(0, "3 existed already")


@pytest.mark.parametrize("flag", ["--video-src", "--video-bgr", "--video-target-bgr"])
def test_another_file_under_the_name_of_an_input_is_noticed(
    tmp_path: Path, run_video, source, photographs, flag: str
) -> None:
    target = photographs.save(tmp_path / "target.png", photographs.plate(96, 128, seed=3))
    line = (*source, "--output-dir", tmp_path / "out", "--video-target-bgr", target)
    assert run_video(*line, before=KILL.format(after=6)).code == -9
    path = line[line.index(flag) + 1]
    before = path.read_bytes()
    (path.parent / "copy").write_bytes(before)
    path.write_bytes(before[:-300] + bytes(300))
    run_video(*line, "--resume").check(2, f"other settings: the file of {flag}")
    (path.parent / "copy").replace(path)
    run_video(*line, "--resume").check(0, "3 existed already")


@pytest.mark.slow
def test_pictures_of_a_run_that_was_replaced_are_not_taken_for_its_own(
    tmp_path: Path, run_video, source
) -> None:
    line = (*source, "--output-dir", tmp_path / "out", "--video-target-bgr")
    run_video(*line, "red").check(0)
    assert run_video(*line, "blue", "-y", before=KILL.format(after=8)).code == -9
    run_video(*line, "blue", "--resume").check(0, "20 frames in .*4 existed already")
    run_video(*line[:-3], "--output-dir", tmp_path / "blue", line[-1], "blue").check(0)
    assert read_outputs(tmp_path / "out") == read_outputs(tmp_path / "blue")
