"""Matte a live camera over its own plate: preview, recording, virtual camera.

Example: python inference_webcam.py --targets beach.jpg blur none --record talk.mp4
"""

import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import field
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from matting.predictor import choose_budget, describe_setup, load_predictor
from matting.quality import Quality
from matting.report import Report, check_replaceable
from matting.settings import ComputeSettings, ModelSettings
from matting.video.outputs import refuse_inputs
from matting.video.target import TargetSettings
from matting.webcam.backgrounds import Backgrounds
from matting.webcam.camera import RealClock, open_camera
from matting.webcam.capture import Capture
from matting.webcam.controls import Controls
from matting.webcam.driver import DriverCamera
from matting.webcam.journal import Journal, describe_camera, tell_speed, tell_start
from matting.webcam.keys import Keys, ScriptedKeys, TerminalKeys, can_type
from matting.webcam.live import Live
from matting.webcam.outputs import Outputs
from matting.webcam.settings import CameraSettings, Mirror, PlateSettings, Preview, RecordSettings
from matting.webcam.window import TkWindow, open_window
from media.pictures import read_picture
from runtime.files import check_writable
from runtime.interrupts import deferred_interrupts
from runtime.script import run_script
from runtime.settings import parse_settings, settings_group, to_plain, to_yaml


@settings_group()
class Settings:
    """All settings of the script.

    Attributes:
        config: YAML file of settings; the command line wins over it.
        camera: Number of the camera (0 is the first), device, address, or a clip that stands in for
            one.
        plate: Picture of the scene without the subject, instead of taking one with the camera.
        targets: New backgrounds to switch between: colours (green, #00b140), pictures, videos,
            blur, none (a checkerboard; snapshots are transparent).
        mirror: What is mirrored: the preview, as one sees oneself; all, outputs too; or none.
        preview: Show a window: yes, no, or auto, which does without where there is no screen.
        record: File to record into: .mp4, .mov or .webm.
        virtual_camera: Send the pictures to a virtual camera of this name; auto takes the first.
        output_dir: Folder for plates, snapshots and summary.json.
        keys: Keys to press by themselves, as 2.5:t for t after 2.5 seconds.
        quality: Chooses backbone scale and refined pixels: auto by the pictures' size, hd or 4k as
            the paper has them; best looks a second time, at a larger, mirrored picture, for better
            mattes in several times the time. --model-backbone-scale and
            --model-refine-sample-pixels win.
        overwrite: Replace a recording that is there.
        print_config: Print the resolved settings as YAML and stop.
    """

    camera: str = "0"
    plate: Path | None = None
    targets: tuple[str, ...] = ("green", "blur", "none")
    mirror: Mirror = "preview"
    preview: Preview = "auto"
    record: Path | None = None
    virtual_camera: str | None = None
    output_dir: Path = Path("webcam")
    keys: tuple[str, ...] = ()
    opening: CameraSettings = field(default_factory=CameraSettings)
    taking: PlateSettings = field(default_factory=PlateSettings)
    recording: RecordSettings = field(default_factory=RecordSettings)
    target: TargetSettings = field(default_factory=TargetSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    compute: ComputeSettings = field(default_factory=ComputeSettings)
    quality: Quality = "auto"
    overwrite: Annotated[bool, tyro.conf.arg(aliases=["-y"])] = False
    config: Path | None = None
    print_config: bool = False


def main() -> int:
    """Runs the script; returns its exit code: 0 only if all went well until the user ended it."""
    settings = parse_settings(Settings, __doc__, sys.argv[1:])
    if settings.print_config:
        print(to_yaml(settings), end="")
        return 0
    return matte_camera(settings)


def matte_camera(settings: Settings) -> int:
    """Mattes the camera of the settings; returns the exit code."""
    summary = settings.output_dir / "summary.json"
    check_outputs(settings, summary)
    scripted = ScriptedKeys(settings.keys)
    backgrounds = Backgrounds(settings.targets, settings.target)
    bgr = None if settings.plate is None else read_picture(settings.plate).pixels
    others = settings.record is not None or settings.virtual_camera is not None
    window, window_notes = open_window(settings.preview, others)
    predictor = load_predictor(settings.model, settings.compute)
    check_writable(settings.output_dir)
    clock = RealClock()
    camera = open_camera(settings.camera, settings.opening, clock, DriverCamera)
    with closing(Capture(camera)) as capture:
        outputs = Outputs(
            settings.record, settings.recording, settings.virtual_camera, capture.facts
        )
        facts, setup_notes = describe_setup(predictor, settings.model, settings.compute)
        report = Report(
            {**facts, "camera": describe_camera(capture.facts), "settings": to_plain(settings)}
        )
        journal = Journal(settings.output_dir, settings.taking.save)
        for note in (*window_notes, *setup_notes, *capture.facts.notes, *outputs.notes):
            journal.note(note)

        keys, where = choose_keys(scripted, window)
        tell_start(capture.facts, settings.targets, where)
        controls = Controls(keys, backgrounds, settings.mirror)
        size = capture.facts.height, capture.facts.width
        budget = choose_budget(*size, settings.quality, settings.model)
        with deferred_interrupts() as interrupted:
            live = Live(
                *(capture, predictor, budget, controls, outputs),
                *(window, journal, settings.taking, settings.opening.lock, clock),
            )
            run_live(live, bgr, outputs, journal, interrupted)
            if window is not None:
                window.close()
            capture.close()
            speed = {"captured": capture.captured, "dropped": capture.dropped}
            entry = journal.entry(settings.camera, live.meter.describe() | speed, outputs.recorder)
            report.entries.append(entry)
            report.notes += journal.notes
            return conclude(report, summary)


def check_outputs(settings: Settings, summary: Path) -> None:
    """Refuses what would replace something that it should not; nothing has been written yet."""
    check_replaceable(summary)
    if settings.record is None:
        return
    settings.recording.encoding(settings.record)
    named = (settings.camera, settings.plate, *settings.targets)
    refuse_inputs({"com": settings.record}, [Path(name) for name in named if name is not None])
    if settings.record.exists() and not settings.overwrite:
        raise ValueError(f"--record {settings.record} exists already; use -y to replace it")


def choose_keys(scripted: Keys, window: TkWindow | None) -> tuple[list[Keys], str]:
    """Hears the window's keys, or those of the terminal where there is no window.

    Returns:
        Where keys come from, and where to type them.
    """
    if window is not None:
        return [window, scripted], "in the window"
    if can_type():
        return [TerminalKeys(), scripted], "here, then Enter"
    return [scripted], "only --keys; Ctrl-C ends"


def run_live(
    live: Live,
    bgr: np.ndarray | None,
    outputs: Outputs,
    journal: Journal,
    interrupted: Callable[[], bool],
) -> None:
    """Runs until somebody or something ends it, and ends the outputs whatever that was."""
    if bgr is not None:
        live.use_plate(bgr)
    try:
        live.run(interrupted)
    except (ValueError, OSError) as error:
        journal.failures.append(str(error))
    finally:
        try:
            outputs.close()
        except (ValueError, OSError) as error:
            journal.failures.append(str(error))


def conclude(report: Report, summary: Path) -> int:
    """Tells what came out and writes the summary; returns the exit code."""
    entry = report.entries[0]
    print(tell_speed(entry.details["speed"]))
    for kind, name in entry.outputs.items():
        print(f"{kind}: {name}")
    try:
        report.write(summary)
    except OSError as error:
        print(f"error: {summary} can't be written: {error}", file=sys.stderr)
        return 1
    if entry.reason is not None:
        print(f"failed: {entry.reason}", file=sys.stderr)
    return 0 if entry.status == "done" else 1


if __name__ == "__main__":
    sys.exit(run_script(main))
