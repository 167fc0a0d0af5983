"""inference_video.py on named pipes, animations, HDR, and pixels that are not square."""

import json
import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.conftest import ENVIRONMENT, REPOSITORY, VIDEO

FAST = ("--preset", "ultrafast", "--preprocess", "none")
PAL = Fraction(4, 3)
needs_fifo = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")


@pytest.fixture
def plate(tmp_path: Path, photographs) -> Path:
    return photographs.save(tmp_path / "plate.png", photographs.plate(48, 64))


def circle(path: Path, height: int = 144, width: int = 256) -> Path:
    """Two circles in the corners, where the subject is not."""
    y, x = np.mgrid[:height, :width] + 0.5
    far = np.minimum(np.hypot(x - 30, y - 30), np.hypot(x - width + 30, y - height + 30))
    Image.fromarray(np.uint8(255 * (far < 20))).convert("RGB").save(path)
    return path


def test_circles_are_round_over_pixels_that_are_not_square(
    tmp_path: Path, clips, photographs, run_video
) -> None:
    """192 x 144 pixels of 4:3 are shown as 256 x 144; what is compared is as it is shown."""
    tags = {"sample_aspect_ratio": PAL}
    src = clips.write(tmp_path / "a.mp4", clips.moving(2, 144, 192), tags=tags, crf="4")
    wide = tmp_path / "wide.png"
    Image.fromarray(photographs.plate(144, 192)).resize((256, 144)).save(wide)
    target = circle(tmp_path / "circle.png")
    line = ("--video-src", src, "--video-bgr", wide, "--video-target-bgr", target, *FAST)
    out, pictures = tmp_path / "out", tmp_path / "pictures"
    run_video(*line, "--output-dir", out).check(0)
    run_video(*line, "--output-dir", pictures, "--output-format", "image_sequences").check(0, "4:3")
    with av.open(str(out / "com.mp4")) as container:
        assert container.streams.video[0].sample_aspect_ratio == PAL
    stored = clips.read(out / "com.mp4")[1]
    shown = np.asarray(Image.fromarray(stored).resize((256, 144)))
    written = np.asarray(Image.open(pictures / "com" / "000001.png"))
    for picture in (shown, written):
        corner = picture[:60, :60].min(axis=2) > 128
        rows, columns = np.flatnonzero(corner.any(1)), np.flatnonzero(corner.any(0))
        # 40 pixels; coding and the stored grid of 4:3 cost up to one at each side
        assert abs(np.ptp(rows) - np.ptp(columns)) <= 2
        assert abs(np.ptp(rows) + 1 - 40) <= 2


@pytest.mark.parametrize("kind", ["from_frame", "median", "picture", "video"])
def test_plates_fit_frames_that_are_resized_to_square_pixels(
    tmp_path: Path, clips, photographs, run_video, kind: str
) -> None:
    tags, empty = {"sample_aspect_ratio": PAL}, [photographs.plate(48, 64)] * 3
    frames = [*empty, *clips.moving(2)]
    src = clips.write(tmp_path / "a.mp4", frames, tags=tags, crf="4")
    named = {
        "from_frame": ("--bgr-from-frame", 0),
        "median": ("--video-bgr", "median"),
        "picture": (
            "--video-bgr",
            photographs.save(tmp_path / "p.png", clips.moving(1, 48, 85)[0]),
        ),
        "video": ("--video-bgr", clips.write(tmp_path / "b.mp4", empty, tags=tags)),
    }[kind]
    line = ("--video-src", src, *named, *FAST, "--video-resize", 85, 48)
    run_video(*line, "--output-dir", tmp_path / "out").check(0)
    assert clips.read(tmp_path / "out" / "pha.mp4")[0].shape[:2] == (48, 86)


@pytest.mark.parametrize("named", [("--bgr-from-frame", 0), ("--video-bgr", "median")])
def test_plates_of_the_source_follow_a_resize_to_other_proportions(
    tmp_path: Path, clips, run_video, named: tuple
) -> None:
    src = clips.write(tmp_path / "a.mp4", clips.moving(5), crf="4")
    line = ("--video-src", src, *named, *FAST, "--video-resize", 80, 44)
    run_video(*line, "--output-dir", tmp_path / "out").check(0)
    assert clips.read(tmp_path / "out" / "pha.mp4")[0].shape[:2] == (44, 80)


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png"])
@pytest.mark.parametrize("use", ["target", "plate"])
def test_animations_move(tmp_path: Path, clips, plate, run_video, name: str, use: str) -> None:
    """Red for 0.2 s, then blue: as a clip does."""
    src = clips.write(tmp_path / "src.mp4", clips.moving(10), crf="4")
    colours = [Image.new("RGB", (64, 48), colour) for colour in ("red", "blue")]
    options = {"lossless": True} if name.endswith("webp") else {}
    path = tmp_path / name
    colours[0].save(path, save_all=True, append_images=colours[1:], duration=200, **options)
    line = ("--video-src", src, "--output-dir", tmp_path / "out", *FAST)
    if use == "target":
        line = (*line, "--video-bgr", plate, "--video-target-bgr", path)
        run_video(*line, "--output-types", "com").check(0)
        com = clips.read(tmp_path / "out" / "com.mp4")
        for number, wanted in ((1, (255, 0, 0)), (8, (0, 0, 255))):
            assert np.abs(com[number][3, 3].astype(int) - wanted).max() < 16
    else:
        line = (*line, "--video-bgr", path, "--output-types", "com", "--preprocess", "none")
        run_video(*line, "--video-target-bgr", "blur", "--output-format", "image_sequences").check(
            0
        )
        first, last = (
            np.asarray(Image.open(tmp_path / "out" / "com" / f"00000{number}.png"))[3, 3]
            for number in (1, 8)
        )
        assert first.tolist() != last.tolist()


