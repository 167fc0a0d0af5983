"""The loader's worker processes: errors of dead ones, and when they are raised."""

import re
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

T = TypeVar("T")

# Advice by the signal that ended a worker, as PyTorch names it.
_ADVICE = {
    "by signal: Killed": "Most likely memory ran out: lower --num-workers, --batch-size or the "
    "size of the crops",
    "by signal: Bus error|shared memory|unable to mmap|/torch_": "Batches are passed through "
    "/dev/shm, which is too small: enlarge it (docker run --shm-size 8g) or use --num-workers 0",
}


class _Deferred:
    """A handler of SIGCHLD that calls PyTorch's, which raises, only while `listens` is set."""

    def __init__(self, tell: Callable[[int, FrameType | None], object]) -> None:
        self.tell, self.listens = tell, False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.listens:
            self.tell(number, frame)


def _raise_for_dead(batches: object) -> None:
    for worker in getattr(batches, "_workers", ()):
        if worker.exitcode is not None:
            how = f"exited with code {worker.exitcode}"
            if worker.exitcode < 0:
                how = f"is killed by signal: {signal.strsignal(-worker.exitcode)}"
            raise RuntimeError(f"DataLoader worker (pid {worker.pid}) {how}")


@contextmanager
def _listening(batches: object) -> Iterator[None]:
    """Raises for dead workers inside the block, and at its start for those that died before."""
    # PyTorch does not notice dead workers that other code has already waited for.
    _raise_for_dead(batches)
    handler = signal.getsignal(signal.SIGCHLD) if hasattr(signal, "SIGCHLD") else None
    if callable(handler) and not isinstance(handler, _Deferred):  # PyTorch sets its own once
        handler = _Deferred(handler)
        signal.signal(signal.SIGCHLD, handler)
    if not isinstance(handler, _Deferred):
        yield
        return
    handler.listens = True
    try:
        yield
    finally:
        handler.listens = False


def begin(loader: Iterable[T]) -> Iterator[T]:
    """Starts iterating over a loader's batches, for `take`; errors as `take`."""
    with _listening(getattr(loader, "_iterator", None)):
        return iter(loader)


def take(batches: Iterator[T]) -> T:
    """Takes the next batch. Dead workers raise here, and never during a step or a save.

    Raises:
        RuntimeError: when a worker has died since the loader started.
        StopIteration: when there is no further batch.
    """
    with _listening(batches):
        try:
            return next(batches)
        except RuntimeError:
            # PyTorch says only "exited unexpectedly" where it looks before the signal arrives.
            _raise_for_dead(batches)
            raise


def take_all(loader: Iterable[T]) -> Iterator[T]:
    """Takes all batches of a loader, as `take`."""
    batches = begin(loader)
    while True:
        try:
            batch = take(batches)
        except StopIteration:
            return
        yield batch


def explain(error: Exception) -> str:
    """Formats a worker's error without its traceback, or the signal that ended it, with advice."""
    text = str(error).strip()
    advice = [words for pattern, words in _ADVICE.items() if re.search(pattern, text)]
    if "in DataLoader worker process" in text:
        text = re.sub(r"^[\w.]+: ", "", text.splitlines()[-1])  # the error's class
    return ". ".join([text.rstrip(". "), *advice]) if advice else text
