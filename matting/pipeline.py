"""Reading, computing and writing at the same time, with bounded queues."""

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from itertools import islice
from typing import Generic, TypeVar

import torch

Item = TypeVar("Item")
Loaded = TypeVar("Loaded")
Computed = TypeVar("Computed")


def overlap(
    items: Iterable[Item],
    load: Callable[[Item], Loaded],
    compute: Callable[[Item, Loaded], Computed],
    store: Callable[[Item, Computed], None],
    report: Callable[[Item, Computed | None, Exception | None], None],
    workers: int,
    should_stop: Callable[[], bool] = lambda: False,
    lanes: int = 1,
) -> None:
    """Takes every item through load, compute and store; one that fails does not stop the others.

    `load` and `store` run in threads, `report` in the caller's, and so does `compute` of one lane;
    items in order. At most `workers + 1` items wait before and after `compute`, so memory does not
    grow with their number. When it should stop, or an exception is raised in the caller's thread,
    what is computed is still stored and reported.

    Args:
        items: what to do.
        load: reads an item.
        compute: turns it into a result.
        store: writes the result.
        report: told of every finished item, its result, and the exception if it failed.
        workers: threads that load, and as many that store; 0 does everything in the caller's.
        should_stop: asked before each `compute`; the remaining items are then left.
        lanes: items in `compute` at a time, each with its share of PyTorch's threads.
    """
    if workers == 0:
        for item in items:
            if should_stop():
                return
            _do_one(item, load, compute, store, report)
        return
    threads = torch.get_num_threads()
    with _Stages(load, compute, store, report, workers, lanes) as stages:
        try:
            remaining = iter(items)
            while not should_stop():
                stages.load(islice(remaining, stages.room))
                if not stages.compute_next():
                    break
            stages.settle(0)
        finally:
            stages.finish()
    if lanes > 1:
        torch.set_num_threads(threads)  # which a lane has set for later threads as well


class _Stages(ExitStack, Generic[Item, Loaded, Computed]):
    """The threads of `overlap`, and the items that are on their way, oldest first."""

    def __init__(
        self,
        load: Callable[[Item], Loaded],
        compute: Callable[[Item, Loaded], Computed],
        store: Callable[[Item, Computed], None],
        report: Callable[[Item, Computed | None, Exception | None], None],
        workers: int,
        lanes: int,
    ) -> None:
        super().__init__()
        self._load, self._compute, self._store, self._report = load, compute, store, report
        self._workers, self._lanes = workers, lanes
        self._loading: deque[tuple[Item, Future[Loaded]]] = deque()
        self._computing: deque[tuple[Item, Callable[[], Computed]]] = deque()
        self._storing: deque[tuple[Item, Computed, Future[None]]] = deque()
        share = partial(torch.set_num_threads, max(1, torch.get_num_threads() // lanes))
        self._readers = self.enter_context(ThreadPoolExecutor(workers))
        self._computers = self.enter_context(ThreadPoolExecutor(lanes, initializer=share))
        self._writers = self.enter_context(ThreadPoolExecutor(workers))

    @property
    def room(self) -> int:
        """Items that may be read ahead."""
        return self._workers + 1 - len(self._loading)

    def load(self, items: Iterable[Item]) -> None:
        """Begins to read items."""
        for item in items:
            self._loading.append((item, self._readers.submit(self._load, item)))

    def compute_next(self) -> bool:
        """Computes an item, or begins to where there are lanes; False if none is left."""
        if not self._loading:
            return False
        item, loaded = self._loading.popleft()

        def result() -> Computed:
            return self._compute(item, loaded.result())

        waiting = result if self._lanes == 1 else self._computers.submit(result).result
        self._computing.append((item, waiting))
        self.settle(self._lanes - 1)
        return True

    def settle(self, count: int) -> None:
        """Hands on the oldest results until `count` are being computed."""
        while len(self._computing) > count:
            item, result = self._computing.popleft()
            try:
                computed = result()
            except Exception as error:
                self._report(item, None, error)
                continue
            self._storing.append(
                (item, computed, self._writers.submit(self._store, item, computed))
            )
            self._tell(self._workers)

    def finish(self) -> None:
        """Reads nothing more, and reports what was computed."""
        self._readers.shutdown(wait=False, cancel_futures=True)
        self._tell(0)

    def _tell(self, count: int) -> None:
        """Reports the oldest stores until `count` are left."""
        while len(self._storing) > count:
            item, computed, future = self._storing[0]
            error = _exception(future)  # an interrupt here leaves the item for the next call
            self._storing.popleft()
            self._report(item, computed, error)


def _do_one(
    item: Item,
    load: Callable[[Item], Loaded],
    compute: Callable[[Item, Loaded], Computed],
    store: Callable[[Item, Computed], None],
    report: Callable[[Item, Computed | None, Exception | None], None],
) -> None:
    computed = None
    try:
        computed = compute(item, load(item))
        store(item, computed)
    except Exception as error:
        report(item, computed, error)
    else:
        report(item, computed, None)


def _exception(future: Future[None]) -> Exception | None:
    try:
        future.result()
    except Exception as error:
        return error
    return None
