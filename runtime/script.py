"""Shared by all scripts: errors become messages and exit codes; interrupts are deferred."""

import io
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event
from types import FrameType
from typing import Any

from .wording import visible

_PATIENCE = 2.0  # seconds to wait for threads after an interrupt

_came = Event()  # set by an interrupt inside `deferred_interrupts`


def run_script(work: Callable[[], int]) -> int:
    """Runs a script's work; turns errors that a user can cause into a message and an exit code.

    The work continues when its output is no longer read.

    Args:
        work: returns the exit code: 0 only if everything was done.

    Returns:
        Its exit code; 2 for invalid input, or the error's `exit_code`; 130 after an interrupt. If
        threads do not end then, the process exits here with the same code.
    """
    with lasting_streams():
        signal.signal(signal.SIGTERM, raise_interrupt)
        try:
            return work()
        except (ValueError, OSError) as error:
            print(visible(f"error: {error}"), file=sys.stderr)
            return getattr(error, "exit_code", 2)
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            _end_threads()
            return 130


@contextmanager
def deferred_interrupts(patient: bool = False) -> Iterator[Callable[[], bool]]:
    """Turns the first SIGINT (Ctrl-C) or SIGTERM into a flag that the program polls.

    So no interrupt occurs between writing a frame and recording it. A second one raises
    KeyboardInterrupt at once, unless `patient`. For the main thread only.

    Yields:
        A function that returns whether there was an interrupt.
    """
    _came.clear()

    def note(signal_number: int, frame: FrameType | None) -> None:
        _came.set()
        for number in () if patient else previous:
            signal.signal(number, raise_interrupt)

    previous = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupted
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def interrupted() -> bool:
    """Returns whether there was a deferred interrupt, for waits in other threads; see above."""
    return _came.is_set()


def wait_for_interrupt(seconds: float) -> bool:
    """Waits in another thread; returns whether there was a deferred interrupt."""
    return _came.wait(seconds)


def raise_interrupt(signal_number: int, frame: FrameType | None) -> None:
    """A signal handler that raises KeyboardInterrupt, like Python's for SIGINT."""
    raise KeyboardInterrupt


class _LastingWriter(io.FileIO):
    """Writes to a file; discards the output once its pipe is closed or its disk is full."""

    def write(self, data: Any) -> int:
        """Writes bytes and returns their number."""
        try:
            return super().write(data)
        except OSError as error:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            if not isinstance(error, BrokenPipeError) and self.fileno() == 1:
                print(f"note: further output is lost: {error.strerror}", file=sys.stderr)
            return len(data)


@contextmanager
def lasting_streams() -> Iterator[None]:
    """Lets stdout and stderr survive a closed pipe, and escapes names that are not valid text."""
    for number in range(3):  # the next opened file would get a closed one's number and output
        with suppress(OSError):
            if (nowhere := os.open(os.devnull, os.O_RDWR)) > number:
                os.close(nowhere)
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (_outlast(stream) for stream in before)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        sys.stdout, sys.stderr = before


def _outlast(stream: Any) -> Any:
    if stream is None:  # closed, or under pythonw
        return Path(os.devnull).open("w", encoding="utf-8")
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.reconfigure(errors="backslashreplace")
    if stream.isatty():
        return stream
    try:
        stream.flush()
        raw = _LastingWriter(stream.fileno(), "w", closefd=False)
    except (OSError, ValueError):  # not a file of the system, as in tests
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _end_threads() -> None:
    """Waits briefly for threads, then ends the process even if one still reads or computes."""
    end = time.monotonic() + _PATIENCE
    main = threading.main_thread()
    threads = [t for t in threading.enumerate() if t is not main and not t.daemon]
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    if any(thread.is_alive() for thread in threads):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(130)
