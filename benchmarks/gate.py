"""Compares new weights with the shipped ones, and fails if any measure is worse.

Example: python -m benchmarks.gate WEIGHTS --data DATA

Both are measured on the same pictures. A row is worse if the 95% interval of its difference lies
wholly on the bad side of 0. The exit code is 0 if none is worse, 1 if any is, 2 for wrong input.
"""

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

import cv2
import numpy as np

from benchmarks import gate_pictures, gate_scenes
from benchmarks.composites import draw_subjects, read_mattes
from benchmarks.gate_cases import Case, Half, Material, MissingError, Way
from benchmarks.gate_table import HEAD, ROWS, choose_rows, compare, format_row
from dataset.synthetic import draw_background
from matting.library import Matting
from matting.plate.prepare import Preparation
from matting.quality import Quality
from matting.settings import DEFAULT_CHECKPOINT, ComputeSettings, ModelSettings
from media.pictures import write_png
from runtime.files import SHIPPED

# No training run of the project uses these; docs/evaluation.md names them as HELD_OUT.
HELD_OUT = (
    "lomiri_Dragonfly_by_Bolly",
    "lomiri_Picture_0B_by_freespace",
    "lomiri_Wine_by_Jakkub_Mede",
    "lomiri_aitzgorri_by_Aitzol_Berasategi",
    "lomiri_friends_by_Aitzol_Berasategi",
    "lomiri_greentock_by_Peter_Nerlich",
    "lomiri_picosdeeuropa_by_Aitzol_Berasategi",
    "kodak_24",
)
DRAWN, DRAWN_SIZE = 4, (240, 320)  # subjects, and backgrounds, without data
GROUPS: dict[Callable[[Material], Iterator[Case]], tuple[str, ...]] = {
    gate_pictures.composites_none: ("none", "coarse-none"),
    gate_pictures.composites_capture: (
        *("capture", "coarse-capture", "holes-composites", "lowest-composites", "islands"),
        "strands-real",
    ),
    gate_pictures.composites_shift: ("shift",),
    gate_scenes.person: ("person", "holes-person", "lowest-person"),
    gate_scenes.pairs: ("pairs",),
    gate_scenes.demo: ("holes-demo", "lowest-demo"),
    gate_scenes.clip: ("holes-clip", "lowest-clip", "flicker"),
    gate_pictures.slow_clip: ("dtssd",),
    gate_pictures.shadows: ("shadow-sharp", "shadow-soft"),
    gate_pictures.contact_shadows: ("shadow-contact",),
    gate_scenes.room: ("shadow-room",),
    gate_pictures.dark_cloth: ("dark",),
    gate_pictures.drawn_strands: ("strands-drawn",),
}
Values = dict[str, tuple[list[float], list[float]]]


class Weights:
    """A checkpoint, run in the ways that the gate measures.

    Raises:
        ValueError: when the checkpoint can't be used.
    """

    def __init__(self, checkpoint: Path) -> None:
        compute = ComputeSettings(num_workers=0)
        whole = Matting.from_settings(ModelSettings(checkpoint=checkpoint), compute)
        coarse = ModelSettings(checkpoint=checkpoint, type="mattingbase")
        self._mattings = {
            "best": whole,
            "auto": whole,
            "coarse": Matting.from_settings(coarse, compute, "auto"),
        }

    def matte(self, prepared: Sequence[tuple[np.ndarray, Preparation]], way: Way) -> list:
        """Alphas, (H, W) float32 in [0, 1], of frames with prepared plates."""
        matting = self._mattings[way]
        quality: Quality = "best" if way == "best" else "auto"
        return [matting(src, plate, quality=quality).alpha for src, plate in prepared]


def measure(case: Case, weights: Sequence[Weights], rows: Sequence[str], values: Values) -> None:
    """Mattes a case with each of the weights, and adds what its chosen rows measure to `values`."""
    prepared = None
    for way, measures in case.measures.items():
        wanted = {row: taken for row, taken in measures.items() if row in rows}
        if not wanted:
            continue
        if prepared is None:  # it does not depend on the weights
            prepared = [(s, Matting.prepare(s, case.bgr, case.preprocess)) for s in case.frames]
        alphas = [each.matte(prepared, way) for each in weights]
        for row, taken in wanted.items():
            for column, phas in zip(values[row], alphas, strict=True):
                value = taken(*phas)
                if value is not None:
                    column += np.atleast_1d(value).tolist()


