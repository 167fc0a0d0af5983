"""Reads pictures with 8 bits per channel fast, for training samples.

OpenCV decodes complete JPEG and PNG files, JPEGs at a smaller size if that is enough. Other files,
and those that look damaged, are read as by `pictures.read_channels`, which is slower and reports
the cause.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from . import PictureError
from .decoding import OpenedPicture, decode_with_opencv, is_deep_jpeg, open_picture, turn_by_exif
from .pictures import join_channels

# The last bytes of a complete file. OpenCV fills the missing part of a truncated one with grey.
_JPEG_END = b"\xff\xd9"
_PNG_END = b"IEND\xaeB`\x82"
# Chunks that can hold a PNG's orientation, before or after its pixels.
_PNG_EXIF = (b"eXIf", b"Raw profile type")
# OpenCV's flags of a reduced size, for grey; for colours, combined with IMREAD_COLOR_RGB.
_REDUCED = {
    1: cv2.IMREAD_GRAYSCALE,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
}


class EncodedPicture:
    """A picture file in memory; opening it parses only the header if that is enough.

    It has 8 or 16 bits per channel; `size` is height and width in pixels, upright.

    Raises:
        PictureError: when it can't be read. Methods raise it too, because some damage of JPEG and
            PNG is found only on decoding. The message names the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._decoded: np.ndarray | None = None
        self._orientation = 1
        with _open_named(path) as opened:
            self._data = opened.data
            image = opened.image
            self._jpeg = _is_plain_jpeg(image, self._data)
            self._transparent = image is not None and image.has_transparency_data
            if image is not None and (self._jpeg or _is_plain_png(opened)):
                self._orientation = opened.orientation if self._jpeg else 1
                turned = self._orientation in (5, 6, 7, 8)
                self.size = image.size if turned else image.size[::-1]
            else:
                self._decoded = _to_8_bits(join_channels(opened.decode()))
                self.size = self._decoded.shape[:2]

    def reduction(self, shorter_side: int | None) -> int:
        """The largest divisor of the size that keeps at least this many pixels on the shorter side.

        It is 1, 2, 4 or 8; always 1 for None and for kinds other than JPEG.
        """
        if shorter_side is None or not self._jpeg:
            return 1
        shorter = min(self.size)
        return max(by for by in _REDUCED if by == 1 or -(-shorter // by) >= shorter_side)

    def rgb(self, reduction: int = 1) -> np.ndarray:
        """Decodes the colours, (H, W, 3) uint8 RGB, upright; an alpha channel is dropped.

        Height and width are divided by the `reduction`, 1, 2, 4 or 8, and rounded up.
        """
        pixels = self._decode(cv2.IMREAD_COLOR_RGB, reduction)
        pixels = cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB) if pixels.ndim == 2 else pixels[..., :3]
        return self._shrink(np.ascontiguousarray(pixels), reduction)

    def alpha(self, reduction: int = 1) -> np.ndarray:
        """Decodes an alpha: (H, W) uint8, upright, by `grey_alpha`; `reduction` as in `rgb`."""
        if self._transparent or self._decoded is not None:
            return self._shrink(grey_alpha(self.channels()), reduction)
        return self._shrink(self._decode(cv2.IMREAD_GRAYSCALE, reduction), reduction)

    def channels(self) -> np.ndarray:
        """Decodes all channels: (H, W) grey, (H, W, 3) RGB or (H, W, 4) RGBA; uint8, upright."""
        return self._decode(cv2.IMREAD_UNCHANGED)

    def _decode(self, flags: int, reduction: int = 1) -> np.ndarray:
        if self._decoded is not None:
            return self._decoded
        flags |= _REDUCED[reduction if self._jpeg else 1]
        pixels = decode_with_opencv(self._data, flags)
        if pixels is not None:
            return turn_by_exif(_to_8_bits(pixels), self._orientation)
        with _open_named(self.path) as opened:  # to raise the cause
            opened.decode()
        raise PictureError(f"{self.path}: damaged; OpenCV can't decode it")

    def _shrink(self, pixels: np.ndarray, by: int) -> np.ndarray:
        """Averages squares of `by` pixels; for a JPEG, decoding has already done this."""
        if by == 1 or self._jpeg:
            return pixels
        height, width = pixels.shape[:2]
        # Complete squares, so that the sampling grid agrees with that of a paired JPEG.
        bottom, right = -height % by, -width % by
        padded = cv2.copyMakeBorder(pixels, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
        size = ((width + right) // by, (height + bottom) // by)
        return cv2.resize(padded, size, interpolation=cv2.INTER_AREA)


def read_rgb(path: Path, shorter_side: int | None = None) -> np.ndarray:
    """Reads a photograph: (H, W, 3) uint8 RGB, upright.

    With `shorter_side`, a JPEG may be decoded at 1/2, 1/4 or 1/8 of its size, as long as its
    shorter side keeps at least this many pixels. A PictureError names a file that can't be read.
    """
    picture = EncodedPicture(path)
    return picture.rgb(picture.reduction(shorter_side))


def grey_alpha(channels: np.ndarray) -> np.ndarray:
    """Returns alpha, (H, W), from (H, W), (H, W, 3) RGB or (H, W, 4) RGBA, uint8.

    It is the alpha channel if there is one that varies, else the grey value.
    """
    if channels.ndim == 2:
        return channels
    if channels.shape[2] == 4 and channels[..., 3].min() < channels[..., 3].max():
        return np.ascontiguousarray(channels[..., 3])
    return cv2.cvtColor(np.ascontiguousarray(channels[..., :3]), cv2.COLOR_RGB2GRAY)


@contextmanager
def _open_named(path: Path) -> Iterator[OpenedPicture]:
    """Opens a picture; error messages name it."""
    try:
        with open_picture(path) as opened:
            yield opened
    except PictureError as error:
        raise PictureError(f"{path}: {error}") from error


def _to_8_bits(pixels: np.ndarray) -> np.ndarray:
    return np.right_shift(pixels, 8).astype(np.uint8) if pixels.dtype == np.uint16 else pixels


def _is_plain_jpeg(image: Image.Image | None, data: bytes) -> bool:
    if image is None or image.format not in ("JPEG", "MPO") or image.mode not in ("L", "RGB"):
        return False
    whole = data.endswith(_JPEG_END) or data.rstrip(b"\0").endswith(_JPEG_END)
    return whole and not is_deep_jpeg(data)


def _is_plain_png(opened: OpenedPicture) -> bool:
    image, data = opened.image, opened.data
    whole = image is not None and image.format == "PNG" and data.endswith(_PNG_END)
    return whole and not opened.has_colour_key and not any(chunk in data for chunk in _PNG_EXIF)
