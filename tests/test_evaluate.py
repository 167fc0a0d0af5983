"""evaluate.py from end to end, as a user calls it."""

import csv
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import PATCHED, RunScript, fork_script

SIZE = (24, 32)


@pytest.fixture(scope="module")
def evaluate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunScript]:
    """Runs the script in a process of its own."""
    yield from fork_script("evaluate.py", tmp_path_factory.mktemp("forked_evaluate"))


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def block(columns: int, value: int = 255) -> np.ndarray:
    alpha = np.zeros(SIZE, np.uint8)
    alpha[:, :columns] = value
    return alpha


def arguments(folder: Path, *more: object) -> tuple[object, ...]:
    return (
        *("--pred-pha", folder / "pred", "--true-pha", folder / "true"),
        *("--output-dir", folder / "out", *more),
    )


def outputs(folder: Path) -> tuple[dict, list[dict], str]:
    """The summary, the rows and the page."""
    with (folder / "out/evaluation.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    summary = json.loads((folder / "out/evaluation.json").read_text("utf-8"))
    return summary, rows, (folder / "out/evaluation.html").read_text("utf-8")


def test_numbers_table_and_page(tmp_path: Path, evaluate) -> None:
    # The prediction of `a` lacks one of 16 columns; that of `b` is right, as RGBA.
    save(tmp_path / "true/a.png", block(16))
    save(tmp_path / "pred/a.png", block(15))
    save(tmp_path / "true/s/b.png", block(8))
    colours = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
    save(tmp_path / "pred/s/b.png", np.dstack([colours, block(8)]))
    save(tmp_path / "frames/a.jpg", colours)
    run = evaluate(*arguments(tmp_path, "--unknown-radius", 2, "--src", tmp_path / "frames"))
    run.check(0, r"MAD 0.015625 0.125 mean absolute difference", "means over 2 images", "radius 2")
    summary, rows, page = outputs(tmp_path)
    assert [row["image"] for row in rows] == ["a.png", "s/b.png"]
    # 24 pixels of 768, and of 4 columns of 24.
    assert (float(rows[0]["mad"]), float(rows[0]["mad_unknown"])) == (1 / 32, 1 / 4)
    assert (float(rows[0]["sad"]), float(rows[0]["sad_unknown"])) == (0.024, 0.024)
    assert (float(rows[0]["conn"]), rows[0]["unknown_pixels"]) == (0.024, "96")
    assert {float(rows[1][name]) for name in ("mad", "mse", "sad", "grad", "conn")} == {0}
    assert summary["means"]["frame"]["mad"] == 1 / 64
    assert summary["counts"] == {"evaluated": 2, "failed": 0}
    assert summary["scales"]["sad"].endswith("thousands")
    # Worst first; four pictures of the first, three of the other; nothing from elsewhere.
    assert page.index("<h2>a.png") < page.index("<h2>s/b.png")
    assert page.count("data:image/jpeg;base64,") == 7
    assert not re.search(r"(src|href)='(?!data:)|https?://", page)
    assert all(metric["mad"] is not None for metric in summary["means"].values())


def test_foregrounds_trimaps_and_sequences(tmp_path: Path, evaluate) -> None:
    for number in (2, 10, 1):
        save(tmp_path / f"true/clip/{number}.png", block(16))
        # In frame 2 half of the pixels change by 51 / 255 that do not change in truth.
        save(tmp_path / f"pred/clip/{number}.png", block(16, 204 if number == 2 else 255))
        save(tmp_path / f"trimap/clip/{number}.png", block(4, 128))
        for kind, value in (("pf", 51), ("tf", 0)):
            save(tmp_path / kind / f"clip/{number}.png", np.full((*SIZE, 3), value, np.uint8))
    more = ("--trimap", tmp_path / "trimap", "--sequences", "--sort-by", "dtssd")
    more += ("--pred-fgr", tmp_path / "pf", "--true-fgr", tmp_path / "tf")
    evaluate(*arguments(tmp_path, *more)).check(0, "dtSSD", "MSE of foreground", "trimaps of")
    summary, rows, page = outputs(tmp_path)
    assert [row["image"] for row in rows] == ["clip/1.png", "clip/2.png", "clip/10.png"]
    assert rows[0]["dtssd"] == ""
    for row in rows[1:]:
        assert float(row["dtssd"]) == pytest.approx(100 * 0.2 * 0.5**0.5)
        assert float(row["dtssd_unknown"]) == pytest.approx(100 * 0.2)
    assert [float(row["fgr_mse"]) for row in rows] == pytest.approx([0.04] * 3)
    assert {row["unknown_pixels"] for row in rows} == {str(4 * 24)}
    assert summary["clips"]["clip"]["unknown"]["dtssd"] == pytest.approx(20)
    assert page.index("<h2>clip/2.png") < page.index("<h2>clip/1.png")


def test_what_is_not_evaluated_is_listed_and_the_code_is_1(tmp_path: Path, evaluate) -> None:
    for name in ("good", "size", "lost", "broken"):
        save(tmp_path / f"true/{name}.png", block(16))
    for name in ("good", "broken", "extra"):
        save(tmp_path / f"pred/{name}.png", block(16))
    save(tmp_path / "pred/size.png", np.zeros((12, 16), np.uint8))
    (tmp_path / "pred/broken.png").write_bytes(b"nothing")
    evaluate(*arguments(tmp_path)).check(
        1,
        r"size.png is 16 x 12 pixels and the true alpha .*size.png 32 x 24",
        "lost.png: no prediction",
        "extra.png: no true alpha",
        "broken.png: not a picture",
    )
    summary, rows, page = outputs(tmp_path)
    assert [row["image"] for row in rows] == ["good.png"]
    assert summary["counts"] == {"evaluated": 1, "failed": 4}
    assert len(summary["failed"]) == 4
    assert all(name in page for name in ("size.png", "lost.png", "extra.png", "broken.png"))


def test_existing_outputs_are_kept_unless_told(tmp_path: Path, evaluate) -> None:
    save(tmp_path / "true/a.png", block(16))
    save(tmp_path / "pred/a.png", block(16))
    precious = tmp_path / "out/evaluation.csv"
    precious.parent.mkdir()
    precious.write_text("mine")
    evaluate(*arguments(tmp_path)).check(2, "1 of the outputs already exist.*--on-existing skip")
    assert [path.name for path in precious.parent.iterdir()] == ["evaluation.csv"]
    evaluate(*arguments(tmp_path, "--on-existing", "skip")).check(0, "evaluation.json")
    assert precious.read_text() == "mine"
    assert (tmp_path / "out/evaluation.html").is_file()
    evaluate(*arguments(tmp_path, "--on-existing", "skip")).check(0, "nothing to do")
    evaluate(*arguments(tmp_path, "-y")).check(0)
    assert precious.read_text().startswith("image,")
    assert len(list(precious.parent.iterdir())) == 3


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--sort-by", "dtssd"), "--sort-by dtssd needs --sequences"),
        (("--sort-by", "fgr_mse"), "needs --pred-fgr and --true-fgr"),
        (("--unknown-radius", -1), "unknown_radius.*greater than or equal to 0, got -1"),
        (("--num-workers", 0), "num_workers.*greater than or equal to 1, got 0"),
        (("--page-images", -1), "page_images.*greater than or equal to 0, got -1"),
        (("--trimap", "nowhere"), "nowhere does not exist"),
    ],
)
def test_bad_settings_are_refused(tmp_path: Path, evaluate, more: tuple, message: str) -> None:
    save(tmp_path / "true/a.png", block(16))
    save(tmp_path / "pred/a.png", block(16))
    evaluate(*arguments(tmp_path, *more)).check(2, message)
    assert not (tmp_path / "out").exists()


