"""Settings of video: input, output, and the encoder options of each codec."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field

from runtime.settings import REQUIRED, settings_group
from storage.location import FetchedPath, FetchedText

from ..pictures.compose import AlphaMode

VideoOutputType = Literal["com", "pha", "fgr", "err", "ref"]
OutputFormat = Literal["video", "image_sequences"]
Codec = Literal["h264", "hevc", "prores", "vp9"]
PictureFormat = Literal["png", "jpeg"]
TargetFit = Literal["crop", "stretch", "pad"]
TargetLoop = Literal["loop", "hold", "stop"]
Side = Annotated[int, Field(ge=1)]  # pixels

PRESETS = (
    *("ultrafast", "superfast", "veryfast", "faster", "fast", "medium"),
    *("slow", "slower", "veryslow"),
)
_CRF: dict[Codec, int] = {"h264": 18, "hevc": 20, "vp9": 24}
# libx265 4.2 writes beyond its buffers if a row has three blocks of 16 pixels or fewer (seen with
# valgrind), unless motion estimation between frames is restricted.
_NARROW_FOR_X265 = 48


@settings_group("video")
class VideoSettings:
    """Settings of the input."""

    src: FetchedPath = REQUIRED
    """Frames: a video file, a folder of numbered pictures, the URL of either, a folder of video
    files with its subfolders, or - for a pipe (of raw frames with --video-size, else of Matroska,
    NUT or MPEG-TS)."""
    bgr: FetchedText = None
    """Captured background plate, without the subject: a picture or a video matched by time (or its
    URL), or median, which computes it from the frames of a static camera. The new background is
    --video-target-bgr. For a folder of video files also a folder of pictures, paired by relative
    path and stem."""
    target_bgr: FetchedText = None
    """New background of com: a colour (green, #00b140), a picture or a video (or its URL), or
    blur."""
    resize: tuple[Side, Side] | None = None
    """Resize the frames to this width and height, in pixels, before anything else."""
    rate: float | str | None = None
    """Frames per second of a folder of pictures or of raw frames, as 30000/1001 or 29.97; 25 if not
    given. Video files have their own time stamps."""
    size: tuple[Side, Side] | None = None
    """Width and height of raw frames from a pipe, in pixels."""
    pixel_format: str = "rgb24"
    """Pixel format of raw frames from a pipe, by FFmpeg's name."""

    def __post_init__(self) -> None:
        if self.exact_rate is not None and not 0 < self.exact_rate <= 1000:
            raise ValueError(f"rate must be above 0 and at most 1000, got {self.rate}")

    @property
    def exact_rate(self) -> Fraction | None:
        """The rate as a fraction; 29.97 and the like become the exact broadcast rates."""
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
    """Settings of the output."""

    dir: FetchedPath = REQUIRED
    """Output folder, or its URL (s3://, gs://): TYPE.mp4 (.mov, .webm), or TYPE/ with one picture
    per frame. They go to a URL at the end."""
    format: OutputFormat = "video"
    """Video files, or folders of pictures."""
    types: Annotated[tuple[VideoOutputType, ...], Field(min_length=1)] = ("com", "pha")
    """com: the subject over --video-target-bgr, or with alpha if there is none; pha: alpha; fgr:
    foreground; err: predicted error; ref: refined cells."""
    picture_format: PictureFormat = "png"
    """Picture format of com and fgr as image sequences; the others are PNG."""
    bit_depth: Literal[8, 10] | None = None
    """Bits per channel: 8, or 10 (16 in PNG). If not given, those of the source for HEVC, ProRes
    and PNG, which players decode at that depth; 8 for the others."""


@settings_group("")
class EncodingSettings:
    """Settings of the encoder."""

    codec: Codec = "h264"
    """h264 and hevc (.mp4) have no transparency. prores (4444, .mov) and vp9 (.webm) keep alpha in
    com if there is no --video-target-bgr."""
    crf: int | None = None
    """Quality, lower is better: 0-51 for h264 (default 18) and hevc (20), 0-63 for vp9 (24;
    lossless with alpha, because alpha shares the quality of the colours)."""
    bit_rate: float | None = None
    """Megabits per second, instead of a quality; not for prores."""
    preset: str = "veryfast"
    """Encoder speed of h264 and hevc, from ultrafast to veryslow. On a CPU the encoder shares the
    cores with the network."""
    alpha: AlphaMode = "straight"
    """Colours of com with alpha: straight or premultiplied."""
    audio: bool = True
    """Copy the source's sound into com (fgr without com)."""

    def __post_init__(self) -> None:
        largest = 63 if self.codec == "vp9" else 51
        if self.codec == "prores" and (self.crf is not None or self.bit_rate is not None):
            raise ValueError("prores has one quality; leave crf and bit_rate out")
        if self.crf is not None and self.bit_rate is not None:
            raise ValueError("give crf (a quality) or bit_rate (a size), not both")
        if self.crf is not None and not 0 <= self.crf <= largest:
            raise ValueError(f"crf of {self.codec} must lie in [0, {largest}], got {self.crf}")
        if self.bit_rate is not None and not self.bit_rate > 0:
            raise ValueError(f"bit_rate must be above 0, got {self.bit_rate}")
        if self.preset not in PRESETS:
            raise ValueError(f"preset must be one of {', '.join(PRESETS)}, got {self.preset!r}")


@dataclass(frozen=True)
class Recipe:
    """A codec in its container, with settings that common players accept."""

    extension: str
    encoder: str  # as FFmpeg names it
    pixel_format: str  # for 8 bits without alpha
    deep_format: str | None = None  # for 10 bits without alpha
    alpha_format: str | None = None
    even: bool = False  # height and width must be even, because 2 x 2 pixels share a colour
    tag: str | None = None  # the codec's tag in the container, if players need a certain one
    options: tuple[tuple[str, str], ...] = ()  # encoder options

    def format(self, alpha: bool, deep: bool) -> str:
        """Chooses the pixel format; uses 8 bits if there is no deeper format."""
        wanted = self.alpha_format if alpha else self.deep_format if deep else None
        return wanted or self.pixel_format


RECIPES: dict[Codec, Recipe] = {
    "h264": Recipe(".mp4", "libx264", "yuv420p", "yuv420p10le", even=True),
    # QuickTime does not play HEVC with its other tag, hev1.
    "hevc": Recipe(
        *(".mp4", "libx265", "yuv420p", "yuv420p10le"),
        even=True,
        tag="hvc1",
        options=(("x265-params", "log-level=error"),),
    ),
    "prores": Recipe(
        *(".mov", "prores_ks", "yuv444p10le", "yuv444p10le", "yuva444p10le"),
        options=(("profile", "4444"), ("alpha_bits", "16"), ("vendor", "apl0")),
    ),
    # Alpha can't be encoded with alternate reference frames.
    "vp9": Recipe(
        *(".webm", "libvpx-vp9", "yuv420p", None, "yuva420p"),
        options=(("auto-alt-ref", "0"), ("row-mt", "1"), ("deadline", "good"), ("cpu-used", "4")),
    ),
}


def encoder_options(settings: EncodingSettings, alpha: bool, width: int) -> dict[str, str]:
    """Returns FFmpeg's names and values of an encoder's options, for a width in pixels.

    VP9 encodes alpha with the quality of the colours. At crf 10 the edges of a matte would have
    errors of 13 levels, so it is lossless by default.
    """
    options = dict(RECIPES[settings.codec].options)
    if settings.codec == "hevc" and width <= _NARROW_FOR_X265:
        options["x265-params"] += ":cutree=0"
    if settings.codec in ("h264", "hevc"):
        options["preset"] = settings.preset
    if settings.codec == "prores":
        return options
    if settings.bit_rate is not None:
        options["b"] = str(round(settings.bit_rate * 1e6))
    elif settings.codec == "vp9" and alpha and settings.crf is None:
        options["lossless"] = "1"
    else:
        options["crf"] = str(_CRF[settings.codec] if settings.crf is None else settings.crf)
        if settings.codec == "vp9":
            options["b"] = "0"
    return options
