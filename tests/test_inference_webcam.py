"""inference_webcam.py from end to end, a clip of the test standing in for the camera."""

import json
import os
import signal
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

FAST = ("--record-preset", "ultrafast", "--preview", "no")
EACH = ("--camera-pace", "each")


@pytest.fixture
def clip(tmp_path: Path, clips) -> Path:
    return clips.write(tmp_path / "clip.mp4", clips.moving(10), crf="4")


@pytest.fixture
def plate(tmp_path: Path, photographs) -> Path:
    return photographs.save(tmp_path / "plate.png", photographs.plate(48, 64))


def entry(out: Path) -> dict:
    return json.loads((out / "summary.json").read_text("utf-8"))["images"][0]


def test_clip_with_a_plate_is_recorded(tmp_path: Path, clips, clip, plate, run_webcam) -> None:
    out, talk = tmp_path / "out", tmp_path / "talk.mp4"
    line = ("--camera", clip, "--plate", plate, "--record", talk, "--output-dir", out, *FAST)
    run = run_webcam(*line, *EACH, "--targets", "blue", "white", "--keys", "0.18:t", "0.3:s")
    run.check(
        0,
        r"clip.mp4: 64 x 48, 25 frames/s",
        "new backgrounds: 1 blue, 2 white",
        "10 captured, 10 shown, 0 dropped; .* frames/s; latency p50 .* ms, p95",
        r"recording: .*talk.mp4",
    )
    assert clips.times(talk) == [Fraction(n, 25) for n in range(10)]
    pictures = clips.read(talk)
    assert np.abs(pictures[2][4, 60].astype(int) - (0, 0, 255)).max() < 12
    assert np.abs(pictures[8][4, 60].astype(int) - 255).max() < 12
    assert np.abs(pictures[2][24, 23].astype(int) - (205, 60, 40)).max() < 40
    details = entry(out)["details"]
    assert details["recorded_frames"] == 10
    assert details["speed"]["latency_p95_ms"] >= details["speed"]["latency_p50_ms"] > 0
    (snapshot,) = out.glob("snapshot-*.png")
    assert np.asarray(Image.open(snapshot)).shape == (48, 64, 3)

    run_webcam(*line).check(2, r"talk.mp4 exists already; use -y to replace it")
    run_webcam(*line, "--record", clip, "-y").check(2, "would replace an input")


def test_plate_is_taken_from_the_clip(tmp_path: Path, clips, photographs, run_webcam) -> None:
    empty = photographs.plate(48, 64)
    pictures = [empty] * 20 + clips.moving(5)
    path = clips.write(tmp_path / "a.mp4", pictures, pixel_format="yuv444p", crf="4")
    out, talk = tmp_path / "out", tmp_path / "talk.mp4"
    run_webcam(
        *("--camera", path, *EACH, "--record", talk, "--output-dir", out, *FAST),
        *("--plate-countdown", 0.1, "--plate-frames", 4),
    ).check(0, "plate: mean of 4 frames", "plate: .*plate-.*png")
    (saved,) = out.glob("plate-*.png")
    error = np.asarray(Image.open(saved)).astype(int) - empty
    assert np.abs(error).mean() < 2  # the codec, and limited range
    # 0.1 s and 0.5 s to settle, 4 frames: the frames 15 to 18; from 19 on it is live.
    assert len(clips.times(talk)) == 6
    assert entry(out)["details"]["plate"] == {"frames": 4, "moved": 0.0}


def test_camera_that_is_lost_leaves_a_whole_recording(
    tmp_path: Path, clips, clip, plate, run_webcam
) -> None:
    out, talk = tmp_path / "out", tmp_path / "talk.mp4"
    before = """
from matting.webcam.camera import CameraError, ClipCamera
read, count = ClipCamera.read, iter(range(6))
def lose(self):
    if next(count, None) is None:
        raise CameraError("camera 0 gives no picture any more; is it still plugged in?")
    return read(self)
ClipCamera.read = lose
"""
    run = run_webcam(
        *("--camera", clip, *EACH, "--plate", plate, "--record", talk, "--output-dir", out, *FAST),
        before=before,
    )
    run.check(1, r"failed: camera 0 gives no picture any more; is it still plugged in\?")
    assert len(clips.times(talk)) == 6
    assert entry(out)["status"] == "failed"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals of this kind")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_with_a_whole_recording(
    tmp_path: Path, clips, clip, plate, run_webcam, number
) -> None:
    """The signal comes when the fourth picture is read; a live clip would wait for years."""
    talk = tmp_path / "talk.mp4"
    before = f"""
import os
from matting.webcam.camera import ClipCamera
read, count = ClipCamera.read, iter(range(4))
def interrupt(self):
    if next(count, None) is None:
        os.kill(os.getpid(), {int(number)})
        __import__("time").sleep(0.2)
    return read(self)
ClipCamera.read = interrupt
"""
    run_webcam(
        *("--camera", clip, *EACH, "--plate", plate, "--record", talk),
        *("--output-dir", tmp_path / "out", *FAST),
        before=before,
    ).check(0, "recording: ")
    assert 3 <= len(clips.times(talk)) <= 5