def test_an_output_folder_that_is_a_file_is_refused_before_anything(
    tmp_path: Path, evaluate
) -> None:
    save(tmp_path / "true/a.png", block(16))
    save(tmp_path / "pred/a.png", block(16))
    (tmp_path / "out").write_text("mine")
    evaluate(*arguments(tmp_path)).check(2, "is a file; name another with --output-dir")
    (tmp_path / "file").write_text("mine")
    more = ("--output-dir", tmp_path / "file" / "out")
    evaluate(*arguments(tmp_path, *more)).check(2, "can't be written.*--output-dir")


def test_printed_settings_are_those_of_the_file(tmp_path: Path, evaluate) -> None:
    run = evaluate(*arguments(tmp_path, "--unknown-radius", 5, "--print-config")).check(0)
    (tmp_path / "a.yaml").write_text(run.out, encoding="utf-8")
    again = evaluate("--config", tmp_path / "a.yaml", "--print-config").check(0)
    assert again.out == run.out
    assert "unknown_radius: 5" in run.out


def test_names_are_shown_escaped_and_are_no_formulas(tmp_path: Path, evaluate) -> None:
    names = ["=1+1", "+a", "-b", "@c", "<img src=x>", "a\n\x1b[31m", "b\x9b"]
    for name in names:
        save(tmp_path / f"true/{name}.png", block(16))
        save(tmp_path / f"pred/{name}.png", block(16))
    (tmp_path / "pred/\x1b[2Jlost.png").write_bytes(b"")
    run = evaluate(*arguments(tmp_path)).check(
        1, r"not evaluated: .*\\x1b\[2Jlost.png: no true alpha"
    )
    summary, rows, page = outputs(tmp_path)
    shown = [row["image"] for row in rows]
    assert sorted(shown) == sorted(
        {
            *("'=1+1.png", "'+a.png", "'-b.png", "'@c.png", "<img src=x>.png"),
            *(r"a\n\x1b[31m.png", r"b\x9b.png"),
        }
    )
    assert {row["width"] for row in rows} == {"32"}
    assert sorted(image["name"] for image in summary["images"]) == sorted(f"{n}.png" for n in names)
    assert "<img src=x>" not in page
    assert "&lt;img src=x&gt;.png" in page
    texts = [(tmp_path / f"out/evaluation.{kind}").read_text("utf-8") for kind in ("csv", "html")]
    texts += [(tmp_path / "out/evaluation.json").read_text("utf-8"), run.out, run.err]
    assert not any(re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text) for text in texts[:-1])
    assert str(tmp_path) not in texts[2]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_what_looks_like_an_alpha_and_is_not_taken_is_listed(tmp_path: Path, evaluate) -> None:
    (tmp_path / "disk").mkdir()
    for folder in ("true", "pred"):
        save(tmp_path / folder / "a.png", block(16))
        (tmp_path / folder / "linked").symlink_to("../disk")
    save(tmp_path / "disk/b.png", block(16))
    os.mkfifo(tmp_path / "true/pipe.png")
    (tmp_path / "pred/c.psd").write_bytes(b"8BPS")
    (tmp_path / "pred/loop").symlink_to(".")
    evaluate(*arguments(tmp_path)).check(
        1,
        "pipe.png: a pipe, not a file",
        "c.psd: a project of an image editor",
        "loop: a circular link",
    )
    summary, rows, page = outputs(tmp_path)
    assert [row["image"] for row in rows] == ["a.png", "linked/b.png"]
    assert summary["counts"] == {"evaluated": 2, "failed": 3}
    assert len(summary["notes"]) == 2
    assert "pipe.png" in page


