"""Bars of progress."""

from collections.abc import Iterable
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")


def show_progress(
    items: Iterable[Item], what: str, total: int | None = None, unit: str = "it"
) -> Iterable[Item]:
    """Goes through items, with a bar on stderr where that is a terminal and it takes over 2 s.

    Args:
        items: what to go through.
        what: is done, for the user.
        total: number of items, where they don't tell it.
        unit: what an item is, for the rate.
    """
    return tqdm(items, what, total, unit=unit, disable=None, delay=2, leave=False)
