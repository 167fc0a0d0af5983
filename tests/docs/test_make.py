"""The pictures and tables of the documentation: they are those of today, and can be remade."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from torch.utils.tensorboard import SummaryWriter

from benchmarks.speed import table
from dataset.synthetic import SyntheticForegrounds
from docs import make
from docs.making import hair, synthetic, tables
from matting.quality import Budget

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> Call:
    """Makes what is named in tmp_path/out; returns exit code, stdout and stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        line = ["make", "--output-dir", tmp_path / "out", "--only", *arguments]
        monkeypatch.setattr(sys, "argv", [*map(str, line)])
        return make.main(), *capsys.readouterr()

    return run


def size(path: Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        assert len(picture.convert("L").getcolors()) > 10, "nothing is drawn"
        return picture.size


def test_what_is_shown_is_made_by_the_shipped_weights() -> None:
    made = json.loads((make.PICTURES / make.RECORD).read_text("utf-8"))
    old = {name for name in make.BY_WEIGHTS if made.get(name) != make.hash_weights()}
    assert old == set(), "run `make docs-pictures`"
    assert made.keys() == make.BY_WEIGHTS.keys()


def test_every_picture_of_the_pages_can_be_remade() -> None:
    pages = [make.ROOT / "README.md", *(make.ROOT / "docs").glob("*.md")]
    shown = {
        name
        for page in pages
        for name in re.findall(
            r"""(?:\(|src=")(?:docs/)?pictures/([\w.]+)[)"]""", page.read_text("utf-8")
        )
    }
    browser = (make.ROOT / "tests/app/test_browser.py").read_text("utf-8")
    by_browser = set(re.findall(r'take_picture\(page, "([\w.]+)"\)', browser))
    assert shown | {make.PAGE.name} == make.MAKERS.keys() | by_browser
    assert {path.name for path in make.PICTURES.iterdir()} == shown | {make.RECORD}


def test_synthetic_picture_is_of_the_generator_as_it_is() -> None:
    """Its alphas, which no photograph changes."""
    shown = cv2.imread(str(make.PICTURES / "synthetic.png"))[..., 0].astype(int)
    side, columns, drawn = synthetic.SIDE, synthetic.COLUMNS, synthetic.DRAWN
    foregrounds = SyntheticForegrounds(synthetic.ROWS * columns, synthetic.SEED)
    plain = np.full((drawn, drawn, 3), 120, np.uint8)
    for index in range(0, len(foregrounds), 5):
        alpha = foregrounds.draw(index, 0, drawn, drawn, plain)[1]
        alpha = cv2.resize(alpha, (side, side), interpolation=cv2.INTER_AREA)
        top, left = index // columns * side, (2 * (index % columns) + 1) * side
        there = shown[top : top + side, left : left + side]
        # Other processors round some strands otherwise.
        assert np.abs(there - alpha).mean() < 0.5, f"{index}: run `make docs-pictures`"


def test_drawn_pictures(
    tmp_path: Path, call: Call, photographs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(synthetic, "DRAWN", 64)
    folder = tmp_path / "photographs"
    for name in ("elementary_Viktor_Forgacs", "elementary_Mr_Lee"):
        photographs.save(folder / f"{name}.jpg", photographs.plate(400, 500))
    committed = {path: path.read_bytes() for path in make.PICTURES.iterdir()}
    code, out, _ = call("synthetic.png", "augmentation.png", "--photographs", folder)
    assert (code, len(out.splitlines())) == (0, 2)
    assert size(tmp_path / "out/synthetic.png") == (4 * 2 * 178, 6 * 178)
    assert size(tmp_path / "out/augmentation.png") == (1460, 1000)
    assert {path: path.read_bytes() for path in make.PICTURES.iterdir()} == committed


def test_animation_of_the_readme_fits_its_first_screen() -> None:
    path = make.PICTURES / "hair.webp"
    assert path.stat().st_size <= 3_000_000
    with Image.open(path) as animation:
        width, height = animation.size
        assert height / width * 1000 <= 310, "GitHub shows READMEs at most about 1000 pixels wide"
        assert (animation.n_frames, animation.info["loop"]) == (5 * hair.STEPS, 0)


def test_animation_wipes_from_one_scene_to_the_next() -> None:
    red, blue, green = (Image.new("RGB", hair.TILE, name) for name in ("red", "blue", "lime"))
    pictures = list(hair.animate([green], [(red, red), (blue, blue)]))
    assert [wait for _, wait in pictures] == 2 * [hair.HOLD, *(hair.STEPS - 1) * [hair.STEP]]
    width, height = hair.TILE
    middle = [*range(width // 2, 4 * width, width + hair.GAP)][:3]
    halfway = pictures[hair.STEPS // 2][0]
    at = [(0, 255, 0), *2 * [(255, 255, 255)]]
    assert [halfway.getpixel((x, height // 2))[:3] for x in middle] == at
    assert [halfway.getpixel((x - 20, height // 2))[2] for x in middle] == [0, 255, 255]
    assert [halfway.getpixel((x + 20, height // 2))[0] for x in middle] == [0, 255, 255]
    assert halfway.getpixel((width + hair.GAP // 2, height // 2))[3] == 0, "the gap is not clear"
    assert halfway.getpixel((0, 0))[3] == 0, "the corner is not round"
    assert pictures[hair.STEPS][0].getpixel((middle[1], 9))[:3] == (0, 0, 255)


def test_training_curve(tmp_path: Path, call: Call) -> None:
    with SummaryWriter(str(tmp_path / "log")) as writer:
        for step, error in enumerate((0.3, 0.1, 0.05)):
            writer.add_scalar("loss/pha_l1", error, step)
            writer.add_scalar("valid/mad", error, step)
    assert call("training_base.png", "--log", tmp_path / "log")[0] == 0
    assert size(tmp_path / "out/training_base.png") == (800, 360)


@pytest.mark.slow
def test_multiply_adds_are_counted_anew(
    tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    presets = [table.Preset(name, 512, 384, Budget(1 / 2, 2048)) for name in ("HD", "4K")]
    monkeypatch.setattr(table, "PRESETS", presets)
    page = tmp_path / "performance.md"
    old = "| ResNet-50 | 1.0 | 34.3 | 1.0 | 41.5 |\n"
    page.write_text(f"# Page\n\n{tables.HEAD}{old}\nBelow.\n", "utf-8")
    monkeypatch.setattr(tables, "PAGE", page)
    assert call("performance.md")[0] == 0
    made = (tmp_path / "out/performance.md").read_text("utf-8")
    before, rows = made.split(tables.HEAD)
    assert before == "# Page\n\n"
    assert rows.endswith("\n\nBelow.\n")
    cells = [line.strip("| ").split(" | ") for line in rows.splitlines()[:3]]
    assert [(row[0], row[2], row[4]) for row in cells] == [
        *(("ResNet-50", "34.3", "41.5"), ("ResNet-101", "44.0", "51.2")),
        ("MobileNetV2", "9.9", "17.0"),
    ]
    assert float(cells[1][1]) > float(cells[0][1]) > float(cells[2][1]) > 0
    record = json.loads((tmp_path / "out" / make.RECORD).read_text("utf-8"))
    assert record == {"performance.md": make.hash_weights()}
    assert page.read_text("utf-8").count(old) == 1, "the page itself was changed"


def test_what_is_missing_is_left_out(tmp_path: Path, call: Call) -> None:
    code, _, err = call("training_base.png", "video.jpg", "--photographs", tmp_path)
    assert code == 1
    assert "training_base.png is left out: it takes --log" in err
    assert f"video.jpg is left out: --photographs {tmp_path} holds no lomiri_" in err
    assert list((tmp_path / "out").iterdir()) == []


def test_writing_is_asked_for(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["make", "--only", "speed.png"])
    with pytest.raises(SystemExit):
        make.main()
    assert "one of the arguments --write --output-dir is required" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["make", "--help"])
    with pytest.raises(SystemExit) as end:
        make.main()
    assert (end.value.code, "Remake the pictures" in capsys.readouterr().out) == (0, True)


@pytest.mark.slow
def test_pictures_of_the_programs(tmp_path: Path, call: Call, photographs, clips) -> None:
    folder = tmp_path / "photographs"
    for name in ("lomiri_aitzgorri_by_Aitzol_Berasategi.jpg", *hair.PHOTOGRAPHS):
        photographs.save(folder / name, photographs.plate(576, 768))
    # Long enough to have the frame that is shown.
    still, last = photographs.plate(576, 768), clips.moving(1, 576, 768)[0]
    clip = clips.write(tmp_path / "a.mp4", [*[still] * 547, last], preset="ultrafast")
    code, *_ = call(
        *("hair.webp", "lawn.png", "webcam.jpg", "video.jpg", "video_jobs.jpg", "speed.png"),
        *("--photographs", folder, "--clip", clip),
    )
    assert code == 0
    sizes = {
        path.name: size(path) for path in (tmp_path / "out").iterdir() if path.suffix != ".json"
    }
    for name, found in sizes.items():
        with Image.open(make.PICTURES / name) as committed:
            assert found == committed.size, name
    assert len(sizes) == 6
