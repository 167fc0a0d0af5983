"""`python -m dataset.check`: what it prints and how it exits."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from dataset.check import main
from dataset.inspection import measure_darkening
from dataset.synthetic import SyntheticForegrounds

from ..media.test_clips import write_numbered

ROOT = Path(__file__).resolve().parents[2]


def foreground(index: int, size: int = 160) -> tuple[np.ndarray, np.ndarray]:
    """A bright textured disc with a wide soft edge, straight colours everywhere."""
    rng = np.random.default_rng(index)
    texture = rng.integers(90, 256, (5, 5, 3), np.uint8)
    fgr = cv2.resize(texture, (size, size), interpolation=cv2.INTER_LINEAR)
    pha = np.zeros((size, size), np.uint8)
    cv2.circle(pha, (size // 2, size // 2), size // 3, 255, -1)
    return fgr, cv2.GaussianBlur(pha, (0, 0), 4)


def multiply(fgr: np.ndarray, pha: np.ndarray) -> np.ndarray:
    return np.rint(fgr * (pha[..., None] / 255)).astype(np.uint8)


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, quality=95)


def save_pairs(root: Path, count: int = 4) -> None:
    for index in range(count):
        fgr, pha = foreground(index)
        save(root / f"fgr/{index}.jpg", fgr)
        save(root / f"pha/{index}.png", pha)
    save(root / "bgr/1.jpg", np.full((600, 800, 3), 90, np.uint8))


@pytest.fixture
def check(tmp_path: Path, capsys):
    """Checks a data set of one source; gives the exit code and what was printed."""

    def run(source: str = "", *args: str, config: str = "") -> tuple[int, str]:
        source = source or f"{{fgr: {tmp_path}/fgr, pha: {tmp_path}/pha}}"
        path = tmp_path / "config.yaml"
        path.write_text(
            config
            or f"epochs: 3\ndataset:\n  name: mine\n  train_backgrounds: [{tmp_path}/bgr]\n"
            f"  datasets: {{mine: {{train: [{source}], valid: [{{synthetic: 50}}]}}}}\n"
        )
        code = main([str(path), *args])
        printed = capsys.readouterr()
        return code, printed.out + (printed.err if code == 2 else "")

    return run


def test_good_data_pass_with_their_figures(tmp_path: Path, check) -> None:
    save_pairs(tmp_path)
    code, text = check()
    assert code == 0
    assert "pictures    4 pairs" in text
    assert "smallest 160 x 160, largest 160 x 160, most common 160 x 160 (4 times)" in text
    assert "alpha       0 to 255; 0 empty (0.0%)" in text
    assert "drawn       50 foregrounds per epoch" in text
    assert "smallest 800 x 600" in text
    assert text.endswith("Training would run: no error, 0 warnings.\n")


def test_what_training_fails_on_is_named_and_exits_1(tmp_path: Path, check) -> None:
    save_pairs(tmp_path, 6)
    (tmp_path / "pha/0.png").unlink()
    (tmp_path / "fgr/1.jpg").write_bytes((tmp_path / "fgr/1.jpg").read_bytes()[:900])
    save(tmp_path / "pha/2.png", np.zeros((10, 20), np.uint8))
    save(tmp_path / "bgr/2.jpg", np.full((100, 800, 3), 90, np.uint8))
    (tmp_path / "bgr/3.jpg").write_bytes(b"hello")
    code, text = check()
    assert code == 1
    assert "ERROR       files without a partner: 1;" in text
    assert "fgr/0.jpg: no picture named 0 in" in text
    assert "ERROR       unreadable: 2" in text
    assert "fgr/1.jpg: damaged, truncated" in text
    assert "fgr/2.jpg is 160 x 160 pixels and" in text
    assert "bgr/3.jpg: not a picture" in text
    assert "shorter side below 512 pixels, enlarged in training: 1" in text
    assert "Training would fail: 3 errors, 1 warning." in text


def test_what_can_not_be_taken_is_an_error_and_links_are_followed(tmp_path: Path, check) -> None:
    save_pairs(tmp_path, 2)
    for kind in ("fgr", "pha"):
        (tmp_path / "disk" / kind).mkdir(parents=True)
        (tmp_path / kind / "more").symlink_to(f"../disk/{kind}")
    fgr, pha = foreground(7)
    save(tmp_path / "disk/fgr/7.jpg", fgr)
    save(tmp_path / "disk/pha/7.png", pha)
    code, text = check()
    assert (code, "pictures    3 pairs" in text) == (0, True)
    (tmp_path / "fgr/0.CR2").write_bytes(b"II*")
    (tmp_path / "pha/loop").symlink_to(".")
    (tmp_path / "bgr/\x1b[2J.jxl").write_bytes(b"")
    code, text = check()
    assert code == 1
    assert "ERROR       can't be used: 2; convert or remove them" in text
    assert "fgr/0.CR2: a raw file: develop it first" in text
    assert "pha/loop: a circular link" in text
    assert r"bgr/\x1b[2J.jxl: JPEG XL, which is not read" in text
    assert "\x1b" not in text
    assert "Training would fail: 2 errors, 0 warnings." in text


def test_what_deserves_a_look_is_a_warning(tmp_path: Path, check) -> None:
    save_pairs(tmp_path, 6)
    pha = foreground(0)[1]
    tinted = np.where(pha < 255, pha // 2, pha).astype(np.uint8)
    save(tmp_path / "pha/0.png", np.zeros_like(pha))
    save(tmp_path / "pha/1.png", pha // 2)
    save(tmp_path / "pha/2.png", np.dstack((pha, tinted, pha)))
    save(tmp_path / "fgr/3.jpg", multiply(*foreground(3)))
    code, text = check()
    assert code == 0
    assert "0 to 255; 1 empty (16.7%)" in text
    for warning, name in (
        ("zero everywhere, which is usual only in clips: 1", "0"),
        ("never reach 255: 1", "1"),
        ("not grey, of which luma is used: 1", "2"),
        ("apparently premultiplied by alpha: 1 of the", "3"),
    ):
        lines = text.split(warning)[1].splitlines()
        assert lines[1].endswith(f"fgr/{name}.jpg")
    assert text.endswith("Training would run: no error, 4 warnings.\n")


def test_clips_are_counted_and_decoded(tmp_path: Path, check) -> None:
    for part in ("fgr", "pha"):
        for name, count in (("a", 20), ("b", 30)):
            (tmp_path / part).mkdir(exist_ok=True)
            write_numbered(tmp_path / part / f"{name}.mp4", count)
    save(tmp_path / "bgr/1.jpg", np.full((600, 800, 3), 90, np.uint8))
    code, text = check()
    assert code == 0
    assert "clips       2 pairs, 50 frames" in text
    assert "decoded     50" in text
    assert "2 empty" in text  # frame 0 of each is black
    assert "a.mp4 frame 0" in text
    write_numbered(tmp_path / "pha/a.mp4", 19)
    code, text = check()
    assert code == 1
    assert "pairs of clips that can't be used: 1" in text
    assert "fgr/a.mp4 has 20 frames and" in text
    assert "decoded     30" in text


def test_quick_decodes_a_part_and_says_so(tmp_path: Path, check) -> None:
    save_pairs(tmp_path, 6)
    code, text = check("", "--quick", "3")
    assert code == 0
    assert "Quick: only 3 per source are decoded, chosen at random." in text
    assert "pictures    6 pairs" in text
    assert "decoded     3" in text


def test_missing_folders_and_rgba_without_alpha(tmp_path: Path, check) -> None:
    save(tmp_path / "bgr/1.jpg", np.full((600, 800, 3), 90, np.uint8))
    code, text = check(f"{{rgba: {tmp_path}/nothing}}")
    assert code == 1
    assert "nothing does not exist" in text
    code, text = check(f"{{rgba: {tmp_path}/bgr}}")
    assert code == 1
    assert "1.jpg: has no alpha channel" in text


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("epochs: 3", "has no section 'dataset'"),
        ("dataset: {nmae: x}", "unknown key 'dataset.nmae'; perhaps you meant 'dataset.name'"),
        ("dataset: {datasets: {}}", "has no dataset.name"),
        ("dataset: {name: x}", "unknown data set 'x'"),
        ("dataset: {name: x, datasets: {x: {train: [{fgrr: a}]}}}", "train.0.fgrr'; perhaps"),
    ],
)
def test_bad_settings_exit_2(check, config: str, message: str) -> None:
    code, text = check(config=config)
    assert code == 2
    assert message in text


def test_it_runs_as_a_module(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        "dataset: {name: x, datasets: {y: {train: [{synthetic: 5}], valid: []}}}"
    )
    command = [sys.executable, "-m", "dataset.check", str(tmp_path / "c.yaml"), "--dataset-name"]
    for name, code, message in (("y", 0, "Training would run"), ("z", 2, "known: y")):
        done = subprocess.run([*command, name], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == code
        assert message in done.stdout + done.stderr


def darkenings(change) -> list[float]:
    drawn = SyntheticForegrounds(length=12, seed=3)
    pairs = [drawn.draw(index, 0, 256, 256) for index in range(12)]
    found = [measure_darkening(change(fgr, pha), pha) for fgr, pha in pairs]
    return [value for value in found if value is not None]


def dim(fgr: np.ndarray, pha: np.ndarray) -> np.ndarray:
    return fgr // 3


def blacken_outside(fgr: np.ndarray, pha: np.ndarray) -> np.ndarray:
    black = np.where(pha[..., None] == 0, 0, fgr).astype(np.uint8)
    return cv2.imdecode(cv2.imencode(".jpg", black, [cv2.IMWRITE_JPEG_QUALITY, 90])[1], 1)


@pytest.mark.parametrize("change", [lambda fgr, pha: fgr, dim, blacken_outside])
def test_straight_foregrounds_are_not_darkened_by_alpha(change) -> None:
    values = darkenings(change)
    assert len(values) >= 5
    assert max(values) < 0.6


@pytest.mark.parametrize("change", [multiply, lambda fgr, pha: multiply(dim(fgr, pha), pha)])
def test_premultiplied_foregrounds_are(change) -> None:
    values = darkenings(change)
    assert len(values) >= 5
    assert min(values) > 0.7


def test_darkening_by_hand_and_where_it_cant_be_told() -> None:
    pha = np.tile(np.linspace(0, 255, 100).astype(np.uint8), (50, 1))
    pha[:, 90:] = 255
    straight = np.full((50, 100, 3), 200, np.uint8)
    assert measure_darkening(straight, pha) == 0
    assert measure_darkening(multiply(straight, pha), pha) == pytest.approx(1, abs=0.02)
    assert measure_darkening(straight // 10, pha) is None
    assert measure_darkening(straight, np.full_like(pha, 255)) is None
