"""Words for messages."""

import json
from pathlib import Path

from runtime.wording import hide_folders, list_changes, listed, to_json, visible


def test_lists_five_and_counts_the_rest() -> None:
    assert listed([]) == ""
    assert listed([Path("a"), "b"]) == "a, b"
    assert listed(range(5)) == "0, 1, 2, 3, 4"
    assert listed(range(7)) == "0, 1, 2, 3, 4 and 2 more"


def test_what_a_terminal_would_obey_is_escaped_and_letters_stay() -> None:
    assert visible("Müller 写真 é \U0001f468\u200d\U0001f469.jpg") == (
        "Müller 写真 é \U0001f468\u200d\U0001f469.jpg"
    )
    assert visible("a\nb\r\t\x1b[2J\x7f\x9b\u2028\u202e\udcff") == (
        r"a\nb\r\t\x1b[2J\x7f\x9b\u2028\u202e\udcff"
    )


def test_json_holds_escapes_and_reads_back() -> None:
    content = {"a\x9b\n": ["é", "\u202e", "\udcff", 1.5]}
    text = to_json(content)
    assert json.loads(text) == content
    assert visible(text.decode().replace("\n", "")) == text.decode().replace("\n", "")


def test_absolute_paths_are_shortened_wherever_they_stand() -> None:
    settings = {"src": "/home/me/in", "bgr": "/home/me/in/p's.jpg", "out": "out/x", "root": "/"}
    content = {
        "settings": settings,
        "notes": ["/home/me/in/a.jpg lies in out/x", OSError(2, "no", "/home/me/in/p's.jpg")],
        "count": 3,
    }
    content["notes"][1] = str(content["notes"][1])
    hidden = hide_folders(content, settings)
    assert hidden["settings"] == {
        "src": "…/in",
        "bgr": "…/p's.jpg",
        "out": "out/x",
        "root": "/",
    }
    assert hidden["notes"][0] == "…/in/a.jpg lies in out/x"
    assert "me" not in str(hidden)
    assert hidden["count"] == 3


def test_changes_of_settings_are_named() -> None:
    before = {"a": {"b": 1, "old": 2}, "c": None}
    now = {"a": {"b": 2, "new": 3}, "c": None}
    assert list_changes(before, now) == {"a.b": (1, 2)}
    assert list_changes(None, now) == {"": (None, now)}
