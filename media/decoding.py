"""Decodes picture files: with Pillow, or with other libraries that keep more than 8 bits."""

import io
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
from PIL import Image, UnidentifiedImageError

from . import PictureError
from .completeness import ends_early
from .formats import MAX_PIXELS, check_size, hint, is_tiff, read_file, refuse_raw
from .metadata import drop_metadata, orientation_of, read_exif
from .pnm import decode_pnm, is_deep_pnm
from .profiles import Channels, scale_bits, split_alpha
from .tiff import count_pages, decode_tiff, lab_values

with suppress(ImportError):
    from pillow_heif import register_heif_opener

    register_heif_opener()

# `check_size` replaces Pillow's warning of size; notes report damage outside the pixels.
Image.MAX_IMAGE_PIXELS = MAX_PIXELS
warnings.filterwarnings("ignore", module=r"PIL\.")

_MODES = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV")
# Pillow starts other programs for these, or reads only their headers.
_NO_PICTURES = ("EPS", "WMF", "FITS", "GRIB", "HDF5", "BUFR", "MPEG")


class OpenedPicture:
    """A picture file in memory, of which Pillow has read the header.

    Attributes:
        data: the content of the file.
        image: as opened by Pillow; None for kinds that it does not support.
    """

    def __init__(self, data: bytes, image: Image.Image | None) -> None:
        self.data, self.image = data, image
        # (decoder, extents, offset, raw mode) of the stored data; Pillow removes it on loading.
        self._is_deep = any(";16" in str(tile[3]) for tile in getattr(image, "tile", []))
        if image is not None:
            check_size(*image.size)

    @cached_property
    def exif(self) -> tuple[Image.Exif, tuple[str, ...]]:
        """Its EXIF data and notes; for a PNG this decodes all pixels."""
        return read_exif(self.image, self.data)

    @property
    def orientation(self) -> int:
        """EXIF orientation; Pillow rotates a TIFF on decoding, so it changes then."""
        return orientation_of(self.exif[0])

    @property
    def has_colour_key(self) -> bool:
        """Whether it is grey with one transparent value, by PNG's tRNS."""
        image = self.image
        grey = image is not None and (image.mode in ("1", "L", "I") or image.mode[:2] == "I;")
        return grey and image is not None and "transparency" in image.info

    @property
    def lost_bits(self) -> int:
        """Bits per channel in the file if Pillow reduces them to 8 (AVIF, HEIC); else 8."""
        image = self.image
        if image is None or image.format not in ("AVIF", "HEIF"):
            return 8
        # AV1 in ISOBMFF 2.3.3: high_bitdepth and twelve_bit. For HEIC pillow-heif reports it.
        at = self.data.find(b"av1C")
        flags = self.data[at + 6] if 0 <= at < len(self.data) - 6 else 0
        return image.info.get("bit_depth", 12 if flags & 0x20 else 10 if flags & 0x40 else 8)

    @property
    def frames(self) -> int:
        """Number of pictures; a camera's JPEG with previews counts as one."""
        if self.image is None:
            return count_pages(self.data) if is_tiff(self.data) else 1
        return 1 if self.image.format == "MPO" else getattr(self.image, "n_frames", 1)

    def decode(self, wants_alpha: bool = True) -> Channels:
        """Decodes all channels, upright; alpha only if wanted."""
        channels = self._decode(wants_alpha)
        orientation, alpha = self.orientation, channels.alpha  # Pillow has rotated a TIFF's alpha
        if orientation == 1:
            return channels
        alpha = None if alpha is None else turn_by_exif(alpha, orientation)
        return replace(channels, colours=turn_by_exif(channels.colours, orientation), alpha=alpha)

    def _decode(self, wants_alpha: bool) -> Channels:
        image, data = self.image, self.data
        if data[:2] in (b"P5", b"P6", b"P7") and is_deep_pnm(data):
            return decode_pnm(data)
        if is_tiff(data) and (image is None or not _pillow_reads(image)):
            return decode_tiff(data)
        if image is None:
            raise UnidentifiedImageError
        if image.format in ("JPEG", "MPO") and is_deep_jpeg(data):
            return _decode_deep_jpeg(data)
        if image.format == "JPEG2000" and _jpeg2000_bits(data) > 8:
            return _decode_deep_jpeg2000(data)
        image.load()  # fails on a truncated file, which OpenCV would fill with grey
        if ends_early(image, data):
            raise PictureError("damaged: its data ends before its pixels do")
        if image.format == "PNG" and self._is_deep:  # Pillow reduces colour pictures to 8 bits
            decoded = decode_with_opencv(data, cv2.IMREAD_UNCHANGED)
            if decoded is None or decoded.dtype != np.uint16:
                raise PictureError("damaged: OpenCV can't decode this 16-bit PNG")
            return split_alpha(decoded)
        return take_pillow(image, wants_alpha and not self.has_colour_key)


