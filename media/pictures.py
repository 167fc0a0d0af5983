"""Reads pictures as upright RGB with a colour profile; resizes and writes them."""

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from runtime.files import write_whole

from . import PictureError as PictureError
from .decoding import open_picture
from .metadata import NO_METADATA, Metadata, find_colour, png_chunks, take_metadata
from .profiles import Channels, bring, is_sound, manage_colours, plain_rgb


@dataclass(frozen=True)
class Picture:
    """A picture as read."""

    pixels: np.ndarray  # (H, W, 3) uint8 or uint16, RGB, upright
    icc_profile: bytes | None = None  # a valid RGB profile of the colours; None means sRGB
    notes: tuple[str, ...] = ()  # what was changed on reading
    metadata: Metadata = NO_METADATA  # for outputs

    def __post_init__(self) -> None:
        if self.icc_profile is not None and not is_sound(self.icc_profile, "rgb"):
            raise ValueError("icc_profile of a Picture must be a valid RGB profile or None")

    def in_profile(self, profile: bytes | None) -> "Picture":
        """Returns the picture converted to an RGB profile; None means sRGB."""
        pixels = bring(self.pixels, self.icc_profile, profile)
        return replace(self, pixels=pixels, icc_profile=profile)


def read_picture(path: Path) -> Picture:
    """Reads a picture of 8 or 16 bits per channel, rotates it upright and drops alpha.

    RGB colours keep their values and get the profile that the file states in any way; grey, CMYK
    and CIELAB become sRGB. If there are several frames, the first is read.

    Raises:
        PictureError: as `decoding.open_picture`.
    """
    with open_picture(path) as opened:
        image = opened.image
        transparent = (
            image is not None and image.has_transparency_data
        )  # for some kinds only until decoded
        left_out = [f"first of {opened.frames} frames used"] if opened.frames > 1 else []
        channels = opened.decode(wants_alpha=False)
        transparent |= image is not None and image.has_transparency_data
        if transparent or channels.alpha is not None:
            left_out.insert(0, "alpha channel dropped")
        if opened.lost_bits > 8:
            left_out.append(f"{opened.lost_bits} bits per channel read as 8")
        exif, damage = opened.exif
        colour = find_colour(opened.image, opened.data, exif)
        pixels, profile, managed = manage_colours(channels, colour.profile)
        metadata = take_metadata(exif, opened.image)
    notes = (*left_out, *damage, *colour.notes, *managed)
    return Picture(np.ascontiguousarray(pixels), profile, notes, metadata)


def read_channels(path: Path) -> np.ndarray:
    """Reads all channels of a picture without applying a profile; else as `read_picture`.

    Returns:
        (H, W) grey, (H, W, 3) RGB or (H, W, 4) RGBA; uint8 or uint16, upright.
    """
    with open_picture(path) as opened:
        return join_channels(opened.decode())


def join_channels(channels: Channels) -> np.ndarray:
    """Joins the channels of a picture: (H, W) grey, (H, W, 3) RGB or (H, W, 4) RGBA."""
    if channels.model == "grey" and channels.alpha is None:
        return np.ascontiguousarray(channels.colours)
    rgb = plain_rgb(channels)
    joined = rgb if channels.alpha is None else np.dstack([rgb, channels.alpha])
    return np.ascontiguousarray(joined)


def resize_to_cover(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resizes (h, w, 3) to cover a size in pixels, and crops its centre."""
    scale = max(height / picture.shape[0], width / picture.shape[1])
    # Crops to the visible part first, so that no larger picture than needed is made.
    rows, columns = max(1, round(height / scale)), max(1, round(width / scale))
    top, left = (picture.shape[0] - rows) // 2, (picture.shape[1] - columns) // 2
    return resize(picture[top : top + rows, left : left + columns], height, width)


def reduced_size(shape: tuple[int, ...], longest: float) -> tuple[int, int]:
    """Scales (H, W) or (H, W, C) to a height and width of at most `longest` pixels."""
    height, width = shape[:2]
    scale = min(1.0, longest / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def resize(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resizes (h, w, 3) of any type to a size in pixels; averages when reducing."""
    shrinks = height < picture.shape[0]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(picture, (width, height), interpolation=interpolation)


def to_8_bits(picture: np.ndarray) -> np.ndarray:
    """Rounds uint16 of (H, W) or (H, W, C) to uint8; returns uint8 as it is."""
    if picture.dtype == np.uint8:
        return picture
    return cv2.convertScaleAbs(np.ascontiguousarray(picture), alpha=1 / 257)


# 2 times faster than Pillow's level 3 with its choice of filters, with files within 3% of its size
# (photographs, composites and mattes at HD).
_PNG_HEAD = 33  # bytes: signature and IHDR
_PNG_END = b"IEND\xaeB`\x82"
_PNG = (cv2.IMWRITE_PNG_COMPRESSION, 2, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP)


def write_png(
    path: Path,
    pixels: np.ndarray,
    icc_profile: bytes | None = None,
    metadata: Metadata | None = None,
) -> None:
    """Writes (H, W), (H, W, 3) RGB or (H, W, 4) RGBA, uint8 or uint16, as PNG.

    Alpha is straight. Creates missing folders, and replaces an existing file.

    Raises:
        OSError: when the file can't be encoded or written; no partial file is left.
    """
    swapped = pixels
    if pixels.ndim == 3:
        rgba = pixels.shape[2] == 4
        swapped = cv2.cvtColor(pixels, cv2.COLOR_RGBA2BGRA if rgba else cv2.COLOR_RGB2BGR)
    kinds = [cv2.IMAGE_METADATA_ICCP] if icc_profile else []
    chunks = [np.frombuffer(icc_profile, np.uint8)] if icc_profile else []
    # With OpenCV, which can set the filter and write 16-bit colour.
    done, encoded = cv2.imencodeWithMetadata(".png", swapped, kinds, chunks, _PNG)
    data = encoded.tobytes() if done else b""
    # OpenCV returns partial data if libpng fails.
    if not data.endswith(_PNG_END):
        raise OSError(f"{path.name} could not be encoded as PNG ({pixels.shape} {pixels.dtype})")
    if metadata and (beside := png_chunks(metadata)):
        data = data[:_PNG_HEAD] + beside + data[_PNG_HEAD:]
    write_whole(path, data)


def write_jpeg(path: Path, pixels: np.ndarray) -> None:
    """Writes (H, W) or (H, W, 3) RGB, uint8, as JPEG; else as `write_png`."""
    write_whole(path, encode_jpeg(pixels, path.name))


def encode_jpeg(pixels: np.ndarray, name: str, quality: int = 95) -> bytes:
    """Encodes (H, W) or (H, W, 3) RGB, uint8, as JPEG; OSError, which names it, if that fails."""
    swapped = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if pixels.ndim == 3 else pixels
    done, encoded = cv2.imencode(".jpg", swapped, (cv2.IMWRITE_JPEG_QUALITY, quality))
    data = encoded.tobytes() if done else b""
    if not data.endswith(b"\xff\xd9"):
        raise OSError(f"{name} could not be encoded as JPEG ({pixels.shape} {pixels.dtype})")
    return data
