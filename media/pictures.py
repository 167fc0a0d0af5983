"""Decoding, reading and writing picture files."""

import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from runtime.files import write_whole

from . import MediaError

_ORIENTATION = 0x0112  # EXIF

with suppress(ImportError):
    from pillow_heif import register_heif_opener

    register_heif_opener()


class PictureError(MediaError):
    """A file that can't be read as a picture; the message says why."""


@dataclass(frozen=True)
class Picture:
    """A picture as read."""

    pixels: np.ndarray  # (H, W, 3) uint8 or uint16, RGB, upright
    icc_profile: bytes | None = None  # the embedded colour profile
    notes: tuple[str, ...] = ()  # what was changed on reading, in words


def read_picture(path: Path) -> Picture:
    """Reads a picture of 8 or 16 bits a channel, turns it upright and drops its alpha channel.

    Of several frames, it is the first.

    Raises:
        PictureError: when the file is missing, empty, damaged, truncated, too large or of a kind
            that is not supported.
    """
    with open_picture(path) as (image, data, deep):
        notes = ["alpha channel dropped"] if image.has_transparency_data else []
        frames = getattr(image, "n_frames", 1)
        if frames > 1 and image.format != "MPO":  # a camera's JPEG with previews behind it
            notes.append(f"first of {frames} frames taken")
        pixels = decode_picture(image, data, deep, rgb=True)
        # The profile of other channels does not describe RGB.
        described = image.mode not in ("CMYK", "LAB", "YCbCr", "HSV")
        profile = image.info.get("icc_profile") if described else None
    return Picture(pixels, profile, tuple(notes))


def read_channels(path: Path) -> np.ndarray:
    """Reads all channels of a picture, as `decode_picture` gives them; else as `read_picture`."""
    with open_picture(path) as opened:
        return decode_picture(*opened)


@contextmanager
def open_picture(path: Path) -> Iterator[tuple[Image.Image, bytes, bool]]:
    """Opens a picture with Pillow, which reads no more than its head until asked for pixels.

    Yields:
        The picture, the bytes of its file, and whether they hold 16 bits a channel.

    Raises:
        PictureError: as `read_picture`, also for what goes wrong while it is open.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PictureError(f"can't be read: {error.strerror or error}") from error
    if not data:
        raise PictureError("the file is empty (0 bytes)")
    try:
        with Image.open(io.BytesIO(data)) as image:
            # (decoder, extents, offset, raw mode) of the stored data; gone once anything is asked.
            tiles = getattr(image, "tile", [])
            yield image, data, any(";16" in str(tile[3]) for tile in tiles)
    except UnidentifiedImageError as error:
        hint = "; HEIC needs the package pillow-heif" if path.suffix.lower()[:4] == ".hei" else ""
        raise PictureError(f"not a picture that can be read{hint}") from error
    except PictureError:
        raise
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise PictureError(f"damaged, truncated or too large: {error}") from error


def decode_picture(image: Image.Image, data: bytes, deep: bool, rgb: bool = False) -> np.ndarray:
    """Decodes what `open_picture` yields; its errors are for that, except for unsupported kinds.

    Unless `deep`, 16-bit colours lose half of their bits.

    Returns:
        (H, W) grey, (H, W, 3) RGB or (H, W, 4) RGBA; RGB for `rgb`. uint8 or uint16, upright.
    """
    orientation = stored_orientation(image)
    image.load()  # fails on a truncated file, which OpenCV would fill with grey
    if deep:  # by OpenCV, since Pillow reduces colour pictures to 8 bits
        decoded = decode_with_opencv(data, cv2.IMREAD_UNCHANGED)
        if decoded is None or decoded.dtype != np.uint16:
            raise PictureError("a 16-bit picture that OpenCV can't decode; save it as PNG")
        pixels = decoded[..., :3] if rgb and decoded.ndim == 3 else decoded
    elif image.mode in ("I", "F"):
        raise PictureError(
            f"32 bits a channel (mode {image.mode}) are not supported; save it with 8 or 16 bits"
        )
    else:
        orientation = stored_orientation(image)  # loading has turned TIFF upright
        if image.mode.startswith("I;16"):
            pixels = np.asarray(image).astype(np.uint16)
        else:
            kept = "L" if image.mode in ("1", "L") else "RGB"
            kept = "RGBA" if image.has_transparency_data else kept
            pixels = np.array(image.convert("RGB" if rgb else kept))
    if rgb and pixels.ndim == 2:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB)
    return turn_by_exif(pixels, orientation)


def decode_with_opencv(data: bytes, flags: int) -> np.ndarray | None:
    """Decodes a picture file as stored: (H, W) grey, RGB or RGBA; None where OpenCV can't.

    `flags` are IMREAD_UNCHANGED, or others of which those for colours ask for RGB.
    """
    unchanged = flags == cv2.IMREAD_UNCHANGED  # never turns
    flags |= 0 if unchanged else cv2.IMREAD_IGNORE_ORIENTATION
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        return None
    if pixels is None or pixels.ndim == 2 or not unchanged:
        return pixels
    swap = cv2.COLOR_BGRA2RGBA if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB
    return cv2.cvtColor(pixels, swap)


def stored_orientation(image: Image.Image) -> int:
    """EXIF orientation of a picture opened with Pillow; 1 where none is stored."""
    return image.getexif().get(_ORIENTATION, 1)


def turn_by_exif(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turns a picture by its EXIF orientation (2.32, table 4.6.4); others than 2 to 8 leave it."""
    transpose, mirror = orientation in (5, 6, 7, 8), orientation in (2, 3, 6, 7)
    return turn_upright(pixels, transpose, mirror, flip=orientation in (3, 4, 7, 8))


