"""Reading: every frame, upright, with its own time, in the colours that its tags mean."""

import io
import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange

from matting.video.open import open_video, read_pipe
from media.frames import Frame, VideoError, VideoSource
from media.reader import ClipReader
from media.sequences import PictureReader

# A frame of four colours, so that turning and mirroring show.
QUARTERS = np.zeros((48, 64, 3), np.uint8)
QUARTERS[:24, :32], QUARTERS[:24, 32:] = (220, 40, 40), (40, 220, 40)
QUARTERS[24:, :32], QUARTERS[24:, 32:] = (40, 40, 220), (220, 220, 220)


def read_all(source: VideoSource) -> list[Frame]:
    frames = []
    while (frame := source.read()) is not None:
        frames.append(frame)
    source.close()
    return frames


def reader(path: Path, **options: object) -> ClipReader:
    return ClipReader(path, str(path), **options)


def test_variable_times_are_kept_from_0_on(tmp_path: Path, clips) -> None:
    pts = [90, 3003, 7000, 12001, 12002, 30000]
    path = clips.write(tmp_path / "a.mp4", clips.moving(6), pts, Fraction(1, 90000))
    frames = read_all(reader(path))
    assert [frame.pts for frame in frames] == [time - 90 for time in pts]
    assert [frame.number for frame in frames] == list(range(6))
    assert frames[1].name == "000001"


@pytest.mark.parametrize(
    ("rotation", "turn"),
    [
        ((90, False, False), lambda a: np.rot90(a)),
        ((-90, False, False), lambda a: np.rot90(a, -1)),
        ((180, False, False), lambda a: a[::-1, ::-1]),
        ((0, True, False), lambda a: a[:, ::-1]),
        ((0, False, True), lambda a: a[::-1]),
    ],
    ids=["90", "-90", "180", "mirrored", "upside down"],
)
def test_frames_are_upright(tmp_path: Path, clips, rotation, turn) -> None:
    path = clips.write(tmp_path / "a.mp4", [QUARTERS], rotation=rotation)
    source = reader(path)
    pixels = read_all(source)[0].pixels
    wanted = turn(QUARTERS)
    assert (source.info.height, source.info.width) == wanted.shape[:2] == pixels.shape[:2]
    for y, x in ((10, 10), (10, -10), (-10, 10), (-10, -10)):
        assert np.abs(pixels[y, x].astype(int) - wanted[y, x]).max() <= 3  # of the codec


@pytest.mark.parametrize("matrix", [1, 5, 9], ids=["BT.709", "BT.601", "BT.2020"])
@pytest.mark.parametrize("levels", [ColorRange.MPEG, ColorRange.JPEG], ids=["limited", "full"])
def test_colours_follow_the_tags(tmp_path: Path, clips, matrix: int, levels: int) -> None:
    """Lossless coding, so what is left is rounding, twice: at most 2 levels."""
    tags = {"colorspace": matrix, "color_range": int(levels)}
    path = clips.write(tmp_path / "a.mp4", [QUARTERS], tags=tags, pixel_format="yuv444p", qp="0")
    source = reader(path)
    assert source.info.colour.matrix == {5: 6}.get(matrix, matrix) or matrix == 5
    pixels = read_all(source)[0].pixels
    assert np.abs(pixels.astype(int) - QUARTERS).max() <= 2


def test_ten_bits_are_kept(tmp_path: Path, clips) -> None:
    ramp = np.zeros((48, 256, 3), np.uint16)
    ramp[...] = (np.arange(256) * 64 + 20000)[None, :, None]  # steps of a quarter of 8 bits
    path = clips.write(tmp_path / "a.mp4", [ramp], pixel_format="yuv444p10le", qp="0")
    source = reader(path)
    pixels = read_all(source)[0].pixels
    assert source.info.bits == 10
    assert pixels.dtype == np.uint16
    assert np.abs(pixels.astype(int) - ramp).max() <= 1.5 * 64  # rounding, of 10 bits limited
    assert len(np.unique(pixels[0, :, 0])) > 128


