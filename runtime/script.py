"""What every script does around its work: exit codes for tracebacks, interrupts that wait."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from types import FrameType


def run_script(work: Callable[[], int]) -> int:
    """Runs a script's work and turns what a user can cause into a message and an exit code.

    Args:
        work: returns the exit code: 0 only if all was done.

    Returns:
        Its exit code; 2 for wrong input, 130 when it was interrupted.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A file name that the terminal can't show must not end the run.
            stream.reconfigure(errors="backslashreplace")
    signal.signal(signal.SIGTERM, raise_interrupt)
    try:
        return work()
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


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
