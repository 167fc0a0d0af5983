"""Planning: what belongs together, and what is refused before anything is written."""

import pathlib
import tracemalloc
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from matting.images.plan import Job, plan_jobs
from matting.pictures.target import Target
from matting.shards import Shard


@pytest.fixture
def tree(tmp_path: Path):
    def make(*names: str) -> Path:
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        return tmp_path

    return make


@dataclass
class Made:
    """Everything that a plan makes."""

    jobs: list[Job]
    skipped: list[str]
    failed: dict[str, str | None]
    kept: dict[Path, str]
    notes: list[str]


def defaults(root: Path, bgr: str = "plate.png", out: str = "out") -> dict[str, Any]:
    return {
        "src": root / "src",
        "bgr": root / bgr,
        "target": Target("none"),
        "output_dir": root / out,
        "types": ("pha", "com"),
        "on_existing": "error",
    }


def plan(root: Path, bgr: str = "plate.png", out: str = "out", **changes) -> Made:
    planned = plan_jobs(**{**defaults(root, bgr, out), **changes})
    items = list(planned)
    jobs = [item for item in items if isinstance(item, Job)]
    assert planned.count_jobs() == len(jobs)
    assert [item.name for item in items] == sorted(item.name for item in items)
    entries = [item for item in items if not isinstance(item, Job)]
    return Made(
        jobs,
        [entry.name for entry in entries if entry.status == "skipped"],
        {entry.name: entry.reason for entry in entries if entry.status == "failed"},
        {path: kind for _, kind, path in planned.list_kept()},
        planned.notes,
    )


def test_outputs_mirror_the_source(tree) -> None:
    root = tree("src/a.jpg", "src/b/c.PNG", "plate.png")
    got = plan(root)
    assert [job.name for job in got.jobs] == ["a.jpg", "b/c.PNG"]
    assert got.jobs[1].outputs == {
        "pha": root / "out/pha/b/c.png",
        "com": root / "out/com/b/c.png",
    }
    assert {job.bgr for job in got.jobs} == {root / "plate.png"}
    assert (got.skipped, got.failed, got.notes) == ([], {}, [])
    assert not (root / "out").exists(), "planning writes nothing"


def test_single_file_source(tree) -> None:
    root = tree("src/a.jpg", "plates/a.png")
    got = plan(root, "plates", src=root / "src/a.jpg")
    assert [(job.name, job.bgr.name) for job in got.jobs] == [("a.jpg", "a.png")]


def test_unmatched_frames_fail_by_name_and_unused_plates_are_told(tree) -> None:
    root = tree("src/a.jpg", "src/b.jpg", "plates/a.png", "plates/z.png")
    got = plan(root, "plates")
    assert [job.name for job in got.jobs] == ["a.jpg"]
    assert got.failed == {"b.jpg": f"no plate: no picture named b in {root / 'plates'}"}
    assert got.notes == [f"plates that match no frame: {root / 'plates/z.png'}"]


def test_target_folder_is_paired_like_plates(tree) -> None:
    root = tree("src/a.jpg", "src/b.jpg", "plate.png", "targets/a.png")
    got = plan(root, target=Target("folder", path=root / "targets"))
    assert [job.target for job in got.jobs] == [root / "targets/a.png"]
    assert "no target background" in got.failed["b.jpg"]


def test_skip_makes_what_is_missing(tree) -> None:
    root = tree("src/a.jpg", "src/b.jpg", "src/c.jpg", "plate.png")
    for name in ("pha/a", "com/a", "pha/b"):
        (root / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (3, 2)).save(root / f"out/{name}.png")
    got = plan(root, on_existing="skip")
    assert got.skipped == ["a.jpg"]
    assert sorted(got.kept.values()) == ["com", "pha", "pha"]
    assert [(j.name, sorted(j.outputs)) for j in got.jobs] == [
        ("b.jpg", ["com"]),
        ("c.jpg", ["com", "pha"]),
    ]
    assert len(plan(root, on_existing="overwrite").jobs) == 3
    with pytest.raises(ValueError, match="3 of the outputs already exist: .*--on-existing skip"):
        plan(root)