def judge(material: Material, weights: Sequence[Weights], rows: Sequence[str]) -> list[str]:
    """Prints each row when it is complete, and last the rows that were left out.

    Returns:
        The names of the rows that are worse.

    Raises:
        ValueError: when no row could be measured, or a file can't be read.
    """
    worse: list[str] = []
    measured = 0
    left_out: list[str] = []
    print(HEAD, flush=True)
    for group, names in GROUPS.items():
        mine = [row for row in rows if any(row == n or row.startswith(f"{n}-") for n in names)]
        if not mine:
            continue
        values: Values = defaultdict(lambda: ([], []))
        reason = "no picture has what they measure"
        try:
            for case in group(material):
                measure(case, weights, mine, values)
        except MissingError as missing:
            reason = str(missing)
        for row in mine:
            if row not in values:
                continue
            shipped, new = values[row]
            result = compare(ROWS[row], shipped, new)
            worse += [row] if result.verdict == "worse" else []
            measured += 1
            print(format_row(row, len(shipped), result), flush=True)
        if absent := [row for row in mine if row not in values]:
            left_out.append(f"left out: {', '.join(absent)}: {reason}")
    print("", *left_out, sep="\n")
    if not measured:
        raise ValueError("none of the rows could be measured")
    return worse


def gather(data: Path, half: Half, every: int, folder: Path) -> Material:
    """Reads subjects and held-out backgrounds, or draws what is not there.

    Args:
        data: see `--data`.
        half: see `Material`.
        every: see `Material`.
        folder: for drawn backgrounds.

    Raises:
        ValueError: when a matte has no foreground or a picture can't be read.
    """
    if (data / "mattes").is_dir():
        subjects = read_mattes(data / "mattes")
    else:
        print(f"{data / 'mattes'} does not exist: {DRAWN} drawn subjects are used")
        subjects = draw_subjects(DRAWN, *DRAWN_SIZE)
    backgrounds = [data / "backgrounds" / f"{name}.jpg" for name in HELD_OUT]
    if absent := [path.stem for path in backgrounds if not path.exists()]:
        print(f"{data / 'backgrounds'} lacks {', '.join(absent)}")
        backgrounds = [path for path in backgrounds if path.exists()]
    if not backgrounds:
        print(f"{DRAWN} drawn backgrounds are used")
        backgrounds = [folder / f"drawn_{number}.png" for number in range(DRAWN)]
        for number, path in enumerate(backgrounds):
            write_png(path, draw_background(np.random.default_rng(number), *DRAWN_SIZE))
    return Material(data, subjects, backgrounds, half, every)


def parse() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("weights", type=Path, help="the new checkpoint")
    add("--against", type=Path, default=DEFAULT_CHECKPOINT, help="the shipped checkpoint")
    add("--data", type=Path, help="folder of mattes, backgrounds, real_pairs, room and video")
    add("--half", choices=get_args(Half), default="report", help="pictures to use")
    add("--every", type=int, default=1, help="use every N-th picture")
    add("--rows", nargs="+", help="names of rows, or their beginning before a hyphen")
    return parser.parse_args()


def main() -> int:
    """Prints the table."""
    args = parse()
    cv2.setNumThreads(1)
    start = time.monotonic()
    try:
        if args.every < 1:
            raise ValueError(f"--every must be 1 or more, got {args.every}")
        if args.data and not args.data.is_dir():
            raise ValueError(f"--data must be a folder, and {args.data} is none")
        data = args.data or SHIPPED.parent / "shared/data"
        rows = choose_rows(args.rows)
        weights = [Weights(path) for path in (args.against, args.weights)]
        with TemporaryDirectory() as folder:
            material = gather(data, args.half, args.every, Path(folder))
            print(f"half {args.half}: {len(material.combine())} composites of a kind\n")
            worse = judge(material, weights, rows)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    verdict = f"worse: {', '.join(worse)}" if worse else "no row is worse"
    print(f"{verdict}; {time.monotonic() - start:.0f} s")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
