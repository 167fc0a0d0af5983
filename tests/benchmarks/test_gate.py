"""The gate's pictures, and the program on drawn subjects and on a small folder of data."""

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from benchmarks import gate, gate_drawing, gate_pictures, gate_scenes
from benchmarks.composites import Subject, draw_subjects
from benchmarks.gate import HELD_OUT
from benchmarks.gate_cases import Half, Material, MissingError
from benchmarks.gate_measures import find_strands
from benchmarks.gate_table import ROWS
from dataset.synthetic import draw_background
from matting.settings import DEFAULT_CHECKPOINT

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Run:
    """Calls the program on few and small drawn pictures."""
    monkeypatch.setattr(gate, "DRAWN", 2)
    monkeypatch.setattr(gate, "DRAWN_SIZE", (120, 160))

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["gate", *map(str, arguments)])
        return gate.main(), *capsys.readouterr()

    return call


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes scenes small."""
    for module in (gate_drawing, gate_pictures):
        monkeypatch.setattr(module, "SCENE", (240, 320))


def make_material(folder: Path, photographs, half: Half = "report", every: int = 1) -> Material:
    rng = np.random.default_rng(0)
    paths = [
        photographs.save(folder / f"{number}.png", draw_background(rng, 120, 160))
        for number in range(4)
    ]
    return Material(folder, draw_subjects(3, 120, 160), paths, half, every)


def table(out: str) -> dict[str, list[str]]:
    """Cells of the table's rows, by name."""
    rows = [line.strip("| ").split(" | ") for line in out.splitlines() if line.startswith("| ")]
    return {name: cells for name, *cells in rows if name != "row"}


def test_the_halves_share_no_picture_and_miss_none(tmp_path: Path, photographs) -> None:
    choose, report = (make_material(tmp_path, photographs, half) for half in ("choose", "report"))
    first, second = set(choose.combine()), set(report.combine())
    assert not first & second
    assert len(first | second) == 3 * 4
    assert all((s + b) % 2 == 0 for s, b in first)
    assert (choose.thin(range(5)), report.thin(range(5))) == ([0, 2, 4], [1, 3])
    names = [
        {pair.name for pair in half.compose({}, half.subjects[:2])} for half in (choose, report)
    ]
    assert [len(half) for half in names] == [4, 4]
    assert not names[0] & names[1]
    assert make_material(tmp_path, photographs, every=4).combine() == report.combine()[::4]


def test_shadows_leave_their_factor_of_the_light(tmp_path: Path, photographs) -> None:
    pha = np.zeros((120, 160), np.uint8)
    pha[10:, 20:140] = 255  # wide enough for a soft shadow to be full
    block = Subject("block", np.full((120, 160, 3), 200, np.uint8), pha)
    rows = set()
    material = replace(make_material(tmp_path, photographs), subjects=[block] * 3)
    for case in gate_pictures.shadows(material):
        for row, measure in case.measures["best"].items():
            mask = measure.keywords["mask"]
            assert mask.sum() > 500, row
            factor = float(row.split("-")[2])
            left = case.frames[0][mask].mean() / case.bgr[mask].mean()
            # The soft one may have .95 of its depth, and the other .05 of its own.
            assert left == pytest.approx(factor, abs=0.06 * (1 - factor) + 0.01), row
            rows.add(row)
    assert rows == {row for row in ROWS if row.startswith(("shadow-sharp", "shadow-soft"))}


@pytest.mark.usefixtures("scene")
def test_contact_shadows_darken_the_ground_beside_the_subject(tmp_path: Path, photographs) -> None:
    cases = list(gate_pictures.contact_shadows(make_material(tmp_path, photographs)))
    assert len(cases) == 2  # every fourth of 6
    for case in cases:
        mask = case.measures["best"]["shadow-contact"].keywords["mask"]
        left = case.frames[0][mask].mean() / case.bgr[mask].mean()
        assert 0.4 < left < 0.7  # half to all of a depth of .6


def test_dark_cloth_differs_by_its_levels(tmp_path: Path, photographs) -> None:
    rows = {}
    for case in gate_pictures.dark_cloth(make_material(tmp_path, photographs)):
        row = next(iter(case.measures["best"]))
        core = case.measures["best"][row].keywords["core"]
        assert case.bgr.mean() < 65
        if core.sum() > 100:
            rows[row] = np.abs(np.mean(case.frames[0][core] - case.bgr[core].astype(float)))
            assert case.frames[0][core].std() < case.bgr[core].std() + int(row.split("-")[1])
    assert rows


def test_a_plain_plate_gets_no_texture_and_a_faint_one_does(photographs) -> None:
    plain = gate_drawing.darken(np.full((60, 60, 3), 99, np.uint8), 40)
    assert (plain == 40).all()
    faint = (photographs.plate(120, 160) / 4 + 60).astype(np.uint8)
    before, after = (
        np.median(gate_drawing.measure_texture(picture))
        for picture in (faint * (40 / faint.mean()), gate_drawing.darken(faint, 40))
    )
    assert 1.5 * before < after < 3.1 * before


def test_drawn_hair_is_one_to_three_pixels_wide() -> None:
    height, width = 400, 600
    pha = np.zeros((height, width), np.uint8)
    pha[200:350, 200:400] = 255
    subject = Subject("block", np.full((height, width, 3), 200, np.uint8), pha)
    haired, hair = gate_drawing.add_hair(subject, np.random.default_rng(0))
    assert not hair[pha > 0].any()
    assert np.array_equal(haired.pha, np.maximum(pha, hair))
    assert (haired.fgr[hair > 0] == gate_drawing.HAIR).all()
    # At most 30 of 140 pixels and 3.25 wide; at least half of 30 of 60 and 1, as some cross.
    assert 900 < hair.sum() / 255 < 30 * 140 * 3.25
    true = hair / 255
    assert find_strands(true).sum() > 0.95 * true.sum(), "no disc of 9 pixels fits in"


