"""Export the network to every format, compare each with PyTorch and time it; prints a table.

Example: python -m benchmarks.exports --size HD --repeats 10
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import get_args

import numpy as np

from exports.formats import FORMATS
from exports.network import Mode
from exports.settings import NetworkSettings, parse_size
from exports.write import Order, write_export
from matting.exported.card import Card, Format
from matting.exported.runtimes import Run
from runtime.files import explain

HEAD = """\
| format | precision | file | largest difference | of 99% | ms per frame | in |
|---|---|---|---|---|---|---|"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table; returns 1 if a format failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", default="HD", help="see export.py (default: HD)")
    parser.add_argument("--mode", choices=get_args(Mode), default="blocks")
    parser.add_argument("--formats", nargs="+", choices=list(FORMATS), default=list(FORMATS))
    parser.add_argument("--repeats", type=int, default=10, help="timed frames of each format")
    chosen = parser.parse_args(arguments)
    size = parse_size(chosen.size)
    made: list[tuple[Card, int, Run]] = []
    failed = False
    with TemporaryDirectory() as folder:
        plain = Order(NetworkSettings(), size, chosen.mode, "float32")
        for format in chosen.formats:
            for precision in FORMATS[format].bounds:
                same = precision == "float32"
                order = plain if same else Order(NetworkSettings(), size, chosen.mode, precision)
                try:
                    made.append(export(order, format, Path(folder)))
                except Exception as error:  # one format must not hide the others
                    failed = True
                    print(f"{format} in {precision}: {explain(error)}", file=sys.stderr)
        frame = plain.expected[0]
        times = time_in_turn([run for _, _, run in made], frame.src, frame.bgr, chosen.repeats)
    print(HEAD)
    for (card, size_in_bytes, _), seconds in zip(made, times, strict=True):
        print(describe(card, size_in_bytes, seconds))
    return 1 if failed else 0


def export(order: Order, format: Format, folder: Path) -> tuple[Card, int, Run]:
    """Writes and opens a format; returns its card, its bytes and the function that runs it."""
    order.check(format)
    card = write_export(order, format, folder)
    path = folder / card.file
    own = [path, path.with_suffix(".bin")] if path.suffix == ".xml" else [path]
    size_in_bytes = sum(file.stat().st_size for file in own)
    return card, size_in_bytes, FORMATS[format].open(path, order.precision)


def time_in_turn(
    runs: list[Run], src: np.ndarray, bgr: np.ndarray, repeats: int
) -> list[list[float]]:
    """Times a frame with each in turn, so that other load meets all of them; once to warm up."""
    times: list[list[float]] = [[] for _ in runs]
    for turn in range(repeats + 1):
        for seconds, run in zip(times, runs, strict=True):
            start = perf_counter()
            run(src, bgr)
            if turn:
                seconds.append(perf_counter() - start)
    return times


def describe(card: Card, size_in_bytes: int, seconds: list[float]) -> str:
    """A row of the table."""
    parts = [part for frame in card.parity.frames for part in (frame.pha, frame.fgr)]
    largest, most = max(x.largest for x in parts), max(x.most for x in parts)
    return (
        f"| {card.format} | {card.precision} | {size_in_bytes / 1e6:.0f} MB | {largest:.1e} | "
        f"{most:.1e} | {np.median(seconds) * 1000:.0f} | {card.parity.runtime} |"
    )


if __name__ == "__main__":
    sys.exit(main())
