"""Matte a video: a clip and a captured background plate become alpha, or a new background.

Example: python inference_video.py --video-src clip.mp4 --video-bgr plate.jpg --output-dir out
"""

import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import field, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import tyro
from pydantic import Field
from tqdm import tqdm

from matting.loading import check_output_types, describe_setup, load_predictor
from matting.plate.prepare import Preprocess, PreprocessMode
from matting.quality import Quality
from matting.settings import ComputeSettings, ModelSettings
from matting.shards import WHOLE, Shard, describe_part, parse_shard
from matting.summary import RunSummary, SummaryEntry, check_replaceable
from matting.video.folders import Clip, holds_clips, list_clips, matte_clips, refuse_made
from matting.video.open import is_pipe, open_source
from matting.video.outputs import Paths, VideoOutputs, plan_paths, refuse_existing, refuse_inputs
from matting.video.parts import check_part, choose_frames, describe_frames, name_part
from matting.video.plate import open_plate
from matting.video.remote import local_files
from matting.video.report import (
    begin_summary,
    describe_run,
    describe_source,
    format_work,
    read_inputs,
    read_run,
    refuse_other_run,
)
from matting.video.run import VideoRun
from matting.video.settings import EncodingSettings, VideoOutputSettings, VideoSettings
from matting.video.smoothing import MAX_SMOOTHING
from matting.video.stream import FrameMatter
from matting.video.target import TargetSettings, open_target
from runtime.files import check_writable, explain_failure
from runtime.script import deferred_interrupts, run_script
from runtime.settings import parse_settings, settings_group, to_plain, to_yaml
from runtime.wording import hide_folders, visible


