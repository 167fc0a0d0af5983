"""Writing: exact times, alpha, tags, sizes, and no file under its name before it is whole."""

import os
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from matting.video.settings import RECIPES, Codec, EncodingSettings
from matting.video.writer import Layout, VideoWriter, verify_video
from media.colour import ColourTags
from media.frames import Frame, VideoError
from media.reader import ClipReader
from tests.conftest import REPOSITORY

CODECS: tuple[Codec, ...] = ("h264", "hevc", "prores", "vp9")


def frame(number: int, pts: int | None = None, duration: int = 1, audio: tuple = ()) -> Frame:
    pts = number if pts is None else pts
    return Frame(number, f"{number:06}", np.empty((0, 0, 3), np.uint8), pts, duration, audio)


def layout(height: int = 48, width: int = 64, **options: object) -> Layout:
    return Layout(height, width, **{"time_base": Fraction(1, 25), "rate": Fraction(25)} | options)


def path_of(folder: Path, codec: Codec) -> Path:
    return folder / f"com{RECIPES[codec].extension}"


def write(
    path: Path,
    pictures: list[np.ndarray],
    codec: Codec,
    preset: str = "ultrafast",
    **options: object,
) -> Path:
    height, width = pictures[0].shape[:2]
    alpha = pictures[0].ndim == 3 and pictures[0].shape[2] == 4
    settings = EncodingSettings(codec=codec, preset=preset)
    writer = VideoWriter(path, layout(height, width, alpha=alpha, **options), settings)
    for number, picture in enumerate(pictures):
        writer.write(picture, frame(number))
    writer.finish()
    return path


@pytest.mark.parametrize("codec", ["h264", "hevc", "prores"])
@pytest.mark.parametrize(
    ("time_base", "pts"),
    [
        (Fraction(1, 90000), [90, 3003, 7000, 12001, 12002, 30000]),
        (Fraction(1001, 30000), [0, 1, 2, 4]),
        (Fraction(1, 10), [0, 1, 2, 5]),
        (Fraction(1, 1000000), [0, 33333, 66667]),
        (Fraction(1, 600), [7]),
    ],
    ids=["90000", "1001", "10", "1000000", "one frame"],
)
def test_times_are_kept_to_the_tick(
    tmp_path: Path, clips, codec: Codec, time_base: Fraction, pts: list[int]
) -> None:
    path = path_of(tmp_path, codec)
    settings = EncodingSettings(codec=codec, preset="ultrafast")
    writer = VideoWriter(path, layout(time_base=time_base), settings)
    for number, (picture, time) in enumerate(zip(clips.moving(len(pts)), pts, strict=True)):
        writer.write(picture, frame(number, time))
    writer.finish()
    assert clips.times(path) == [time * time_base for time in pts]


def test_webm_keeps_milliseconds(tmp_path: Path, clips) -> None:
    path = tmp_path / "com.webm"
    writer = VideoWriter(path, layout(time_base=Fraction(1, 90000)), EncodingSettings(codec="vp9"))
    pts = [0, 3003, 7000, 12001]
    for number, (picture, time) in enumerate(zip(clips.moving(4), pts, strict=True)):
        writer.write(picture, frame(number, time, 3000))
    writer.finish()
    wanted = [time / 90000 for time in pts]
    assert [float(time) for time in clips.times(path)] == pytest.approx(wanted, abs=0.0005001)


def hairy() -> np.ndarray:
    """(50, 70, 4) uint8: colours that change slowly, and alpha with soft edges and noise."""
    y, x = np.mgrid[:50, :70]
    distance = np.hypot(x - 35, y - 25) - 16
    noise = np.random.default_rng(0).random((50, 70))
    alpha = np.where(abs(distance) < 6, noise, distance < 0) * 255
    return np.dstack([60 + x, 80 + y, 200 - x, alpha]).round().astype(np.uint8)


@pytest.mark.parametrize(("codec", "decoder"), [("prores", None), ("vp9", "libvpx-vp9")])
def test_alpha_comes_back(tmp_path: Path, clips, codec: Codec, decoder: str | None) -> None:
    """ProRes: 10 bits of alpha, coded without loss. VP9: lossless; both within rounding."""
    picture = hairy()
    path = write(path_of(tmp_path, codec), [picture, picture[:, ::-1]], codec)
    found = clips.read(path, "rgba", decoder)
    for wanted, got in zip((picture, picture[:, ::-1]), found, strict=True):
        assert np.abs(got[..., 3].astype(int) - wanted[..., 3]).max() <= 1
        assert np.abs(got[..., :3].astype(int) - wanted[..., :3]).mean() < 2
    if codec == "vp9":
        with av.open(str(path)) as container:
            assert container.streams.video[0].metadata["alpha_mode"] == "1"


