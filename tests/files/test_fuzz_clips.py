"""500 damaged clips: each is read, to its end or to a gap, or refused in words."""

import os
import random
from contextlib import closing
from pathlib import Path

import pytest

from media.clips import IndexedClip, index_clip
from media.frames import VideoError
from media.reader import ClipReader

from .fuzz import mutate, run_all

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the memory of a process can't be limited"),
]

COUNT = 500
THROUGH_THE_PROGRAM = 60
KINDS = {
    "h264.mp4": {"sound": "aac", "g": "4", "bf": "2"},
    "h264.mkv": {"sound": "aac", "g": "4"},
    "h264.ts": {"g": "4", "bf": "1"},
    "hevc.mp4": {"codec": "libx265", "x265-params": "log-level=none:keyint=4"},
    "mpeg4.avi": {"codec": "mpeg4"},
    "prores.mov": {"codec": "prores_ks", "pixel_format": "yuv444p10le"},
    "vp9.webm": {"codec": "libvpx-vp9", "deadline": "realtime", "cpu-used": "8"},
    "ffv1.mkv": {"codec": "ffv1"},
    "mjpeg.avi": {"codec": "mjpeg", "pixel_format": "yuvj420p"},
    "mpeg2.ts": {"codec": "mpeg2video", "sound": "mp2"},
}


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory, clips) -> list[Path]:
    """Files made of a clip of every kind in turn."""
    chance, folder = random.Random(0), tmp_path_factory.mktemp("damaged")
    whole = tmp_path_factory.mktemp("whole")
    originals = [
        clips.write(whole / name, clips.moving(10), **options).read_bytes()
        for name, options in KINDS.items()
    ]
    names, paths = list(KINDS), []
    for number in range(COUNT):
        kind = number % len(names)
        paths.append(folder / f"{number:03}-{names[kind]}")
        paths[-1].write_bytes(mutate(originals[kind], chance))
    return paths


def read_all(path: Path) -> None:
    """Reads a clip from first to last frame, with its sound."""
    with closing(ClipReader(path, path.name, audio=True)) as reader:
        while (frame := reader.read()) is not None:
            assert frame.pixels.shape == (reader.info.height, reader.info.width, 3)


def read_some(path: Path) -> None:
    """Reads frames by number, backwards."""
    index = index_clip(path)
    with closing(IndexedClip(path, index)) as clip:
        for number in reversed(range(min(len(index), 10))):
            clip.read_rgb(number)


def test_damaged_clips_are_read_or_refused(damaged: list[Path]) -> None:
    assert run_all(read_all, damaged, (VideoError,)) == {}
    assert run_all(read_some, damaged, (VideoError,)) == {}


def test_what_is_made_of_damaged_clips_opens(
    damaged: list[Path], tmp_path: Path, run_video, clips, photographs
) -> None:
    plate = photographs.save(tmp_path / "plate.png", photographs.plate(48, 64))
    codes = set()
    for number, path in enumerate(damaged[:: COUNT // THROUGH_THE_PROGRAM]):
        out = tmp_path / str(number)
        run = run_video(
            *("--video-src", path, "--video-bgr", plate, "--output-dir", out),
            *("--preset", "ultrafast", "--output-types", "com"),
            timeout=30,
        )
        codes.add(run.code)
        assert run.code in (0, 1, 2), (path.name, run)
        assert "Traceback" not in run.err, (path.name, run.err)
        assert (out / "com.mp4").exists() == (run.code == 0), (path.name, run)
        if run.code == 0:
            assert len(clips.read(out / "com.mp4")) > 0
    # Behind damage inside a file the run goes on; few of these end in the middle of a frame (1).
    assert {0, 2} <= codes, "the damage is of one kind"
