"""The gate's verdicts: intervals of made differences, and the rows by name."""

import numpy as np
import pytest

from benchmarks.gate import GROUPS
from benchmarks.gate_table import ROWS, Row, choose_rows, compare, format_row

RNG = np.random.default_rng(0)
VALUES = RNG.random(40)


@pytest.mark.parametrize(
    ("change", "row", "verdict"),
    [
        (0.1, Row(), "worse"),
        (-0.1, Row(), "better"),
        (0.1, Row(higher=True), "better"),
        (-0.1, Row(higher=True), "worse"),
        (0.0, Row(), "equal"),
        (0.004, Row(), "equal"),  # two decimals do not show it
        (0.004, Row(scale=100), "worse"),
    ],
)
def test_a_change_of_all_pictures_has_its_sign(change: float, row: Row, verdict: str) -> None:
    result = compare(row, VALUES, VALUES + change)
    assert result.verdict == verdict
    assert result.low == result.high == pytest.approx(round(row.scale * change, 2))


def test_noise_is_equal_and_its_interval_is_the_normal_one() -> None:
    noise = RNG.normal(0, 1, 400)
    noise -= noise.mean()
    result = compare(Row(decimals=3), np.zeros(400), noise)
    assert result.verdict == "equal"
    # 1.96 standard errors; 10,000 resamples give an end to about 2% of them.
    half = 1.96 * noise.std() / 20
    np.testing.assert_allclose((result.low, result.high), (-half, half), rtol=0.06)
    assert result == compare(Row(decimals=3), np.zeros(400), noise), "the seed is fixed"


def test_pictures_are_paired() -> None:
    spread = 100 * RNG.random(40)
    change = 0.1 + 0.02 * RNG.random(40)
    assert compare(Row(), spread, spread + change).verdict == "worse"
    assert compare(Row(), spread, RNG.permutation(spread) + change).verdict == "equal"


def test_the_worst_picture_is_compared_with_the_worst() -> None:
    shipped, new = np.array([0.0, 0.0, 5.0]), np.array([1.0, 1.0, 5.0])
    assert compare(Row(), shipped, new).new == pytest.approx(2.33)
    result = compare(Row(worst=True), shipped, new)
    assert (result.shipped, result.new, result.verdict) == (5, 5, "equal")


def test_rows_are_chosen_by_name_and_by_beginning() -> None:
    assert choose_rows(None) == list(ROWS)
    assert choose_rows(["islands", "dark"]) == [
        *("islands", "dark-4", "dark-8", "dark-16", "dark-40", "dark-worst")
    ]
    with pytest.raises(ValueError, match="unknown row 'shade'; there are none-mad, none-grad"):
        choose_rows(["shade"])


def test_each_row_has_one_group() -> None:
    for row in ROWS:
        found = [
            name
            for names in GROUPS.values()
            for name in names
            if row == name or row.startswith(f"{name}-")
        ]
        assert len(found) == 1, row


def test_a_row_of_the_table() -> None:
    text = format_row("holes-clip", 20, compare(ROWS["holes-clip"], [0.016] * 20, [0.002] * 20))
    assert text == "| holes-clip | 20 | 1.60 | 0.20 | -1.40, -1.40 to -1.40 | better |"