def test_skip_trusts_nothing_that_does_not_open(tree) -> None:
    """Empty, cut anywhere, changed, of another kind, a folder, a link to nothing: made anew."""
    root, out = tree("plate.png"), tree() / "out/pha"
    out.mkdir(parents=True)
    Image.effect_noise((40, 30), 60).save(root / "whole.png")
    whole = (root / "whole.png").read_bytes()
    changed = bytearray(whole)
    changed[len(whole) // 2] ^= 1
    contents = {"whole": whole, "empty": b"", "head": whole[:33], "cut": whole[:-12]}
    contents |= {"changed": bytes(changed), "text": b"mine" * 99}
    for name, content in contents.items():
        (out / f"{name}.png").write_bytes(content)
    (out / "folder.png").mkdir()
    (out / "link.png").symlink_to("nowhere")
    tree(*(f"src/{name}.jpg" for name in (*contents, "folder", "link")))
    got = plan(root, types=("pha",), on_existing="skip")
    assert got.skipped == ["whole.jpg"]
    assert len(got.jobs) == len(contents) - 1 + 2
    assert len(got.notes) == 1
    assert got.notes[0].startswith("made again, because the existing file is not a complete PNG: ")


def test_outputs_of_an_earlier_run_are_no_frames(tree) -> None:
    root = tree("src/a.jpg", "src/old/com/a.png", "src/old/pha/s/a.png", "src/old/b.jpg")
    tree("src/mine/com/c.png", "plate.png")
    (root / "src/old/summary.json").write_text('{"counts": {}, "images": []}')
    got = plan(root)
    # Only what lies beside a summary, and of that only the folders of outputs.
    assert [job.name for job in got.jobs] == ["a.jpg", "mine/com/c.png", "old/b.jpg"]
    assert [note for note in got.notes if "not read as frames" in note] == [
        f"{root / 'src/old' / kind} is inside the source folder and is not read as frames"
        for kind in ("com", "pha")
    ]
    (root / "src/old/b.jpg").unlink()
    with pytest.raises(ValueError, match="has only outputs of an earlier run"):
        plan(root, src=root / "src/old")


def test_raw_beside_jpeg_disturbs_no_pair_and_is_listed(tree) -> None:
    names = ("a.CR2", "a.JPG", "b.dng")
    root = tree(*(f"{folder}/{name}" for folder in ("src", "plates") for name in names))
    tree("src/b.jpg")
    got = plan(root, "plates")
    assert [(job.name, job.bgr.name) for job in got.jobs] == [("a.JPG", "a.JPG")]
    raw = "a raw file: develop it first"
    assert (got.failed["a.CR2"], got.failed["b.dng"]) == (raw, raw)
    assert got.failed["b.jpg"].endswith(f"/plates, but b.dng: {raw}")
    assert "left out of the source folder" in got.notes[0]
    assert "left out of the plates" in got.notes[1]


def test_same_stem_keeps_both(tree) -> None:
    root = tree("src/a.jpg", "src/A.png", "src/b.jpg", "plate.png")
    got = plan(root, types=("pha",))
    names = sorted(job.outputs["pha"].name for job in got.jobs)
    assert names == ["A.png.png", "a.jpg.png", "b.png"]
    assert "keep it in the outputs' names" in got.notes[0]


def test_whole_names_may_meet_others(tree) -> None:
    root = tree("src/a.jpg", "src/a.png", "src/a.jpg.png", "plate.png")
    names = sorted(job.outputs["pha"].name for job in plan(root).jobs)
    assert names == ["a.jpg.png", "a.jpg.png.png", "a.png.png"]


def test_frames_as_their_own_plates_are_refused(tree) -> None:
    root = tree("src/a.jpg")
    with pytest.raises(ValueError, match="--images-src and --images-bgr are the same"):
        plan(root, "src")


def test_plates_targets_and_outputs_inside_the_source_are_no_frames(tree) -> None:
    root = tree("src/a.jpg", "src/plate.png", "src/new/t.png", "src/out/pha/a.png")
    got = plan(
        root,
        "src/plate.png",
        "src/out",
        target=Target("picture", path=root / "src/new/t.png"),
        on_existing="overwrite",
    )
    assert [job.name for job in got.jobs] == ["a.jpg"]
    assert sum("is inside the source folder" in note for note in got.notes) == 3


def test_output_folder_that_is_an_input_folder_is_refused(tree) -> None:
    root = tree("src/a.jpg", "plates/a.png", "targets/a.png")
    for out, flag in (("src", "images-src"), ("plates", "images-bgr"), ("targets", "target-bgr")):
        with pytest.raises(ValueError, match=f"--output-dir and --{flag} are the same folder"):
            plan(root, "plates", out, target=Target("folder", path=root / "targets"))


def test_output_that_would_replace_an_input_is_refused(tree) -> None:
    root = tree("work/fgr/a.png", "plate.png")
    with pytest.raises(ValueError, match="would replace an input"):
        plan(root, out="work", src=root / "work/fgr", types=("fgr",), on_existing="overwrite")


def test_missing_and_empty_paths_are_refused(tree) -> None:
    root = tree("src/a.jpg", "plate.png")
    (root / "empty").mkdir()
    with pytest.raises(ValueError, match="does not exist"):
        plan(root, "nothing.png")
    with pytest.raises(ValueError, match="no picture was found"):
        plan(root, src=root / "empty")


def test_shards_share_the_frames_and_agree_on_names(tree) -> None:
    """Frames that differ in nothing but the extension keep it, also where they are apart."""
    names = [f"{number:02}{suffix}" for number in range(20) for suffix in (".jpg", ".png")]
    root = tree(*(f"src/{name}" for name in (*names, "z.jpg", "z.dng", "no plate.jpg")))
    tree(*(f"plates/{number:02}.png" for number in range(20)), "plates/z.png", "plates/unused.png")
    whole = plan(root, "plates")
    parts = [plan(root, "plates", shard=Shard(index, 5)) for index in range(5)]
    assert all(part.jobs for part in parts)
    together = sorted((job for part in parts for job in part.jobs), key=lambda job: job.name)
    assert together == whole.jobs
    failed = [name for part in parts for name in part.failed]
    assert sorted(failed) == sorted(whole.failed) == ["no plate.jpg", "z.dng"]
    assert all(part.notes == whole.notes for part in parts)


def test_a_shard_minds_its_own_outputs_only(tree) -> None:
    root = tree(*(f"src/{number}.jpg" for number in range(12)), "plate.png")
    mine, other = (plan(root, shard=Shard(index, 2)).jobs for index in range(2))
    tree(*(f"out/pha/{Path(job.name).stem}.png" for job in other))
    assert plan(root, shard=Shard(0, 2)).jobs == mine
    with pytest.raises(ValueError, match=f"{len(other)} of the outputs already exist"):
        plan(root, shard=Shard(1, 2))


def traced_memory() -> int:
    """Bytes in use, without the interpreter's table of names, which pathlib makes grow at times.

    It grows for all programs of the process at once, such as the servers of other tests.
    """
    outside = tracemalloc.Filter(False, pathlib.__file__)
    found = tracemalloc.take_snapshot().filter_traces([outside])
    return sum(statistic.size for statistic in found.statistics("filename"))


def test_a_plan_needs_a_hundred_bytes_a_frame(tree) -> None:
    """3,000 names of 30 letters; what else a plan takes is much less than as much again."""
    root = tree("plate.png", "src/a.jpg")
    for number in range(3000):
        (root / f"src/a photograph of a day {number:05}.jpg").touch()
    plan_jobs(**defaults(root))  # what is made once
    tracemalloc.start()
    planned = plan_jobs(**defaults(root))
    kept = traced_memory()
    items = sum(1 for _ in planned)
    after = traced_memory()
    tracemalloc.stop()
    assert items == 3001
    assert kept / items < 150
    assert after - kept < 20_000, "jobs are kept"
