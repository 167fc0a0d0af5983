"""How each codec is asked for, so that what it writes plays where people play it."""

from dataclasses import dataclass

from .settings import Codec, EncodingSettings

_CRF: dict[Codec, int] = {"h264": 18, "hevc": 20, "vp9": 24}
# libx265 4.2 writes behind its buffers where a row has three blocks of 16 pixels or fewer (seen
# with valgrind), unless it is kept from following blocks from frame to frame.
_NARROW_FOR_X265 = 48


@dataclass(frozen=True)
class Recipe:
    """A codec in its container.

    Attributes:
        extension: of the file.
        encoder: FFmpeg's name of it.
        pixel_format: without alpha and with 8 bits.
        deep_format: without alpha and with 10 bits, or None.
        alpha_format: with alpha, or None.
        even: whether height and width must be even, since two by two pixels share a colour.
        tag: the codec's tag in the container where players insist on one.
        options: of the encoder.
    """

    extension: str
    encoder: str
    pixel_format: str
    deep_format: str | None = None
    alpha_format: str | None = None
    even: bool = False
    tag: str | None = None
    options: tuple[tuple[str, str], ...] = ()

    def format(self, alpha: bool, deep: bool) -> str:
        """Chooses the pixel format; one that there is not counts as that of 8 bits."""
        wanted = self.alpha_format if alpha else self.deep_format if deep else None
        return wanted or self.pixel_format


RECIPES: dict[Codec, Recipe] = {
    "h264": Recipe(".mp4", "libx264", "yuv420p", "yuv420p10le", even=True),
    # QuickTime plays no HEVC under its other tag, hev1.
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
    """The options of an encoder.

    Args:
        settings: codec, quality, speed.
        alpha: whether the video has alpha.
        width: in pixels, as encoded.

    Returns:
        Names and values as FFmpeg has them. VP9 encodes alpha with the quality of the colours, at
        which the edges of a matte would lose 13 levels (crf 10), so that it is lossless by default.
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
        crf = _CRF[settings.codec] if settings.crf is None else settings.crf
        options["crf"] = str(crf)
        if settings.codec == "vp9":
            options["b"] = "0"
    return options