def turn_upright(pixels: np.ndarray, transpose: bool, mirror: bool, flip: bool) -> np.ndarray:
    """Transposes (H, W) or (H, W, C), then mirrors, then flips top and bottom; contiguous."""
    pixels = pixels.swapaxes(0, 1) if transpose else pixels
    return np.ascontiguousarray(pixels[:: -1 if flip else 1, :: -1 if mirror else 1])


def resize_to_cover(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resizes (h, w, 3) until it covers a size in pixels and crops its middle."""
    scale = max(height / picture.shape[0], width / picture.shape[1])
    # The part of the picture that will be seen, so that nothing larger than needed is made.
    rows, columns = round(height / scale), round(width / scale)
    top, left = (picture.shape[0] - rows) // 2, (picture.shape[1] - columns) // 2
    return resize(picture[top : top + rows, left : left + columns], height, width)


def resize(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resizes (h, w, 3) of any type to a size in pixels, averaging when it shrinks."""
    shrinks = height < picture.shape[0]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(picture, (width, height), interpolation=interpolation)


_JPEG = (cv2.IMWRITE_JPEG_QUALITY, 95)
# Half the time of Pillow's level 3 with its choice of filters, for files as large within 3%
# (photographs, composites and mattes at HD).
_PNG = (cv2.IMWRITE_PNG_COMPRESSION, 2, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP)


def write_png(path: Path, pixels: np.ndarray, icc_profile: bytes | None = None) -> None:
    """Writes (H, W), (H, W, 3) RGB or (H, W, 4) RGBA, uint8 or uint16, as PNG.

    Alpha is straight. Missing folders are made, an existing file is replaced.

    Raises:
        OSError: when the file can't be written; nothing is left of it then.
    """
    swapped = pixels
    if pixels.ndim == 3:
        rgba = pixels.shape[2] == 4
        swapped = cv2.cvtColor(pixels, cv2.COLOR_RGBA2BGRA if rgba else cv2.COLOR_RGB2BGR)
    metadata = {cv2.IMAGE_METADATA_ICCP: icc_profile} if icc_profile else {}
    chunks = [np.frombuffer(chunk, np.uint8) for chunk in metadata.values()]
    # By OpenCV, which lets the filter be chosen and knows 16-bit colour.
    _, data = cv2.imencodeWithMetadata(".png", swapped, list(metadata), chunks, _PNG)
    write_whole(path, data.tobytes())


def write_jpeg(path: Path, pixels: np.ndarray) -> None:
    """Writes (H, W) or (H, W, 3) RGB, uint8, as JPEG; else as `write_png`."""
    swapped = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if pixels.ndim == 3 else pixels
    write_whole(path, cv2.imencode(".jpg", swapped, _JPEG)[1].tobytes())
