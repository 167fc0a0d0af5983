"""Between what decoders and encoders hold (YUV, tagged, perhaps turned) and upright RGB."""

from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

GAMMA = 2.2  # light is about the coded value to this power (sRGB as a whole)

# Numbers of H.273 (tables 2 to 4), which containers and codecs share.
UNSPECIFIED = 2
_RGB, _BT709, _BT470BG, _SMPTE170M, _BT2020, _BT2020_CONSTANT = 0, 1, 5, 6, 9, 10
_MATRICES = {
    _BT709: Colorspace.ITU709,
    _BT470BG: Colorspace.ITU601,
    _SMPTE170M: Colorspace.ITU601,
    _BT2020: Colorspace.BT2020,
    _BT2020_CONSTANT: Colorspace.BT2020,
}
_HD_LINES = 720  # from here on players take untagged video for BT.709
_BRIGHTER_THAN_SCREENS = {16: "PQ", 18: "HLG"}  # transfer characteristics of HDR
# Within 0.5 levels of 8 bits of the formula; FFmpeg's default flags reach 2.9.
_ACCURATE = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
# The last of these flags lets 4:2:0 of more than 8 bits wrap around in FFmpeg 8 (black turns
# white); without it the formula is met within 1.0.
_DEEP = Interpolation.BILINEAR | Interpolation.ACCURATE_RND


@dataclass(frozen=True)
class ColourTags:
    """What the numbers of a video mean, as H.273 counts it.

    Attributes:
        matrix: between YUV and RGB; 1 is BT.709, 6 BT.601, 9 BT.2020. Never unspecified.
        primaries: of the RGB; 2 is unspecified.
        transfer: of the RGB; 2 is unspecified.
    """

    matrix: int = _BT709
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED

    @property
    def hdr(self) -> str | None:
        """Name of the transfer curve where that is one of high dynamic range."""
        return _BRIGHTER_THAN_SCREENS.get(self.transfer)


def read_tags(frame: av.VideoFrame) -> ColourTags:
    """Reads the colour tags of a frame.

    Args:
        frame: decoded.

    Returns:
        The tags; an unknown matrix, and that of RGB, is taken as players do: BT.709 from 720 lines
        on, BT.601 below.
    """
    matrix = int(frame.colorspace)
    if matrix not in _MATRICES:
        matrix = guess_matrix(frame.height)
    return ColourTags(matrix, int(frame.color_primaries), int(frame.color_trc))


def guess_matrix(height: int) -> int:
    """The matrix that players take for untagged video.

    Args:
        height: lines.

    Returns:
        BT.709 or BT.601, as H.273 counts.
    """
    return _BT709 if height >= _HD_LINES else _SMPTE170M


def count_bits(frame: av.VideoFrame) -> int:
    """Bits of each channel of a frame."""
    return max(component.bits for component in frame.format.components)


class ToRgb:
    """Converts decoded frames; keeps its tables from frame to frame, so one for each thread."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def __call__(self, frame: av.VideoFrame) -> np.ndarray:
        """Converts a frame by its tags and turns it upright.

        Args:
            frame: of any pixel format; alpha is dropped.

        Returns:
            (H, W, 3) RGB, contiguous; uint8, or uint16 for more than 8 bits a channel.
        """
        deep = count_bits(frame) > 8
        converted = self._reformatter.reformat(
            frame,
            format="rgb48le" if deep else "rgb24",
            src_colorspace=_MATRICES[read_tags(frame).matrix],
            interpolation=_DEEP if deep else _ACCURATE,
            threads=1,
        )
        return turn_upright(converted.to_ndarray(), frame)


class FromRgb:
    """Converts pictures for an encoder; one for each thread.

    Args:
        pixel_format: what the encoder takes, as FFmpeg names it.
        tags: matrix, and what the frames are tagged as. Values get the limited range, which every
            player understands.
    """

    def __init__(self, pixel_format: str, tags: ColourTags) -> None:
        self._reformatter = VideoReformatter()
        self._format = pixel_format
        self._tags = tags

    def __call__(self, pixels: np.ndarray) -> av.VideoFrame:
        """Converts a picture.

        Args:
            pixels: (H, W), (H, W, 3) RGB or (H, W, 4) RGBA; uint8 or uint16.

        Returns:
            The frame, without a time.
        """
        deep = pixels.dtype == np.uint16
        names = {2: "gray", 3: "rgb24", 4: "rgba"}, {2: "gray16le", 3: "rgb48le", 4: "rgba64le"}
        channels = 2 if pixels.ndim == 2 else pixels.shape[2]
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), names[deep][channels])
        converted = self._reformatter.reformat(
            frame,
            format=self._format,
            dst_colorspace=_MATRICES[self._tags.matrix],
            # That of a grey picture is the full one, but is not tagged.
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
            interpolation=_ACCURATE,
            threads=1,
        )
        # ProRes has them in every frame.
        converted.color_primaries = self._tags.primaries
        converted.color_trc = self._tags.transfer
        return converted


def turn_upright(pixels: np.ndarray, frame: av.VideoFrame) -> np.ndarray:
    """Turns and mirrors a picture as the display matrix of its frame says.

    Args:
        pixels: (H, W, C) as stored.
        frame: as decoded.

    Returns:
        The upright picture, contiguous; quarter turns are exact, others rounded to the nearest.

    Source: ISO/IEC 14496-12, track header: a stored (x, y) is shown at (a x + c y, b x + d y).
    """
    matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return np.ascontiguousarray(pixels)
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()
    if abs(b) + abs(c) > abs(a) + abs(d):
        pixels, a, d = pixels.swapaxes(0, 1), c, b
    pixels = pixels[:, ::-1] if a < 0 else pixels
    pixels = pixels[::-1] if d < 0 else pixels
    return np.ascontiguousarray(pixels)
