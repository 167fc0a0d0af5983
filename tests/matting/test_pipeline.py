"""The pipeline: order, overlap, bounds, failures and interrupts."""

import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch

from matting.pipeline import overlap


class Trace:
    """Records what was done; fails or interrupts where told."""

    def __init__(self, fail: dict[str, int] | None = None, interrupt_at: int | None = None) -> None:
        self.fail = fail or {}
        self.interrupt_at = interrupt_at
        self.stored: list[int] = []
        self.reported: list[tuple[int, object, str | None]] = []
        self.loaded = self.computed = self.finished = self.most_waiting = 0
        self.lock = threading.Lock()

    def load(self, item: int) -> int:
        with self.lock:
            self.loaded += 1
            self.most_waiting = max(self.most_waiting, self.loaded - self.finished)
        return self._pass("load", item)

    def compute(self, item: int, loaded: int) -> int:
        if item == self.interrupt_at:
            raise KeyboardInterrupt
        with self.lock:
            self.computed += 1
        return self._pass("compute", item) * 10

    def store(self, item: int, computed: int) -> None:
        self._pass("store", item)
        with self.lock:
            self.stored.append(computed)

    def report(self, item: int, computed: int | None, error: Exception | None) -> None:
        self.finished += 1
        self.reported.append((item, computed, str(error) if error else None))

    def _pass(self, stage: str, item: int) -> int:
        if self.fail.get(stage) == item:
            raise ValueError(f"{stage} of {item}")
        return item

    def run(self, count: int, workers: int, stop_after: int | None = None, lanes: int = 1) -> None:
        self.follow(range(count), workers, lambda: self.computed == stop_after, lanes)

    def follow(self, items: Iterable[int], *how: Any) -> None:
        for done in overlap(items, self.load, self.compute, self.store, *how):
            self.report(*done)


@pytest.mark.parametrize(("workers", "lanes"), [(0, 1), (0, 2), (1, 1), (1, 2), (3, 1), (2, 3)])
def test_everything_is_done_once_and_reported_in_order(workers: int, lanes: int) -> None:
    trace = Trace()
    trace.run(20, workers, lanes=lanes)
    assert sorted(trace.stored) == [10 * i for i in range(20)]
    assert trace.reported == [(i, 10 * i, None) for i in range(20)]


@pytest.mark.parametrize(("workers", "lanes"), [(0, 1), (2, 1), (2, 2)])
def test_failures_do_not_stop_the_others(workers: int, lanes: int) -> None:
    trace = Trace(fail={"load": 1, "compute": 3, "store": 5})
    trace.run(8, workers, lanes=lanes)
    failures = {item: error for item, _, error in trace.reported if error}
    assert failures == {1: "load of 1", 3: "compute of 3", 5: "store of 5"}
    assert sorted(trace.stored) == [0, 20, 40, 60, 70]
    assert sorted(item for item, _, _ in trace.reported) == list(range(8))


@pytest.mark.parametrize("lanes", [1, 3])
def test_what_waits_is_bounded(lanes: int) -> None:
    trace = Trace()
    trace.run(200, workers=2, lanes=lanes)
    # workers + 1 before and after compute, and those in it.
    assert 3 <= trace.most_waiting <= 6 + lanes


def test_lanes_compute_at_a_time_each_with_its_share_of_threads() -> None:
    both = threading.Barrier(2, timeout=30)  # which one alone would not pass
    shares, before = [], torch.get_num_threads()

    def compute(*_: object) -> None:
        shares.append(torch.get_num_threads())
        both.wait()

    torch.set_num_threads(6)
    try:
        list(overlap(range(4), int, compute, lambda *_: None, 1, lanes=2))
        with ThreadPoolExecutor(1) as later:
            shares.append(later.submit(torch.get_num_threads).result())
        assert shares == [3, 3, 3, 3, 6]
        assert torch.get_num_threads() == 6
    finally:
        torch.set_num_threads(before)


def test_stages_overlap() -> None:
    """Three stages of 20 ms: one after the other, 10 items take 600 ms."""

    def slow(*_: object) -> None:
        time.sleep(0.02)

    start = time.perf_counter()
    list(overlap(range(10), slow, slow, slow, workers=1))
    overlapped = time.perf_counter() - start
    start = time.perf_counter()
    list(overlap(range(10), slow, slow, slow, workers=0))
    assert overlapped < 0.7 * (time.perf_counter() - start)


@pytest.mark.parametrize("workers", [0, 2])
def test_interrupt_stores_and_reports_what_is_computed(workers: int) -> None:
    trace = Trace(interrupt_at=6)
    with pytest.raises(KeyboardInterrupt):
        trace.run(50, workers)
    assert sorted(trace.stored) == [0, 10, 20, 30, 40, 50]
    assert [item for item, _, _ in trace.reported] == list(range(6))
    assert trace.loaded <= 6 + 1 + workers + 1


def test_interrupt_in_a_lane_leaves_what_follows() -> None:
    trace = Trace(interrupt_at=6)
    with pytest.raises(KeyboardInterrupt):
        trace.run(50, 2, lanes=3)
    assert sorted(trace.stored) == [0, 10, 20, 30, 40, 50]
    assert [item for item, _, _ in trace.reported] == list(range(6))


def test_stop_finishes_what_lanes_compute() -> None:
    trace, asked = Trace(), iter(range(6))
    trace.follow(range(50), 2, lambda: next(asked, None) is None, 3)
    assert sorted(trace.stored) == [0, 10, 20, 30, 40, 50]
    assert [item for item, _, _ in trace.reported] == list(range(6))


@pytest.mark.parametrize("workers", [0, 2])
def test_stop_leaves_the_rest_and_finishes_what_is_computed(workers: int) -> None:
    trace = Trace()
    trace.run(50, workers, stop_after=6)
    assert sorted(trace.stored) == [0, 10, 20, 30, 40, 50]
    assert [item for item, _, _ in trace.reported] == list(range(6))
    assert trace.loaded <= 6 + workers + 1


def test_who_leaves_early_leaves_nothing_running() -> None:
    trace, before = Trace(), threading.active_count()
    for done in overlap(range(50), trace.load, trace.compute, trace.store, 2):
        trace.report(*done)
        if len(trace.reported) == 3:
            break
    del done
    assert [item for item, _, _ in trace.reported] == [0, 1, 2]
    assert threading.active_count() == before
