"""Clips: every frame is the one that was asked for, in any order."""

import os
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.stream import Disposition

from media.clips import IndexedClip, index_clip
from media.frames import VideoError
from media.reader import ClipReader

WIDTH, HEIGHT, COUNT = 96, 64, 60
B_FRAMES = {"x264-params": "keyint=12:min-keyint=12:scenecut=0:bframes=3:b-pyramid=normal"}
OPEN_GOP = {"x264-params": "keyint=12:min-keyint=12:scenecut=0:bframes=3:open-gop=1"}
HEVC_OPEN = {"x265-params": "keyint=12:min-keyint=12:bframes=3:open-gop=1:log-level=none"}


def numbered(number: int) -> np.ndarray:
    """A grey frame with its number as 8 black or white fields, which no compression turns."""
    bits = [255 * (number >> bit & 1) for bit in range(8)]
    return np.repeat(np.repeat(np.uint8(bits).reshape(2, 4), HEIGHT // 2, 0), WIDTH // 4, 1)


def number_in(alpha: np.ndarray) -> int:
    fields = alpha[HEIGHT // 4 :: HEIGHT // 2, WIDTH // 8 :: WIDTH // 4].ravel() > 127
    return int(sum(int(field) << bit for bit, field in enumerate(fields)))


def write_clip(
    path: Path,
    pictures: list[np.ndarray],
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    pts: Callable[[int], int] = lambda number: number,
    configure: Callable[[av.VideoStream], object] = lambda stream: None,
    container_options: dict[str, str] | None = None,
) -> Path:
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        configure(stream)
        for number, picture in enumerate(pictures):
            colours = picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, 2)
            frame = av.VideoFrame.from_ndarray(colours, format="rgb24")
            frame.pts = pts(number)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_numbered(path: Path, count: int = COUNT, **how) -> Path:
    return write_clip(path, [numbered(number) for number in range(count)], **how)


def orders(count: int) -> list[int]:
    shuffled = np.random.default_rng(0).permutation(count).tolist()
    runs = [first + step for first in (40, 8, 24) for step in range(16)]
    forward = range(count)
    return [*forward, *reversed(forward), *shuffled, *(n for n in runs if n < count), 0, 0]


CLIPS = {
    "b_frames.mp4": {"options": B_FRAMES},
    "b_frames.mkv": {"options": B_FRAMES},
    "open_gop.mp4": {"options": OPEN_GOP},
    "hevc_open_gop.mp4": {"codec": "libx265", "options": HEVC_OPEN},
    "one_gop.mov": {},
    "variable_rate.mp4": {
        "options": B_FRAMES,
        "pts": lambda number: number + number // 3 * 2 + 7 * (number > 30),
    },
    "vp9.webm": {
        "codec": "libvpx-vp9",
        "options": {"g": "12", "lag-in-frames": "8", "cpu-used": "8"},
    },
    "packed.avi": {"codec": "mpeg4", "options": {"g": "12", "bf": "2"}},
}


@pytest.mark.parametrize("name", CLIPS)
def test_every_frame_is_the_right_one_in_any_order(tmp_path: Path, name: str) -> None:
    path = write_numbered(tmp_path / name, **CLIPS[name])
    index = index_clip(path)
    assert len(index) == COUNT
    reader = IndexedClip(path, index)
    for number in orders(COUNT):
        assert number_in(reader.read_alpha(number)) == number
    reader.close()


@pytest.mark.parametrize("name", ["b_frames.mp4", "b_frames.mkv", "open_gop.mp4"])
def test_frames_after_a_jump_are_the_same_to_the_bit(tmp_path: Path, name: str) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (COUNT, 16, 24, 3), np.uint8)
    enlarged = [cv2.resize(p, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC) for p in pictures]
    path = write_clip(tmp_path / name, enlarged, options=CLIPS[name]["options"])
    with av.open(str(path)) as container:
        wanted = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    reader = IndexedClip(path, index_clip(path))
    for number in orders(COUNT):
        assert np.array_equal(reader.read_rgb(number), wanted[number])


def test_a_jump_decodes_no_more_than_from_the_keyframe_before(tmp_path: Path) -> None:
    for name in ("b_frames.mp4", "b_frames.mkv"):
        path = write_numbered(tmp_path / name, options=B_FRAMES)
        index = index_clip(path)
        assert len(set(index.seek.tolist())) == COUNT // 12
        reader = IndexedClip(path, index)
        decoded: list[int] = []
        inner = reader._decode

        def counted(inner=inner, decoded=decoded):
            for frame in inner():
                decoded.append(frame.pts)
                yield frame

        reader._decode = counted
        reader.read(47)
        assert decoded[-1] == index.pts[47]
        assert 0 < len(decoded) <= 12


def test_a_wrong_count_in_the_container_changes_nothing(tmp_path: Path) -> None:
    # An AVI's header holds the count (avih.dwTotalFrames); Matroska none at all.
    path = write_numbered(tmp_path / "a.avi", codec="mpeg4", options={"g": "12"})
    data = bytearray(path.read_bytes())
    at = data.index(b"avih") + 8 + 16
    stream = data.index(b"strh") + 8 + 32
    for where in (at, stream):
        assert int.from_bytes(data[where : where + 4], "little") == COUNT
        data[where : where + 4] = (7).to_bytes(4, "little")
    path.write_bytes(data)
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames == 7
    assert len(index_clip(path)) == COUNT


def test_a_cut_clip_is_refused(tmp_path: Path) -> None:
    whole = write_numbered(tmp_path / "a.mp4", container_options={"movflags": "faststart"})
    with av.open(str(whole)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    packet = packets[len(packets) * 3 // 4]
    # Within a packet, wherever it is: files differ by a byte now and then.
    (tmp_path / "cut.mp4").write_bytes(whole.read_bytes()[: packet.pos + packet.size // 2])
    (tmp_path / "between.mp4").write_bytes(whole.read_bytes()[: packet.pos])
    (tmp_path / "no_head.mp4").write_bytes(write_numbered(tmp_path / "b.mp4").read_bytes()[:-900])
    for name in ("cut.mp4", "between.mp4", "no_head.mp4"):
        with pytest.raises(VideoError, match=rf"{name}: .*(cut off|can be read)"):
            index_clip(tmp_path / name)


def test_a_damaged_frame_is_named(tmp_path: Path) -> None:
    path = write_numbered(tmp_path / "a.mp4", options={"x264-params": "keyint=1"})
    with av.open(str(path)) as container:
        packet = [p for p in container.demux(video=0) if p.size][30]
        position, size = packet.pos, packet.size
    data = bytearray(path.read_bytes())
    data[position + 4 : position + size] = b"\xff" * (size - 4)
    path.write_bytes(data)
    reader = IndexedClip(path, index_clip(path))
    with pytest.raises(VideoError, match=r"a\.mp4: frame 30"):
        reader.read(30)
    assert number_in(reader.read_alpha(31)) == 31
    assert number_in(reader.read_alpha(29)) == 29


def test_frames_without_time_stamps_are_refused_with_advice(tmp_path: Path) -> None:
    path = write_numbered(tmp_path / "a.avi", options=B_FRAMES)
    with pytest.raises(VideoError, match=r"a\.avi: .*no time stamps; convert it"):
        index_clip(path)


@pytest.mark.parametrize(("name", "message"), [("a.mp4", "not a video"), ("b.mp4", "No such file")])
def test_what_is_no_video_is_refused(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "a.mp4").write_bytes(b"hello")
    with pytest.raises(VideoError, match=f"{name}: .*{message}"):
        index_clip(tmp_path / name)


@pytest.mark.parametrize("name", ["12:30:05.mp4", "http:a.mp4", "%d.mp4", "-i.mp4"])
def test_a_name_is_a_file_whatever_it_looks_like(tmp_path: Path, clips, monkeypatch, name) -> None:
    clips.write(tmp_path / name, clips.moving(3))
    monkeypatch.chdir(tmp_path)
    index = index_clip(Path(name))
    assert IndexedClip(Path(name), index).read_rgb(2).shape == (48, 64, 3)
    assert len(index) == 3


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pipes of this kind, or other words")
@pytest.mark.parametrize("kind", ["pipe", "folder", "loop"])
def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.mp4"
    {"pipe": os.mkfifo, "folder": os.mkdir, "loop": lambda path: path.symlink_to(path)}[kind](path)
    message = {"pipe": "it is a pipe", "folder": "it is a folder", "loop": "symbolic links"}[kind]
    with pytest.raises(VideoError, match=message):
        index_clip(path)


def luma_clip(path: Path, values: list[int], colour_range: int | None) -> Path:
    """Frames of one luma each, lossless."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"qp": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        if colour_range is not None:
            stream.codec_context.color_range = colour_range
        for number, value in enumerate(values):
            frame = av.VideoFrame(64, 48, "yuv420p")
            for plane, content in zip(frame.planes, (value, 128, 128), strict=True):
                plane.update(np.full((plane.height, plane.line_size), content, np.uint8))
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("colour_range", [None, 1, 2])
def test_alpha_of_limited_range_fills_the_full_one(
    tmp_path: Path, colour_range: int | None
) -> None:
    stored = [0, 16, 17, 126, 234, 235, 255]
    path = luma_clip(tmp_path / "a.mp4", stored, colour_range)
    reader = IndexedClip(path, index_clip(path))
    got = [reader.read_alpha(number) for number in range(len(stored))]
    assert all((alpha == alpha[0, 0]).all() and alpha.shape == (48, 64) for alpha in got)
    # (Y - 16) * 255 / 219, clamped; a clip tagged as full range keeps its values.
    wanted = stored if colour_range == 2 else [0, 0, 1, 128, 254, 255, 255]
    assert [int(alpha[0, 0]) for alpha in got] == wanted


@pytest.mark.parametrize("pix_fmt", ["yuv444p", "yuv420p10le", "rgb24"])
def test_alpha_of_other_pixel_formats(tmp_path: Path, pix_fmt: str) -> None:
    codec = "qtrle" if pix_fmt == "rgb24" else "libx264"

    def configure(stream: av.VideoStream) -> None:
        stream.pix_fmt = pix_fmt

    values = [0, 60, 128, 255]
    pictures = [np.full((48, 64), value, np.uint8) for value in values]
    path = write_clip(tmp_path / "a.mov", pictures, codec, configure=configure)
    reader = IndexedClip(path, index_clip(path))
    got = [int(reader.read_alpha(number)[20, 20]) for number in range(4)]
    # Conversion to limited range and back rounds by up to one level.
    assert np.abs(np.subtract(got, values)).max() <= 1
    assert (got[0], got[-1]) == (0, 255)


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_rotation_is_that_of_opencv(tmp_path: Path, rotation: int) -> None:
    path = write_numbered(
        tmp_path / "a.mp4", 3, configure=lambda stream: stream.set_display_rotation(rotation)
    )
    reader = IndexedClip(path, index_clip(path))
    alpha = reader.read_alpha(1)
    capture = cv2.VideoCapture(str(path))
    upright = [capture.read()[1] for _ in range(2)][1]
    assert alpha.shape == upright.shape[:2] == ((64, 96) if rotation == 180 else (96, 64))
    # Both decode the same stream; conversion to colours and back rounds.
    assert np.abs(alpha.astype(int) - upright[..., 1]).max() <= 2
    assert reader.read_rgb(1).shape == (*alpha.shape, 3)


@pytest.mark.parametrize(
    "rotation", [(0, True, False), (0, False, True), (90, False, False), (90, True, False)]
)
def test_both_readers_turn_and_mirror_alike(tmp_path: Path, clips, rotation) -> None:
    picture = np.repeat(np.random.default_rng(0).integers(0, 256, (48, 64, 1), np.uint8), 3, 2)
    path = clips.write(
        tmp_path / "a.mp4", [picture], rotation=rotation, qp="0", pixel_format="yuv444p"
    )
    streamed = ClipReader(path, "a").read().pixels.astype(int)
    clip = IndexedClip(path, index_clip(path))
    # Rounded differently: by a level where the conversion is exact, by up to 3 where it is fast.
    assert np.abs(clip.read_rgb(0) - streamed).max() <= 3
    assert np.abs(clip.read_alpha(0) - streamed[..., 1]).max() <= 1


def test_the_cover_of_an_album_is_no_video(tmp_path: Path, photographs) -> None:
    path = tmp_path / "a.mp4"
    picture = photographs.save(tmp_path / "a.jpg", np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    with av.open(str(path), "w") as container:
        cover, song = container.add_stream("mjpeg", rate=25), container.add_stream("aac", 48000)
        cover.height, cover.width, cover.pix_fmt = HEIGHT, WIDTH, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        packet = av.Packet(picture.read_bytes())
        packet.stream, packet.pts, packet.dts = cover, 0, 0
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        silence.sample_rate = 48000
        container.mux([packet, *song.encode(silence), *song.encode()])
    for read in (index_clip, lambda path: ClipReader(path, str(path))):
        with pytest.raises(VideoError, match=r"a\.mp4: holds no video, only audio and video"):
            read(path)


@pytest.mark.parametrize(
    ("height", "tag", "wanted"), [(48, None, 601), (720, None, 709), (48, 1, 709), (720, 5, 601)]
)
def test_colours_follow_the_tag_or_the_size(
    tmp_path: Path, height: int, tag: int | None, wanted: int
) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"qp": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, height, "yuv420p"
        if tag is not None:
            stream.codec_context.colorspace = tag
        frame = av.VideoFrame(64, height, "yuv420p")
        for plane, content in zip(frame.planes, (100, 90, 180), strict=True):
            plane.update(np.full((plane.height, plane.line_size), content, np.uint8))
        frame.pts = 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    reader = IndexedClip(tmp_path / "a.mp4", index_clip(tmp_path / "a.mp4"))
    got = reader.read_rgb(0)[height // 2, 32]
    # ITU-R BT.601 and BT.709, by hand; swscale rounds by a few levels.
    by_hand = {601: (180.8, 70.4, 21.2), 709: (191.0, 78.2, 17.5)}[wanted]
    assert np.abs(got - by_hand).max() < 4
