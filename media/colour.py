"""Converts between a codec's frames (tagged YUV, perhaps rotated) and upright RGB."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from .decoding import turn_upright

GAMMA = 2.2  # linear light is about the coded value to this power (sRGB overall)

# Numbers of H.273 (tables 2 to 4), which containers and codecs share.
UNSPECIFIED = 2
_RGB, _BT709, _FCC, _BT470BG, _SMPTE170M, _SMPTE240M = 0, 1, 4, 5, 6, 7
_BT2020, _BT2020_CONSTANT = 9, 10
_MATRICES = {
    _BT709: Colorspace.ITU709,
    _FCC: Colorspace.FCC,
    _BT470BG: Colorspace.ITU601,
    _SMPTE170M: Colorspace.ITU601,
    _SMPTE240M: Colorspace.SMPTE240M,
    _BT2020: Colorspace.BT2020,
    _BT2020_CONSTANT: Colorspace.BT2020,
}
_NAMES = {
    **{_RGB: "RGB", _BT709: "BT.709", _SMPTE170M: "BT.601", _BT2020: "BT.2020", 8: "YCgCo"},
    **{_BT2020_CONSTANT: "BT.2020 with constant luminance", 11: "SMPTE ST 2085", 14: "ICtCp"},
}
_HD_LINES = 720  # from this height on, players treat untagged video as BT.709
_BRIGHTER_THAN_SCREENS = {16: "PQ", 18: "HLG"}  # transfer characteristics of HDR
# Error at most 0.5 levels of 8 bits; with FFmpeg's default flags up to 2.9.
_ACCURATE = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
# The last of these flags makes 4:2:0 of more than 8 bits overflow in FFmpeg 8 (black turns white).
# Without it the error is at most 1.0.
_DEEP = Interpolation.BILINEAR | Interpolation.ACCURATE_RND
_FAST = Interpolation.BILINEAR


@dataclass(frozen=True)
class ColourTags:
    """Colour tags of a video, as code points of H.273."""

    matrix: int = _BT709  # between YUV and RGB; 6 is BT.601, 9 BT.2020; never unspecified
    primaries: int = UNSPECIFIED  # of the RGB
    transfer: int = UNSPECIFIED  # of the RGB

    @property
    def hdr(self) -> str | None:
        """Name of the transfer curve if it is one of high dynamic range, else None."""
        return _BRIGHTER_THAN_SCREENS.get(self.transfer)


def read_tags(frame: av.VideoFrame) -> ColourTags:
    """Reads the colour tags of a decoded frame; guesses the matrix if it is unknown or RGB."""
    matrix = int(frame.colorspace)
    if matrix not in _MATRICES:
        matrix = guess_matrix(frame.height)
    return ColourTags(matrix, int(frame.color_primaries), int(frame.color_trc))


def find_matrix_fault(frame: av.VideoFrame) -> str | None:
    """Returns a note if a frame is tagged with a matrix that FFmpeg can't convert."""
    named, used = int(frame.colorspace), read_tags(frame).matrix
    if frame.format.is_rgb or named == UNSPECIFIED or (named == used != _BT2020_CONSTANT):
        return None
    used = _BT2020 if used == _BT2020_CONSTANT else used
    return (
        f"the source's colour matrix, {_NAMES.get(named, 'of number')} ({named} of H.273), is not "
        f"supported; {_NAMES[used]} is used instead, so colours may be slightly wrong"
    )


def guess_matrix(height: int) -> int:
    """The matrix that players use for untagged video: BT.709 from 720 lines on, BT.601 below."""
    return _BT709 if height >= _HD_LINES else _SMPTE170M


def count_bits(frame: av.VideoFrame) -> int:
    """Counts the bits per channel of a frame."""
    return max(component.bits for component in frame.format.components)


class ToRgb:
    """Converts decoded frames. Keeps tables between frames, so each thread needs its own object.

    Args:
        exact: whether to keep all bits, round accurately and interpolate chroma. If not, all frames
            become 8 bits, with an error of at most 3 levels in even areas, 7 times faster.
    """

    def __init__(self, exact: bool = True) -> None:
        self._reformatter = VideoReformatter()
        self._exact = exact

    def __call__(self, frame: av.VideoFrame) -> np.ndarray:
        """Converts a frame of any pixel format by its tags, drops alpha, and rotates it upright.

        Returns:
            (H, W, 3) RGB, contiguous; uint8, or uint16 for more than 8 bits per channel.
        """
        deep = self._exact and count_bits(frame) > 8
        converted = self._reformatter.reformat(
            frame,
            format="rgb48le" if deep else "rgb24",
            src_colorspace=_MATRICES[read_tags(frame).matrix],
            interpolation=_DEEP if deep else _ACCURATE if self._exact else _FAST,
            threads=1 if self._exact else None,
        )
        return _turn_frame(converted.to_ndarray(), frame)