def test_black_and_white_of_ten_bits_do_not_wrap_around(tmp_path: Path, clips) -> None:
    picture = np.zeros((48, 64, 3), np.uint16)
    picture[:, :32] = (65535, 0, 0)
    path = clips.write(tmp_path / "a.mp4", [picture], pixel_format="yuv420p10le", qp="0")
    pixels = read_all(reader(path))[0].pixels / 65535
    assert np.abs(pixels[:, 4:24] - (1, 0, 0)).max() < 0.02
    assert pixels[:, 40:60].max() < 0.02


@pytest.mark.parametrize("name", ["a.avi", "a.jpg", "a.txt", "a"])
def test_content_decides_not_the_extension(tmp_path: Path, clips, name: str) -> None:
    path = clips.write(tmp_path / "a.mp4", clips.moving(3)).rename(tmp_path / name)
    assert len(read_all(open_video(path, "--video-src"))) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a video that can be read"),
        (b"hello world" * 99, "not a video that can be read"),
    ],
)
def test_what_is_no_video_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(VideoError, match=message):
        reader(tmp_path / "a.mp4")


def test_a_picture_is_refused(tmp_path: Path, photographs) -> None:
    path = photographs.save(tmp_path / "a.png", photographs.plate())
    with pytest.raises(VideoError, match=r"a picture, not a video; `matting images`"):
        reader(path)


def test_no_frame_is_refused(tmp_path: Path, clips) -> None:
    path = clips.write(tmp_path / "a.mp4", [])
    with pytest.raises(VideoError, match="holds no (video|frame)"):
        reader(path)


def test_one_frame_is_enough(tmp_path: Path, clips) -> None:
    path = clips.write(tmp_path / "a.mp4", clips.moving(1))
    assert len(read_all(reader(path))) == 1


@pytest.mark.parametrize("name", ["a.mp4", "a.avi"])
def test_cut_off_file_is_told_at_its_frame(tmp_path: Path, clips, name: str) -> None:
    codec = {"a.mp4": "libx264", "a.avi": "mpeg4"}[name]
    path = tmp_path / name
    noise = np.random.default_rng(0).integers(0, 256, (40, 48, 64, 3), np.uint8)
    with av.open(str(path), "w", container_options={"movflags": "faststart"}) as container:
        stream = container.add_stream(codec, 25, width=64, height=48)
        for picture in noise:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        container.mux(stream.encode(None))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    source = reader(path)
    with pytest.raises(VideoError, match=r"frame \d+ .*cut off or damaged"):
        read_all(source)
    with pytest.raises(VideoError, match="cut off"):  # and it stays so
        source.read()


def test_end_before_the_files_word_is_told(tmp_path: Path, clips) -> None:
    noise = list(np.random.default_rng(0).integers(0, 256, (99, 48, 64, 3), np.uint8))
    path = clips.write(tmp_path / "a.mkv", noise, g="10")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    source = reader(path)
    assert 30 < len(read_all(source)) < 70
    assert any("may be cut off" in note for note in source.notes)


def test_sound_is_handed_over_whole(tmp_path: Path, clips) -> None:
    path = clips.write(tmp_path / "a.mp4", clips.moving(20), sound="aac")
    source = reader(path, audio=True)
    packets = [packet for frame in read_all(source) for packet in frame.audio]
    packets += source.take_audio()
    found = [(packet.pts * packet.time_base, bytes(packet)) for packet in packets]
    assert found == clips.sound(path)
    assert len(found) > 30


class Pipe(io.RawIOBase):
    """Bytes that can't be sought in."""

    def __init__(self, content: bytes) -> None:
        self._content = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:
        return self._content.readinto(buffer)


def test_raw_frames_come_as_they_are() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 5, 7, 3), np.uint8)
    source = read_pipe((7, 5), "rgb24", Fraction(30000, 1001), Pipe(frames.tobytes()))
    found = read_all(source)
    assert np.array_equal([frame.pixels for frame in found], frames)
    assert [frame.pts * source.info.time_base for frame in found] == [
        Fraction(1001 * index, 30000) for index in range(3)
    ]


