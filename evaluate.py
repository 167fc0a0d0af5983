"""Measure alpha mattes against true ones: MAD, MSE, SAD, Grad, Conn, foreground MSE and dtSSD.

Example: python evaluate.py --pred-pha mattes/pha --true-pha truth/pha --output-dir evaluation
"""

import sys
from dataclasses import field
from pathlib import Path
from typing import Annotated, Literal

import tyro
from pydantic import Field
from tqdm import tqdm

from evaluation.comparisons import ComparedFolders, plan_comparisons
from evaluation.measure import Measurement, measure_images
from evaluation.report import EvaluationReport, note_kept, plan_outputs
from runtime.files import OnExisting, check_writable, write_whole
from runtime.script import run_script
from runtime.settings import REQUIRED, parse_settings, settings_group, to_plain, to_yaml
from runtime.wording import visible


@settings_group("")
class PageSettings:
    """Settings of the HTML page."""

    sort_by: Literal["mad", "mse", "sad", "grad", "conn", "fgr_mse", "dtssd"] = "mad"
    """Metric to sort images by, worst first (its value over the whole frame)."""
    page_images: Annotated[int, Field(ge=0)] = 50
    """Number of images shown with pictures, worst first; 0 shows none. The CSV has the figures of
    all images."""


@settings_group()
class EvaluationSettings:
    """All settings of the script."""

    inputs: ComparedFolders = field(default_factory=ComparedFolders)
    output_dir: Path = REQUIRED
    """Folder for evaluation.csv, evaluation.json and evaluation.html."""
    unknown_radius: Annotated[int, Field(ge=0)] = 10
    """Without --trimap, the unknown region reaches this far, in pixels, from every pixel whose true
    alpha is neither 0 nor 1."""
    sequences: bool = False
    """Treat the pictures of each folder as the frames of a clip, in natural order (2 before 10),
    and measure dtSSD as well."""
    page: PageSettings = field(default_factory=PageSettings)
    num_workers: Annotated[int, Field(ge=1)] = 2
    """Number of images to compare at the same time."""
    on_existing: OnExisting = "error"
    """Outputs that exist: skip keeps them and makes only missing ones; overwrite replaces them;
    error stops before any work."""
    overwrite: Annotated[bool, tyro.conf.arg(aliases=["-y"])] = False
    """Same as --on-existing overwrite, and overrides it."""
    config: Path | None = None
    """YAML file of settings. Flags on the command line override it."""
    print_config: bool = False
    """Print the resolved settings as YAML and exit."""

    def __post_init__(self) -> None:
        if self.page.sort_by == "fgr_mse" and self.inputs.pred_fgr is None:
            raise ValueError("--sort-by fgr_mse needs --pred-fgr and --true-fgr")
        if self.page.sort_by == "dtssd" and not self.sequences:
            raise ValueError("--sort-by dtssd needs --sequences")


def main() -> int:
    """Measures all pairs; returns the exit code, 0 only if all were measured."""
    settings = parse_settings(EvaluationSettings, __doc__, sys.argv[1:])
    if settings.print_config:
        print(to_yaml(settings), end="")
        return 0
    inputs, page = settings.inputs, settings.page
    on_existing = "overwrite" if settings.overwrite else settings.on_existing
    outputs = plan_outputs(settings.output_dir, on_existing)
    notes = (
        [] if on_existing != "skip" else note_kept(settings.output_dir, outputs, to_plain(settings))
    )
    if not outputs:
        for note in notes:
            print(visible(f"note: {note}"))
        print(visible(f"nothing to do: {settings.output_dir} already has all outputs"))
        return 0
    plan = plan_comparisons(inputs, settings.sequences)
    check_writable(settings.output_dir)
    unknown = f"true alpha dilated and eroded by a disc of radius {settings.unknown_radius} pixels"
    if inputs.trimap:
        unknown = f"grey in the trimaps of {inputs.trimap}"
    report = EvaluationReport(
        unknown, settings.sequences, to_plain(settings), notes=notes + plan.notes
    )
    report.failed |= plan.failed
    images = measure_images(plan.comparisons, settings.unknown_radius, settings.num_workers)
    for name, found in tqdm(images, total=len(plan.comparisons), unit="image", disable=None):
        if isinstance(found, Measurement):
            report.measurements.append(found)
        else:
            report.failed[name] = found
    print(report.describe())
    for note in report.notes:
        print(visible(f"note: {note}"))
    title = f"{inputs.pred_pha} against {inputs.true_pha}"
    contents = {
        "evaluation.csv": report.to_csv(),
        "evaluation.json": report.to_json(),
        "evaluation.html": report.to_html(plan.comparisons, page.sort_by, page.page_images, title),
    }
    for path in outputs:
        write_whole(path, contents[path.name])
    print(visible(f"written: {', '.join(map(str, outputs))}"))
    for name, reason in report.failed.items():
        print(visible(f"not evaluated: {name}: {reason}"), file=sys.stderr)
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(run_script(main))