@pytest.mark.parametrize("codec", CODECS)
def test_odd_sizes_lose_nothing(tmp_path: Path, clips, codec: Codec) -> None:
    picture = hairy()[:49, :69, :3]
    path = write(path_of(tmp_path, codec), [picture] * 2, codec)
    got = clips.read(path)[0]
    even = RECIPES[codec].even
    assert got.shape == ((50, 70, 3) if even else (49, 69, 3))
    assert np.abs(got[:49, :69].astype(int) - picture).mean() < 3


def test_padding_is_told(tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path / "com.mp4", layout(49, 64), EncodingSettings())
    writer.abandon()
    assert writer.notes == [
        "com.mp4 has 64 x 50 pixels, as the codec needs even sizes: the last row or column is "
        "repeated"
    ]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("matrix", [1, 6, 9], ids=["BT.709", "BT.601", "BT.2020"])
def test_colours_and_tags_come_back(tmp_path: Path, codec: Codec, matrix: int) -> None:
    tags = ColourTags(matrix, primaries=9, transfer=16)
    colour = (200, 120, 40)
    picture = np.full((48, 64, 3), colour, np.uint8)
    path = write(path_of(tmp_path, codec), [picture] * 2, codec, colour=tags)
    reader = ClipReader(path, str(path))
    found = reader.read()
    assert found is not None
    pixels = found.pixels / (257 if found.pixels.dtype == np.uint16 else 1)
    assert np.abs(pixels - colour).max() <= 3  # rounding to limited range, and the codec
    assert reader.info.colour == tags


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_ten_bits_are_written(tmp_path: Path, codec: Codec) -> None:
    ramp = np.zeros((48, 256), np.uint16)
    ramp[...] = np.arange(256) * 64 + 20000
    path = write(path_of(tmp_path, codec), [ramp] * 2, codec, deep=True)
    reader = ClipReader(path, str(path))
    found = reader.read()
    assert reader.info.bits == 10
    assert found is not None
    assert np.abs(found.pixels[..., 0].astype(int) - ramp).mean() < 257


def test_sound_is_copied_packet_for_packet(tmp_path: Path, clips) -> None:
    source = clips.write(tmp_path / "a.mp4", clips.moving(20), sound="aac")
    reader = ClipReader(source, "a.mp4", audio=True)
    path = tmp_path / "com.mp4"
    info = reader.info
    writer = VideoWriter(path, Layout.of(info), EncodingSettings(), info.audio)
    while (found := reader.read()) is not None:
        writer.write(found.pixels, found)
    writer.finish(reader.take_audio())
    reader.close()
    assert clips.sound(path) == clips.sound(source)
    assert clips.times(path) == clips.times(source)


def test_sound_that_does_not_fit_is_told(tmp_path: Path, clips) -> None:
    source = clips.write(tmp_path / "a.mp4", clips.moving(3), sound="aac")
    reader = ClipReader(source, "a.mp4", audio=True)
    settings = EncodingSettings(codec="vp9")
    writer = VideoWriter(tmp_path / "com.webm", Layout.of(reader.info), settings, reader.info.audio)
    assert writer.notes == ["sound of codec aac can't be stored in .webm and was left out"]
    writer.abandon()


@pytest.mark.parametrize("codec", CODECS)
def test_name_is_final_only_when_whole(tmp_path: Path, clips, codec: Codec) -> None:
    path = path_of(tmp_path, codec)
    writer = VideoWriter(path, layout(), EncodingSettings(codec=codec, preset="ultrafast"))
    for number, picture in enumerate(clips.moving(3)):
        writer.write(picture, frame(number))
    assert not path.exists()
    partial = writer.abandon()
    assert list(tmp_path.iterdir()) == [partial]
    assert re.fullmatch(rf"com\.[0-9a-f]{{8}}\.partial{path.suffix}", partial.name)
    assert len(clips.read(partial)) == 3


