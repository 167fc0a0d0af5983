"""Faint islands go; whatever may belong to a subject stays."""

import numpy as np
import pytest

from matting.second_look import drop_faint_islands

SIZE = (540, 960)


@pytest.fixture
def pha() -> np.ndarray:
    """A subject with soft edges."""
    empty = np.zeros(SIZE, np.float32)
    empty[200:, 400:600] = 1
    empty[180:200, 400:600] = 0.4
    return empty


def add(pha: np.ndarray, top: int, left: int, side: int, alpha: float) -> np.ndarray:
    more = pha.copy()
    more[top : top + side, left : left + side] = alpha
    return more


def test_a_faint_island_goes_and_nothing_else(pha: np.ndarray) -> None:
    before = add(add(pha, 100, 100, 15, 0.45), 105, 130, 8, 0.7)
    kept = before.copy()
    np.testing.assert_array_equal(drop_faint_islands(before), pha)
    np.testing.assert_array_equal(before, kept)
    assert drop_faint_islands(before).dtype == np.float32


@pytest.mark.parametrize(
    "island",
    [
        {"top": 100, "left": 100, "side": 15, "alpha": 0.9},  # opaque: a ball in the air
        {"top": 160, "left": 450, "side": 8, "alpha": 0.3},  # beside the subject: loose hair
        {"top": 100, "left": 100, "side": 25, "alpha": 0.3},  # over 0.1% of the picture: a veil
    ],
)
def test_what_may_be_a_subject_stays(pha: np.ndarray, island: dict) -> None:
    before = add(pha, **island)
    assert drop_faint_islands(before) is before


def test_an_empty_matte_and_a_tiny_one() -> None:
    empty = np.zeros(SIZE, np.float32)
    assert drop_faint_islands(empty) is empty
    assert drop_faint_islands(np.ones((1, 1), np.float32)).item() == 1
    # Nothing but a faint spot: nobody is there.
    assert drop_faint_islands(add(empty, 100, 100, 15, 0.4)).max() == 0