def test_wrong_input_is_refused_before_anything_is_made(tmp_path: Path, clip, run_webcam) -> None:
    out = ("--output-dir", tmp_path / "out")
    talk = ("--record", tmp_path / "talk.mp4")
    before = (
        'import os; os.environ.pop("DISPLAY", None); __import__("sys").modules["tkinter"] = None'
    )
    cases = [
        (("--camera", clip, "--preview", "no"), "there would be no output; add --record"),
        (("--camera", clip), "a preview window needs tkinter.* Without a preview use"),
        (("--camera", tmp_path / "no.mp4", *talk), "neither the number of a camera"),
        (("--camera", clip, "--record", tmp_path / "a.avi"), "extension must be one of .mp4"),
        (("--camera", clip, *talk, "--keys", "t"), "must be a time in seconds and a key"),
        (("--camera", clip, *talk, "--targets", "gren"), "neither blur, nor a colour"),
        (("--camera", clip, "--virtual-camera", "auto"), "needs the package pyvirtualcam"),
    ]
    for args, message in cases:
        run_webcam(*args, *out, before=before).check(2, message)
    assert not (tmp_path / "talk.mp4").exists()
    assert not list(tmp_path.glob("*.partial*"))


@pytest.mark.slow
def test_live_clip_drops_frames_rather_than_lagging(
    tmp_path: Path, clips, photographs, start_script
) -> None:
    """Frames of a second come 25 a second, however long one takes; the end is not late."""
    path = clips.write(tmp_path / "a.mp4", clips.moving(75, 480, 640), preset="ultrafast")
    plate = photographs.save(tmp_path / "plate.png", photographs.plate(480, 640))
    out = tmp_path / "out"
    process = start_script(
        *("--camera", path, "--plate", plate, "--record", tmp_path / "talk.mp4"),
        *("--output-dir", out, *FAST),
        command=(sys.executable, "inference_webcam.py"),
    )
    process.communicate(timeout=120)
    speed = entry(out)["details"]["speed"]
    assert speed["captured"] == 75
    assert speed["frames"] + speed["dropped"] == 75
    assert speed["dropped"] > 0
    assert speed["latency_p95_ms"] < 3000
    times = clips.times(tmp_path / "talk.mp4")
    assert len(times) == speed["frames"]
    assert times[-1] > Fraction(2)


@pytest.mark.parametrize("quality", ["auto", "hd"])
def test_quality_auto_becomes_fast_for_a_camera_of_500_frames_a_second(
    tmp_path: Path, clips, plate, run_webcam, quality: str
) -> None:
    path = clips.write(tmp_path / "a.mp4", clips.moving(20) * 50, time_base=Fraction(1, 500))
    out = tmp_path / "out"
    line = ("--camera", path, "--plate", plate, "--record", tmp_path / "talk.mp4")
    run_webcam(*line, "--output-dir", out, *FAST, "--quality", quality).check(0)
    notes = json.loads((out / "summary.json").read_text("utf-8"))["notes"]
    assert any("Quality fast is used from here on" in note for note in notes) == (quality == "auto")


def test_names_of_a_camera_move_no_terminal(tmp_path: Path, clip, plate, run_webcam) -> None:
    odd = clip.rename(clip.with_name("a\x1b[31m.mp4"))
    outputs = ("--output-dir", tmp_path / "o\x1b", "--record", tmp_path / "r.mp4")
    line = ("--camera", odd, "--plate", plate, *outputs, *FAST)
    run = run_webcam(*line, *EACH, "--targets", "blue", "--keys", "0.1:s")
    run.check(0, r"a\\x1b\[31m.mp4: 64 x 48", r"snapshot: .*o\\x1b")
    assert "\x1b" not in run.out + run.err
