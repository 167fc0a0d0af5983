"""Words for messages."""

from collections.abc import Sequence

_SHOWN = 5


def listed(items: Sequence[object]) -> str:
    """Lists the first five of something, and tells how many more there are."""
    shown = ", ".join(str(item) for item in items[:_SHOWN])
    return shown + (f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else "")
