"""Matte photographs: a folder of frames and a captured background plate become alpha mattes.

Example: python inference_images.py --images-src photos --images-bgr plate.jpg --output-dir out
"""

import sys
from collections.abc import Callable
from dataclasses import field
from functools import lru_cache
from pathlib import Path
from typing import Annotated

import tyro
from tqdm import tqdm

from matting import Matting, Preprocess
from matting.images.frame import (
    LoadedFrame,
    MattedFrame,
    describe_job,
    load_frame,
    matte_frame,
    write_outputs,
)
from matting.images.plan import Job, plan_jobs
from matting.pictures.target import Target, parse_target
from matting.pipeline import overlap
from matting.plate.prepare import PreprocessMode
from matting.predictor import describe_setup
from matting.quality import Quality
from matting.report import Entry, Report, check_replaceable
from matting.settings import ComputeSettings, ImagesSettings, ModelSettings, OutputSettings
from media.pictures import read_picture
from runtime.files import OnExisting, check_writable
from runtime.interrupts import deferred_interrupts
from runtime.script import run_script
from runtime.settings import parse_settings, settings_group, to_plain, to_yaml


@settings_group()
class Settings:
    """All settings of the script.

    Attributes:
        config: YAML file of settings; the command line wins over it.
        quality: Chooses backbone scale and refined pixels: auto by each picture's size, hd or 4k as
            the paper has them; best as auto, and looks a second time, at a larger, mirrored
            picture, for better mattes in several times the time. --model-backbone-scale and
            --model-refine-sample-pixels win.
        preprocess: auto checks each frame with its plate, says what is wrong with the capture, and
            aligns the plate and matches its exposure where there is need; none does only what the
            next two ask for.
        preprocess_alignment: Align the plate to each frame (for a hand-held camera), whatever the
            check says. Where that is not safe the plate stays as it is, and the report says why.
        preprocess_exposure: Match the plate's exposure and white balance to each frame, whatever
            the check says, on the same terms.
        target_bgr: New background of com and sheet: a colour (green, #00b140), a picture, a folder
            of pictures paired with the frames by relative path and stem, or blur.
        on_existing: Outputs that are there already: skip keeps them and makes only what is
            missing, overwrite replaces them, error stops before anything is done.
        overwrite: The same as --on-existing overwrite, over which it wins.
        print_config: Print the resolved settings as YAML and stop.
    """

    images: ImagesSettings = field(default_factory=ImagesSettings)
    output: OutputSettings = field(default_factory=OutputSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    compute: ComputeSettings = field(default_factory=ComputeSettings)
    quality: Quality = "best"
    preprocess: PreprocessMode = "auto"
    preprocess_alignment: bool = False
    preprocess_exposure: bool = False
    target_bgr: str | None = None
    on_existing: OnExisting = "error"
    overwrite: Annotated[bool, tyro.conf.arg(aliases=["-y"])] = False
    config: Path | None = None
    print_config: bool = False


def main() -> int:
    """Runs the script; returns its exit code: 0 only if all was done."""
    settings = parse_settings(Settings, __doc__, sys.argv[1:])
    if settings.print_config:
        print(to_yaml(settings), end="")
        return 0
    return matte_images(settings)


def matte_images(settings: Settings) -> int:
    """Mattes every frame of the settings; returns the exit code."""
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
    summary = settings.output.dir / "summary.json"
    check_replaceable(summary)
    check_writable(settings.output.dir)

    facts, notes = describe_setup(matting.predictor, settings.model, settings.compute)
    report = Report({**facts, "settings": to_plain(settings)})
    for note in [*plan.notes, *notes]:
        report.notes.append(note)
        print(f"note: {note}")
    report.entries += [Entry(name, "skipped") for name in plan.skipped]
    report.entries += [Entry(name, "failed", reason) for name, reason in plan.failed.items()]

    with deferred_interrupts() as interrupted:
        matte_jobs(plan.jobs, matting, target, settings, report, interrupted)
        report.tell()
        try:
            report.write(summary)
        except OSError as error:
            print(f"error: {summary} can't be written: {error}", file=sys.stderr)
            return 1
    print(f"results are in {settings.output.dir}: {', '.join(settings.output.types)}")
    if report.count("not reached"):
        hint = "" if settings.overwrite else "; --on-existing skip makes what is missing"
        print(f"interrupted{hint}", file=sys.stderr)
        return 130
    return 1 if report.count("failed") else 0


def matte_jobs(
    jobs: list[Job],
    matting: Matting,
    target: Target,
    settings: Settings,
    report: Report,
    should_stop: Callable[[], bool],
) -> None:
    """Reads, mattes and writes all jobs at the same time, and reports each."""
    # A plate or target that serves many frames is decoded once.
    read_shared = lru_cache(maxsize=4)(read_picture)
    preprocess = Preprocess(
        settings.preprocess, settings.preprocess_alignment, settings.preprocess_exposure
    )

    def load(job: Job) -> LoadedFrame:
        return load_frame(job, target, preprocess, read_shared)

    def matte(job: Job, frame: LoadedFrame) -> MattedFrame:
        return matte_frame(frame, matting)

    def write(job: Job, matted: MattedFrame) -> None:
        write_outputs(job, matted, settings.output.bit_depth)

    workers, lanes = settings.compute.num_workers, matting.predictor.lanes
    with tqdm(total=len(jobs), unit="image", disable=None) as progress:
        for job, matted, error in overlap(jobs, load, matte, write, workers, should_stop, lanes):
            entry = describe_job(job, matted, error, settings.output.dir)
            report.entries.append(entry)
            for note in entry.notes:
                progress.write(f"note: {job.name}: {note}")
            progress.update()
    reached = {entry.name for entry in report.entries}
    report.entries += [Entry(job.name, "not reached") for job in jobs if job.name not in reached]


if __name__ == "__main__":
    sys.exit(run_script(main))
