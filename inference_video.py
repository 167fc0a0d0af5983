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
from tqdm import tqdm

from matting.predictor import choose_budget, describe_setup, load_predictor
from matting.quality import Quality
from matting.report import Report, check_replaceable
from matting.settings import ComputeSettings, ModelSettings
from matting.video.account import (
    describe_run,
    describe_source,
    describe_speed,
    describe_steadiness,
    refuse_other_run,
    tell_speed,
)
from matting.video.encoding import RECIPES
from matting.video.exposing import ExposureTracker
from matting.video.open import PIPE, open_source
from matting.video.outputs import Outputs, Paths, plan_paths, refuse_existing, refuse_inputs
from matting.video.plate import CapturedPlate, PlateFeed, open_plate
from matting.video.session import Session
from matting.video.settings import EncodingSettings, VideoOutputSettings, VideoSettings
from matting.video.smoothing import AlphaSmoother
from matting.video.target import TargetFeed, TargetSettings
from matting.video.tracking import PlateTracker
from media.frames import VideoInfo, VideoSource
from runtime.files import check_writable
from runtime.interrupts import deferred_interrupts
from runtime.script import run_script
from runtime.settings import parse_settings, settings_group, to_plain, to_yaml

# Behind com where its format has no alpha and no new background is named: the authors' green.
GREEN = "rgb(120,255,155)"


