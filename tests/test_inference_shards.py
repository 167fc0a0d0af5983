"""--shard of photographs and videos: any workers together make what one makes, the same bits."""

import json
import os
import random
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from matting.__main__ import main
from matting.shards import Shard
from matting.summary import RunSummary, SummaryEntry

from .conftest import PATCHED, Run
from .test_inference_images import list_files

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
    for index in range(2):
        run_forked(*line, "--output-dir", out, "--shard", f"{index}/2").check(0)
    assert read_pictures(out) == read_pictures(whole)
    merge("--output-dir", out).check(0, "2 of 2 shards: 8 done, 0 skipped, 0 failed")
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


def test_more_parts_than_photographs(tmp_path: Path, run_forked, merge, line) -> None:
    parts = 40
    out = tmp_path / "out"
    of = {next(i for i in range(parts) if Shard(i, parts).holds(name)) for name in NAMES}
    empty = min(set(range(parts)) - of)
    run = run_forked(*line, "--output-dir", out, "--shard", f"{empty}/{parts}")
    run.check(0, "0 done, 0 skipped, 0 failed")
    assert list_files(out) == [f"summary-{empty}-of-{parts}.json"]


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


def write_part(out: Path, shard: str, *names: str, settings: dict | None = None) -> Path:
    """Writes the summary of a part, in which all is done."""
    report = RunSummary(
        {"settings": settings or {}}, [SummaryEntry(name, "done") for name in names]
    )
    report.write(out / f"summary-{shard}.json")
    return out / f"summary-{shard}.json"


def test_damaged_and_foreign_summaries_are_not_counted_as_whole(tmp_path: Path, merge) -> None:
    write_part(tmp_path, "0-of-2", "a.png")
    path = write_part(tmp_path, "1-of-2", "b.png", "\udcff.png")  # a name that is no Unicode
    merge("--output-dir", tmp_path).check(0, "2 of 2 shards: 3 done")
    text = path.read_text("utf-8")
    for damaged in (
        text[: text.index('"\\udcff')],
        text[: text.index(",\n    {")],
        json.dumps(json.loads(text)),  # in one line
        text.replace('"done": 2', '"done": 3'),
        *(re.sub('"notes": .*', f'"{name}": 5,', text, count=1) for name in ("notes", "kept")),
        text.replace('"status": "done"', '"status": "fine"'),
        text.replace('"name"', '"unknown"'),
        "",
        "[]",
    ):
        path.write_text(damaged, "utf-8")
        merge("--output-dir", tmp_path).check(
            1, "missing: 1 summaries are damaged .*: summary-1-of-2.json"
        )
    path.unlink()
    # Other spellings of a number are no names of this program.
    write_part(tmp_path, "01-of-02", "b.png")
    write_part(tmp_path, "0-of-1", "b.png")
    merge("--output-dir", tmp_path).check(1, "1 shards have no summary: 1/2")


def test_frames_of_a_video_are_not_looked_for_by_name(tmp_path: Path, merge) -> None:
    write_part(tmp_path, "0-of-2", "src: frames 0 to 1", settings={"video": {"src": "src"}})
    merge("--output-dir", tmp_path, "--images-src", tmp_path).check(2, "leave it out")


def test_parts_of_any_number_are_merged_at_once(tmp_path: Path, merge) -> None:
    write_part(tmp_path, f"0-of-{10**9 - 1}")
    merge("--output-dir", tmp_path).check(1, "999999998 shards have no summary: 1/999999999, 2/")


# Kills the process as kill -9 does, when it begins the output after `last`.
DIES = """
import itertools, os, signal
from matting.images import frame
begun, write = itertools.count(), frame.write_png
def write_or_die(*args):
    if next(begun) == {last}:
        os.kill(os.getpid(), signal.SIGKILL)
    write(*args)
frame.write_png = write_or_die
"""


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
    moment, killed = random.Random(0), (2, 5)
    processes = []
    for index in range(8):
        command = (sys.executable, "inference_images.py")
        if index in killed:
            outputs = 3 * sum(Shard(index, 8).holds(name) for name in names)
            before = DIES.format(last=moment.randrange(1, outputs))
            command = (sys.executable, "-c", PATCHED, "inference_images.py", before)
        processes.append(start_script(*shard, f"{index}/8", command=command))
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


