"""What an actor does with a batch, also with one that another actor had before."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from matting.cluster.run import read_weights
from matting.cluster.settings import ClusterSettings
from matting.cluster.settings import Settings as RunSettings
from matting.cluster.worker import Assignment, Worker
from matting.images.earlier import find_changes
from matting.images.plan import Job, plan_jobs
from matting.pictures.target import Target
from matting.settings import DEFAULT_CHECKPOINT, ImagesSettings, OutputSettings
from runtime.settings import to_plain
from tests.conftest import Photographs

WEIGHTS = read_weights(DEFAULT_CHECKPOINT)
Make = Callable[..., Worker]


@pytest.fixture
def settings(tmp_path: Path) -> RunSettings:
    src, bgr = Photographs.pair(tmp_path, "a.png", "b.png", height=48, width=64)
    images, output = ImagesSettings(src, bgr), OutputSettings(tmp_path / "out")
    return RunSettings(images=images, output=output, quality="fast", on_existing="skip")


def jobs(settings: RunSettings) -> list[tuple[int, Job]]:
    images, output = settings.images, settings.output
    plan = plan_jobs(images.src, images.bgr, Target("none"), output.dir, output.types, "overwrite")
    return [(n, item) for n, item in enumerate(plan) if isinstance(item, Job)]


def assign(settings: RunSettings, **changes: object) -> Assignment:
    return replace(Assignment(settings, Target("none"), threads=1), **changes)


def test_a_batch_that_comes_again_is_not_made_again(settings: RunSettings) -> None:
    """The first actor was lost after com of a and all of b."""
    first = Worker(assign(settings), WEIGHTS)(jobs(settings))
    assert [(n, e.name, e.status) for n, e in first.entries] == [
        (0, "a.png", "done"), (1, "b.png", "done")
    ]  # fmt: skip
    files = sorted(settings.output.dir.rglob("*.png"))
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}
    (settings.output.dir / "pha" / "a.png").unlink()
    again = Worker(assign(settings), WEIGHTS)(jobs(settings))
    assert [e.outputs for _, e in again.entries] == [e.outputs for _, e in first.entries]
    assert [e.status for _, e in again.entries] == ["done", "done"]
    for path, (content, number) in before.items():
        assert path.read_bytes() == content
        assert (path.stat().st_mtime_ns == number) == (path.parent.name + path.stem != "phaa")
    assert again.actor != first.actor


def test_overwriting_makes_all_again(settings: RunSettings) -> None:
    settings = replace(settings, overwrite=True)
    worker = Worker(assign(settings), WEIGHTS)
    worker(jobs(settings))
    files = sorted(settings.output.dir.rglob("*.png"))
    numbers = [path.stat().st_mtime_ns for path in files]
    worker(jobs(settings))
    assert len(files) == 4
    assert not any(p.stat().st_mtime_ns == n for p, n in zip(files, numbers, strict=True))


@pytest.mark.parametrize(("changes", "weights", "error"), [
    ({"version": "0"}, WEIGHTS, "of this program, and the driver 0; install the same on all"),
    ({}, {DEFAULT_CHECKPOINT.name: b"x"}, DEFAULT_CHECKPOINT.name),
])  # fmt: skip
def test_an_actor_that_can_not_work_says_why(
    settings: RunSettings, changes: dict, weights: dict, error: str
) -> None:
    answer = Worker(assign(settings, **changes), weights)(jobs(settings))
    assert error in answer.error
    assert answer.entries == []


def test_the_cluster_changes_no_pixel(settings: RunSettings) -> None:
    """So that runs with and without a cluster go on with each other's outputs."""
    other = replace(settings, cluster=ClusterSettings("a:1", 3, 4, 0.5))
    assert find_changes(to_plain(settings), to_plain(other)) == {}
    assert find_changes(to_plain(settings), to_plain(replace(other, quality="best")))
