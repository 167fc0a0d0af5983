"""Matte photographs: a folder of frames and a captured background plate become alpha mattes.

Example: python inference_images.py --images-src photos --images-bgr plate.jpg --output-dir out
"""

import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import field
from functools import partial
from pathlib import Path
from typing import Annotated

import tyro
from tqdm import tqdm

from matting import Matting, Preprocess
from matting.images.earlier import compare_runs
from matting.images.frame import ImagesRun
from matting.images.plan import Job, Plan, plan_jobs
from matting.loading import check_output_types, describe_setup
from matting.pictures.target import Target, parse_target
from matting.pipeline import map_ahead
from matting.plate.prepare import PreprocessMode
from matting.quality import Quality
from matting.settings import ComputeSettings, ImagesSettings, ModelSettings, OutputSettings
from matting.summary import RunSummary, SummaryEntry, check_replaceable
from runtime.files import OnExisting, check_writable, explain_failure, remove_leftovers
from runtime.script import deferred_interrupts, run_script
from runtime.settings import parse_settings, settings_group, to_plain, to_yaml
from runtime.wording import hide_folders, visible


@settings_group()
class Settings:
    """All settings of the script."""

    images: ImagesSettings = field(default_factory=ImagesSettings)
    output: OutputSettings = field(default_factory=OutputSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    compute: ComputeSettings = field(default_factory=ComputeSettings)
    quality: Quality = "best"
    """Work per picture. auto chooses backbone scale and refined pixels by the picture's size. best
    adds a second pass on a larger, mirrored picture: better mattes, several times slower. fast
    takes less time than auto for mattes that are less exact. hd and 4k are the paper's presets.
    --model-backbone-scale and --model-refine-sample-pixels override it."""
    preprocess: PreprocessMode = "auto"
    """auto compares each frame with its plate, reports what is wrong with the capture, and aligns
    the plate or matches its exposure where needed. none does only what --preprocess-alignment and
    --preprocess-exposure ask for."""
    preprocess_alignment: bool = False
    """Align the plate to each frame (hand-held camera), whatever the check finds. If that is not
    safe, the plate stays unchanged and the report says why."""
    preprocess_exposure: bool = False
    """Match the plate's exposure and white balance to each frame, whatever the check finds. If that
    is not safe, the plate stays unchanged and the report says why."""
    target_bgr: str | None = None
    """New background of com and sheet: a colour (green, #00b140), a picture, a folder of pictures
    paired with the frames by relative path and stem, or blur (the plate blurred)."""
    on_existing: OnExisting = "error"
    """Outputs that exist: skip keeps them and makes only missing ones; overwrite replaces them;
    error stops before any work."""
    overwrite: Annotated[bool, tyro.conf.arg(aliases=["-y"])] = False
    """Same as --on-existing overwrite, and overrides it."""
    config: Path | None = None
    """YAML file of settings. Flags on the command line override it."""
    print_config: bool = False
    """Print the resolved settings as YAML and exit."""


def main() -> int:
    """Runs the script; returns its exit code: 0 only if everything was done."""
    settings = parse_settings(Settings, __doc__, sys.argv[1:])
    if settings.print_config:
        print(to_yaml(settings), end="")
        return 0
    return matte_images(settings)


def matte_images(settings: Settings) -> int:
    """Mattes every frame of the settings; returns the exit code."""
    target = Target("none")
    if settings.target_bgr is not None:
        target = parse_target(settings.target_bgr)
    plan = plan_jobs(
        settings.images.src,
        settings.images.bgr,
        target,
        settings.output.dir,
        settings.output.types,
        "overwrite" if settings.overwrite else settings.on_existing,
    )
    matting = Matting.from_settings(settings.model, settings.compute, settings.quality)
    check_output_types(matting.predictor, settings.output.types)
    summary = settings.output.dir / "summary.json"
    check_replaceable(summary)
    check_writable(settings.output.dir)
    for folder in {path.parent for job in plan.jobs for path in job.outputs.values()}:
        remove_leftovers(folder)

    facts, notes = describe_setup(matting.predictor, settings.model, settings.compute)
    plain = to_plain(settings)
    kept = [path.relative_to(settings.output.dir).as_posix() for path in plan.kept]
    earlier, earlier_notes = (
        compare_runs(summary, hide_folders(plain, plain), kept) if kept else ([], [])
    )
    report = RunSummary({**facts, "settings": plain, "kept": earlier})
    for note in [*plan.notes, *earlier_notes, *notes]:
        report.notes.append(note)
        print(visible(f"note: {note}"))
    with suppress(OSError):  # the final write reports the error
        report.write(summary, ended=False)
    report.entries += [SummaryEntry(name, "skipped") for name in plan.skipped]
    report.entries += [SummaryEntry(name, "failed", reason) for name, reason in plan.failed.items()]

    preprocess = Preprocess(
        settings.preprocess, settings.preprocess_alignment, settings.preprocess_exposure
    )
    with deferred_interrupts() as interrupted:
        output = settings.output
        run = ImagesRun(matting, target, preprocess, output.bit_depth, output.dir, interrupted)
        report.entries += matte_jobs(plan.jobs, run, settings.compute.num_workers)
        report.tell()
        try:
            report.write(summary)
        except OSError as error:
            text = f"{summary} can't be written: {explain_failure(error)}"
            print(visible(f"error: {text}"), file=sys.stderr)
            return 1
    tell_results(settings, report, plan)
    if report.count("not reached"):
        hint = "" if settings.overwrite else "; --on-existing skip makes only missing outputs"
        print(f"interrupted{hint}", file=sys.stderr)
        return 130
    return 1 if report.count("failed") else 0


def tell_results(settings: Settings, report: RunSummary, plan: Plan) -> None:
    """Prints where the results are and which types were written."""
    there = {kind for entry in report.entries for kind in entry.outputs} | set(plan.kept.values())
    if types := [kind for kind in dict.fromkeys(settings.output.types) if kind in there]:
        print(visible(f"results are in {settings.output.dir}: {', '.join(types)}"))


def matte_jobs(jobs: list[Job], run: ImagesRun, workers: int) -> Iterator[SummaryEntry]:
    """Mattes all jobs, several at a time; shows progress and notes, and yields each result.

    While one or two frames are computed, each worker reads one and writes one.
    """
    lanes = run.matting.predictor.lanes
    threads = 2 * workers + lanes
    ahead = partial(map_ahead, workers=threads, lanes=lanes, waits=False)
    done = ahead(run, jobs) if workers else map(run, jobs)
    with tqdm(total=len(jobs), unit="image", disable=None) as progress:
        for job, entry in zip(jobs, done, strict=True):
            for note in entry.notes if entry else ():
                progress.write(visible(f"note: {job.name}: {note}"))
            progress.update()
            yield entry or SummaryEntry(job.name, "not reached")


if __name__ == "__main__":
    sys.exit(run_script(main))
