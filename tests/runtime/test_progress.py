"""Bars: on a terminal alone, and only for what takes long."""

import io
import sys

import pytest

from runtime.progress import show_progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("kind", "waits", "shown"),
    [(Terminal, True, True), (Terminal, False, False), (io.StringIO, True, False)],
    ids=["terminal", "short", "file"],
)
def test_bars_are_shown_on_a_terminal_for_what_takes_long(
    monkeypatch: pytest.MonkeyPatch, kind: type, waits: bool, shown: bool
) -> None:
    stream = kind()
    monkeypatch.setattr(sys, "stderr", stream)
    now = iter(range(0, 1000, 3) if waits else [0] * 1000)
    monkeypatch.setattr("tqdm.std.time", lambda: float(next(now)))
    assert list(show_progress(iter("abc"), "reading", 3, "letter")) == ["a", "b", "c"]
    assert ("reading" in stream.getvalue()) == shown
