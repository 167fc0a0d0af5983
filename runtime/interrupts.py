"""Interrupts that wait until a frame is finished."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def deferred_interrupts() -> Iterator[Callable[[], bool]]:
    """Turns the first SIGINT (Ctrl-C) or SIGTERM into a question that the program asks.

    So none falls between writing a frame and telling of it. A second one raises KeyboardInterrupt
    at once. To be used in the main thread.

    Yields:
        A function: whether an interrupt has come.
    """
    came = False

    def note(signal_number: int, frame: FrameType | None) -> None:
        nonlocal came
        came = True
        for number in previous:
            signal.signal(number, raise_interrupt)

    previous = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: came
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def raise_interrupt(signal_number: int, frame: FrameType | None) -> None:
    """A signal handler that raises KeyboardInterrupt, as Python's own for SIGINT does."""
    raise KeyboardInterrupt
