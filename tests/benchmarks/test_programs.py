"""Every program of the benchmarks: its help, and a run at its smallest whose output is read."""

import importlib
import json
import math
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks import (
    attached,
    capture_check,
    clip_reading,
    data_throughput,
    held_out,
    many_pictures,
    pictures,
)
from benchmarks.scenes import Scene
from dataset.clip_pairs import RUN_LENGTH
from matting.settings import DEFAULT_CHECKPOINT

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = sorted(
    path.stem
    for path in (ROOT / "benchmarks").glob("*.py")
    if "__main__" in path.read_text(encoding="utf-8")
)

Call = Callable[..., str]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Call:
    """Runs a program in this process; returns what it prints."""

    def run(main: Callable[[], object], *args: object) -> str:
        monkeypatch.setattr(sys, "argv", ["program", *map(str, args)])
        main()
        return capsys.readouterr().out

    return run


@pytest.fixture
def composites(tmp_path: Path, photographs) -> tuple[object, ...]:
    """Flags that name two mattes and a photograph, of 120 x 160 pixels."""
    alpha = photographs.disc(120, 160).astype(np.uint8) * 255
    for name, colour in (("a", (205, 60, 40)), ("b", (30, 60, 200))):
        photographs.save(tmp_path / f"m/{name}_pha.png", alpha)
        photographs.save(tmp_path / f"m/{name}_fgr.png", np.full((120, 160, 3), colour, np.uint8))
    photographs.save(tmp_path / "b/b.png", photographs.plate(120, 160))
    return "--mattes", tmp_path / "m", "--backgrounds", tmp_path / "b"


def test_all_programs_are_known() -> None:
    assert len(PROGRAMS) == 16
    assert {"compare_reference", "profile_parts", "robustness", "held_out"} <= {*PROGRAMS}


@pytest.mark.parametrize("name", PROGRAMS)
def test_help_says_what_the_program_does(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    module = importlib.import_module(f"benchmarks.{name}")
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as end:
        module.main()
    shown = " ".join(capsys.readouterr().out.split())
    assert end.value.code == 0
    assert f"usage: {name}" in shown
    assert " ".join(module.__doc__.split("\n")[0].split()) in shown


@pytest.mark.slow
def test_many_pictures_measures_a_run_and_its_repetition(tmp_path: Path, call: Call) -> None:
    out = call(many_pictures.main, "--counts", 300, "--folder", tmp_path)
    assert "the network is replaced by constants" in out
    rows = [[float(cell) for cell in line.split("|")] for line in out.splitlines()[2:]]
    assert [row[0] for row in rows] == [300, 300]
    (first, again) = rows
    # The network is there, and is at least 20 MiB; what has been made is neither read nor written.
    assert min(first[1], again[1]) > 100
    assert min(first[2:5]) > 0
    assert again[2:5] == [0, 0, 0]
    assert list(tmp_path.iterdir()) == []


def test_held_out_judges_coarse_and_refined(call: Call, composites) -> None:
    out = call(held_out.main, DEFAULT_CHECKPOINT, *composites)
    rows = re.findall(r"safetensors, (\w+) +MAD ([\d.]+)  Grad ([\d.]+)", out)
    assert [row[0] for row in rows] == ["coarse", "refined"] * 2
    assert out.count("2 composites, ") == 2
    # A disc of one colour, perfectly captured: the network's own error, and less than a tenth.
    assert all(0 < float(mad) < 0.1 for _, mad, _ in rows)


def test_attached_measures_what_goes(tmp_path: Path, call: Call, composites) -> None:
    sheet = tmp_path / "sheet.png"
    flags = (*composites, "--size", 160, 90, "--frames", 2, "--every", 2, "--picture", sheet)
    out = call(attached.main, *flags, "--scenes", "alone", "light bar")
    rows = re.findall(
        r"^(.+): ([\d.]+), (\d+), \d+, [\d.]+ \| ([\d.]+), (\d+), ", out, re.MULTILINE
    )
    assert [row[0] for row in rows] == ["alone", "light bar"]
    for _, *row in rows:
        mad, islands, kept_mad, kept_islands = map(float, row)
        assert kept_islands <= islands
        assert 0 < kept_mad <= mad < 0.1
    assert sheet.stat().st_size > 1000


def test_scores_of_alphas_by_hand() -> None:
    """20 x 10 pixels: 2 pixels of an island, then gone; 4 pixels of a subject, then lost."""
    true = np.zeros((10, 20), np.float32)
    true[0, :4] = 1
    first, second = true.copy(), true * 0
    first[5, :2] = 0.5
    scenes = [Scene(np.zeros((10, 20, 3), np.uint8), true)] * 2
    mad, islands, lost, dtssd = attached.measure([first, second], scenes)
    assert (islands, lost) == (1, 2)
    assert mad == pytest.approx((2 * 0.5 + 4) / 200 / 2)
    assert dtssd == pytest.approx(100 * math.sqrt((2 * 0.5**2 + 4) / 200))


def test_capture_check_finds_what_is_wrong(call: Call, composites) -> None:
    out = call(capture_check.main, *composites, "--conditions", "perfect")
    lines = re.findall(r"^  (.+?)  +2 pairs, [\d.]+ s each: (.+)$", out, re.MULTILINE)
    assert [name.split(": ")[1] for name, _ in lines[:2]] == ["nothing", "frame and plate swapped"]
    assert len(lines) == 2 * 5
    found = dict(lines)
    assert found["perfect: nothing"] == "nothing 2"
    assert found["perfect: subject in the plate as in the frame"] != "nothing 2"
    mads = re.search(r"^  perfect +([\d.]+) +[\d.]+ +([\d.]+)", out, re.MULTILINE).groups()
    assert all(0 < float(mad) < 0.1 for mad in mads)


def test_clip_reading_finds_the_frames(tmp_path: Path, call: Call, clips) -> None:
    clip = clips.write(tmp_path / "a.mp4", clips.moving(60))
    out = call(clip_reading.main, clip, "--frames", RUN_LENGTH, "--rounds", 1)
    assert "a.mp4: 60 frames of 64 x 48" in out
    rows = re.findall(r"^(.+?) +ours +([\d.]+) +OpenCV seek per frame +([\d.]+)", out, re.MULTILINE)
    assert [row[0] for row in rows] == [
        "forward",
        f"shuffled runs of {RUN_LENGTH}",
        "shuffled frames",
    ]
    assert all(float(ours) > 0 and float(theirs) > 0 for _, ours, theirs in rows)
    assert re.search(r"wrong frames of \d+: ours 0,", out)


def test_data_throughput_sums_up_both_stages(
    tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "HEIGHT", 108)
    monkeypatch.setattr(pictures, "WIDTH", 192)
    monkeypatch.setattr(data_throughput, "STAGES", {"stage 1": (64, (0.4, 1.0))})
    path = tmp_path / "a.json"
    out = call(data_throughput.main, "--samples", 2, "--json", path)
    figures = json.loads(path.read_text())["stage 1"]
    median = figures["median"]
    assert median["ratio worker"] == pytest.approx(median["authors"] / median["worker"])
    assert figures["mean"]["both"] == pytest.approx(
        figures["mean"]["worker"] + figures["mean"]["device"]
    )
    assert {*figures["parts"]} == {"worker", "device"}
    assert all(part >= 0 for parts in figures["parts"].values() for part in parts.values())
    assert "stage 1, 64 px, 2 samples each, one thread" in out
    assert f"{median['authors']:10.4f}" in out
