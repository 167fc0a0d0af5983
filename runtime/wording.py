"""Formats messages: lists, file names and escapes."""

import json
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

_SHOWN = 5
# Control characters, which move a terminal's cursor or set its colours; line ends; marks that
# change the writing direction; and invalid text.
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def listed(items: Iterable[object], count: int | None = None) -> str:
    """Lists the first five items and counts the others; `count` is of items that stream."""
    if count is None:
        items = list(items)
        count = len(items)
    shown = ", ".join(str(item) for item in islice(items, _SHOWN))
    return shown + (f" and {count - _SHOWN} more" if count > _SHOWN else "")


def visible(text: object) -> str:
    """Returns a text as one line with terminal control characters escaped."""
    return _UNSEEN.sub(lambda found: ascii(found[0])[1:-1], str(text))


def to_json(content: Any) -> bytes:
    """Writes readable JSON; characters that are not visible text become escapes."""
    text = json.dumps(content, indent=2, ensure_ascii=False)
    lines = (_UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", x) for x in text.split("\n"))
    return ("\n".join(lines) + "\n").encode()


def hide_folders(content: Any, settings: Any) -> Any:
    """Shortens absolute paths of settings wherever they occur: `/home/me/b.png` to `…/b.png`.

    Shared files then reveal nothing about the machine they come from. Relative paths stay as the
    user gave them.

    Args:
        content: dicts, lists, strings and numbers.
        settings: nested like `content`; contains the absolute paths.

    Returns:
        The content, with these paths shortened in every string.
    """
    return replace_folders(content, list_folders(settings))


def list_folders(settings: Any) -> list[tuple[str, str]]:
    """Lists the absolute paths of settings with their short forms, in the order to replace them."""
    paths = {text for text in _strings(settings) if Path(text).is_absolute()}
    # System messages have paths in Python's notation, with escapes.
    paths |= {repr(path)[1:-1] for path in paths}
    # The longest first, because it may begin with another. The root reveals nothing.
    longest = sorted(paths, key=len, reverse=True)
    return [(path, f"…/{Path(path).name}") for path in longest if Path(path).name]


def list_changes(before: Any, now: Any, name: str = "") -> dict[str, tuple[Any, Any]]:
    """Lists settings that differ, by dotted names, with their values before and now."""
    if not (isinstance(before, dict) and isinstance(now, dict)):
        return {} if before == now else {name: (before, now)}
    changes: dict[str, tuple[Any, Any]] = {}
    for key in before.keys() & now.keys():
        changes |= list_changes(before[key], now[key], f"{name}.{key}" if name else str(key))
    return dict(sorted(changes.items()))


def _strings(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, dict):
        for value in content.values():
            yield from _strings(value)
    elif isinstance(content, list):
        for value in content:
            yield from _strings(value)


def replace_folders(content: Any, pairs: list[tuple[str, str]]) -> Any:
    """Replaces what `list_folders` lists in every string of a content; see `hide_folders`."""
    if isinstance(content, str):
        for path, name in pairs:
            content = content.replace(path, name)
        return content
    if isinstance(content, dict):
        return {replace_folders(k, pairs): replace_folders(v, pairs) for k, v in content.items()}
    if isinstance(content, list):
        return [replace_folders(value, pairs) for value in content]
    return content