FRAMES = 14  # a check at frame 12 follows those of the first


@pytest.fixture
def sequence(tmp_path: Path, clips, photographs) -> tuple:
    """Numbered pictures of a camera that drifts and changes its exposure: checks find something."""
    rng = np.random.default_rng(0)
    for number, picture in enumerate(clips.moving(FRAMES, 64, 96)):
        moved = np.roll(picture, number // 4, 1) * (0.8 + 0.01 * number)
        noisy = np.clip(moved + rng.normal(0, 4, picture.shape), 0, 255).astype(np.uint8)
        photographs.save(tmp_path / f"frames/img_{number + 7}.png", noisy)
    plate = photographs.save(tmp_path / "plate.png", photographs.plate(64, 96))
    line = ("--video-src", tmp_path / "frames", "--video-bgr", plate)
    return (*line, "--output-format", "image_sequences")


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param((), id="checked"),
        pytest.param(("--preprocess", "none"), id="free", marks=pytest.mark.slow),
        pytest.param(
            ("--preprocess-alignment", "--preprocess-exposure"),
            id="tracked",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_ranges_make_what_one_run_makes(
    tmp_path: Path,
    run_video,
    merge,
    sequence,
    flags: tuple,
) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    run_video(*sequence, *flags, "--output-dir", whole).check(0)
    corrected = "exposure" in read(whole / "summary.json")["images"][0]["details"]
    assert corrected == (flags != ("--preprocess", "none"))
    for index in (1, 0):
        run_video(*sequence, *flags, "--output-dir", out, "--shard", f"{index}/2").check(0)
    assert read_pictures(out) == read_pictures(whole)
    assert len(read_pictures(out)) == 2 * FRAMES
    merge("--output-dir", out).check(0, "2 of 2 shards: 2 done")
    merged = read(out / "summary.json")
    frames = [image["details"]["speed"]["frames"] for image in merged["images"]]
    assert frames == [7, 7]
    names = [image["name"].rpartition(": ")[2] for image in merged["images"]]
    assert names == ["frames 0 to 6", "frames 7 to 13"]
    # Its own pictures only are in a part's way, and a part that is run again makes none of them.
    line = (*sequence, *flags, "--output-dir", out, "--shard", "1/2")
    run_video(*line).check(2, "14 of the outputs already exist")
    run_video(*line, "--resume").check(0, "7 existed already")


@pytest.mark.slow
def test_frames_before_a_free_range_are_not_read(tmp_path: Path, run_video, sequence) -> None:
    line = (*sequence, "--preprocess", "none", "--output-dir", tmp_path / "out")
    for number in (8, 9, 20):  # the first tells the size
        (tmp_path / f"frames/img_{number}.png").write_bytes(b"no picture")
    run_video(*line, "--shard", "1/3").check(0)
    run_video(*line, "--shard", "2/3").check(1, r"img_20\.png")


@pytest.mark.slow
def test_more_parts_than_frames(tmp_path: Path, run_video, photographs) -> None:
    for number in range(2):
        photographs.save(tmp_path / f"f/{number}.png", photographs.plate(64, 96))
    plate = photographs.save(tmp_path / "plate.png", photographs.plate(64, 96))
    line = ("--video-src", tmp_path / "f", "--video-bgr", plate, "--output-dir", tmp_path / "out")
    for index in range(3):
        run_video(*line, "--output-format", "image_sequences", "--shard", f"{index}/3").check(0)
    assert len(read_pictures(tmp_path / "out")) == 4


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--temporal-smoothing", 0.5), "--temporal-smoothing and --keep-attached need the alpha"),
        (("--keep-attached",), "--temporal-smoothing and --keep-attached need the alpha"),
        (("--output-format", "video"), "add --output-format image_sequences"),
        (("--video-src", "{root}/plate.png"), "a folder of numbered pictures or of clips"),
    ],
)
def test_what_needs_other_frames_is_refused(
    tmp_path: Path, run_video, sequence, flags: tuple, said: str
) -> None:
    named = [str(flag).format(root=tmp_path) for flag in flags]
    run = run_video(*sequence, "--output-dir", tmp_path / "out", "--shard", "0/2", *named)
    run.check(2, said)
    assert not (tmp_path / "out").exists()


