"""Matte photographs: a folder of frames and a captured background plate become alpha mattes.

Example: python inference_images.py --images-src photos --images-bgr plate.jpg --output-dir out
"""

import sys
from collections.abc import Iterator

from matting import Matting
from matting.images.frame import ImagesRun
from matting.images.plan import Job, Plan, plan_jobs
from matting.images.report import Report, check_place
from matting.images.settings import Settings
from matting.loading import check_output_types, describe_setup
from matting.pipeline import map_ahead
from matting.summary import SummaryEntry
from runtime.script import deferred_interrupts, run_script
from runtime.settings import parse_settings, to_yaml


def main() -> int:
    """Runs the script; returns its exit code: 0 only if everything was done."""
    settings = parse_settings(Settings, __doc__, sys.argv[1:])
    if settings.print_config:
        print(to_yaml(settings), end="")
        return 0
    return matte_images(settings)


def matte_images(settings: Settings) -> int:
    """Mattes every frame of the settings; returns the exit code."""
    images, output, target = settings.images, settings.output, settings.find_target()
    existing, shard = settings.existing, settings.find_shard()
    plan = plan_jobs(images.src, images.bgr, target, output.dir, output.types, existing, shard)
    matting = Matting.from_settings(settings.model, settings.compute, settings.quality)
    check_output_types(matting.predictor, output.types)
    check_place(settings)
    setup = describe_setup(matting.predictor, settings.model, settings.compute, settings.quality)
    report = Report(settings, plan, *setup)
    with deferred_interrupts() as interrupted:
        run = ImagesRun(matting, target, settings.plates, output.bit_depth, output.dir, interrupted)
        report.follow(matte_jobs(plan, run, settings.compute.num_workers))
        return report.end()


def matte_jobs(plan: Plan, run: ImagesRun, workers: int) -> Iterator[tuple[SummaryEntry, bool]]:
    """Mattes all jobs, several at a time, and yields all results, and whether each is of a job.

    While one or two frames are computed, each worker reads one and writes one.
    """

    def work(item: Job | SummaryEntry) -> tuple[SummaryEntry, bool]:
        if isinstance(item, SummaryEntry):
            return item, False
        return run(item) or SummaryEntry(item.name, "not reached"), True

    lanes = run.matting.predictor.lanes
    threads = 2 * workers + lanes if workers else 0
    return map_ahead(work, plan, threads, lanes=lanes, waits=False)


if __name__ == "__main__":
    sys.exit(run_script(main))
