"""Several at a time: order, overlap, bounds, failures and interrupts."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from matting.images import frame
from matting.images.frame import ImagesRun
from matting.images.plan import Job
from matting.pictures.target import Target
from matting.pipeline import map_ahead, run_ahead
from matting.plate.prepare import Preprocess
from matting.summary import SummaryEntry

WAYS = [(0, 0), (1, 0), (1, 2), (3, 0), (2, 3)]


@pytest.mark.parametrize(("workers", "ahead"), WAYS)
def test_everything_is_done_once_and_in_order(workers: int, ahead: int) -> None:
    done: list[int] = []

    def note(item: int) -> int:
        time.sleep(0.002 * (item % 3))
        done.append(item)
        return 10 * item

    assert list(map_ahead(note, range(20), workers, ahead)) == [10 * i for i in range(20)]
    assert sorted(done) == list(range(20))


@pytest.mark.parametrize(("workers", "ahead"), WAYS)
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_what_came_before_an_error_is_handed_over(
    workers: int, ahead: int, error: type[BaseException]
) -> None:
    def fail_at_six(item: int) -> int:
        if item == 6:
            raise error
        return item

    found: list[int] = []

    def collect() -> None:
        for item in map_ahead(fail_at_six, range(50), workers, ahead):
            found.append(item)

    with pytest.raises(error):
        collect()
    assert found == list(range(6))


@pytest.mark.parametrize(("workers", "ahead"), WAYS[1:])
def test_what_waits_is_bounded(workers: int, ahead: int) -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for item in range(200):
            taken += 1
            yield item

    for given, _ in enumerate(map_ahead(abs, items(), workers, ahead)):
        assert taken - given <= workers + ahead
    assert taken == 200


def test_lanes_compute_at_a_time_each_with_its_share_of_threads() -> None:
    both = threading.Barrier(2, timeout=30)  # which one alone would not pass
    before = torch.get_num_threads()

    def compute(_: int) -> int:
        both.wait()
        return torch.get_num_threads()

    torch.set_num_threads(6)
    try:
        shares = list(map_ahead(compute, range(4), 2))
        with ThreadPoolExecutor(1) as later:
            shares.append(later.submit(torch.get_num_threads).result())
        assert shares == [3, 3, 3, 3, 6]
        assert torch.get_num_threads() == 6
        assert set(map_ahead(lambda _: torch.get_num_threads(), range(9), 5, lanes=2)) == {3}
    finally:
        torch.set_num_threads(before)


def test_calls_overlap() -> None:
    def slow(_: int) -> None:
        time.sleep(0.02)

    start = time.perf_counter()
    list(map_ahead(slow, range(30), workers=3))
    overlapped = time.perf_counter() - start
    start = time.perf_counter()
    list(map_ahead(slow, range(30), workers=0))
    assert overlapped < 0.7 * (time.perf_counter() - start)


def test_who_leaves_early_leaves_nothing_running() -> None:
    before = threading.active_count()
    for item in map_ahead(abs, range(50), 2, 1):
        if item == 3:
            break
    assert item == 3
    for _ in range(100):
        if threading.active_count() == before:
            break
        time.sleep(0.05)
    assert threading.active_count() == before


@pytest.mark.parametrize("workers", [0, 1])
def test_a_source_runs_ahead_in_its_own_thread(workers: int) -> None:
    threads = set()

    def items() -> Iterator[int]:
        for item in range(20):
            threads.add(threading.get_ident())
            yield item

    assert list(run_ahead(items(), workers, 2)) == list(range(20))
    assert (threads == {threading.get_ident()}) == (workers == 0)


class Trace:
    """Stands for the parts of a run; records what was done, and fails where told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fail: dict[str, int] | None = None) -> None:
        self.fail = fail or {}
        self.loaded: list[int] = []
        self.stored: list[int] = []
        self.computing = self.most_computing = self.computed = 0
        self.lock = threading.Lock()
        monkeypatch.setattr(frame, "load_frame", self.load)
        monkeypatch.setattr(frame, "matte_frame", self.compute)
        monkeypatch.setattr(frame, "write_outputs", self.store)
        monkeypatch.setattr(frame, "check_memory", lambda *_: None)
        monkeypatch.setattr(frame, "describe_matte", lambda matte, seconds: {"seconds": seconds})

    def load(self, job: Job, *_: object) -> SimpleNamespace:
        self.loaded.append(int(job.name))
        picture = SimpleNamespace(pixels=np.empty((4, 6, 3), np.uint8))
        return SimpleNamespace(number=self._pass("load", int(job.name)), src=picture)

    def compute(self, loaded: SimpleNamespace, _: object) -> tuple[SimpleNamespace, float]:
        with self.lock:
            self.computing += 1
            self.most_computing = max(self.most_computing, self.computing)
        time.sleep(0.005)
        with self.lock:
            self.computing -= 1
            self.computed += 1
        item = self._pass("compute", loaded.number)
        return SimpleNamespace(notes=(f"note {item}",)), 0.5

    def store(self, job: Job, *_: object) -> Iterator[str]:
        yield "com"
        self.stored.append(self._pass("store", int(job.name)))
        yield "pha"

    def _pass(self, stage: str, item: int) -> int:
        if self.fail.get(stage) == item:
            raise ValueError(f"{stage} of {item}")
        return item

    def run(
        self, count: int, workers: int, lanes: int = 1, stop_after: int | None = None
    ) -> list[SummaryEntry | None]:
        outputs = {"com": Path("out/com/x.png"), "pha": Path("out/pha/x.png")}
        jobs = [Job(str(i), Path("s"), Path("b"), None, outputs) for i in range(count)]
        run = ImagesRun(
            matting=SimpleNamespace(predictor=SimpleNamespace(lanes=lanes)),
            target=Target("none"),
            preprocess=Preprocess(),
            bit_depth=8,
            output_dir=Path("out"),
            should_stop=lambda: stop_after is not None and self.computed >= stop_after,
        )
        return list(map_ahead(run, jobs, workers, lanes=lanes))


