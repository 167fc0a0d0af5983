"""Clips: container x codec x pixel format x time x aspect x rotation x sound x damage.

A new format is one row. All are made by PyAV alone, or from the bytes of what it made.
"""

import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from tests.conftest import Clips

COUNT, HEIGHT, WIDTH = 6, 48, 64
FINE = {"crf": "4"}  # of libx264
GROUPS = {"x265-params": "log-level=none:qp=8:keyint=5:min-keyint=5"}
QUIET = {"x265-params": "log-level=none:qp=8"}
PAL = Fraction(4, 3)
# Mean levels that are lost: by rounding to limited range and back; by colours of half the size
# and a fine quantiser; by a coarse one (no codec is asked for its best).
ROUNDING, HALVED, COARSE = 1.0, 6.5, 8.0


@dataclass(frozen=True)
class ClipRow:
    """One clip.

    Attributes:
        name: of the file.
        make: writes it.
        shows: its frames, (H, W, 3) uint8 or uint16 sRGB; None where no frame is compared.
        within: mean absolute difference that is allowed, in levels of 255.
        times: when each frame is shown, seconds; None for 25 a second.
        frames: how many are made, where that is not what `shows` has.
        sound: seconds from the first picture to the first packet that is copied; None for none.
        says: regular expression that is found in what the program says.
        code: the exit code.
        quiet: whether no damage, join or fault of colours may be noted.
        plate: height and width of the plate's picture, if they are others.
        size: height and width of the outputs, if they are others.
        args: more of the command line.
    """

    name: str
    make: Callable[[Path], object]
    shows: Callable[[], list[np.ndarray]] | None = None
    within: float = HALVED
    times: list[float] | None = None
    frames: int | None = None
    sound: float | None = None
    says: str = ""
    code: int = 0
    quiet: bool = True
    plate: tuple[int, int] = (HEIGHT, WIDTH)
    size: tuple[int, int] | None = None
    args: tuple[object, ...] = ()


def drawn() -> list[np.ndarray]:
    """What every clip shows: a disc that moves over a plate."""
    return Clips.moving(COUNT, HEIGHT, WIDTH)


def many() -> list[np.ndarray]:
    """The same for longer, where damage needs room."""
    return Clips.moving(20, HEIGHT, WIDTH)


def deep() -> list[np.ndarray]:
    """The same with 16 bits."""
    return [picture.astype(np.uint16) * 257 for picture in drawn()]


def clip(pictures=drawn, **how):
    """Writes by PyAV; see `Clips.write`."""
    return lambda path: Clips.write(path, pictures(), **how)


def x264(**how):
    """H.264 of high quality."""
    return clip(**{**FINE, **how})


def tagged(matrix: int, by: int | None = None):
    """All colours in full, by a matrix (or by another one than is named), lossless."""
    tags = {"colorspace": matrix, "color_range": 1}
    return clip(pixel_format="yuv444p", qp="0", tags=tags, matrix=by)


def squeezed(aspect: Fraction, **how):
    """Pixels of an aspect (width over height)."""
    return x264(tags={"sample_aspect_ratio": aspect}, **how)


def animated(**options):
    """By Pillow: each frame for 40 ms."""

    def make(path: Path) -> None:
        first, *others = map(Image.fromarray, drawn())
        first.save(path, save_all=True, append_images=others, duration=40, **options)

    return make


def changed(make, change: Callable[[bytes, list[av.Packet]], bytes]):
    """Another clip with its bytes changed, knowing where its packets of pictures are."""

    def make_changed(path: Path) -> None:
        make(path)
        with av.open(f"file:{path}") as container:
            packets = [packet for packet in container.demux(video=0) if packet.size]
        path.write_bytes(change(path.read_bytes(), packets))

    return make_changed