@pytest.mark.parametrize("codec", [pytest.param("h264", marks=pytest.mark.slow), "vp9"])
def test_what_a_killed_run_wrote_is_removed_by_the_next(
    tmp_path: Path, clips, codec: Codec
) -> None:
    path = path_of(tmp_path, codec)
    code = (
        "import os, sys; import numpy as np\n"
        "from tests.matting.video.test_writer import *\n"
        "rng = np.random.default_rng(0)\n"
        f"settings = EncodingSettings(codec='{codec}', preset='ultrafast')\n"
        f"writer = VideoWriter(Path(sys.argv[1]), layout(), settings)\n"
        "for n in range(150): writer.write(rng.integers(0, 256, (48, 64, 3), np.uint8), frame(n))\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], cwd=REPOSITORY, check=False)
    (left,) = tmp_path.iterdir()
    if codec == "vp9":  # of six seconds; the encoder holds back one or two
        assert len(clips.read(left)) >= 75
    write(path, clips.moving(3), codec)
    assert list(tmp_path.iterdir()) == [path]


def test_partial_of_a_run_that_goes_on_stays(tmp_path: Path, clips) -> None:
    path = tmp_path / "com.mp4"
    settings = EncodingSettings(preset="ultrafast")
    writers = [VideoWriter(path, layout(), settings) for _ in range(2)]
    for number, picture in enumerate(clips.moving(4)):
        for writer in writers[: 2 if number < 3 else 1]:
            writer.write(picture, frame(number))
    for writer, count in zip(writers, (4, 3), strict=True):
        writer.finish()
        assert len(clips.read(path)) == count
    assert list(tmp_path.iterdir()) == [path]


def test_links_of_partial_names_are_not_followed(tmp_path: Path, clips) -> None:
    source = clips.write(tmp_path / "source.mp4", clips.moving(3))
    content = source.read_bytes()
    for name in ("com.partial.mp4", "com.mp4"):
        (tmp_path / name).symlink_to(source)
    write(tmp_path / "com.mp4", clips.moving(4), "h264")
    assert source.read_bytes() == content
    assert len(clips.read(tmp_path / "com.mp4")) == 4
    assert (tmp_path / "com.partial.mp4").is_symlink()


def test_nothing_stays_of_no_frame(tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path / "com.mp4", layout(), EncodingSettings())
    assert writer.abandon() is None
    assert list(tmp_path.iterdir()) == []


def test_missing_frames_are_found(tmp_path: Path, clips) -> None:
    path = clips.write(tmp_path / "a.mp4", clips.moving(5))
    verify_video(path, 5)
    with pytest.raises(VideoError, match="not written completely: it has 5 frames of 6"):
        verify_video(path, 6)
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(VideoError, match="can't be read back"):
        verify_video(path, 5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crf": 52}, r"crf of h264 must lie in \[0, 51\], got 52"),
        ({"crf": 1, "bit_rate": 1.0}, "not both"),
        ({"codec": "prores", "crf": 1}, "prores has one quality"),
        ({"bit_rate": 0.0}, "bit_rate must be above 0"),
        ({"preset": "fastest"}, "preset must be one of ultrafast"),
    ],
)
def test_settings_that_make_no_sense_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EncodingSettings(**options)


CHECKED_HEAP = "libc_malloc_debug.so.0"  # of glibc: ends the process at writes behind a block
NARROW_CLIPS = """
import sys
from pathlib import Path
import numpy as np
from tests.matting.video.test_writer import write

rng = np.random.default_rng(0)
for width in range(32, 52, 2):
    pictures = list(rng.integers(0, 256, (3, 36, width, 3), np.uint8))
    write(Path(sys.argv[1]) / f"{width}.mp4", pictures, "hevc", preset="veryfast")
"""


@pytest.mark.slow
def test_narrow_clips_keep_the_heap_whole(tmp_path: Path) -> None:
    checked = os.environ | {"LD_PRELOAD": CHECKED_HEAP, "GLIBC_TUNABLES": "glibc.malloc.check=3"}
    line = [sys.executable, "-c", NARROW_CLIPS, str(tmp_path)]
    run = subprocess.run(
        line, cwd=REPOSITORY, env=checked, capture_output=True, text=True, check=False
    )
    if CHECKED_HEAP in run.stderr:
        pytest.skip(f"{CHECKED_HEAP} is not installed")
    assert run.returncode == 0, run.stderr
    assert len(list(tmp_path.iterdir())) == 10


@pytest.mark.parametrize("codec", CODECS)
def test_a_last_frame_that_is_stored_before_others_is_shown(
    tmp_path: Path, clips, photographs, codec: Codec
) -> None:
    """Frames that stand still and a last one that does not: B-frames are stored behind it."""
    path = path_of(tmp_path, codec)
    still, last = photographs.plate(288, 384), clips.moving(1, 288, 384)[0]
    shape = layout(288, 384, time_base=Fraction(1, 10240), rate=Fraction(10))
    writer = VideoWriter(path, shape, EncodingSettings(codec=codec))
    for number in range(13):
        writer.write(still if number < 12 else last, frame(number, 1024 * number, 1024))
    writer.finish()
    assert len(clips.read(path)) == 13
