"""Matte a live camera over its own plate: preview, recording, virtual camera.

Example: python inference_webcam.py --targets beach.jpg blur none --record talk.mp4
"""

import sys
from contextlib import closing
from dataclasses import field
from pathlib import Path
from typing import Annotated

import tyro

from matting.loading import describe_setup, load_predictor
from matting.plate.prepare import Preprocess, PreprocessMode
from matting.quality import Quality
from matting.settings import ComputeSettings, ModelSettings
from matting.summary import RunSummary, check_replaceable
from matting.video.outputs import refuse_inputs
from matting.video.stream import FrameMatter
from matting.video.target import TargetSettings
from matting.webcam.camera import CameraSettings, open_camera
from matting.webcam.capture import Capture
from matting.webcam.controls import Backgrounds, ScriptedKeys, choose_keys
from matting.webcam.live import Live, Mirror
from matting.webcam.outputs import Outputs, RecordSettings
from matting.webcam.plate import PlateSettings
from matting.webcam.summary import Journal, print_start
from matting.webcam.window import Preview, open_window
from media.pictures import read_picture
from runtime.files import check_writable
from runtime.script import deferred_interrupts, run_script
from runtime.settings import parse_settings, settings_group, to_plain, to_yaml


@settings_group()
class Settings:
    """All settings of the script."""

    camera: str = "0"
    """Number of the camera (0 is the first), device, address, or a clip to use instead of a camera.
    """
    plate: Path | None = None
    """Picture of the scene without the subject. If not given, the camera takes it."""
    targets: tuple[str, ...] = ("green", "blur", "none")
    """New backgrounds to switch between: colours (green, #00b140), pictures, videos, blur, or none
    (checkerboard; snapshots are transparent)."""
    mirror: Mirror = "preview"
    """What to mirror: preview; all (preview and outputs); or none."""
    preview: Preview = "auto"
    """Show a window: yes, no, or auto (only if there is a screen)."""
    record: Path | None = None
    """Record to this file: .mp4, .mov or .webm."""
    virtual_camera: str | None = None
    """Send the pictures to the virtual camera of this name; auto takes the first."""
    output_dir: Path = Path("webcam")
    """Folder for plates, snapshots and summary.json."""
    keys: tuple[str, ...] = ()
    """Keys to press automatically, as SECONDS:KEY: 2.5:t presses t after 2.5 seconds."""
    opening: CameraSettings = field(default_factory=CameraSettings)
    taking: PlateSettings = field(default_factory=PlateSettings)
    recording: RecordSettings = field(default_factory=RecordSettings)
    target: TargetSettings = field(default_factory=TargetSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    compute: ComputeSettings = field(default_factory=ComputeSettings)
    quality: Quality = "auto"
    """Work per frame. auto chooses backbone scale and refined pixels by the pictures' size, and
    changes to fast, with a note, if it can't keep up with the camera. fast takes less time for
    mattes that are less exact. best adds a second pass on a larger, mirrored picture: better
    mattes, several times slower. hd and 4k are the paper's presets. --model-backbone-scale and
    --model-refine-sample-pixels override it."""
    preprocess: PreprocessMode = "auto"
    """auto compares the plate with the first pictures and some later ones, reports what is wrong
    with the capture, and aligns it or matches its exposure where needed. none uses it as it is."""
    keep_attached: bool = False
    """Empty islands of alpha that never touch a subject, which is tracked over time: patches of
    light, dust. Small things that leave the subject go too."""
    overwrite: Annotated[bool, tyro.conf.arg(aliases=["-y"])] = False
    """Replace an existing recording."""
    config: Path | None = None
    """YAML file of settings. Flags on the command line override it."""
    print_config: bool = False
    """Print the resolved settings as YAML and exit."""


def main() -> int:
    """Runs the script; returns its exit code: 0 only if nothing failed until the user ended it."""
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
    bgr = None if settings.plate is None else read_picture(settings.plate).in_profile(None).pixels
    others = settings.record is not None or settings.virtual_camera is not None
    window, notes = open_window(settings.preview, others)
    predictor = load_predictor(settings.model, settings.compute)
    check_writable(settings.output_dir)
    with closing(Capture(open_camera(settings.camera, settings.opening))) as capture:
        camera = capture.facts
        outputs = Outputs(settings.record, settings.recording, settings.virtual_camera, camera)
        facts, setup_notes = describe_setup(
            predictor, settings.model, settings.compute, settings.quality
        )
        report = RunSummary({**facts, "camera": camera.describe(), "settings": to_plain(settings)})
        journal = Journal(report, settings.camera, settings.output_dir, settings.taking.save)
        journal.note(*notes, *setup_notes, *camera.notes, *outputs.notes)
        keys, where = choose_keys(scripted.pressed, window.pressed if window else None)
        print_start(camera, settings.targets, where)
        budget, faster = (
            predictor.choose_budget(camera.height, camera.width, quality, **settings.model.work)
            for quality in (settings.quality, "fast")
        )
        live = Live(
            capture=capture,
            matter=FrameMatter(
                predictor,
                budget,
                Preprocess(settings.preprocess),
                keep_attached=settings.keep_attached,
            ),
            keys=keys,
            backgrounds=backgrounds,
            mirror=settings.mirror,
            outputs=outputs,
            window=window,
            journal=journal,
            taking=settings.taking,
            lock=settings.opening.lock,
            faster=faster if settings.quality == "auto" and faster != budget else None,
        )
        with deferred_interrupts() as interrupted:
            with journal.catch_failures(), closing(outputs), journal.catch_failures():
                live.run(interrupted, bgr)
            if window is not None:
                window.close()
            capture.close()
            return journal.conclude(capture, live.meter, outputs, summary)


def check_outputs(settings: Settings, summary: Path) -> None:
    """Refuses to replace existing outputs without permission, before anything is written."""
    check_replaceable(summary)
    if settings.record is None:
        return
    settings.recording.encoding(settings.record)
    named = (settings.camera, settings.plate, *settings.targets)
    refuse_inputs({"com": settings.record}, [Path(name) for name in named if name is not None])
    if settings.record.exists() and not settings.overwrite:
        raise ValueError(f"--record {settings.record} exists already; use -y to replace it")


if __name__ == "__main__":
    sys.exit(run_script(main))