@settings_group()
class Settings:
    """All settings of the script.

    Attributes:
        config: YAML file of settings; the command line wins over it.
        quality: Chooses backbone scale and refined pixels: auto by the frames' size, hd or 4k as
            the paper has them; best looks a second time, at a larger, mirrored picture, for better
            mattes in several times the time. --model-backbone-scale and
            --model-refine-sample-pixels win.
        bgr_from_frame: Number of the frame, from 0, in which the subject is away: it is the plate,
            instead of --video-bgr.
        bgr_median_frames: Frames that the plate is the median of with --video-bgr median.
        preprocess_alignment: Align the plate to every frame (for a hand-held camera), steadily.
        preprocess_exposure: Match the plate's exposure and white balance to every frame (for an
            automatic camera), steadily.
        temporal_smoothing: Smooth alpha over time where the picture stands still: 0 not at all, up
            to 0.95.
        resume: Continue image sequences: frames whose outputs are all there are left out.
        overwrite: Replace outputs that are there.
        print_config: Print the resolved settings as YAML and stop.
    """

    video: VideoSettings = field(default_factory=VideoSettings)
    output: VideoOutputSettings = field(default_factory=VideoOutputSettings)
    encoding: EncodingSettings = field(default_factory=EncodingSettings)
    target: TargetSettings = field(default_factory=TargetSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    compute: ComputeSettings = field(default_factory=ComputeSettings)
    quality: Quality = "auto"
    bgr_from_frame: int | None = None
    bgr_median_frames: int = 60
    preprocess_alignment: bool = False
    preprocess_exposure: bool = False
    temporal_smoothing: float = 0.0
    resume: bool = False
    overwrite: Annotated[bool, tyro.conf.arg(aliases=["-y"])] = False
    config: Path | None = None
    print_config: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.temporal_smoothing <= 0.95:
            raise ValueError(
                f"temporal_smoothing must lie in [0, 0.95], got {self.temporal_smoothing}"
            )
        if self.bgr_from_frame is not None and self.bgr_from_frame < 0:
            raise ValueError(f"bgr_from_frame must be 0 or more, got {self.bgr_from_frame}")
        if self.bgr_median_frames < 5:
            raise ValueError(f"bgr_median_frames must be 5 or more, got {self.bgr_median_frames}")


def main() -> int:
    """Runs the script; returns its exit code: 0 only if all was done."""
    settings = parse_settings(Settings, __doc__, sys.argv[1:])
    if settings.print_config:
        print(to_yaml(settings), end="")
        return 0
    return matte_video(settings)


def matte_video(settings: Settings) -> int:
    """Mattes the video of the settings; returns the exit code."""
    paths = plan_paths(settings.output, settings.encoding)
    summary = settings.output.dir / "summary.json"
    check_outputs(settings, paths, summary)
    with closing(open_source(settings.video, settings.encoding.audio)) as source:
        targets, target_notes = open_targets(settings)
        plate, plate_notes = open_captured_plate(settings)
        predictor = load_predictor(settings.model, settings.compute)
        check_writable(settings.output.dir)
        facts, setup_notes = describe_setup(predictor, settings.model, settings.compute)
        read = describe_source(source.info)
        report = Report({**facts, "source": read, "settings": to_plain(settings)})
        report.notes += [*source.info.notes, *target_notes, *plate_notes, *setup_notes]
        for note in report.notes:
            print(f"note: {note}")

        info = resized(source.info, settings.video.resize)
        smoothing = settings.temporal_smoothing
        smoother = AlphaSmoother(smoothing) if smoothing else None
        plates = PlateFeed(
            plate,
            PlateTracker() if settings.preprocess_alignment else None,
            ExposureTracker() if settings.preprocess_exposure else None,
        )
        with deferred_interrupts() as interrupted:
            outputs = Outputs(paths, info, settings.output, settings.encoding, targets.transparent)
            session = Session(
                source,
                plates,
                targets,
                predictor,
                choose_budget(info.height, info.width, settings.quality, settings.model),
                smoother,
                outputs,
                (info.height, info.width) if settings.video.resize else None,
                settings.resume,
            )
            speed = run_session(session, outputs, source, settings, interrupted)
            name = str(settings.video.src)
            entry = describe_run(name, session.progress, outputs, settings.output.dir)
            entry.details |= {"speed": speed, **describe_steadiness(smoother, plates)}
            entry.notes += [*source.notes, *plates.notes]
            report.entries.append(entry)
            return conclude(report, summary, settings)


def check_outputs(settings: Settings, paths: Paths, summary: Path) -> None:
    """Refuses what would replace something that it should not; nothing has been written yet."""
    if settings.resume and settings.output.format == "video":
        raise ValueError(
            "--resume continues pictures, not videos; add --output-format image_sequences"
        )
    named = (settings.video.src, settings.video.bgr, settings.video.target_bgr)
    refuse_inputs(paths, [Path(name) for name in named if name is not None])
    refuse_existing(paths, settings.resume, settings.overwrite)
    check_replaceable(summary)
    if settings.resume:
        refuse_other_run(summary, to_plain(settings))


def open_targets(settings: Settings) -> tuple[TargetFeed, list[str]]:
    """Opens the new background; green where the format of `com` has no alpha, and a note then."""
    text, output = settings.video.target_bgr, settings.output
    if output.format == "video":
        opaque = RECIPES[settings.encoding.codec].alpha_format is None
    else:
        opaque = output.picture_format == "jpeg"
    notes = []
    if text is None and opaque and "com" in output.types:
        text = GREEN
        notes.append(
            "com stands over green, as its format has no transparency: name a new background with "
            "--video-target-bgr, or use --codec prores or vp9, or PNG image sequences"
        )
    return TargetFeed(text, settings.target), notes


def open_captured_plate(settings: Settings) -> tuple[CapturedPlate, list[str]]:
    """Opens the plate; see `open_plate`."""
    reopen = None if settings.video.src == PIPE else partial(open_source, settings.video)
    return open_plate(
        settings.video.bgr, settings.bgr_from_frame, settings.bgr_median_frames, reopen
    )


def resized(info: VideoInfo, size: tuple[int, int] | None) -> VideoInfo:
    """The facts of the frames as they are matted."""
    if size is None:
        return info
    return replace(info, width=size[0], height=size[1], pixel_aspect=Fraction(1))


def run_session(
    session: Session,
    outputs: Outputs,
    source: VideoSource,
    settings: Settings,
    interrupted: Callable[[], bool],
) -> dict[str, Any]:
    """Mattes all frames and ends the outputs, whole or not; returns how fast it was."""
    start, progress = perf_counter(), session.progress
    claimed = source.info.duration
    # A guess for the time left; the source alone knows when it ends.
    total = round(claimed * source.info.rate) if claimed else None
    try:
        with tqdm(total=total, unit="frame", disable=None) as bar:
            session.run(bar.update, interrupted, settings.compute.num_workers)
        if progress.complete:
            try:
                outputs.finish(source.take_audio())
            except (ValueError, OSError) as error:
                progress.error = error
    finally:
        outputs.abandon()  # what is finished stays
    return describe_speed(progress, perf_counter() - start)


def conclude(report: Report, summary: Path, settings: Settings) -> int:
    """Tells what came out and writes the summary; returns the exit code."""
    entry = report.entries[0]
    print(tell_speed(entry.details))
    for note in entry.notes:
        print(f"note: {note}")
    try:
        report.write(summary)
    except OSError as error:
        print(f"error: {summary} can't be written: {error}", file=sys.stderr)
        return 1
    files = ", ".join(entry.outputs.values()) or "nothing"
    if entry.status == "done":
        print(f"results are in {settings.output.dir}: {files}")
        return 0
    if entry.status == "failed":
        print(f"failed: {entry.name}: {entry.reason}", file=sys.stderr)
    else:
        print("interrupted", file=sys.stderr)
    hint = "; --resume continues" if settings.output.format == "image_sequences" else ""
    print(f"unfinished in {settings.output.dir}: {files}{hint}", file=sys.stderr)
    return 1 if entry.status == "failed" else 130


if __name__ == "__main__":
    sys.exit(run_script(main))