def test_alpha_of_hdr_is_tagged_as_what_it_is(tmp_path: Path, clips, plate, run_video) -> None:
    tags = {"color_trc": 16, "color_primaries": 9, "colorspace": 9}
    src = clips.write(tmp_path / "a.mp4", clips.moving(2), tags=tags, pixel_format="yuv420p10le")
    line = ("--video-src", src, "--video-bgr", plate, "--output-dir", tmp_path / "out", *FAST)
    run_video(*line, "--output-types", "com", "pha", "fgr", "err", "ref").check(0, "HDR")
    found = {}
    for path in (tmp_path / "out").glob("*.mp4"):
        with av.open(str(path)) as container:
            frame = next(container.decode(video=0))
            found[path.stem] = tuple(
                map(int, (frame.colorspace, frame.color_primaries, frame.color_trc))
            )
    assert found.pop("com") == found.pop("fgr") == (9, 9, 16)
    assert set(found.values()) == {(1, 1, 1)}


@needs_fifo
def test_a_pipe_with_a_name_is_read_as_a_stream(tmp_path: Path, clips, plate, run_video) -> None:
    """As a shell's <(ffmpeg ...) gives it."""
    src = clips.write(tmp_path / "a.nut", clips.moving(5), crf="4")
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(["sh", "-c", f"cat '{src}' > '{tmp_path}/pipe'"]):
        line = ("--video-src", tmp_path / "pipe", "--video-bgr", plate, *FAST)
        run_video(*line, "--output-dir", tmp_path / "out").check(0, "5 frames")


@needs_fifo
@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--video-bgr", "it is a pipe, which only --video-src reads, not a file"),
        ("--video-target-bgr", "nor a picture or folder that exists"),
    ],
)
def test_other_pipes_are_refused_at_once(
    tmp_path: Path, clips, plate, run_video, flag, message
) -> None:
    src = clips.write(tmp_path / "a.mp4", clips.moving(2))
    os.mkfifo(tmp_path / "pipe")
    line = ("--video-src", src, "--video-bgr", plate, flag, tmp_path / "pipe", *FAST)
    run_video(*line, "--output-dir", tmp_path / "out", timeout=30).check(2, message)


def has_opened(process: subprocess.Popen, path: Path) -> bool:
    folder = Path(f"/proc/{process.pid}/fd")
    return any(os.path.realpath(link) == str(path) for link in folder.iterdir())


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="files of others can't be seen")
@pytest.mark.parametrize(
    "begins",
    [False, pytest.param(True, marks=pytest.mark.slow)],
    ids=["before the first frame", "later"],
)
def test_a_wait_for_frames_hears_sigterm(tmp_path: Path, clips, plate, begins: bool) -> None:
    os.mkfifo(tmp_path / "pipe")
    out = tmp_path / "out"
    line = [sys.executable, VIDEO, "--video-src", tmp_path / "pipe", "--video-bgr", plate]
    line += ["--video-size", "64", "48", "--output-dir", out, *FAST]
    process = subprocess.Popen(
        [*map(str, line)], cwd=REPOSITORY, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True
    )
    pipe = os.open(tmp_path / "pipe", os.O_RDWR)
    try:
        frames = clips.moving(8) if begins else []
        os.write(pipe, b"".join(picture.tobytes() for picture in frames)[:60_000])
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            time.sleep(0.2)
            if list(out.glob("com.*")) if begins else has_opened(process, tmp_path / "pipe"):
                break
        time.sleep(1)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)
    finally:
        os.close(pipe)
        process.kill()
    assert process.returncode == 130
    assert "interrupted" in said
    if begins:
        entry = json.loads((out / "summary.json").read_text())["images"][0]
        assert entry["status"] == "not reached"


def test_folders_with_a_colon_are_folders(tmp_path: Path, clips, plate, run_video) -> None:
    src = clips.write(tmp_path / "12:30:05.mp4", clips.moving(2), crf="4")
    out = tmp_path / "take:1"
    run_video("--video-src", src, "--video-bgr", plate, "--output-dir", out, *FAST).check(0)
    assert len(clips.read(out / "com.mp4")) == 2
