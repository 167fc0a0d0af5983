"""Export the network to every format, compare each with PyTorch and time it; prints a table.

Example: python -m benchmarks.exports --size HD --repeats 10
"""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

from benchmarks.speed_cases import time_in_turn
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
        runs = {i: partial(run, frame.src, frame.bgr) for i, (*_, run) in enumerate(made) if run}
        seconds = time_in_turn(runs, chosen.repeats)
    print(HEAD)
    for i, (card, size_in_bytes, _) in enumerate(made):
        print(describe(card, size_in_bytes, seconds.get(i)))
    return 1 if failed else 0


def export(order: Order, format: Format, folder: Path) -> tuple[Card, int, Run | None]:
    """Writes and opens a format; returns its card, its bytes and what runs it, if anything does."""
    order.check(format)
    card = write_export(order, format, folder)
    path = folder / card.file
    size_in_bytes = sum(file.stat().st_size for file in list_files(path))
    start = FORMATS[format].open
    return card, size_in_bytes, start(path, order.precision) if start else None


def describe(card: Card, size_in_bytes: int, seconds: float | None) -> str:
    """A row of the table."""
    if seconds is None:
        row = f"| {card.format} | {card.precision} | {size_in_bytes / 1e6:.0f} MB"
        return f"{row} | - | - | - | {card.parity.reason} |"
    parity = card.parity
    return (
        f"| {card.format} | {card.precision} | {size_in_bytes / 1e6:.0f} MB | "
        f"{parity.largest:.1e} | {parity.most:.1e} | {seconds * 1000:.0f} | {parity.runtime} |"
    )


if __name__ == "__main__":
    sys.exit(main())
