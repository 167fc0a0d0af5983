"""What is kept for a visitor, and what they are told."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from .conftest import need_gradio

need_gradio()

import gradio as gr  # noqa: E402

from matting.app import visits as module  # noqa: E402
from matting.app.visits import Visits  # noqa: E402


def request(name: str) -> Any:
    return SimpleNamespace(session_hash=name)


def matted(size: int) -> Any:
    """A photograph whose matte weighs 10 bytes a pixel."""
    pixels = np.zeros((size, 1), np.float32)
    preparation = SimpleNamespace(bgr=np.zeros(size, np.uint8), placed=np.zeros(size, np.uint8))
    matte = SimpleNamespace(alpha=pixels, foreground=pixels, preparation=preparation)
    return SimpleNamespace(matte=matte)


def test_messages_are_plain(tmp_path: Path) -> None:
    visits = Visits(tmp_path)
    text = f"frame {visits.root}/0af3/a b.jpg: is <img src=x>; --video-bgr takes\na picture"
    assert visits.plain(text) == ("Frame a b.jpg: is &lt;img src=x&gt;; Plate takes\\na picture")
    notes = visits.list_notes(["<b>", "<b>", "two"], "good")
    assert notes == '<ul class="notes"><li>&lt;b&gt;</li><li>Two</li></ul>'
    assert visits.list_notes([], "good") == '<p class="good">good</p>'


def test_what_a_visitor_can_cause_is_told(tmp_path: Path) -> None:
    visits = Visits(tmp_path)
    with pytest.raises(gr.Error) as caught, visits.told():
        raise OSError(28, "No space left on device", f"{visits.root}/1/x.png")
    assert caught.value.message == "X.png: the disk is full (No space left on device)"
    with pytest.raises(RuntimeError), visits.told():
        raise RuntimeError("a fault of the program")


def test_a_visit_ends_with_its_files(tmp_path: Path) -> None:
    visits = Visits(tmp_path)
    one, other = visits.of(request("one")), visits.of(request("other"))
    assert visits.of(request("one")) is one
    mine, theirs = one.new_file("a.png"), other.new_file("a.png")
    theirs.write_bytes(b"1")
    mine.write_bytes(b"1")
    visits.end(request("one"))
    assert (mine.exists(), theirs.exists()) == (False, True)
    with pytest.raises(ValueError, match="closed"):  # a job that runs still
        one.new_file("b.png")
    assert visits.of(request("one")) is not one


def test_memory_and_visits_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_KEPT", 2000)
    monkeypatch.setattr(module, "_MOST", 3)
    visits = Visits(tmp_path)
    kept = [visits.of(request(name)) for name in "abc"]
    file = kept[0].new_file("x")
    file.touch()
    for visit in kept:
        visits.keep(visit, matted(100))
    assert [visit.photograph is not None for visit in kept] == [False, True, True]
    visits.keep(kept[2], matted(1000))  # too large alone, and kept all the same
    assert [visit.photograph is not None for visit in kept] == [False, False, True]
    visits.of(request("d"))
    assert not file.exists()


def test_of_composites_the_last_two_stay(tmp_path: Path) -> None:
    visit = Visits(tmp_path).of(request("a"))
    files = [visit.new_file("x") for _ in range(4)]
    for file in files:
        file.touch()
        visit.replace(file, None)
    assert [file.exists() for file in files] == [False, False, True, True]
