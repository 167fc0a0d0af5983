"""Reading foregrounds, alphas and backgrounds as 8-bit pictures, fast: every training sample does.

Whole JPEG and PNG files are decoded by OpenCV, JPEGs at a smaller size where that is enough; all
else, and what looks damaged, by Pillow, which is slower and says what is wrong.
"""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from .pictures import PictureError, open_picture, stored_orientation, turn_upright

# What a whole file ends with. OpenCV fills the missing part of a cut one with grey.
_JPEG_END = b"\xff\xd9"
_PNG_END = b"IEND\xaeB`\x82"
# A PNG's orientation stands in one of these, before or behind its pixels.
_PNG_EXIF = (b"eXIf", b"Raw profile type")

_REDUCED_COLOUR = {
    1: cv2.IMREAD_COLOR_RGB,
    2: cv2.IMREAD_COLOR_RGB | cv2.IMREAD_REDUCED_GRAYSCALE_2,
    4: cv2.IMREAD_COLOR_RGB | cv2.IMREAD_REDUCED_GRAYSCALE_4,
    8: cv2.IMREAD_COLOR_RGB | cv2.IMREAD_REDUCED_GRAYSCALE_8,
}
_REDUCED_GREY = {
    1: cv2.IMREAD_GRAYSCALE,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
}


class DatasetError(ValueError):
    """Data that can't be trained on; the message names the file or folder and the cause."""


