"""Processes several pictures at a time, in order, with bounded memory."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import count
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")

AHEAD = 2  # frames of a clip that wait before and after the network


def map_ahead(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    workers: int,
    ahead: int = 0,
    lanes: int | None = None,
    waits: bool = True,
) -> Generator[Result, None, None]:
    """Applies a function in threads, and keeps the order.

    Results from before an error in the items or the function are still yielded.

    Args:
        function: called with an item.
        items: iterated in the caller's thread, at most `workers + ahead` items in advance.
        workers: number of threads. 0 calls the function in the caller's thread.
        ahead: number of results that may wait.
        lanes: number of threads that share PyTorch's threads; None for all.
        waits: whether KeyboardInterrupt waits for running calls, as needed if the caller closes
            files that the function reads.
    """
    if workers == 0:
        yield from map(function, items)
        return
    threads, error, lanes = torch.get_num_threads(), None, lanes or workers
    share = partial(torch.set_num_threads, max(1, threads // lanes))
    waiting: deque[Future[Result]] = deque()
    remaining = iter(items)
    pool, wait = ThreadPoolExecutor(workers, initializer=share), True
    try:
        while True:
            try:
                waiting.append(pool.submit(function, next(remaining)))
            except StopIteration:
                break
            except Exception as caught:
                error = caught
                break
            if len(waiting) >= workers + ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except KeyboardInterrupt:
        wait = waits
        raise
    finally:
        pool.shutdown(wait, cancel_futures=True)
        if lanes > 1:
            torch.set_num_threads(threads)  # the workers changed it for later threads too
    if error is not None:
        raise error


def run_ahead(
    items: Iterator[Item], workers: int, ahead: int = AHEAD
) -> Generator[Item, None, None]:
    """Iterates over items in a separate thread, some ahead; with 0 workers in the caller's."""
    end = object()
    for item in map_ahead(lambda _: next(items, end), count(), workers, ahead):
        if item is end:
            return
        yield item  # type: ignore[misc]