@pytest.mark.parametrize(("workers", "lanes"), [(0, 1), (2, 1), (4, 2)])
def test_failures_do_not_stop_the_others(
    monkeypatch: pytest.MonkeyPatch, workers: int, lanes: int
) -> None:
    trace = Trace(monkeypatch, fail={"load": 1, "compute": 3, "store": 5})
    entries = trace.run(8, workers, lanes)
    failures = {int(entry.name): entry.reason for entry in entries if entry.status == "failed"}
    assert failures == {1: "load of 1", 3: "compute of 3", 5: "store of 5"}
    assert sorted(trace.stored) == [0, 2, 4, 6, 7]
    assert [entry.name for entry in entries] == [str(i) for i in range(8)]
    assert entries[0].outputs == {"com": "com/x.png", "pha": "pha/x.png"}
    assert entries[5].outputs == {"com": "com/x.png"}, "what was written is told"
    assert (entries[0].notes, entries[0].details) == (["note 0"], {"seconds": 0.5})
    assert (entries[1].notes, entries[1].outputs) == ([], {})


@pytest.mark.parametrize("lanes", [1, 2])
def test_only_so_many_are_computed_at_a_time(monkeypatch: pytest.MonkeyPatch, lanes: int) -> None:
    trace = Trace(monkeypatch)
    trace.run(20, 6, lanes)
    assert trace.most_computing == lanes


@pytest.mark.parametrize(("workers", "lanes"), [(0, 1), (2, 1), (6, 2)])
def test_stop_leaves_the_rest_and_finishes_what_is_computed(
    monkeypatch: pytest.MonkeyPatch, workers: int, lanes: int
) -> None:
    trace = Trace(monkeypatch)
    entries = trace.run(50, workers, lanes, stop_after=6)
    done = [int(entry.name) for entry in entries if entry is not None]
    assert sorted(trace.stored) == sorted(done)
    assert 6 <= len(done) <= 6 + lanes - 1
    assert all(entry.status == "done" for entry in entries if entry is not None)
    assert len(trace.loaded) <= len(done) + workers + 1
    assert len(entries) == 50


@pytest.mark.parametrize(
    ("error", "reason"), [(OSError("full"), "full"), (KeyError(3), "KeyError: 3")]
)
def test_a_bug_is_told_from_what_a_user_can_mend(
    monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    trace = Trace(monkeypatch)

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(frame, "load_frame", fail)
    assert [entry.reason for entry in trace.run(1, 0)] == [reason]


def test_large_frames_are_computed_and_written_one_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two of 200 megapixels at a time, and their outputs, are more than most machines hold."""
    monkeypatch.setattr(frame, "_LARGE", 24)  # pixels; the stand-ins have as many
    trace = Trace(monkeypatch)
    entries = trace.run(12, workers=6, lanes=2)
    assert [entry.status for entry in entries if entry] == ["done"] * 12
    assert trace.most_computing == 1