class EncodedPicture:
    """A picture file in memory, of which only the head was looked at where that is enough.

    Attributes:
        path: the file.
        size: height and width in pixels, upright.
    """

    def __init__(self, path: Path) -> None:
        """Reads the file.

        Args:
            path: a picture of any kind that Pillow reads, of 8 or 16 bits a channel.

        Raises:
            DatasetError: when it can't be read; for JPEG and PNG some damage shows only later.
        """
        self.path = path
        self._decoded: np.ndarray | None = None
        try:
            with open_picture(path) as (image, self._data):
                self._jpeg = _is_plain_jpeg(image, self._data)
                self._transparent = image.has_transparency_data
                if self._jpeg or _is_plain_png(image, self._data):
                    self._orientation = stored_orientation(image) if self._jpeg else 1
                    turned = self._orientation in (5, 6, 7, 8)
                    self.size = image.size if turned else image.size[::-1]
                else:
                    self._decoded = _decode_slowly(image)
                    self.size = self._decoded.shape[:2]
        except PictureError as error:
            raise DatasetError(f"{path}: {error}") from error

    def reduction(self, shorter_side: int | None) -> int:
        """How much smaller the picture may be read, so that its shorter side keeps a length.

        Args:
            shorter_side: the length in pixels; None for the whole size.

        Returns:
            1, 2, 4 or 8; 1 for all that is not JPEG.
        """
        if shorter_side is None or not self._jpeg:
            return 1
        shorter = min(self.size)
        return max(by for by in (1, 2, 4, 8) if by == 1 or -(-shorter // by) >= shorter_side)

    def rgb(self, reduction: int = 1) -> np.ndarray:
        """Decodes the colours.

        Args:
            reduction: divisor of height and width, as `reduction` gives it.

        Returns:
            (H, W, 3) uint8 RGB, upright; H and W rounded up. Grey becomes RGB, 16 bits become 8,
            an alpha channel is dropped.

        Raises:
            DatasetError: when the file is damaged.
        """
        pixels = self._decode(_REDUCED_COLOUR[reduction if self._jpeg else 1])
        pixels = cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB) if pixels.ndim == 2 else pixels[..., :3]
        return _reduce(np.ascontiguousarray(pixels), 1 if self._jpeg else reduction)

    def alpha(self, reduction: int = 1) -> np.ndarray:
        """Decodes a picture that is an alpha.

        Args:
            reduction: divisor of height and width.

        Returns:
            (H, W) uint8: the alpha channel where the file has one that is not the same everywhere,
            else the grey value.

        Raises:
            DatasetError: when the file is damaged.
        """
        if self._transparent or self._decoded is not None:
            return _reduce(grey_alpha(self.channels()), reduction)
        pixels = self._decode(_REDUCED_GREY[reduction if self._jpeg else 1])
        return _reduce(pixels, 1 if self._jpeg else reduction)

    def channels(self) -> np.ndarray:
        """Decodes all that is stored.

        Returns:
            (H, W) grey, (H, W, 3) RGB or (H, W, 4) RGBA, uint8, upright.

        Raises:
            DatasetError: when the file is damaged.
        """
        pixels = self._decode(cv2.IMREAD_UNCHANGED)
        if self._decoded is not None or pixels.ndim == 2:
            return pixels
        swap = cv2.COLOR_BGRA2RGBA if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB
        return cv2.cvtColor(pixels, swap)

    def _decode(self, flags: int) -> np.ndarray:
        if self._decoded is not None:
            return self._decoded
        if flags != cv2.IMREAD_UNCHANGED:  # which never turns
            flags |= cv2.IMREAD_IGNORE_ORIENTATION
        try:
            pixels = cv2.imdecode(np.frombuffer(self._data, np.uint8), flags)
        except cv2.error:
            pixels = None
        if pixels is not None:
            if pixels.dtype == np.uint16:
                pixels = np.right_shift(pixels, 8).astype(np.uint8)
            return turn_upright(pixels, self._orientation)
        try:  # for the cause
            with open_picture(self.path) as (image, _):
                _decode_slowly(image)
        except PictureError as error:
            raise DatasetError(f"{self.path}: {error}") from error
        raise DatasetError(f"{self.path}: damaged; OpenCV can't decode it")


def read_rgb(path: Path, shorter_side: int | None = None) -> np.ndarray:
    """Reads a photograph.

    Args:
        path: a picture file.
        shorter_side: when given, a JPEG may come out at 1/2, 1/4 or 1/8 of its size, as long as its
            shorter side stays that long.

    Returns:
        (H, W, 3) uint8 RGB, upright.

    Raises:
        DatasetError: when the file can't be read.
    """
    picture = EncodedPicture(path)
    return picture.rgb(picture.reduction(shorter_side))


def grey_alpha(channels: np.ndarray) -> np.ndarray:
    """Takes the alpha out of a picture that is one.

    Args:
        channels: (H, W), (H, W, 3) RGB or (H, W, 4) RGBA uint8.

    Returns:
        (H, W) uint8: the alpha channel where there is one that is not the same everywhere, else the
        grey value.
    """
    if channels.ndim == 2:
        return channels
    if channels.shape[2] == 4 and channels[..., 3].min() < channels[..., 3].max():
        return np.ascontiguousarray(channels[..., 3])
    return cv2.cvtColor(np.ascontiguousarray(channels[..., :3]), cv2.COLOR_RGB2GRAY)


def check_sizes(fgr: Path, fgr_size: tuple[int, ...], pha: Path, pha_size: tuple[int, ...]) -> None:
    """Raises a DatasetError unless the (height, width) of a foreground and its alpha agree."""
    if tuple(fgr_size) != tuple(pha_size):
        sizes = [f"{width} x {height}" for height, width in (fgr_size, pha_size)]
        raise DatasetError(
            f"{fgr} is {sizes[0]} pixels and {pha} {sizes[1]}; a pair must have one size"
        )


def _is_plain_jpeg(image: Image.Image, data: bytes) -> bool:
    whole = data.endswith(_JPEG_END) or data.rstrip(b"\0").endswith(_JPEG_END)
    return image.format in ("JPEG", "MPO") and image.mode in ("L", "RGB") and whole


def _is_plain_png(image: Image.Image, data: bytes) -> bool:
    whole = data.endswith(_PNG_END)
    return image.format == "PNG" and whole and not any(chunk in data for chunk in _PNG_EXIF)


def _decode_slowly(image: Image.Image) -> np.ndarray:
    """Decodes with Pillow: (H, W), (H, W, 3) or (H, W, 4) uint8, upright."""
    orientation = stored_orientation(image) if image.format != "TIFF" else 1  # loading turns TIFF
    image.load()
    if image.mode.startswith("I;16"):
        pixels = (np.asarray(image) >> 8).astype(np.uint8)
    elif image.mode in ("I", "F"):
        raise PictureError(
            f"32 bits a channel (mode {image.mode}) are not supported; save it with 8 or 16 bits"
        )
    elif image.has_transparency_data:
        pixels = np.asarray(image.convert("RGBA"))
    else:
        pixels = np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB"))
    return turn_upright(pixels, orientation)


def _reduce(pixels: np.ndarray, by: int) -> np.ndarray:
    """Averages squares of `by` pixels, as the reduced decoding of a JPEG does."""
    if by == 1:
        return pixels
    height, width = pixels.shape[:2]
    # Whole squares, lest the resampling grid drift from that of a JPEG beside it.
    bottom, right = -height % by, -width % by
    padded = cv2.copyMakeBorder(pixels, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
    size = ((width + right) // by, (height + bottom) // by)
    return cv2.resize(padded, size, interpolation=cv2.INTER_AREA)
