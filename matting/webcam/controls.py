"""Controls while a camera runs: keys, their sources, and new backgrounds."""

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from fractions import Fraction
from functools import lru_cache
from threading import Thread

import numpy as np

from ..video.target import TargetFeed, TargetSettings

# Takes the camera's time; returns the keys pressed since the last call, in lower case.
Keys = Callable[[Fraction], list[str]]

ACTIONS = {
    "quit": ("q", "escape"),
    "plate": ("b", "r"),
    "mirror": ("m",),
    "next": ("t",),
    "snapshot": ("s",),
    "pause": ("p",),
    "text": ("h",),
}
KEYS = {key: action for action, keys in ACTIONS.items() for key in keys}
NUMBERS = "123456789"  # choose a new background
_NONE = "none"  # the transparent new background
_SQUARE = 0.02  # side of a square of the checkerboard, of the picture's longer side
_LIGHT, _DARK = 1.0, 0.8


class ScriptedKeys:
    """Presses keys at given times of the camera, `SECONDS:KEY` each: `2.5:t`; else ValueError."""

    def __init__(self, script: Sequence[str]) -> None:
        self._script = sorted(_parse(press) for press in script)

    def pressed(self, time: Fraction) -> list[str]:
        """Returns keys whose time has passed; see `Keys`."""
        due = [key for moment, key in self._script if moment <= time]
        self._script = self._script[len(due) :]
        return due


class TerminalKeys:
    """Reads the letters of every line typed in the terminal."""

    def __init__(self) -> None:
        self._typed: list[str] = []
        Thread(target=self._read, name="terminal", daemon=True).start()

    def pressed(self, time: Fraction) -> list[str]:
        """Returns the typed keys; see `Keys`."""
        keys = self._typed.copy()
        del self._typed[: len(keys)]  # the thread may have added more
        return keys

    def _read(self) -> None:
        for line in sys.stdin:
            self._typed.extend(line.strip().lower())


def choose_keys(scripted: Keys, window: Keys | None) -> tuple[list[Keys], str]:
    """Returns the window's keys, or the terminal's without one; and where to type them."""
    if window is not None:
        return [window, scripted], "in the window"
    if sys.stdin is not None and sys.stdin.isatty():
        return [TerminalKeys().pressed, scripted], "here, then Enter"
    return [scripted], "only --keys; Ctrl-C ends"


class Backgrounds:
    """Switches between new backgrounds: `none` for a checkerboard, or targets of `TargetFeed`.

    A video continues where it stopped when it is shown again. ValueError if none is given, or one
    can't be read.
    """

    def __init__(self, texts: Sequence[str], settings: TargetSettings) -> None:
        if not texts:
            raise ValueError("--targets must name at least one new background")
        if settings.loop == "stop":
            raise ValueError("--target-loop stop is for videos; a camera takes loop or hold")
        self._names = tuple(texts)
        self._feeds = [None if t == _NONE else TargetFeed(t, settings, "--targets") for t in texts]
        self._index = 0
        self._shown = [Fraction(0)] * len(texts)  # display time of each, in seconds
        self._last: Fraction | None = None

    @property
    def name(self) -> str:
        """Name of the current background, as given by the user."""
        return self._names[self._index]

    @property
    def transparent(self) -> bool:
        """Whether the current background is transparent."""
        return self._feeds[self._index] is None

    def choose(self, index: int | None = None) -> None:
        """Selects one by its number, from 0, if it exists; None selects the next, cyclically."""
        index = (self._index + 1) % len(self._names) if index is None else index
        self._index = index if index < len(self._names) else self._index

    def at(self, time: Fraction, bgr: np.ndarray) -> np.ndarray:
        """Returns the new background, (H, W, 3) float32 in [0, 1]; `blur` blurs the plate."""
        if self._last is not None:
            self._shown[self._index] += time - self._last
        self._last = time
        feed = self._feeds[self._index]
        shown = None if feed is None else feed.at(self._shown[self._index], bgr)
        return checkerboard(*bgr.shape[:2]) if shown is None else shown


@lru_cache(maxsize=2)
def checkerboard(height: int, width: int) -> np.ndarray:
    """Draws a checkerboard: (height, width, 3) float32 in [0, 1], cached by size."""
    side = max(2, round(_SQUARE * max(height, width)))
    odd = (np.arange(height)[:, None] // side + np.arange(width) // side) % 2
    grey = np.where(odd, np.float32(_DARK), np.float32(_LIGHT))
    return np.repeat(grey[..., None], 3, axis=2)


def _parse(press: str) -> tuple[Fraction, str]:
    time, _, key = press.partition(":")
    known = [*KEYS, *NUMBERS]
    with suppress(ValueError, ZeroDivisionError):
        if key in known and (moment := Fraction(time)) >= 0:
            return moment, key
    raise ValueError(
        f"--keys {press}: must be a time in seconds and a key, as 2.5:t; keys are "
        f"{', '.join(known)}"
    )