def flip(number: int):
    """Turns bits at the beginning of a packet, where decoders notice it."""

    def change(content: bytes, packets: list[av.Packet]) -> bytes:
        packet, data = packets[number], bytearray(content)
        start = content.find(bytes(packet)[-16:])  # where the container tells no position
        end = start + 16 if packet.pos is None or packet.pos < 0 else packet.pos + packet.size
        generator = np.random.default_rng(1)
        first = end - packet.size + 6  # behind what says that here is a picture
        for place in generator.integers(first, first + max(8, packet.size // 8), 8):
            data[place] ^= int(generator.integers(1, 256))
        return bytes(data)

    return change


def cut(share: float):
    """Cuts a file off."""
    return lambda content, packets: content[: int(len(content) * share)]


def cut_in(number: int):
    """Cuts a file off within a packet."""
    return lambda content, packets: content[: packets[number].pos + packets[number].size // 2]


def lose(first: float, count: int):
    """Leaves packets of MPEG-TS out, from a share of the file on."""

    def change(content: bytes, packets: list[av.Packet]) -> bytes:
        start = int(len(content) / 188 * first) * 188
        return content[:start] + content[start + 188 * count :]

    return change


def twice(content: bytes, packets: list[av.Packet]) -> bytes:
    """Joins a file to itself."""
    return content + content


def write_bytes(content: bytes):
    """Writes bytes."""
    return lambda path: path.write_bytes(content)


def two_tracks(path: Path) -> None:
    """A small preview before the clip, as some cameras store it."""
    with av.open(str(path), "w") as container:
        sizes = ((HEIGHT // 2, WIDTH // 2), (HEIGHT, WIDTH))
        streams = [
            container.add_stream("libx264", 25, FINE, height=height, width=width)
            for height, width in sizes
        ]
        for number, picture in enumerate(drawn()):
            for stream in streams:
                frame = av.VideoFrame.from_ndarray(picture).reformat(stream.width, stream.height)
                frame.pts, frame.time_base = number, Fraction(1, 25)
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode(None))


def two_sizes(path: Path) -> None:
    """Frames that become larger in the middle, as MPEG-TS may have them."""
    parts = []
    for pictures in (drawn(), Clips.moving(COUNT, HEIGHT * 2, WIDTH * 2)):
        Clips.write(path, pictures)
        parts.append(path.read_bytes())
    path.write_bytes(b"".join(parts))


def sounded(codec: str = "aac", begins: Fraction = Fraction(0), **how):
    """With sound that begins so many seconds from the first picture, both an hour late."""

    def make(path: Path) -> None:
        plain, late = io.BytesIO(), Fraction(3600)
        inner = path.with_name("inner.mkv")
        Clips.write(inner, many(), sound=codec, bf="0", **FINE)
        with av.open(str(inner)) as source, av.open(str(path), "w", **how) as container:
            streams = {s: container.add_stream_from_template(s) for s in source.streams}
            packets = [packet for packet in source.demux() if packet.size]
            for packet in packets:
                shift = late if packet.stream.type == "video" else late + begins
                packet.pts += round(shift / packet.time_base)
                packet.dts += round(shift / packet.time_base)
            for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
                packet.stream = streams[packet.stream]
                container.mux(packet)
        inner.unlink()
        assert not plain.getvalue()

    return make


def with_channels(layout: str, codec: str = "pcm_s16le", seconds: float = COUNT / 25):
    """With silence of some channels."""

    def make(path: Path) -> None:
        with av.open(str(path), "w") as container:
            how = {**FINE, "bf": "0"}
            video = container.add_stream("libx264", 25, how, height=HEIGHT, width=WIDTH)
            video.pix_fmt = "yuv420p"
            audio = container.add_stream(codec, 48000, layout=layout)
            for number, picture in enumerate(drawn()):
                frame = av.VideoFrame.from_ndarray(picture)
                frame.pts, frame.time_base = number, Fraction(1, 25)
                container.mux(video.encode(frame))
            container.mux(video.encode(None))
            for start in range(0, int(seconds * 48000), 1024):
                silence = av.AudioFrame(audio.format.name, layout, 1024)
                silence.sample_rate, silence.pts = 48000, start
                silence.time_base = Fraction(1, 48000)
                for plane in silence.planes:
                    plane.update(bytes(plane.buffer_size))
                container.mux(audio.encode(silence))
            container.mux(audio.encode(None))

    return make


def channels_by_name(content: bytes, packets: list[av.Packet]) -> bytes:
    """Says by Apple's layout 128 (MPEG 7.1 C) which 8 channels a MOV has, as editors do."""
    at = content.index(b"chan") + 8
    return content[:at] + (128 << 16 | 8).to_bytes(4, "big") + content[at + 4 :]


def sound_alone(path: Path) -> None:
    """No pictures."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", 48000)
        container.mux(list(Clips._tone(stream, 0.5)))


def colours_of(turn: Callable[[np.ndarray], np.ndarray]):
    """The drawn frames, turned."""
    return lambda: [np.ascontiguousarray(turn(picture)) for picture in drawn()]


GUESS = r"matrix, {} \({} of H\.273\), is not supported; {} is used instead"
DAMAGED = r"damaged inside; missing or damaged frames: \d+, the first is frame \d+"
BROKEN = {"shows": None, "frames": 0}
NTSC = [round(n * 1001 / 30000, 6) for n in range(COUNT)]
VFR = [0.0, 0.033, 0.1, 0.2, 0.4, 0.5]

CONTAINERS = [
    ClipRow("h264.mp4", x264(), drawn),
    ClipRow("h264.mov", x264(), drawn),
    ClipRow("h264.m4v", x264(), drawn),
    ClipRow("h264.mkv", x264(), drawn),
    ClipRow("h264.ts", x264(), drawn),
    ClipRow("h264.flv", x264(), drawn),
    ClipRow("h264.nut", x264(), drawn),
    ClipRow("b_frames.mp4", x264(bf="3"), drawn),
    ClipRow("open_gop.ts", x264(pictures=many, **{"x264-params": "keyint=6:open-gop=1"}), many),
    ClipRow("fragments.mp4", x264(), drawn),
    ClipRow("hevc.mp4", clip(codec="libx265", **QUIET), drawn),
    ClipRow("hevc.mkv", clip(codec="libx265", **QUIET), drawn),
    ClipRow("mpeg4.avi", clip(codec="mpeg4", qmax="2"), drawn, COARSE),
    ClipRow("mpeg2.mpg", clip(codec="mpeg2video", qmax="2"), drawn),
    ClipRow("mpeg2.ts", clip(codec="mpeg2video", qmax="2"), drawn),
    ClipRow("mpeg2.mxf", clip(codec="mpeg2video", qmax="2"), drawn),
    ClipRow("mjpeg.avi", clip(codec="mjpeg", pixel_format="yuvj420p", qmax="2"), drawn),
    ClipRow("vp8.webm", clip(codec="libvpx", crf="4", b="9M"), drawn, COARSE),
    ClipRow("vp9.webm", clip(codec="libvpx-vp9", lossless="1"), drawn),
    ClipRow("wmv.wmv", clip(codec="wmv2", qmax="2"), drawn),
    ClipRow("ffv1.mkv", clip(codec="ffv1", pixel_format="yuv444p"), drawn, ROUNDING),
    ClipRow("huffyuv.avi", clip(codec="huffyuv", pixel_format="rgb24"), drawn, 0),
    ClipRow("qtrle.mov", clip(codec="qtrle", pixel_format="rgb24"), drawn, 0),
    ClipRow("png.mov", clip(codec="png", pixel_format="rgb24"), drawn, 0),
    ClipRow("raw.avi", clip(codec="rawvideo", pixel_format="bgr24"), drawn, 0),
    ClipRow("prores.mov", clip(codec="prores_ks", pixel_format="yuv422p10le"), deep),
    ClipRow("animation.gif", animated(), drawn, 6),  # of 256 colours
    ClipRow("animation.webp", animated(lossless=True), drawn, 0),
    ClipRow("animation.png", animated(), drawn, 0),
    ClipRow("poster.png", animated(default_image=True), lambda: drawn()[1:], 0),
    ClipRow("animation.avif", animated(quality=100), drawn),
]
PIXELS = [
    ClipRow("422.mp4", x264(pixel_format="yuv422p"), drawn),
    ClipRow("444.mp4", clip(pixel_format="yuv444p", qp="0"), drawn, ROUNDING),
    ClipRow("10_bits.mp4", clip(deep, pixel_format="yuv420p10le", qp="0"), deep),
    ClipRow("10_bits_444.mkv", clip(deep, pixel_format="yuv444p10le", qp="0"), deep, ROUNDING),
    ClipRow("16_bits.mkv", clip(deep, codec="ffv1", pixel_format="gbrp16le"), deep, ROUNDING),
    ClipRow(
        "alpha.mov",
        clip(codec="png", pixel_format="rgba"),
        drawn,
        0,
        says="alpha channel dropped",
    ),
    ClipRow("rgb.mp4", clip(codec="libx264rgb", pixel_format="rgb24", qp="0"), drawn, 0),
    ClipRow("full.mp4", clip(pixel_format="yuvj444p", qp="0", tags={"color_range": 2}), drawn, 1),
    ClipRow("bt709.mp4", tagged(1), drawn, ROUNDING),
    ClipRow("fcc.mp4", tagged(4), drawn, ROUNDING),
    ClipRow("bt470bg.mp4", tagged(5), drawn, ROUNDING),
    ClipRow("smpte240m.mp4", tagged(7), drawn, 1.5),
    ClipRow("bt2020.mp4", tagged(9), drawn, ROUNDING),
    ClipRow("untagged_sd.mp4", clip(pixel_format="yuv444p", qp="0", matrix=5), drawn, ROUNDING),
    ClipRow("ycgco.mp4", tagged(8, 5), drawn, 1, says=GUESS.format("YCgCo", 8, "BT.601")),
    ClipRow("ictcp.mp4", tagged(14, 5), drawn, 1, says=GUESS.format("ICtCp", 14, "BT.601")),
    ClipRow("constant.mp4", tagged(10, 9), drawn, 1, says=GUESS.format(".*", 10, r"BT\.2020")),
    ClipRow("pq.mp4", x264(tags={"color_trc": 16}), drawn, says=r"source is HDR \(PQ\)"),
    ClipRow("hlg.mp4", x264(tags={"color_trc": 18}), drawn, says=r"source is HDR \(HLG\)"),
]
TIMES = [
    ClipRow(
        "variable.mp4",
        x264(pts=[round(90000 * time) for time in VFR], time_base=Fraction(1, 90000)),
        drawn,
        times=VFR,
    ),
    ClipRow("ntsc.mp4", x264(time_base=Fraction(1001, 30000)), drawn, times=NTSC),
    ClipRow("late.mp4", x264(pts=[*range(1_250_000, 1_250_000 + COUNT)]), drawn),
    ClipRow("late.mkv", x264(pts=[*range(1_250_000, 1_250_000 + COUNT)]), drawn),
    ClipRow("late.ts", x264(pts=[*range(1_250_000, 1_250_000 + COUNT)]), drawn),
    # What lies before 0 is hidden by an edit list.
    ClipRow("negative.mp4", x264(pts=[*range(-3, COUNT - 3)]), None, frames=COUNT - 3),
    ClipRow("raw.h264", x264(), drawn, says="no valid time stamp"),
    ClipRow("together.mp4", sounded(), many, sound=0.0),
    ClipRow("sound_later.mkv", sounded(begins=Fraction(1, 10)), many, sound=0.1),
    ClipRow(
        "sound_before.mkv",
        sounded(begins=Fraction(-3, 10)),
        many,
        sound=0.0,
        says=r"sound begins 0\.\d+ s before the first picture",
    ),
    ClipRow("broadcast.ts", sounded(begins=Fraction(1, 20)), many, sound=0.05),
]
SHAPES = [
    ClipRow("turned.mp4", x264(rotation=(90, False, False)), colours_of(np.rot90), plate=(64, 48)),
    ClipRow("half.mp4", x264(rotation=(180, False, False)), colours_of(lambda a: a[::-1, ::-1])),
    ClipRow("mirrored.mp4", x264(rotation=(0, True, False)), colours_of(lambda a: a[:, ::-1])),
    ClipRow("wide.mp4", squeezed(PAL), drawn, plate=(48, 85)),
    ClipRow("wide_stored.mp4", squeezed(PAL), drawn),
    ClipRow("narrow.mp4", squeezed(Fraction(8, 9)), drawn, plate=(54, 64)),
    ClipRow(
        "wide_turned.mp4",
        squeezed(PAL, rotation=(90, False, False)),
        colours_of(np.rot90),
        plate=(85, 48),
    ),
    ClipRow(
        "wide_pictures.mp4",
        squeezed(PAL),
        drawn,
        plate=(48, 85),
        size=(48, 85),
        says="the source's pixels are 4:3",
        args=("--output-format", "image_sequences"),
    ),
    ClipRow(
        "impossible.mp4",
        squeezed(Fraction(20)),
        drawn,
        size=(48, 64),
        says="impossible pixel aspect 20:1 ignored",
    ),
    ClipRow(
        "wide_to_web.mp4",
        squeezed(PAL),
        drawn,
        size=(48, 85),
        says="the source's pixels are 4:3; those of com.webm are enlarged to squares",
        args=("--codec", "vp9"),
    ),
    ClipRow("two_tracks.mp4", two_tracks, drawn, says=r"track 2 \(64 x 48 pixels\) of 2"),
    ClipRow(
        "odd.mp4",
        clip(lambda: Clips.moving(3, 47, 63), pixel_format="yuv444p", qp="0"),
        lambda: Clips.moving(3, 47, 63),
        ROUNDING,
        says="needs even sizes",
        plate=(47, 63),
        size=(48, 64),
    ),
]
SOUNDS = [
    ClipRow("aac.mp4", x264(sound="aac"), drawn, sound=0.0),
    ClipRow("aac.ts", x264(sound="aac"), drawn, sound=0.0),
    ClipRow("opus.mkv", x264(sound="libopus"), drawn, sound=0.0),
    ClipRow("mp2.mpg", clip(codec="mpeg2video", qmax="2", sound="mp2"), drawn, sound=0.0),
    ClipRow("pcm.mov", x264(sound="pcm_s16le"), drawn, sound=0.0),
    ClipRow(
        "mulaw.avi",
        clip(codec="mjpeg", pixel_format="yuvj420p", qmax="2", sound="pcm_mulaw"),
        drawn,
        says=r"sound of codec pcm_mulaw can't be stored in \.mp4 and was left out",
    ),
    ClipRow("opus_to_web.mkv", x264(sound="libopus"), drawn, sound=0.0, args=("--codec", "vp9")),
    ClipRow(
        "opus.webm",
        clip(codec="libvpx-vp9", lossless="1", sound="libopus"),
        drawn,
        sound=0.0,
        args=("--codec", "vp9"),
    ),
    ClipRow(
        "eight_channels.mov", changed(with_channels("7.1"), channels_by_name), drawn, sound=0.0
    ),
    ClipRow("six_channels.avi", with_channels("5.1"), drawn, sound=0.0),
    ClipRow("longer.mkv", with_channels("stereo", "aac", 3), drawn, sound=0.0),
    ClipRow(
        "aac_to_web.mkv",
        x264(sound="aac"),
        drawn,
        args=("--codec", "vp9"),
        says=r"sound of codec aac can't be stored in \.webm",
    ),
]
DAMAGE = [
    ClipRow(
        "flips.mp4",
        changed(x264(pictures=many, g="5"), flip(9)),
        None,
        frames=19,
        says=DAMAGED,
        quiet=False,
    ),
    ClipRow(
        "flips_hevc.mp4",
        changed(clip(many, codec="libx265", **GROUPS), flip(7)),
        None,
        says=DAMAGED,
        quiet=False,
    ),
    ClipRow(
        "flips.avi",
        changed(clip(many, codec="mpeg4", qmax="2"), flip(9)),
        None,
        frames=20,
        says=DAMAGED,
        quiet=False,
    ),
    ClipRow(
        "flips.mov",
        changed(clip(many, codec="prores_ks", pixel_format="yuv422p10le"), flip(9)),
        None,
        frames=19,
        says=DAMAGED,
        quiet=False,
    ),
    ClipRow(
        "flips_to_the_end.mp4",
        changed(clip(many, codec="libx265", **QUIET), flip(9)),
        code=1,
        says=r"frame \d+ can't be decoded: .*; the file is cut off or damaged",
    ),
    ClipRow(
        "lost.ts",
        changed(x264(pictures=many, g="5"), lose(0.55, 3)),
        None,
        says=DAMAGED,
        quiet=False,
    ),
    ClipRow(
        "joined.ts",
        changed(x264(pictures=many, g="5"), twice),
        None,
        frames=40,
        times=[n / 25 for n in range(40)],
        says="time stamps jump at 0.*parts are joined",
        quiet=False,
    ),
    ClipRow(
        "cut.avi",
        changed(clip(many, codec="mpeg4", qmax="2"), cut_in(12)),
        code=1,
        says=r"frame \d+ is not whole; the file is cut off or damaged",
    ),
    ClipRow("cut_head.mp4", changed(x264(), cut(0.8)), code=2, says="not a video that can be read"),
    ClipRow(
        "sizes.ts", two_sizes, code=1, says="frame 6 has 128 x 96 pixels, those before 64 x 48"
    ),
    ClipRow("empty.mp4", write_bytes(b""), code=2, says="not a video that can be read"),
    ClipRow("text.mp4", write_bytes(b"not a video" * 99), code=2, says="not a video that can"),
    ClipRow("sound.mp4", sound_alone, code=2, says="holds no video, only audio"),
    ClipRow(
        "picture.png",
        lambda path: Image.fromarray(drawn()[0]).save(path),
        code=2,
        says="a picture, not a video",
    ),
    ClipRow(
        "animation_cut.webp",
        lambda path: (
            animated(lossless=True)(path),
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
        ),
        code=2,
        says="not a|can't be decoded|cut off",
    ),
    ClipRow("loop.mp4", lambda path: path.symlink_to(path), code=2, says="symbolic links"),
    ClipRow("gone.mp4", lambda path: None, code=2, says="no such file or folder"),
]
NAMES = [
    ClipRow("2026-01-05T12:30:05.mp4", x264(), drawn),
    ClipRow("http:example.mp4", x264(), drawn),
    ClipRow("concat:a|b.mp4", x264(), drawn),
    ClipRow("%03d [x] ä.mp4", x264(), drawn),
    ClipRow("-y.mp4", x264(), drawn),
    ClipRow("linked.mp4", lambda path: path.symlink_to(x264()(path.with_name("to.mp4"))), drawn),
]
ROWS = [*CONTAINERS, *PIXELS, *TIMES, *SHAPES, *SOUNDS, *DAMAGE]
if os.name == "posix":
    ROWS += NAMES
