"""inference_images.py --shard: any number of workers makes what one makes, the same bits."""

import json
import os
import random
import sys
import time
from pathlib import Path

import pytest

from matting.__main__ import main
from matting.shards import Shard

from .conftest import Run

NAMES = [f"{number:02}.png" for number in range(8)]


def read_pictures(folder: Path) -> dict[str, bytes]:
    """All files but summaries, hidden ones too."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith("summary")
    }


def read(path: Path) -> dict:
    return json.loads(path.read_text("utf-8"))


@pytest.fixture
def merge(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    """Runs `matting merge-summaries`."""

    def run(*flags: object) -> Run:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["matting", "merge-summaries", *map(str, flags)])
        return Run(main(), *capsys.readouterr())

    return run


@pytest.fixture
def line(tmp_path: Path, photographs) -> tuple:
    src, bgr = photographs.pair(tmp_path, *NAMES)
    return ("--images-src", src, "--images-bgr", bgr, "--quality", "auto", "--num-workers", 0)


def test_shards_make_what_one_run_makes(tmp_path: Path, run_forked, merge, line) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    run_forked(*line, "--output-dir", whole).check(0)
    for index in range(3):
        run_forked(*line, "--output-dir", out, "--shard", f"{index}/3").check(0)
    assert read_pictures(out) == read_pictures(whole)
    merge("--output-dir", out).check(0, "3 of 3 shards: 8 done, 0 skipped, 0 failed")
    merged, single = read(out / "summary.json"), read(whole / "summary.json")
    assert [image["name"] for image in merged["images"]] == NAMES
    assert merged["counts"] == single["counts"]
    assert merged["interrupted"] is False
    for images in zip(merged["images"], single["images"], strict=True):
        for image in images:
            image["details"].pop("compute_seconds")
        assert images[0] == images[1]
    assert {*merged} - {*single} == {"shards"}
    assert sum(part["counts"]["done"] for part in merged["shards"]) == len(NAMES)
    # A run of all goes on from there, and knows the settings.
    run_forked(*line, "--output-dir", out, "--on-existing", "skip").check(0, "8 skipped")
    changed = ("--target-bgr", "green", "--on-existing", "skip", "--shard", "1/5")
    mine = sum(Shard(1, 5).holds(name) for name in NAMES)
    run_forked(*line, "--output-dir", out, *changed).check(
        0, f"note: {2 * mine} kept outputs were made with other settings: target_bgr was None"
    )


def test_what_is_missing_is_listed(tmp_path: Path, run_forked, merge, line) -> None:
    out = tmp_path / "out"
    merge("--output-dir", tmp_path).check(2, "has no summary-I-of-N.json")
    for index in (0, 2):
        run_forked(*line, "--output-dir", out, "--shard", f"{index}/3").check(0)
    merge("--output-dir", out).check(1, "missing: 1 shards have no summary: 1/3")
    missing = [name for name in NAMES if Shard(1, 3).holds(name)]
    src = tmp_path / "src"
    merge("--output-dir", out, "--images-src", src).check(
        1, f"missing: {len(missing)} frames that no shard reports: {', '.join(missing)}"
    )
    images = read(out / "summary.json")["images"]
    assert [image["name"] for image in images] == NAMES
    assert [i["name"] for i in images if i["status"] == "not reached"] == missing
    # A frame that came after the first shards had listed the source; it belongs to one of them.
    added = next(n for n in (f"new{i}.png" for i in range(99)) if Shard(0, 3).holds(n))
    (src / added).write_bytes((src / NAMES[0]).read_bytes())
    run_forked(*line, "--output-dir", out, "--shard", "1/3").check(0)
    merge("--output-dir", out).check(1, "missing: the source changed .* 8 and 9 frames")
    merge("--output-dir", out, "--images-src", src).check(1, f"1 frames .*: {added}")
    run_forked(*line, "--output-dir", out, "--shard", "0/3", "--on-existing", "skip").check(0)
    merge("--output-dir", out, "--images-src", src).check(0, "3 of 3 shards: ")


def test_failures_and_other_settings_are_those_of_the_whole(
    tmp_path: Path, run_forked, merge, line
) -> None:
    out = tmp_path / "out"
    broken = next(name for name in NAMES if Shard(1, 2).holds(name))
    (tmp_path / "src" / broken).write_bytes(b"no picture")
    run_forked(*line, "--output-dir", out, "--shard", "0/2").check(0)
    run_forked(*line, "--output-dir", out, "--shard", "1/2", "--target-bgr", "red").check(1)
    merged = merge("--output-dir", out)
    merged.check(1, f"failed: {broken}: .*not a picture")
    merged.check(1, "missing: shards 0/2 and 1/2 had other settings: target_bgr None and red")
    run_forked(*line, "--output-dir", out, "--shard", "0/4").check(2, "already exist")
    run_forked(*line, "--output-dir", out, "--shard", "0/4", "-y").check(0)
    merge("--output-dir", out).check(2, "summaries of runs with 2, 4 shards")


def test_a_killed_shard_has_not_finished(tmp_path: Path, run_forked, merge, line) -> None:
    out = tmp_path / "out"
    kill = "import os; from matting.images import frame; frame.load_frame = lambda *_: os._exit(9)"
    run_forked(*line, "--output-dir", out, "--shard", "0/2", before=kill).check(9)
    run_forked(*line, "--output-dir", out, "--shard", "1/2").check(0)
    merge("--output-dir", out).check(1, "missing: 1 shards have not finished: 0/2")


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no kill -9")
def test_eight_processes_two_killed_make_the_bits_of_one_run(
    tmp_path: Path, start_script, run_script, merge, photographs
) -> None:
    """Two are killed in the middle of their work, and run again."""
    names = [f"{number % 3}/{number:03}.png" for number in range(64)]
    src, bgr = photographs.pair(tmp_path, *names)
    whole, out = tmp_path / "whole", tmp_path / "out"
    line = ("--images-src", src, "--images-bgr", bgr, "--quality", "auto")
    line = (*line, "--output-types", "com", "pha", "fgr", "--num-workers", 1)
    run_script(*line, "--output-dir", whole).check(0)
    shard = (*line, "--output-dir", out, "--on-existing", "skip", "--shard")
    processes = [start_script(*shard, f"{index}/8") for index in range(8)]
    moment, killed = random.Random(0), (2, 5)
    for index in killed:
        own = [name for name in names if Shard(index, 8).holds(name)]
        first = out / "com" / own[moment.randrange(2)]
        while not first.exists():
            assert processes[index].poll() is None
            time.sleep(0.01)
        processes[index].kill()
    codes = [process.wait(timeout=300) for process in processes]
    for process in processes:
        process.communicate()
    assert [index for index, code in enumerate(codes) if code == -9] == [*killed]
    assert [code for code in codes if code != -9] == [0] * 6
    merge("--output-dir", out).check(1, "missing: 2 shards have not finished: 2/8, 5/8")
    for index in killed:
        run_script(*shard, f"{index}/8").check(0)
    assert read_pictures(out) == read_pictures(whole)
    merge("--output-dir", out, "--images-src", src).check(0, "8 of 8 shards")
    images = read(out / "summary.json")["images"]
    assert [image["name"] for image in images] == sorted(names)
    assert {image["status"] for image in images} == {"done", "skipped"}