@settings_group()
class Settings:
    """All settings of the script."""

    video: VideoSettings = field(default_factory=VideoSettings)
    output: VideoOutputSettings = field(default_factory=VideoOutputSettings)
    encoding: EncodingSettings = field(default_factory=EncodingSettings)
    target: TargetSettings = field(default_factory=TargetSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    compute: ComputeSettings = field(default_factory=ComputeSettings)
    quality: Quality = "auto"
    """Work per frame. auto chooses backbone scale and refined pixels by the frames' size. fast
    takes less time for mattes that are less exact. best adds a second pass on a larger,
    mirrored picture: better mattes, several times slower. hd and 4k are the paper's presets.
    --model-backbone-scale and --model-refine-sample-pixels override it."""
    bgr_from_frame: Annotated[int, Field(ge=0)] | None = None
    """Use this frame of the source as the plate, instead of --video-bgr: its number, from 0. The
    subject must be absent from it."""
    bgr_median_frames: Annotated[int, Field(ge=5)] = 60
    """Number of frames whose median is the plate with --video-bgr median."""
    preprocess: PreprocessMode = "auto"
    """auto compares the plate with the first frames and some later ones, reports what is wrong with
    the capture, and aligns it or matches its exposure where needed. none does only what
    --preprocess-alignment and --preprocess-exposure ask for."""
    preprocess_alignment: bool = False
    """Align the plate to every frame (hand-held camera), without jitter."""
    preprocess_exposure: bool = False
    """Match the plate's exposure and white balance to every frame (automatic camera), without
    flicker."""
    temporal_smoothing: Annotated[float, Field(ge=0, le=MAX_SMOOTHING)] = 0.0
    """Smooth alpha over time where the picture is still: 0 is off, 0.95 the maximum."""
    keep_attached: bool = False
    """Empty islands of alpha that never touch a subject, which is tracked over time: patches of
    light, dust. Small things that leave the subject go too."""
    resume: bool = False
    """Continue image sequences: frames whose outputs all exist are not written again. In a folder
    of clips, those that are finished are not matted again."""
    overwrite: Annotated[bool, tyro.conf.arg(aliases=["-y"])] = False
    """Replace existing outputs."""
    shard: str | None = None
    """I/N: matte part I, from 0 to N - 1, of N parts. A part of a folder of clips is chosen by a
    hash of their names; a part of a folder of numbered pictures is a range. Each part writes its
    own summary-I-of-N.json; `matting merge-summaries` adds them up."""
    config: Path | None = None
    """YAML file of settings. Flags on the command line override it."""
    print_config: bool = False
    """Print the resolved settings as YAML and exit."""

    @property
    def plate_is_free(self) -> bool:
        """Whether the plate of a frame does not depend on the frames before."""
        tracked = self.preprocess_alignment or self.preprocess_exposure
        return self.preprocess == "none" and not tracked


def main() -> int:
    """Runs the script; returns its exit code: 0 only if everything was done."""
    settings = parse_settings(Settings, __doc__, sys.argv[1:])
    if settings.print_config:
        print(to_yaml(settings), end="")
        return 0
    with local_files(settings) as files:
        return files.store(matte_video(files.settings))


def matte_video(settings: Settings) -> int:
    """Mattes the video of the settings, or each clip of a folder; returns the exit code."""
    shard = parse_shard(settings.shard)
    if holds_clips(settings.video.src):
        return matte_folder(settings, shard)
    return matte_clip(settings, shard)


def matte_folder(settings: Settings, shard: Shard) -> int:
    """Mattes each clip of a folder, or of a part of it; returns the exit code."""
    output = settings.output
    clips = list_clips(settings.video.src, settings.video.bgr, output.dir)
    facts = describe_part(shard, [clip.name for clip in clips])
    clips = [clip for clip in clips if shard.holds(clip.name)]
    if not (settings.resume or settings.overwrite):
        refuse_made(clips)
    summary = output.dir / shard.summary
    check_replaceable(summary)
    check_writable(output.dir)
    report = RunSummary({"settings": to_plain(settings), **facts})
    report.write(summary, ended=False)

    def settings_of(clip: Clip) -> Settings:
        video = replace(settings.video, src=clip.src, bgr=clip.bgr)
        place = replace(output, dir=clip.folder)
        return replace(settings, video=video, output=place, shard=None)

    for entry in matte_clips(clips, settings_of, lambda own: matte_clip(own, WHOLE)):
        report.entries.append(entry)
    report.write(summary)
    print(report.describe_counts())
    report.tell_failures()
    if report.count("not reached"):
        print("interrupted; with outputs on this machine, --resume continues", file=sys.stderr)
        return 130
    return 1 if report.count("failed") else 0


def matte_clip(settings: Settings, shard: Shard) -> int:
    """Mattes a clip, or a range of the frames of a picture sequence; returns the exit code."""
    video, output, encoding = settings.video, settings.output, settings.encoding
    paths, summary = plan_paths(output, encoding), output.dir / shard.summary
    before = check_outputs(settings, paths, shard)
    with closing(open_source(video, encoding.audio)) as source:
        span = choose_frames(
            source, shard, paths, settings.resume or settings.overwrite, settings.plate_is_free
        )
        name, part = name_part(video.src, span), describe_frames(source, shard)
        info, size = source.info, None
        if video.resize is not None:
            width, height = video.resize
            size = height, width
            info = replace(info, width=width, height=height, pixel_aspect=Fraction(1))
        targets, target_notes = open_target(
            video.target_bgr, settings.target, output, encoding, info.pixel_aspect
        )
        reopen = None if is_pipe(video.src) else partial(open_source, video)
        frame, count = settings.bgr_from_frame, settings.bgr_median_frames
        plate_at, plate_notes = open_plate(video.bgr, frame, count, reopen, info)
        predictor = load_predictor(settings.model, settings.compute)
        check_output_types(predictor, output.types)
        check_writable(output.dir)
        facts, setup_notes = describe_setup(
            predictor, settings.model, settings.compute, settings.quality
        )
        read = describe_source(source.info)
        report = RunSummary(
            {**facts, "source": read, "settings": to_plain(settings), **before, **part}
        )
        report.notes += [*source.info.notes, *target_notes, *plate_notes, *setup_notes]
        for note in report.notes:
            print(visible(f"note: {note}"))

        work = settings.model.work
        budget = predictor.choose_budget(info.height, info.width, settings.quality, **work)
        preprocess = Preprocess(
            settings.preprocess, settings.preprocess_alignment, settings.preprocess_exposure
        )
        smoothing, keep_attached = settings.temporal_smoothing, settings.keep_attached
        matter = FrameMatter(predictor, budget, preprocess, smoothing, keep_attached)
        with deferred_interrupts() as interrupted:
            since, shared = begin_summary(report, name, summary), span is not None
            outputs = VideoOutputs(
                paths, info, output, encoding, targets.transparent, since, shared
            )
            run = VideoRun(source, plate_at, targets, matter, outputs, size, settings.resume, span)
            seconds = make_outputs(run, interrupted, settings.compute.num_workers)
            entry = describe_run(name, run, seconds, output.dir)
            print(format_work(entry.details))
            entry.notes += source.notes
            for note in entry.notes:
                print(visible(f"note: {note}"))
            entry.notes += run.progress.notes
            report.entries = [entry]
            return conclude(report, entry, summary, output)


def check_outputs(settings: Settings, paths: Paths, shard: Shard) -> dict[str, Any]:
    """Refuses to replace existing outputs without permission, before anything is written.

    Returns the settings and inputs of the run, which a run that continues it must share.
    """
    if settings.resume and settings.output.format == "video":
        raise ValueError(
            "--resume continues pictures, not videos; add --output-format image_sequences"
        )
    video = settings.video
    flags = {"--video-src": video.src, "--video-bgr": video.bgr}
    flags |= {"--video-target-bgr": video.target_bgr}
    named = {flag: Path(name) for flag, name in flags.items() if name is not None}
    refuse_inputs(paths, list(named.values()))
    if shard.count > 1:
        remembers = settings.temporal_smoothing > 0 or settings.keep_attached
        check_part(video.src, settings.output.format, remembers)
        paths = {}  # other parts write to these folders, too
    refuse_existing(paths, settings.resume, settings.overwrite)
    summary = settings.output.dir / shard.summary
    check_replaceable(summary)
    if settings.output.format == "video":
        return {}
    inputs = read_inputs({**named, "--model-checkpoint": settings.model.checkpoint})
    if not settings.resume:
        return {"inputs": inputs}
    run = read_run(summary, paths)
    plain = to_plain(settings)
    refuse_other_run(summary, run, hide_folders(plain, plain), inputs)  # as a summary has them
    since = run.get("since_ns")
    return {"inputs": inputs, **({"since_ns": since} if isinstance(since, int) else {})}


def make_outputs(run: VideoRun, interrupted: Callable[[], bool], workers: int) -> float:
    """Mattes all frames and closes the outputs, complete or not; returns the seconds taken."""
    start, claimed = perf_counter(), run.source.info.duration
    # An estimate for the time left; only the source knows its end.
    total = round(claimed * run.source.info.rate) if claimed else None
    try:
        with tqdm(total=total, unit="frame", disable=None) as bar:
            run.run(
                bar.update, lambda note: bar.write(visible(f"note: {note}")), interrupted, workers
            )
        if run.progress.ended and run.progress.error is None:
            try:
                run.outputs.finish(run.source.take_audio())
            except (ValueError, OSError) as error:
                run.progress.error = error
    finally:
        run.outputs.abandon()  # what is finished stays
    return perf_counter() - start


def conclude(
    report: RunSummary, entry: SummaryEntry, summary: Path, output: VideoOutputSettings
) -> int:
    """Writes the summary and prints where the results are; returns the exit code."""
    failed = entry.status == "failed"
    if entry.status != "done":
        why = f"failed: {entry.name}: {entry.reason}" if failed else "interrupted"
        print(visible(why), file=sys.stderr)
    try:
        report.write(summary)
    except OSError as error:
        print(f"error: {summary} can't be written: {explain_failure(error)}", file=sys.stderr)
        return 1
    files = ", ".join(entry.outputs.values()) or "nothing"
    if entry.status == "done":
        print(visible(f"results are in {output.dir}: {files}"))
        return 0
    hint = "; --resume continues" if output.format == "image_sequences" else ""
    print(visible(f"unfinished in {output.dir}: {files}{hint}"), file=sys.stderr)
    return 1 if failed else 130


if __name__ == "__main__":
    sys.exit(run_script(main))
