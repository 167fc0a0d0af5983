"""What keys do, and where presses come from."""

import sys
from collections.abc import Mapping, Sequence
from fractions import Fraction
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Literal, Protocol

Action = Literal["quit", "plate", "mirror", "next", "snapshot", "pause", "text"]

KEYS: Mapping[str, Action] = {
    "q": "quit",
    "escape": "quit",
    "b": "plate",
    "r": "plate",
    "m": "mirror",
    "t": "next",
    "s": "snapshot",
    "p": "pause",
    "h": "text",
}
# 1 to 9 choose a new background.
NUMBERS = "123456789"


class Keys(Protocol):
    """Where presses of keys come from."""

    def pressed(self, time: Fraction) -> list[str]:
        """Hands over the keys that were pressed since the last call.

        Args:
            time: of the camera, seconds.

        Returns:
            Names of keys, lower case: a letter, a digit or `escape`.
        """


class ScriptedKeys:
    """Presses keys at given times.

    Args:
        script: `TIME:KEY` each, seconds of the camera's time: `2.5:t`.

    Raises:
        ValueError: when one is something else.
    """

    def __init__(self, script: Sequence[str]) -> None:
        self._script = sorted(_parse(press) for press in script)

    def pressed(self, time: Fraction) -> list[str]:
        """Those whose time has come; see `Keys`."""
        due = [key for moment, key in self._script if moment <= time]
        self._script = self._script[len(due) :]
        return due


class TerminalKeys:
    """Takes the letters of every line that is typed where the program was started."""

    def __init__(self) -> None:
        self._typed: SimpleQueue[str] = SimpleQueue()
        Thread(target=self._read, name="terminal", daemon=True).start()

    def pressed(self, time: Fraction) -> list[str]:
        """Those that were typed; see `Keys`."""
        keys = []
        while True:
            try:
                keys.append(self._typed.get_nowait())
            except Empty:
                return keys

    def _read(self) -> None:
        for line in sys.stdin:
            for key in line.strip().lower():
                self._typed.put(key)


def can_type() -> bool:
    """Whether somebody can type where the program was started."""
    return sys.stdin is not None and sys.stdin.isatty()


def _parse(press: str) -> tuple[Fraction, str]:
    time, _, key = press.partition(":")
    known = [*KEYS, *NUMBERS]
    try:
        moment = Fraction(time)
    except (ValueError, ZeroDivisionError):
        moment = Fraction(-1)
    if moment < 0 or key not in known:
        raise ValueError(
            f"--keys {press}: must be a time in seconds and a key, as 2.5:t; keys are "
            f"{', '.join(known)}"
        )
    return moment, key
