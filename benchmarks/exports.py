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
from matting.exported.card import Card, Format, list_files
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
    parser.add_argument(
        "--formats", nargs="+", choices=list(FORMATS), help="default: all that have the mode"
    )
    parser.add_argument("--repeats", type=int, default=10, help="timed frames of each format")
    chosen = parser.parse_args(arguments)
    size = parse_size(chosen.size)
    made: list[tuple[Card, int, Run | None]] = []
    failed = False
    formats = chosen.formats or [x for x in FORMATS if chosen.mode in FORMATS[x].modes]
    with TemporaryDirectory() as folder:
        plain = Order(NetworkSettings(), size, chosen.mode, "float32")
        for format in formats:
            corrects = FORMATS[format].corrects_alpha
            network = NetworkSettings(corrects_alpha=corrects)
            for precision in FORMATS[format].bounds:
                same = corrects and precision == "float32"
                order = plain if same else Order(network, size, chosen.mode, precision)
                try:
                    made.append(export(order, format, Path(folder)))
                except Exception as error:  # one format must not hide the others
                    failed = True
                    print(f"{format} in {precision}: {explain(error)}", file=sys.stderr)
        frame = plain.expected[0]
        runs = [run for _, _, run in made if run]
        times = iter(time_in_turn(runs, frame.src, frame.bgr, chosen.repeats))
    print(HEAD)
    for card, size_in_bytes, run in made:
        print(describe(card, size_in_bytes, next(times) if run else None))
    return 1 if failed else 0


def export(order: Order, format: Format, folder: Path) -> tuple[Card, int, Run | None]:
    """Writes and opens a format; returns its card, its bytes and what runs it, if anything does."""
    order.check(format)
    card = write_export(order, format, folder)
    path = folder / card.file
    size_in_bytes = sum(file.stat().st_size for file in list_files(path))
    start = FORMATS[format].open
    return card, size_in_bytes, start(path, order.precision) if start else None


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


def describe(card: Card, size_in_bytes: int, seconds: list[float] | None) -> str:
    """A row of the table."""
    if seconds is None:
        row = f"| {card.format} | {card.precision} | {size_in_bytes / 1e6:.0f} MB"
        return f"{row} | - | - | - | {card.parity.reason} |"
    parts = [part for frame in card.parity.frames for part in (frame.pha, frame.fgr)]
    largest, most = max(x.largest for x in parts), max(x.most for x in parts)
    return (
        f"| {card.format} | {card.precision} | {size_in_bytes / 1e6:.0f} MB | {largest:.1e} | "
        f"{most:.1e} | {np.median(seconds) * 1000:.0f} | {card.parity.runtime} |"
    )


if __name__ == "__main__":
    sys.exit(main())
