"""Measure alpha mattes against true ones: MAD, MSE, SAD, Grad, Conn, foreground MSE and dtSSD.

Example: python evaluate.py --pred-pha mattes/pha --true-pha truth/pha --output-dir evaluation
"""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import field
from pathlib import Path
from typing import Annotated

import tyro
from tqdm import tqdm

from evaluation.jobs import Job, plan_jobs
from evaluation.measure import Result, measure_image
from evaluation.page import draw_page
from evaluation.report import Report, plan_outputs, sort_worst_first, write_outputs
from evaluation.settings import InputSettings, PageSettings
from runtime.files import OnExisting, check_writable
from runtime.script import run_script
from runtime.settings import REQUIRED, parse_settings, settings_group, to_plain, to_yaml


@settings_group()
class Settings:
    """All settings of the script.

    Attributes:
        config: YAML file of settings; the command line wins over it.
        output_dir: Folder for evaluation.csv, evaluation.json and evaluation.html.
        unknown_radius: Without --trimap, how far in pixels the unknown region reaches from what is
            neither background nor foreground in the true alpha.
        sequences: The pictures of each folder are the frames of a clip, in natural order (2 before
            10): measure dtSSD as well.
        num_workers: Images that are compared at the same time.
        on_existing: Outputs that are there already: skip keeps them and makes only what is
            missing, overwrite replaces them, error stops before anything is done.
        overwrite: The same as --on-existing overwrite, over which it wins.
        print_config: Print the resolved settings as YAML and stop.
    """

    inputs: InputSettings = field(default_factory=InputSettings)
    output_dir: Path = REQUIRED
    unknown_radius: int = 10
    sequences: bool = False
    page: PageSettings = field(default_factory=PageSettings)
    num_workers: int = 2
    on_existing: OnExisting = "error"
    overwrite: Annotated[bool, tyro.conf.arg(aliases=["-y"])] = False
    config: Path | None = None
    print_config: bool = False

    def __post_init__(self) -> None:
        if self.unknown_radius < 0:
            raise ValueError(f"unknown_radius must be 0 or more pixels, got {self.unknown_radius}")
        if self.num_workers < 1:
            raise ValueError(f"num_workers must be 1 or more, got {self.num_workers}")
        if self.page.sort_by == "fgr_mse" and self.inputs.pred_fgr is None:
            raise ValueError("--sort-by fgr_mse needs --pred-fgr and --true-fgr")
        if self.page.sort_by == "dtssd" and not self.sequences:
            raise ValueError("--sort-by dtssd needs --sequences")


def main() -> int:
    """Runs the script; returns its exit code: 0 only if everything was evaluated."""
    settings = parse_settings(Settings, __doc__, sys.argv[1:])
    if settings.print_config:
        print(to_yaml(settings), end="")
        return 0
    return evaluate(settings)


def evaluate(settings: Settings) -> int:
    """Measures every pair of the settings; returns the exit code."""
    on_existing = "overwrite" if settings.overwrite else settings.on_existing
    outputs = plan_outputs(settings.output_dir, on_existing)
    if not outputs:
        print(f"nothing to do: {settings.output_dir} holds all outputs already")
        return 0
    plan = plan_jobs(settings.inputs, settings.sequences)
    check_writable(settings.output_dir)
    unknown = (
        f"grey in the trimaps of {settings.inputs.trimap}"
        if settings.inputs.trimap
        else f"true alpha dilated and eroded by a disc of radius {settings.unknown_radius} pixels"
    )
    report = Report(unknown, settings.sequences, to_plain(settings))
    report.failed |= plan.failed
    report.notes += plan.notes
    for job, result in measure_all(plan.jobs, settings.unknown_radius, settings.num_workers):
        if isinstance(result, Result):
            report.results.append(result)
        else:
            report.failed[job.name] = result

    print(report.to_text())
    for note in report.notes:
        print(f"note: {note}")
    metric = settings.page.sort_by
    worst = sort_worst_first(report.results, metric)[: settings.page.page_images]
    title = f"{settings.inputs.pred_pha} against {settings.inputs.true_pha}"
    contents = {
        "evaluation.csv": report.to_csv(),
        "evaluation.json": report.to_json(),
        "evaluation.html": draw_page(report, plan.jobs, worst, metric, title),
    }
    write_outputs(outputs, contents)
    print(f"written: {', '.join(map(str, outputs))}")
    for name, reason in report.failed.items():
        print(f"not evaluated: {name}: {reason}", file=sys.stderr)
    return 1 if report.failed else 0


def measure_all(
    jobs: list[Job], unknown_radius: int, workers: int
) -> Iterator[tuple[Job, Result | str]]:
    """Measures images in threads; gives each with its result, or the reason why it failed."""

    def measure(job: Job) -> Result | str:
        try:
            return measure_image(job, unknown_radius)
        except (ValueError, OSError) as error:
            return str(error)

    with ThreadPoolExecutor(workers) as pool:
        try:
            results = pool.map(measure, jobs)
            progress = tqdm(results, total=len(jobs), unit="image", disable=None)
            yield from zip(jobs, progress, strict=True)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


if __name__ == "__main__":
    sys.exit(run_script(main))
