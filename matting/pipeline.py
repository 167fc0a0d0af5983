"""Reading, computing and writing at the same time, with bounded queues."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from itertools import islice
from typing import Any, Generic, TypeVar

import torch

Item = TypeVar("Item")
Loaded = TypeVar("Loaded")
Computed = TypeVar("Computed")


def overlap(
    items: Iterable[Item],
    load: Callable[[Item], Loaded],
    compute: Callable[[Item, Loaded], Computed],
    store: Callable[[Item, Computed], None],
    workers: int,
    should_stop: Callable[[], bool] = lambda: False,
    lanes: int = 1,
) -> Iterator[tuple[Item, Computed | None, Exception | None]]:
    """Takes every item through load, compute and store; one that fails does not stop the others.

    `load` and `store` run in threads, and so does `compute` if there are several lanes. At most
    `workers + 1` items wait before and after `compute`, so memory does not grow with their number.
    When it should stop, or an exception is raised in the caller's thread, what is computed is still
    stored.

    Args:
        items: what to do.
        load: reads an item.
        compute: turns it into a result.
        store: writes the result.
        workers: threads that load, and as many that store; 0 does everything in the caller's.
        should_stop: asked before each `compute`; the remaining items are then left.
        lanes: items in `compute` at a time, each with its share of PyTorch's threads.

    Yields:
        In order, every finished item, its result, and the exception if it failed.
    """
    if workers == 0:
        for item in items:
            if should_stop():
                return
            yield _do_one(item, load, compute, store)
        return
    threads = torch.get_num_threads()
    with _Stages(load, compute, store, workers, lanes) as stages:
        abandoned = False
        try:
            remaining = iter(items)
            while not should_stop():
                stages.load(islice(remaining, stages.room))
                if not stages.loading:
                    break
                stages.compute_next()
                yield from stages.hand_on(lanes - 1)
            yield from stages.hand_on(0)
        except GeneratorExit:
            abandoned = True
            raise
        finally:
            stages.stop_loading()
            if not abandoned:
                yield from stages.finished(0)
    if lanes > 1:
        torch.set_num_threads(threads)  # which a lane has set for later threads as well


class _Stages(ExitStack, Generic[Item, Loaded, Computed]):
    """The threads of `overlap`, and the items that are on their way, oldest first."""

    def __init__(
        self,
        load: Callable[[Item], Loaded],
        compute: Callable[[Item, Loaded], Computed],
        store: Callable[[Item, Computed], None],
        workers: int,
        lanes: int,
    ) -> None:
        super().__init__()
        self._load, self._compute, self._store = load, compute, store
        self._workers, self._lanes = workers, lanes
        self.loading: deque[tuple[Item, Future[Loaded]]] = deque()
        self._computing: deque[tuple[Item, Callable[[], Computed]]] = deque()
        self._storing: deque[tuple[Item, Computed | None, Future[Any]]] = deque()
        share = partial(torch.set_num_threads, max(1, torch.get_num_threads() // lanes))
        self._readers = self.enter_context(ThreadPoolExecutor(workers))
        self._computers = self.enter_context(ThreadPoolExecutor(lanes, initializer=share))
        self._writers = self.enter_context(ThreadPoolExecutor(workers))

    @property
    def room(self) -> int:
        """Items that may be read ahead."""
        return self._workers + 1 - len(self.loading)

    def load(self, items: Iterable[Item]) -> None:
        """Begins to read items."""
        for item in items:
            self.loading.append((item, self._readers.submit(self._load, item)))

    def stop_loading(self) -> None:
        """Reads nothing more."""
        self._readers.shutdown(wait=False, cancel_futures=True)

    def compute_next(self) -> None:
        """Takes the oldest item that is read; where there are lanes, begins to compute it."""
        item, loaded = self.loading.popleft()

        def result() -> Computed:
            return self._compute(item, loaded.result())

        waiting = result if self._lanes == 1 else self._computers.submit(result).result
        self._computing.append((item, waiting))

    def hand_on(self, count: int) -> Iterator[tuple[Item, Computed | None, Exception | None]]:
        """Hands on the oldest results until `count` are being computed; yields what is finished."""
        while len(self._computing) > count:
            item, result = self._computing.popleft()
            try:
                computed = result()
            except Exception as error:
                failed: Future[Any] = Future()
                failed.set_exception(error)
                self._storing.append((item, None, failed))
            else:
                stored = self._writers.submit(self._store, item, computed)
                self._storing.append((item, computed, stored))
            yield from self.finished(self._workers)

    def finished(self, count: int) -> Iterator[tuple[Item, Computed | None, Exception | None]]:
        """Yields the oldest stores until `count` are left."""
        while len(self._storing) > count:
            item, computed, future = self._storing[0]
            error = _exception(future)  # an interrupt here leaves the item for the next call
            self._storing.popleft()
            yield item, computed, error


def _do_one(
    item: Item,
    load: Callable[[Item], Any],
    compute: Callable[[Item, Any], Computed],
    store: Callable[[Item, Any], None],
) -> tuple[Item, Computed | None, Exception | None]:
    computed: Any = None
    try:
        computed = compute(item, load(item))
        store(item, computed)
    except Exception as error:
        return item, computed, error
    return item, computed, None


def _exception(future: Future[Any]) -> Exception | None:
    try:
        future.result()
    except Exception as error:
        return error
    return None