def to_alpha(frame: av.VideoFrame) -> np.ndarray:
    """Converts a frame of any pixel format to alpha, (H, W) uint8, upright: its luma.

    Limited range is stretched: 16 and below become 0, 235 and above become 255.
    """
    name, bits = frame.format.name, frame.format.components[0].bits
    grey, full_range = name.startswith("gray"), frame.color_range == ColorRange.JPEG
    first_plane_is_luma = grey or (name.startswith("yuv") and frame.format.is_planar)
    if not first_plane_is_luma or name.endswith("be") or bits > 16:
        return cv2.cvtColor(ToRgb(exact=False)(frame), cv2.COLOR_RGB2GRAY)
    plane = frame.planes[0]
    depth = np.dtype(np.uint8 if bits == 8 else np.uint16)
    stored = np.frombuffer(memoryview(plane), depth)
    luma = stored.reshape(-1, plane.line_size // depth.itemsize)[: frame.height, : frame.width]
    if name.startswith("yuvj") or (grey and frame.color_range == ColorRange.UNSPECIFIED):
        full_range = True  # as in swscale
    return _turn_frame(luma if bits == 8 and full_range else _levels(bits, full_range)[luma], frame)


@cache
def _levels(bits: int, full_range: bool) -> np.ndarray:
    """Table from luma to alpha; in ITU-R BT.709 and BT.2100 black is 16 and white 235 of 8 bits."""
    values = np.arange(2**bits)
    black, white = (0, 2**bits - 1) if full_range else (16 << (bits - 8), 235 << (bits - 8))
    return np.clip(np.rint((values - black) * 255 / (white - black)), 0, 255).astype(np.uint8)


def _turn_frame(pixels: np.ndarray, frame: av.VideoFrame) -> np.ndarray:
    """Rotates a picture by its frame's display matrix, to the nearest multiple of 90 degrees.

    Source: ISO/IEC 14496-12, track header: a stored (x, y) is shown at (a x + c y, b x + d y).
    """
    transpose, mirror, flip = _read_turn(frame)
    return turn_upright(pixels, transpose, mirror, flip)


def is_on_its_side(frame: av.VideoFrame) -> bool:
    """Whether a frame's columns are displayed as rows."""
    return _read_turn(frame)[0]


def _read_turn(frame: av.VideoFrame) -> tuple[bool, bool, bool]:
    """Reads how to rotate a frame; see `turn_upright`."""
    matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return False, False, False
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()
    transpose = abs(b) + abs(c) > abs(a) + abs(d)
    a, d = (c, b) if transpose else (a, d)
    return transpose, a < 0, d < 0


class FromRgb:
    """Converts pictures for an encoder; each thread needs its own object.

    Args:
        pixel_format: the encoder's pixel format, as FFmpeg names it.
        tags: matrix of the conversion, and tags of the frames. Values have limited range, which
            every player supports.
    """

    def __init__(self, pixel_format: str, tags: ColourTags) -> None:
        self._reformatter = VideoReformatter()
        self._format = pixel_format
        self._tags = tags
        self._levels: av.VideoFrame | None = None  # all grey levels, converted

    def __call__(self, pixels: np.ndarray) -> av.VideoFrame:
        """Converts (H, W), (H, W, 3) RGB or (H, W, 4) RGBA, uint8 or uint16; sets no time stamp."""
        if pixels.dtype == np.uint8 and pixels.ndim == 2 and self._format == "yuv420p":
            return self._tag(self._from_grey(pixels))
        return self._tag(self._convert(pixels))

    def _from_grey(self, pixels: np.ndarray) -> av.VideoFrame:
        """`_convert` for 8 bits, in a tenth of its time."""
        if self._levels is None:
            self._levels = self._convert(np.arange(256, dtype=np.uint8).reshape(16, 16))
        height, width = pixels.shape
        planes = np.full((height * 3 // 2, width), 128, np.uint8)  # without colour
        cv2.LUT(pixels, self._levels.to_ndarray()[:16].ravel(), planes[:height])
        frame = av.VideoFrame.from_ndarray(planes, self._format)
        frame.color_range, frame.colorspace = self._levels.color_range, self._levels.colorspace
        return frame

    def _tag(self, converted: av.VideoFrame) -> av.VideoFrame:
        # ProRes stores them in every frame.
        converted.color_primaries = self._tags.primaries
        converted.color_trc = self._tags.transfer
        return converted

    def _convert(self, pixels: np.ndarray) -> av.VideoFrame:
        deep = pixels.dtype == np.uint16
        names = {2: "gray", 3: "rgb24", 4: "rgba"}, {2: "gray16le", 3: "rgb48le", 4: "rgba64le"}
        channels = 2 if pixels.ndim == 2 else pixels.shape[2]
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), names[deep][channels])
        return self._reformatter.reformat(
            frame,
            format=self._format,
            dst_colorspace=_MATRICES[self._tags.matrix],
            # A grey picture has full range, but is not tagged.
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
            interpolation=_ACCURATE,
            threads=1,
        )
