"""Matte photographs: a folder of frames and a captured background plate become alpha mattes.

Example: python inference_images.py --images-src photos --images-bgr plate.jpg --output-dir out
"""

import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any

import tyro
from tqdm import tqdm

from matting import Matting, Preprocess
from matting.images.earlier import compare_runs
from matting.images.frame import ImagesRun
from matting.images.plan import Job, Plan, plan_jobs
from matting.loading import check_output_types, describe_setup
from matting.pictures.target import Target, find_target
from matting.pipeline import map_ahead
from matting.plate.prepare import PreprocessMode
from matting.quality import Quality
from matting.settings import ComputeSettings, ImagesSettings, ModelSettings, OutputSettings
from matting.shards import Shard, parse_shard
from matting.summary import RunSummary, Spool, SummaryEntry, check_replaceable
from runtime.files import OnExisting, check_writable, explain_failure, remove_leftovers
from runtime.script import deferred_interrupts, run_script
from runtime.settings import parse_settings, settings_group, to_plain, to_yaml
from runtime.wording import hide_folders, visible
from storage.errors import StorageError
from storage.location import name_below


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
    paired with the frames by relative path and stem (or their URL), or blur (the plate blurred)."""
    on_existing: OnExisting = "error"
    """Outputs that exist: skip keeps them and makes only missing ones; overwrite replaces them;
    error stops before any work."""
    overwrite: Annotated[bool, tyro.conf.arg(aliases=["-y"])] = False
    """Same as --on-existing overwrite, and overrides it."""
    shard: str | None = None
    """I/N: matte part I, from 0 to N - 1, of N parts of the frames, chosen by a hash of their names
    below --images-src. Each part writes its own summary-I-of-N.json; `matting merge-summaries` adds
    them up."""
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
        target = find_target(settings.target_bgr)
    shard = parse_shard(settings.shard)
    plan = plan_jobs(
        settings.images.src,
        settings.images.bgr,
        target,
        settings.output.dir,
        settings.output.types,
        "overwrite" if settings.overwrite else settings.on_existing,
        shard,
    )
    matting = Matting.from_settings(settings.model, settings.compute, settings.quality)
    check_output_types(matting.predictor, settings.output.types)
    summary = settings.output.dir / shard.summary
    check_replaceable(summary)
    if isinstance(settings.output.dir, Path):  # a store is tried by the first summary
        check_writable(settings.output.dir)
    for folder in plan.list_folders():
        remove_leftovers(folder)

    report = begin_report(settings, matting, plan, shard)
    with suppress(OSError):  # the final write reports the error
        report.write(summary, ended=False)

    preprocess = Preprocess(
        settings.preprocess, settings.preprocess_alignment, settings.preprocess_exposure
    )
    with deferred_interrupts() as interrupted:
        output = settings.output
        run = ImagesRun(matting, target, preprocess, output.bit_depth, output.dir, interrupted)
        made: set[str] = set()
        for entry in matte_jobs(plan, run, settings.compute.num_workers):
            report.entries.append(entry)
            made.update(entry.outputs)
        report.tell()
        try:
            report.write(summary)
        except (OSError, StorageError) as error:
            text = f"{summary} can't be written: {explain_failure(error)}"
            print(visible(f"error: {text}"), file=sys.stderr)
            return 1
    tell_results(settings, made, plan)
    if report.count("not reached"):
        hint = "" if settings.overwrite else "; --on-existing skip makes only missing outputs"
        print(f"interrupted{hint}", file=sys.stderr)
        return 130
    return 1 if report.count("failed") else 0


def begin_report(settings: Settings, matting: Matting, plan: Plan, shard: Shard) -> RunSummary:
    """Makes the report of a run, with what is known before the work, and prints its notes."""
    folder, plain = settings.output.dir, to_plain(settings)
    setup, notes = describe_setup(
        matting.predictor, settings.model, settings.compute, settings.quality
    )
    kept = ((name, name_below(path, folder)) for name, _, path in plan.list_kept())
    earlier, earlier_notes = compare_runs(folder, shard, hide_folders(plain, plain), kept)
    facts: dict[str, Any] = {**setup, "settings": plain, "kept": earlier}
    if plan.shard:
        facts["shard"] = plan.shard
    report = RunSummary(facts, Spool())
    for note in [*plan.notes, *earlier_notes, *notes]:
        report.notes.append(note)
        print(visible(f"note: {note}"))
    return report


def tell_results(settings: Settings, made: set[str], plan: Plan) -> None:
    """Prints where the results are and which types were written."""
    there = made | {kind for _, kind, _ in plan.list_kept()}
    if types := [kind for kind in dict.fromkeys(settings.output.types) if kind in there]:
        print(visible(f"results are in {settings.output.dir}: {', '.join(types)}"))


def matte_jobs(plan: Plan, run: ImagesRun, workers: int) -> Iterator[SummaryEntry]:
    """Mattes all jobs, several at a time; shows progress and notes, and yields all results.

    While one or two frames are computed, each worker reads one and writes one.
    """

    def work(item: Job | SummaryEntry) -> tuple[SummaryEntry, bool]:
        if isinstance(item, SummaryEntry):
            return item, False
        return run(item) or SummaryEntry(item.name, "not reached"), True

    lanes = run.matting.predictor.lanes
    threads = 2 * workers + lanes if workers else 0
    done = map_ahead(work, plan, threads, lanes=lanes, waits=False)
    with tqdm(total=plan.count_jobs(), unit="image", disable=None) as progress:
        for entry, is_job in done:
            for note in entry.notes:
                progress.write(visible(f"note: {entry.name}: {note}"))
            progress.update(is_job)
            yield entry


if __name__ == "__main__":
    sys.exit(run_script(main))