def test_raw_frames_that_are_cut_off_are_told() -> None:
    source = read_pipe((7, 5), "rgb24", None, Pipe(bytes(7 * 5 * 3 * 2 + 9)))
    assert source.read() is not None
    assert source.read() is not None
    with pytest.raises(VideoError, match="standard input: frame 2 is not whole"):
        source.read()


def test_unknown_pixel_format_is_refused() -> None:
    with pytest.raises(VideoError, match="--video-pixel-format rgb25 is not supported by FFmpeg"):
        read_pipe((7, 5), "rgb25", None, Pipe(b""))


def test_pipe_of_a_container(tmp_path: Path, clips) -> None:
    path = clips.write(tmp_path / "a.mkv", clips.moving(4))
    source = read_pipe(None, "rgb24", None, Pipe(path.read_bytes()))
    assert len(read_all(source)) == 4


def test_numbered_pictures_are_sorted_by_number(tmp_path: Path, photographs) -> None:
    for number in (10, 9, 1, 2, 30):
        photographs.save(tmp_path / f"img_{number}.PNG", np.full((4, 6, 3), number, np.uint8))
    (tmp_path / "notes.txt").write_text("not a picture")
    source = PictureReader(tmp_path, Fraction(24))
    assert source.info.notes == (
        "numbers are missing after 2, 10; the frames around a gap are read as consecutive",
    )
    frames = read_all(source)
    assert [int(frame.pixels[0, 0, 0]) for frame in frames] == [1, 2, 9, 10, 30]
    assert [frame.name for frame in frames] == ["img_1", "img_2", "img_9", "img_10", "img_30"]
    assert source.info.time_base == Fraction(1, 24)


@pytest.mark.skipif(os.name == "nt", reason="Windows has other links")
def test_a_frame_that_can_not_be_taken_is_refused_by_name(tmp_path: Path, photographs) -> None:
    photographs.save(tmp_path / "1.png", np.zeros((4, 6, 3), np.uint8))
    (tmp_path / "2.png").symlink_to("nothing.png")
    with pytest.raises(VideoError, match=r"2\.png: a broken link; a clip needs"):
        PictureReader(tmp_path, Fraction(24))
    (tmp_path / "2.png").unlink()
    (tmp_path / "2.dng").write_bytes(b"II*")
    with pytest.raises(VideoError, match=r"2\.dng: a raw file: develop it first; a clip needs"):
        PictureReader(tmp_path, Fraction(24))
    (tmp_path / "2.dng").unlink()
    photographs.save(tmp_path / "sub/3.png", np.zeros((9, 9, 3), np.uint8))
    (tmp_path / "loop").symlink_to(".")
    assert len(read_all(PictureReader(tmp_path, Fraction(24)))) == 1


def test_what_is_changed_on_reading_pictures_is_told(tmp_path: Path, photographs) -> None:
    photographs.save(tmp_path / "1.png", np.zeros((4, 6, 3), np.uint8))
    photographs.save(tmp_path / "2.png", np.full((4, 6, 4), 128, np.uint8))
    photographs.save(tmp_path / "3.png", np.full((4, 6, 4), 128, np.uint8))
    source = PictureReader(tmp_path, Fraction(24))
    read_all(source)
    assert source.notes == ("2.png: alpha channel dropped",)


def test_pictures_of_different_sizes_are_told(tmp_path: Path, photographs) -> None:
    photographs.save(tmp_path / "1.png", np.zeros((4, 6, 3), np.uint8))
    photographs.save(tmp_path / "2.png", np.zeros((4, 7, 3), np.uint8))
    with pytest.raises(VideoError, match=r"2\.png: has 7 x 4 pixels, those before 6 x 4"):
        read_all(PictureReader(tmp_path, Fraction(24)))


def test_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="holds no pictures"):
        open_video(tmp_path, "--video-src")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"--video-src .*no\.mp4: no such file"):
        open_video(tmp_path / "no.mp4", "--video-src")


def test_rate_of_a_file_is_its_own(tmp_path: Path, clips) -> None:
    path = clips.write(tmp_path / "a.mp4", clips.moving(1))
    with pytest.raises(VideoError, match="--video-rate is for pictures and raw frames"):
        open_video(path, "--video-src", Fraction(25))