@contextmanager
def open_picture(path: Path) -> Iterator[OpenedPicture]:
    """Opens a picture; parses only its header until it is decoded.

    Yields:
        The picture, which can be decoded inside the block.

    Raises:
        PictureError: when the file is missing, not a regular file, empty, damaged, truncated, too
            large, raw or of an unsupported kind; also for errors inside the block.
    """
    data = read_file(path)
    refuse_raw(path, data)
    try:
        image = _identify(data)
        with image or nullcontext():
            yield OpenedPicture(data, image)
    except UnidentifiedImageError as error:
        raise PictureError(f"not a picture that can be read{hint(path, data)}") from error
    except PictureError:
        raise
    except MemoryError as error:
        raise PictureError("too large for the memory; make frame and plate smaller") from error
    except Exception as error:  # decoders can raise any exception for damaged data
        said = _name_damage(error)
        what = "damaged, truncated or too large"
        if "unsupported" in said.lower() or "not supported" in said:
            what = "of a kind that is not supported; save it as PNG or TIFF"
        raise PictureError(f"{what}: {said}") from error


def _name_damage(error: Exception) -> str:
    """Returns a decoder's message, or the type of its error if the message is not a sentence."""
    said = str(error).strip()
    return said if any(map(str.isalpha, said)) else type(error).__name__


def _identify(data: bytes) -> Image.Image | None:
    """Opens a picture with Pillow; None for kinds decoded by other libraries."""
    try:
        image = Image.open(io.BytesIO(_with_8_bits(data)))
    except UnidentifiedImageError:
        if is_tiff(data) or data[:2] in (b"P5", b"P6", b"P7"):
            return None
        raise
    except Image.DecompressionBombError as error:
        raise PictureError(
            f"too large: more than {2 * MAX_PIXELS / 1e6:.0f} million pixels; make frame and plate "
            "smaller or cut both into parts"
        ) from error
    if image.format in _NO_PICTURES:
        raise PictureError(f"{image.format} files are not read; save it as PNG or TIFF")
    return image


def take_pillow(image: Image.Image, wants_alpha: bool = True) -> Channels:
    """Returns the channels decoded by Pillow; PictureError for 32 bits."""
    if image.mode == "CMYK":
        return Channels(np.array(image), None, "cmyk")
    if image.mode == "LAB":
        return Channels(lab_values(np.asarray(image), offset=False), None, "lab")
    # Pillow scales PGM to 16 bits, in a mode of 32 bits.
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM"):
        return Channels(np.asarray(image).astype(np.uint16), None, "grey", True)
    if image.mode not in _MODES:
        raise PictureError(
            f"32 bits per channel (mode {image.mode}) are not supported; save or convert it with 8 "
            "or 16 bits"
        )
    grey = image.mode in ("1", "L", "LA", "La")
    if image.mode in ("La", "RGBa"):
        image = image.convert("LA" if grey else "RGBA")
    if wants_alpha and image.has_transparency_data:
        return split_alpha(np.array(image.convert("LA" if grey else "RGBA")))
    wanted = "L" if grey else "RGB"
    return split_alpha(np.array(image if image.mode == wanted else image.convert(wanted)))


def _pillow_reads(image: Image.Image) -> bool:
    """Whether Pillow reads a TIFF correctly: integers of up to 8 bits, first page."""
    tags = image.tag_v2  # type: ignore[attr-defined]
    bits, kinds = tags.get(258, (1,)), tags.get(339, (1,))
    planes_beside = tags.get(284) == 2 and bool(tags.get(338, ()))
    return (
        image.mode in _MODES
        and image.mode != "La"
        and max(bits) <= 8
        and set(kinds) == {1}
        and not planes_beside
        and tags.get(259) != 50001  # WebP, which Pillow's wheels do not support
        and not (tags.get(262) == 6 and tags.get(259, 1) == 1)  # YCbCr, which it takes for RGB
        and not tags.get(254, 0) & 1  # a reduced copy of another page
        and tags.get(332, 1) == 1
    )


