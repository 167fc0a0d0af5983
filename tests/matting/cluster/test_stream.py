"""A plan's jobs on a cluster that answers twice, not at all, or with an error; without Ray."""

import pickle
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from matting.cluster import stream as module
from matting.cluster.stream import Stream
from matting.cluster.worker import Answer
from matting.images.plan import Plan, plan_jobs
from matting.pictures.target import Target
from matting.summary import SummaryEntry
from tests.conftest import Photographs

NAMES = [f"{number}.png" for number in range(5)]


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """Five jobs, and an entry of a frame that can't be read."""
    src, bgr = Photographs.pair(tmp_path, *NAMES)
    (src / "z.dng").write_bytes(b"")
    return plan_jobs(src, bgr, Target("none"), tmp_path / "out", ("pha",), "error")


def answer(batch: bytes) -> Answer:
    jobs = pickle.loads(batch)
    return Answer("actor", "cpu", [(n, SummaryEntry(job.name, "done")) for n, job in jobs])


def collect(stream: Stream) -> dict[str, str]:
    found = list(stream)
    assert len({entry.name for entry, _ in found}) == len(found)
    assert [entry.name for entry, is_job in found if not is_job] == ["z.dng"]
    return {entry.name: entry.status for entry, is_job in found if is_job}


def test_each_result_counts_once(plan: Plan) -> None:
    def ask(batches: list[bytes]) -> Iterator[Answer]:
        assert len(batches) == 5, "small runs are parted for many actors"
        yield from map(answer, [*reversed(batches), *batches])

    stream = Stream(plan, ask, lambda: False)
    assert collect(stream) == dict.fromkeys(NAMES, "done")
    assert stream.devices == {"actor": "cpu"}
    assert stream.error == ""


def test_a_batch_without_an_answer_failed(plan: Plan) -> None:
    stream = Stream(plan, lambda batches: map(answer, batches[1:]), lambda: False)
    entries = {entry.name: entry for entry, _ in stream}
    assert entries["0.png"].status == "failed"
    assert "its actor was lost 11 times" in (entries["0.png"].reason or "")
    assert [entries[name].status for name in NAMES[1:]] == ["done"] * 4


@pytest.mark.parametrize("kind", ["raised", "told by an actor"])
def test_after_an_error_the_rest_is_not_reached(plan: Plan, kind: str) -> None:
    def ask(batches: list[bytes]) -> Iterator[Answer]:
        yield answer(batches[0])
        if kind == "raised":
            raise RuntimeError("the head is gone")
        yield Answer("actor", "", [], "the head is gone")

    stream = Stream(plan, ask, lambda: False)
    assert collect(stream) == {"0.png": "done"} | dict.fromkeys(NAMES[1:], "not reached")
    assert "the head is gone" in stream.error
    assert not stream.waits


def test_an_interrupt_does_not_wait_for_the_cluster(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.01)
    came, ended = threading.Event(), threading.Event()

    def ask(batches: list[bytes]) -> Iterator[Answer]:
        yield answer(batches[0])
        came.set()
        ended.wait(60)  # a cluster that has lost all its nodes

    start = time.monotonic()
    stream = Stream(plan, ask, came.is_set)
    reached = collect(stream)
    assert time.monotonic() - start < 30
    assert stream.waits
    ended.set()
    assert reached | {"0.png": ""} == {"0.png": ""} | dict.fromkeys(NAMES[1:], "not reached")
