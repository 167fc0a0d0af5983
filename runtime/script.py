"""What every script does around its work: exit codes instead of tracebacks."""

import signal
import sys
from collections.abc import Callable
from io import TextIOWrapper

from .interrupts import raise_interrupt


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