def _jpeg_bits(data: bytes) -> tuple[int, int]:
    """Offset of the bits per channel in a JPEG's frame header, and their number; else (0, 8)."""
    at = 2
    while at + 5 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return at + 4, data[at + 4]
        if marker == 0xFF:
            at += 1
            continue
        at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    return 0, 8


def is_deep_jpeg(data: bytes) -> bool:
    """Whether a JPEG has more than 8 bits per channel."""
    return _jpeg_bits(data)[1] > 8


def _with_8_bits(data: bytes) -> bytes:
    """Returns a JPEG whose header states 8 bits, so that Pillow opens it; others unchanged."""
    if not data.startswith(b"\xff\xd8"):
        return data
    at, bits = _jpeg_bits(data)
    return data if bits == 8 else data[:at] + b"\x08" + data[at + 1 :]


def _decode_deep_jpeg(data: bytes) -> Channels:
    pixels = imagecodecs.jpeg8_decode(data)
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        raise PictureError("CMYK JPEGs of more than 8 bits are not supported; save it as TIFF")
    return split_alpha(scale_bits(pixels, 2 ** _jpeg_bits(data)[1] - 1))


def _jpeg2000_bits(data: bytes) -> int:
    """Bits of the first component: its Ssiz in the codestream (ISO/IEC 15444-1, A.5.1)."""
    start = data.find(b"\xff\x4f\xff\x51")
    return (data[start + 42] & 0x7F) + 1 if 0 <= start < len(data) - 43 else 8


def _decode_deep_jpeg2000(data: bytes) -> Channels:
    colours = data.find(b"colr\x01")
    kind = struct.unpack_from(">I", data, colours + 7)[0] if 0 <= colours < len(data) - 11 else 16
    if kind not in (16, 17):  # sRGB and grey
        raise PictureError(
            f"a JPEG 2000 of {_jpeg2000_bits(data)} bits with other colours than RGB and grey is "
            "not supported; save it as TIFF or PNG"
        )
    pixels = imagecodecs.jpeg2k_decode(data)
    if pixels.dtype != np.uint16 or (pixels.ndim == 3 and pixels.shape[2] > 4):
        raise PictureError(f"a JPEG 2000 of {pixels.dtype} is not supported; save it as PNG")
    return split_alpha(scale_bits(pixels, 2 ** _jpeg2000_bits(data) - 1))


def decode_with_opencv(data: bytes, flags: int) -> np.ndarray | None:
    """Decodes a picture file as stored: (H, W) grey, RGB or RGBA; None where OpenCV can't.

    `flags` are IMREAD_UNCHANGED or others, which for colours must be those of RGB.
    """
    unchanged = flags == cv2.IMREAD_UNCHANGED  # ignores the orientation
    flags |= 0 if unchanged else cv2.IMREAD_IGNORE_ORIENTATION
    try:
        pixels = cv2.imdecode(np.frombuffer(drop_metadata(data), np.uint8), flags)
    except cv2.error:
        return None
    if pixels is None or pixels.ndim == 2 or not unchanged:
        return pixels
    swap = cv2.COLOR_BGRA2RGBA if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB
    return cv2.cvtColor(pixels, swap)


def turn_by_exif(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Rotates a picture by its EXIF orientation (2.32, table 4.6.4) if that is 2 to 8."""
    transpose, mirror = orientation in (5, 6, 7, 8), orientation in (2, 3, 6, 7)
    return turn_upright(pixels, transpose, mirror, flip=orientation in (3, 4, 7, 8))


def turn_upright(pixels: np.ndarray, transpose: bool, mirror: bool, flip: bool) -> np.ndarray:
    """Transposes (H, W) or (H, W, C), then mirrors, then flips top and bottom; contiguous."""
    pixels = pixels.swapaxes(0, 1) if transpose else pixels
    return np.ascontiguousarray(pixels[:: -1 if flip else 1, :: -1 if mirror else 1])