def test_an_empty_output_is_made_anew(tmp_path: Path, evaluate) -> None:
    save(tmp_path / "true/a.png", block(16))
    save(tmp_path / "pred/a.png", block(16))
    (tmp_path / "out").mkdir()
    (tmp_path / "out/evaluation.csv").touch()
    evaluate(*arguments(tmp_path, "--on-existing", "skip")).check(0, "written: .*evaluation.csv")
    assert (tmp_path / "out/evaluation.csv").read_text().startswith("image,")


def test_interrupt_ends_an_evaluation_within_seconds(tmp_path: Path, start_script) -> None:
    before = """
import time
from evaluation import measure
def hang(*args):
    print("hangs", flush=True)
    time.sleep(60)
measure.measure_image = hang
"""
    for folder in ("true", "pred"):
        save(tmp_path / folder / "a.png", block(16))
    command = (sys.executable, "-c", PATCHED, "evaluate.py", before)
    with start_script(*arguments(tmp_path), command=command) as process:
        assert process.stdout.readline() == "hangs\n"
        begun = time.monotonic()
        process.terminate()
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, time.monotonic() - begun < 10) == (130, True)
    assert errors.strip().endswith("interrupted")
    assert "Traceback" not in errors


def test_kept_outputs_of_other_settings_are_named(tmp_path: Path, evaluate) -> None:
    save(tmp_path / "true/a.png", block(16))
    save(tmp_path / "pred/a.png", block(16))
    evaluate(*arguments(tmp_path)).check(0)
    skip = arguments(tmp_path, "--on-existing", "skip")
    assert "note" not in evaluate(*skip).check(0, "nothing to do").out
    said = "made with other settings: .*evaluation.csv.*: unknown_radius was 10, now 3"
    evaluate(*skip, "--unknown-radius", 3).check(0, said, "nothing to do")
    (tmp_path / "out/evaluation.json").unlink()
    evaluate(*skip).check(0, "kept, but no evaluation.json records their settings")