@pytest.mark.usefixtures("scene")
def test_the_slow_clip_moves_by_one_and_a_half_pixels(tmp_path: Path, photographs) -> None:
    (case, *_) = gate_pictures.slow_clip(make_material(tmp_path, photographs))
    trues = case.measures["auto"]["dtssd"].keywords["trues"]
    across, down = np.meshgrid(np.arange(320), np.arange(240))
    for values, step in ((across, 1.5), (down, 0.5)):
        centres = [(values * true).sum() / true.sum() for true in trues]
        np.testing.assert_allclose(np.diff(centres), step, atol=0.1)  # alpha has 8 bits
    assert len(case.frames) == 5
    assert not np.array_equal(case.frames[0], case.frames[1])


def test_the_person_is_measured_on_composites(
    tmp_path: Path, photographs, monkeypatch: pytest.MonkeyPatch
) -> None:
    material = make_material(tmp_path, photographs)
    with pytest.raises(MissingError, match="real_pairs does not exist"):
        next(gate_scenes.person(material))
    save_pair(tmp_path / "real_pairs", photographs)
    monkeypatch.setattr(gate_scenes, "find_spec", lambda name: None)
    with pytest.raises(MissingError, match="pip install pymatting"):
        next(gate_scenes.person(material))
    # What it estimates is its own business: here the frame's colours.
    fake = SimpleNamespace(estimate_foreground_ml=lambda src, pha: src)
    monkeypatch.setitem(sys.modules, "pymatting", fake)
    monkeypatch.setattr(gate_scenes, "find_spec", lambda name: fake)
    cases = list(gate_scenes.person(material))
    assert len(cases) == 2  # of one person over 4 backgrounds
    assert set(cases[0].measures["best"]) == {
        *("person-mad", "person-grad", "holes-person", "lowest-person")
    }


def save_pair(folder: Path, photographs) -> None:
    plate = photographs.plate(120, 160)
    photographs.save(folder / "plate.png", plate)
    photographs.save(folder / "a_src.png", photographs.frame(plate))
    disc = photographs.disc(120, 160).astype(np.uint8) * 255
    photographs.save(folder / "a_reference.png", disc)


def test_real_data_are_measured_where_they_are(
    run: Run, tmp_path: Path, photographs, clips
) -> None:
    save_pair(tmp_path / "real_pairs", photographs)
    clips.write(tmp_path / "video/static_camera.avi", clips.moving(12, 96, 128))
    rows = "--rows", "pairs", "flicker", "holes-clip", "shadow-room"
    code, out, err = run(DEFAULT_CHECKPOINT, "--data", tmp_path, *rows, "--every", 4)
    assert (code, err) == (0, "")
    found = table(out)
    assert set(found) == {*("pairs-mad", "pairs-grad", "pairs-islands", "flicker", "holes-clip")}
    assert all(cells[-1] == "equal" for cells in found.values())
    assert float(found["pairs-mad"][1]) < 20, "a disc of one colour is easy"
    assert f"left out: shadow-room: {tmp_path / 'room'} does not exist" in out


@pytest.mark.slow
def test_the_same_weights_are_equal_and_broken_ones_are_worse(run: Run, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    rows = "--rows", "none", "capture", "coarse-none", "holes-composites", "islands"
    data = "--data", tmp_path / "none"
    code, out, err = run(DEFAULT_CHECKPOINT, *data, *rows)
    assert (code, err) == (0, "")
    assert "2 drawn subjects are used" in out
    assert "2 drawn backgrounds are used" in out
    same = table(out)
    assert len(same) == 7
    for cells in same.values():
        assert (cells[1], cells[-1]) == (cells[2], "equal")
    assert "no row is worse" in out

    state = load_file(DEFAULT_CHECKPOINT)
    state["decoder.conv4.weight"].zero_()
    save_file(state, tmp_path / "broken.safetensors")
    code, out, _ = run(tmp_path / "broken.safetensors", *data, *rows)
    broken = table(out)
    assert code == 1
    assert broken["none-mad"][-1] == broken["coarse-none-mad"][-1] == "worse"
    assert broken["none-mad"][1] == same["none-mad"][1], "the shipped ones have not changed"
    assert "worse: none-mad" in out
    code, out, _ = run(
        DEFAULT_CHECKPOINT, "--against", tmp_path / "broken.safetensors", *data, *rows
    )
    assert (code, table(out)["none-mad"][-1]) == (0, "better")


def test_wrong_input_exits_2(run: Run, tmp_path: Path) -> None:
    for arguments, message in (
        (("--rows", "shade"), "unknown row 'shade'"),
        (("--every", 0), "--every must be 1 or more, got 0"),
        (("--data", tmp_path / "no"), "--data must be a folder"),
        (("--data", tmp_path, "--rows", "pairs"), "none of the rows could be measured"),
        (("--against", tmp_path / "no.pth"), "no.pth"),
    ):
        code, _, err = run(DEFAULT_CHECKPOINT, *arguments)
        assert (code, message in err) == (2, True), (arguments, err)


def test_held_out_backgrounds_are_those_of_the_documentation() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs/evaluation.md").read_text(encoding="utf-8")
    (line,) = [line for line in page.splitlines() if line.startswith("- **HELD_OUT**")]
    assert set(re.findall(r"`(\w+)`", line)) == set(HELD_OUT)
