"""A table of files: what each row's input is, and what the program must make of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.conftest import Photographs, Run, RunScript


@dataclass(frozen=True)
class Row:
    """One input file.

    Attributes:
        name: of the file, extension included; what is written below it is the row's own.
        make: writes the file at a path (an anonymous function, or one of a maker's module).
        shows: (H, W, 3) what it shows, sRGB of 8 bits; None where it must be refused.
        within: mean absolute difference that is allowed, in levels of 255.
        why: the reason of that tolerance, or of the row.
        says: regular expression that is found in what the program says: a note, or the error.
        code: the exit code.
        quiet: whether nothing at all may be noted.
        matte: mean absolute difference of the matte that is allowed.
    """

    name: str
    make: Callable[[Path], object]
    shows: Callable[[], np.ndarray] | None = None
    within: float = 0.0
    why: str = ""
    says: str = ""
    code: int = 0
    quiet: bool = False
    # What the default network leaves on a pair as small as this (0.010), twice. Colours that are
    # not brought together give 0.2.
    matte: float = 0.02


def run_row(
    row: Row, flag: str, folder: Path, run_forked: RunScript, photographs: type[Photographs]
) -> Run:
    """Hands a row's file to a run over a photograph, which mattes it or says why in one line."""
    row.make(folder / row.name)
    source, plate = photographs.pair(folder, "a.png")
    run = run_forked(
        *("--images-src", source, "--images-bgr", plate, "--output-dir", folder / "out"),
        *(flag, folder / row.name),
    )
    run.check(row.code, row.says)
    assert bool(list(folder.glob("out/pha/*"))) == (row.code == 0)
    assert len(run.err.splitlines()) == (row.code != 0)
    return run
