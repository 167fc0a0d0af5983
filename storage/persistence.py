"""Asking a store again while what fails may pass."""

import random
import sys
import time
from collections.abc import Callable
from threading import Lock
from typing import TypeVar

from runtime.script import wait_for_interrupt
from runtime.wording import visible

from .errors import StorageError, explain_answer
from .location import Url

Result = TypeVar("Result")

PATIENCE = 300.0  # seconds from the first failure of a request to its last attempt
_FIRST, _LONGEST = 0.5, 30.0  # seconds between attempts
_QUIET = 60.0  # seconds between two notes on the screen

_lock = Lock()
_told = -_QUIET


def persist(url: Url, ask: Callable[[], Result]) -> Result:
    """Calls a function until it succeeds, or fails in a way that does not pass.

    Waits between attempts double, from 0.5 to 30 seconds; a random half of each spreads many
    workers. Source: AWS Architecture Blog, "Exponential backoff and jitter", equal jitter.

    Args:
        url: what is asked for, for messages.
        ask: raises errors of fsspec; it may be called again after each.

    Returns:
        Its result.

    Raises:
        StorageError: what failed, after `PATIENCE` seconds or an interrupt if it might have passed.
    """
    began, wait = None, _FIRST
    while True:
        try:
            return ask()
        except Exception as error:
            answer = explain_answer(error, url)
            now = time.monotonic()
            began = now if began is None else began
            if answer is error:
                raise
            if not answer.passes:
                raise answer from error
            if now - began + wait > PATIENCE:
                text = f"{answer}; given up after {now - began:.0f} s"
                given_up = StorageError(text)
                given_up.exit_code = 1
                raise given_up from error
            _tell(answer)
            if wait_for_interrupt(wait * random.uniform(0.5, 1)):  # noqa: S311
                raise StorageError(f"{answer}; interrupted") from error
        wait = min(2 * wait, _LONGEST)


def _tell(answer: StorageError) -> None:
    """Prints a note, once a minute for all threads."""
    global _told
    with _lock:
        now = time.monotonic()
        if now - _told < _QUIET:
            return
        _told = now
    print(visible(f"note: {answer}; trying again for {PATIENCE:.0f} s"), file=sys.stderr)