@pytest.fixture
def folder(tmp_path: Path, clips, photographs) -> tuple:
    """Three clips, and a plate for each; one lies deeper."""
    for number, name in enumerate(("a", "b", "deep/c")):
        clips.write(tmp_path / f"clips/{name}.mp4", clips.moving(3 + number, 64, 96), crf="4")
        photographs.save(tmp_path / f"plates/{name}.png", photographs.plate(64, 96))
    line = ("--video-src", tmp_path / "clips", "--video-bgr", tmp_path / "plates")
    return (*line, "--preset", "ultrafast", "--output-types", "pha")


@pytest.mark.slow
def test_a_folder_of_clips_is_matted_clip_by_clip(
    tmp_path: Path,
    run_video,
    merge,
    clips,
    folder,
) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    run_video(*folder, "--output-dir", whole).check(0, "3 done, 0 skipped, 0 failed")
    counts = {name: 3 + number for number, name in enumerate(("a", "b", "deep/c"))}
    assert {n: len(clips.read(whole / n / "pha.mp4")) for n in counts} == counts
    images = read(whole / "summary.json")["images"]
    assert [(i["name"], i["outputs"]) for i in images] == [
        (f"{name}.mp4", {"pha": f"{name}/pha.mp4"}) for name in counts
    ]
    for index in range(2):
        run_video(*folder, "--output-dir", out, "--shard", f"{index}/2").check(0)
    merge("--output-dir", out).check(0, "2 of 2 shards: 3 done")
    for name in counts:
        pictures = zip(*(clips.read(f / name / "pha.mp4") for f in (whole, out)), strict=True)
        assert all(np.array_equal(one, other) for one, other in pictures)
    run_video(*folder, "--output-dir", out).check(2, "the outputs of 3 clips already exist")


def test_finished_clips_are_not_matted_again(
    tmp_path: Path, run_video, clips, folder, photographs
) -> None:
    """A killed run, a clip that is broken, one without a plate: the others are done once."""
    clips.write(tmp_path / "clips/d.mp4", clips.moving(2, 64, 96))
    (tmp_path / "clips/b.mp4").write_bytes(b"no clip")
    line = (*folder, "--output-dir", tmp_path / "out")
    kill = """
import os
from matting.video import outputs
write = outputs.VideoOutputs.write
def write_some(self, *args):
    if "deep" in str(next(iter(self.writers.values())).path):
        os._exit(9)
    write(self, *args)
outputs.VideoOutputs.write = write_some
"""
    run_video(*line, before=kill).check(9)
    assert read(tmp_path / "out/summary.json")["finished"] is None
    made = (tmp_path / "out/a/pha.mp4").stat().st_mtime_ns
    run = run_video(*line, "--resume")
    run.check(1, r"failed: b\.mp4: ", r"failed: d\.mp4: no plate: no picture named d in ")
    assert "1 done, 1 skipped, 2 failed" in run.out
    assert (tmp_path / "out/a/pha.mp4").stat().st_mtime_ns == made
    assert len(clips.read(tmp_path / "out/deep/c/pha.mp4")) == 5
    other = run_video(*line, "--resume", "--quality", "hd")
    other.check(1, r"failed: a\.mp4: --resume continues the run .* other settings: quality")
