"""Settings of video: what is read, and how it is written."""

from fractions import Fraction
from pathlib import Path
from typing import Literal

from runtime.settings import REQUIRED, settings_group

from ..pictures.compose import AlphaMode

VideoOutputType = Literal["com", "pha", "fgr", "err", "ref"]
OutputFormat = Literal["video", "image_sequences"]
Codec = Literal["h264", "hevc", "prores", "vp9"]
PictureFormat = Literal["png", "jpeg"]
TargetFit = Literal["crop", "stretch", "pad"]
TargetLoop = Literal["loop", "hold", "stop"]


@settings_group("video")
class VideoSettings:
    """What to read.

    Attributes:
        src: Frames: a video file, a folder of numbered pictures, or - for a pipe (of raw frames
            with --video-size, else of Matroska, NUT or MPEG-TS).
        bgr: Captured background plate, without the subject (not the new background, see
            --video-target-bgr): a picture, a video that is matched by time, or median, which takes
            it from the frames of a camera that stands still.
        target_bgr: New background of com: a colour (green, #00b140), a picture, a video, or blur.
        resize: Width and height that the frames get before everything else, pixels.
        rate: Frames a second of a folder of pictures or of raw frames, as 30000/1001 or 29.97; 25
            when not given. Video files have time stamps of their own.
        size: Width and height of a pipe of raw frames, pixels.
        pixel_format: Of a pipe of raw frames, as FFmpeg names it.
    """

    src: Path = REQUIRED
    bgr: str | None = None
    target_bgr: str | None = None
    resize: tuple[int, int] | None = None
    rate: float | str | None = None
    size: tuple[int, int] | None = None
    pixel_format: str = "rgb24"

    def __post_init__(self) -> None:
        for name, value in (("resize", self.resize), ("size", self.size)):
            if value is not None and min(value) < 1:
                raise ValueError(f"{name} must be a width and a height of 1 or more, got {value}")
        if self.exact_rate is not None and not 0 < self.exact_rate <= 1000:
            raise ValueError(f"rate must be above 0 and at most 1000, got {self.rate}")

    @property
    def exact_rate(self) -> Fraction | None:
        """The rate as a fraction; 29.97 and its like are the broadcast rates that they mean."""
        if self.rate is None:
            return None
        try:
            rate = Fraction(str(self.rate))
        except (ValueError, ZeroDivisionError) as error:
            raise ValueError(
                f"rate must be a number or a fraction such as 30000/1001, got {self.rate!r}"
            ) from error
        broadcast = Fraction(round(rate) * 1000, 1001)
        return broadcast if rate != round(rate) and abs(rate - broadcast) < 0.01 else rate


@settings_group("output")
class VideoOutputSettings:
    """What to write.

    Attributes:
        dir: Folder for the outputs: TYPE.mp4 (.mov, .webm), or TYPE/ with a picture a frame.
        format: video, or image_sequences.
        types: com: the subject over --video-target-bgr, or with alpha without one; pha: alpha;
            fgr: foreground; err: predicted error; ref: refined cells.
        picture_format: Of com and fgr as image sequences; all others are PNG.
        bit_depth: Bits a channel: 8, or 10 (16 in PNG). When not given, the source's where the
            format is one that players decode: HEVC, ProRes, PNG; else 8.
    """

    dir: Path = REQUIRED
    format: OutputFormat = "video"
    types: tuple[VideoOutputType, ...] = ("com", "pha")
    picture_format: PictureFormat = "png"
    bit_depth: Literal[8, 10] | None = None

    def __post_init__(self) -> None:
        if not self.types:
            raise ValueError("types must name at least one output type")


@settings_group("")
class EncodingSettings:
    """How to write videos.

    Attributes:
        codec: h264 and hevc (.mp4, no transparency), prores (4444, .mov) and vp9 (.webm), which
            have alpha where com has no --video-target-bgr.
        crf: Quality, less is better: 0-51 for h264 (18 when not given) and hevc (20), 0-63 for vp9
            (24; with alpha lossless, as alpha gets no quality of its own).
        bit_rate: Million bits a second, instead of a quality; not for prores.
        preset: Speed of h264 and hevc, from ultrafast to veryslow; on a CPU they share the cores
            with the network.
        alpha: Of com with alpha: straight, or premultiplied colours.
        audio: Copy the source's sound into com (fgr without com).
    """

    codec: Codec = "h264"
    crf: int | None = None
    bit_rate: float | None = None
    preset: str = "veryfast"
    alpha: AlphaMode = "straight"
    audio: bool = True

    def __post_init__(self) -> None:
        largest = {"h264": 51, "hevc": 51, "vp9": 63}.get(self.codec)
        if self.codec == "prores" and (self.crf is not None or self.bit_rate is not None):
            raise ValueError("prores has one quality; leave crf and bit_rate out")
        if self.crf is not None and self.bit_rate is not None:
            raise ValueError("give crf (a quality) or bit_rate (a size), not both")
        if largest is not None and self.crf is not None and not 0 <= self.crf <= largest:
            raise ValueError(f"crf of {self.codec} must lie in [0, {largest}], got {self.crf}")
        if self.bit_rate is not None and not self.bit_rate > 0:
            raise ValueError(f"bit_rate must be above 0, got {self.bit_rate}")
        if self.preset not in _PRESETS:
            raise ValueError(f"preset must be one of {', '.join(_PRESETS)}, got {self.preset!r}")


_PRESETS = (
    *("ultrafast", "superfast", "veryfast", "faster", "fast", "medium"),
    *("slow", "slower", "veryslow"),
)
