"""Reading, computing and writing at the same time, with bounded queues."""

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

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
) -> None:
    """Takes every item through load, compute and store; one that fails does not stop the others.

    `load` and `store` run in threads, `compute` and `report` in the caller's, items in order. At
    most `workers + 1` items wait before and after `compute`, so memory does not grow with their
    number. When it should stop, or an exception is raised in the caller's thread, what is computed
    is still stored and reported.

    Args:
        items: what to do.
        load: reads an item.
        compute: turns it into a result.
        store: writes the result.
        report: told of every finished item, its result, and the exception if it failed.
        workers: threads that load, and as many that store; 0 does everything in the caller's.
        should_stop: asked before each `compute`; the remaining items are then left.
    """
    if workers == 0:
        for item in items:
            if should_stop():
                return
            _do_one(item, load, compute, store, report)
        return
    remaining = iter(items)
    loading: deque[tuple[Item, Future[Loaded]]] = deque()
    storing: deque[tuple[Item, Computed, Future[None]]] = deque()

    def finish(count: int) -> None:
        """Reports the oldest stores until `count` are left."""
        while len(storing) > count:
            item, computed, future = storing[0]
            error = _exception(future)  # an interrupt here leaves the item for the next call
            storing.popleft()
            report(item, computed, error)

    with ThreadPoolExecutor(workers) as readers, ThreadPoolExecutor(workers) as writers:
        try:
            while not should_stop():
                for item in islice(remaining, workers + 1 - len(loading)):
                    loading.append((item, readers.submit(load, item)))
                if not loading:
                    break
                item, future = loading.popleft()
                try:
                    computed = compute(item, future.result())
                except Exception as error:
                    report(item, None, error)
                    continue
                storing.append((item, computed, writers.submit(store, item, computed)))
                finish(workers)
        finally:
            readers.shutdown(wait=False, cancel_futures=True)
            finish(0)


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
