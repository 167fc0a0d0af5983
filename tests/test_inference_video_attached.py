"""inference_video.py --keep-attached: by flag and file, reported, and continued after a kill."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from .test_inference_video_resume import KILL, read_outputs

# Alpha is the red channel, so that the clip says what the network sees.
SEE_RED = """
import numpy as np
from matting.prediction import Prediction
from matting.predictor import Predictor
def see_red(self, src, bgr, budget):
    pha = (src[..., 0] / 255).astype(np.float32)
    return Prediction(pha, (src / 255).astype(np.float32), pha * 0, pha < 0)
Predictor.predict = see_red
"""
FRAMES = 12


@pytest.fixture
def line(tmp_path: Path, photographs) -> tuple:
    """A person, a finger of one pixel that leaves them by 4 pixels a frame, and a hair."""
    for number in range(FRAMES):
        picture = np.zeros((96, 128, 3), np.uint8)
        picture[30:, 20:50] = picture[40:44, 50 + 4 * number] = 255
        picture[10:14, 110] = 255
        photographs.save(tmp_path / "src" / f"{number:02}.png", picture)
    plate = photographs.save(tmp_path / "plate.png", np.zeros((96, 128, 3), np.uint8))
    line = ("--video-src", tmp_path / "src", "--video-bgr", plate, "--preprocess", "none")
    return (*line, "--output-format", "image_sequences", "--output-types", "pha")


def read_last(folder: Path) -> tuple[int, int]:
    """Alpha of finger and hair in the last frame."""
    pha = np.asarray(Image.open(folder / f"pha/{FRAMES - 1}.png"))
    return int(pha[42, 50 + 4 * (FRAMES - 1)]), int(pha[12, 110])


def test_flag_and_file_empty_islands_and_the_default_does_not(
    tmp_path: Path, run_video, line: tuple
) -> None:
    config = tmp_path / "a.yaml"
    config.write_text("keep_attached: true\n")
    for name, flags, hair in (
        ("default", (), 255),
        ("flag", ("--keep-attached",), 0),
        ("file", ("--config", config), 0),
        ("over", ("--config", config, "--no-keep-attached"), 255),
    ):
        out = tmp_path / name
        told = () if hair else (f"islands emptied in {FRAMES} of {FRAMES} frames",)
        run_video(*line, *flags, "--output-dir", out, before=SEE_RED).check(0, *told)
        assert read_last(out) == (255, hair), name
        details = json.loads((out / "summary.json").read_text("utf-8"))["images"][0]["details"]
        wanted = None if hair else {"frames": FRAMES, "emptied": FRAMES}
        assert details.get("islands") == wanted


@pytest.mark.skipif(os.name == "nt", reason="Windows has no kill -9")
@pytest.mark.parametrize("smoothing", [0, 0.5])
def test_a_continued_run_remembers_the_subject(
    tmp_path: Path, run_video, line: tuple, smoothing: float
) -> None:
    """The finger is kept only by what was kept in all frames before."""
    flags = (*line, "--keep-attached", "--temporal-smoothing", smoothing, "--output-dir")
    whole, continued = tmp_path / "whole", tmp_path / "continued"
    run_video(*flags, whole, before=SEE_RED).check(0)
    assert read_last(whole) == (255, 0)
    assert run_video(*flags, continued, before=SEE_RED + KILL.format(after=7)).code == -9
    run_video(*flags, continued, "--resume", before=SEE_RED).check(0, "7 existed already")
    assert read_outputs(continued) == read_outputs(whole)
    run_video(*line, "--output-dir", continued, "--resume", before=SEE_RED).check(
        2, "had other settings: .*keep_attached"
    )
