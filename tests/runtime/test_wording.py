"""Words for messages."""

from pathlib import Path

from runtime.wording import listed


def test_lists_five_and_counts_the_rest() -> None:
    assert listed([]) == ""
    assert listed([Path("a"), "b"]) == "a, b"
    assert listed(range(5)) == "0, 1, 2, 3, 4"
    assert listed(range(7)) == "0, 1, 2, 3, 4 and 2 more"
