"""The gate's rows, and what their values say: better, equal or worse."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from benchmarks.gate_pictures import BLURS, FACTORS, LEVELS

Verdict = Literal["better", "equal", "worse"]

RESAMPLES, SEED = 10_000, 0
HEAD = (
    "| row | values | shipped | new | difference, 95% interval | verdict |\n"
    "|---|---|---|---|---|---|"
)


@dataclass(frozen=True)
class Row:
    """A measure of the table.

    Attributes:
        scale: factor of the printed value.
        decimals: of the printed value; what they do not show does not count.
        higher: whether a higher value is better.
        worst: whether the value is that of the worst picture instead of the mean.
    """

    scale: float = 1
    decimals: int = 2
    higher: bool = False
    worst: bool = False

    def reduce(self, values: np.ndarray) -> np.ndarray:
        """Reduces (..., N) values of pictures to (...)."""
        return values.max(axis=-1) if self.worst else values.mean(axis=-1)

    def show(self, values: np.ndarray) -> np.ndarray:
        """Scales and rounds values."""
        return np.round(self.scale * values, self.decimals) + 0.0  # no -0


@dataclass(frozen=True)
class Comparison:
    """A row's values of both weights, and the interval of their difference, scaled and rounded."""

    shipped: float
    new: float
    difference: float
    low: float
    high: float
    verdict: Verdict


PERCENT, THOUSANDTHS = 100, 1000
_SOLID = {f"holes-{name}": Row(PERCENT) for name in ("composites", "person", "demo", "clip")}
_LOWEST = {name.replace("holes", "lowest"): Row(decimals=3, higher=True) for name in _SOLID}
ROWS = {
    **{
        f"{kind}-{metric}": Row(THOUSANDTHS if metric == "mad" else 1)
        for kind in ("none", "capture", "person", "pairs")
        for metric in ("mad", "grad")
    },
    **{f"{kind}-mad": Row(THOUSANDTHS) for kind in ("coarse-none", "coarse-capture", "shift")},
    **{"pairs-islands": Row(THOUSANDTHS), "islands": Row(THOUSANDTHS)},
    **_SOLID,
    **_LOWEST,
    **{f"shadow-{kind}-{factor:g}": Row(decimals=3) for kind in BLURS for factor in FACTORS},
    **{"shadow-contact": Row(decimals=3), "shadow-room": Row(PERCENT)},
    **{f"dark-{level}": Row(PERCENT) for level in LEVELS},
    **{"dark-worst": Row(PERCENT, worst=True)},
    **{f"strands-{kind}": Row(PERCENT, higher=True) for kind in ("real", "drawn")},
    **{"flicker": Row(THOUSANDTHS, 3), "dtssd": Row()},
}


def compare(row: Row, shipped: Sequence[float], new: Sequence[float]) -> Comparison:
    """Compares two weights on the same pictures.

    The interval is the 95% percentile bootstrap of the difference, paired over the pictures.

    Args:
        row: how values are reduced.
        shipped: values of the shipped weights, N > 0 in number.
        new: those of the new ones.

    Source: Efron and Tibshirani, "An introduction to the bootstrap", 1993, chapter 13.
    """
    old, now = np.asarray(shipped, np.float64), np.asarray(new, np.float64)
    picks = np.random.default_rng(SEED).integers(len(old), size=(RESAMPLES, len(old)))
    differences = row.reduce(now[picks]) - row.reduce(old[picks])
    low, high = row.show(np.quantile(differences, (0.025, 0.975)))
    verdict: Verdict = "equal"
    if low > 0 or high < 0:
        verdict = "better" if (low > 0) == row.higher else "worse"
    before, after = row.reduce(old), row.reduce(now)
    shown = row.show(np.array((before, after, after - before))).tolist()
    return Comparison(shown[0], shown[1], shown[2], float(low), float(high), verdict)


def choose_rows(names: Sequence[str] | None) -> list[str]:
    """Chooses rows by name, or by the beginning of names before a hyphen; None for all.

    Raises:
        ValueError: when a name is unknown.
    """
    if names is None:
        return list(ROWS)
    chosen = []
    for name in names:
        found = [row for row in ROWS if row == name or row.startswith(f"{name}-")]
        if not found:
            raise ValueError(f"unknown row {name!r}; there are {', '.join(ROWS)}")
        chosen += found
    return [row for row in ROWS if row in chosen]


def format_row(name: str, values: int, result: Comparison) -> str:
    """A row of the Markdown table."""
    digits = ROWS[name].decimals
    return (
        f"| {name} | {values} | {result.shipped:.{digits}f} | {result.new:.{digits}f} | "
        f"{result.difference:+.{digits}f}, {result.low:+.{digits}f} to {result.high:+.{digits}f} | "
        f"{result.verdict} |"
    )
