"""Progress bars."""

from collections.abc import Iterable
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")


def show_progress(
    items: Iterable[Item], what: str, total: int | None = None, unit: str = "it"
) -> Iterable[Item]:
    """Yields items; shows a bar on stderr if that is a terminal and it takes over 2 s.

    Args:
        items: items to yield.
        what: name of the work, shown to the user.
        total: number of items, if it is not known from `items`.
        unit: name of one item, for the rate.
    """
    return tqdm(items, what, total, unit=unit, disable=None, delay=2, leave=False)
