"""Finding and reading picture files."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

# Read by Pillow 11 and newer; HEIC needs the optional package pillow-heif.
EXTENSIONS = frozenset(
    f".{extension}"
    for extension in (
        *("jpg", "jpeg", "jpe", "jfif", "png", "tif", "tiff", "webp", "bmp", "gif", "avif"),
        *("jp2", "ppm", "pgm", "tga", "heic", "heif"),
    )
)

_ORIENTATION = 0x0112
# What turns a stored picture upright, by EXIF orientation (EXIF 2.32, table 4.6.4): 1 is upright.
_UPRIGHT = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[:, ::-1],
    7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
    8: lambda a: a.swapaxes(0, 1)[::-1],
}

try:
    from pillow_heif import register_heif_opener
except ImportError:
    pass
else:
    register_heif_opener()


class PictureError(ValueError):
    """A file that can't be read as a picture; the message says why."""


@dataclass(frozen=True)
class Picture:
    """A picture as read.

    Attributes:
        pixels: (H, W, 3) uint8 or uint16, RGB, upright.
        icc_profile: the embedded colour profile, or None.
        notes: what was changed on reading, in words.
    """

    pixels: np.ndarray
    icc_profile: bytes | None = None
    notes: tuple[str, ...] = ()


def list_pictures(
    root: Path, exclude: tuple[Path, ...] = (), extensions: frozenset[str] = EXTENSIONS
) -> list[Path]:
    """Finds the pictures below a folder, in all its subfolders; hidden files are left out.

    Args:
        root: a folder, or a single picture file of any extension.
        exclude: files and folders not to look at.
        extensions: what counts as a picture, in lower case with the dot.

    Returns:
        Paths that begin with `root`, sorted.

    Raises:
        PictureError: when `root` is missing or there is no picture.
    """
    if root.is_file():
        return [root]
    if not root.is_dir():
        raise PictureError(f"{root} does not exist; name a picture or a folder of pictures")
    excluded = {path.resolve() for path in exclude}
    found: list[Path] = []
    for folder, subfolders, files in os.walk(root):
        here = Path(folder)
        subfolders[:] = [
            name
            for name in subfolders
            if not name.startswith(".") and (here / name).resolve() not in excluded
        ]
        found += [
            here / name
            for name in files
            if Path(name).suffix.lower() in extensions
            and not name.startswith(".")
            # Resolving half a million names takes a minute; mostly nothing is excluded.
            and not (excluded and (here / name).resolve() in excluded)
        ]
    if not found:
        raise PictureError(
            f"no picture was found in {root} or its subfolders; looked for "
            f"{' '.join(sorted(extensions))} in any case"
        )
    return sorted(found)


def read_picture(path: Path) -> Picture:
    """Reads a picture of 8 or 16 bits a channel, turns it upright and drops its alpha channel.

    Args:
        path: a picture file.

    Returns:
        The picture; its first frame, if it has several.

    Raises:
        PictureError: when the file is missing, empty, damaged, truncated, too large or of a kind
            that is not supported.
    """
    with open_picture(path) as (image, data):
        return _decode(image, data)


@contextmanager
def open_picture(path: Path) -> Iterator[tuple[Image.Image, bytes]]:
    """Opens a picture with Pillow, which reads no more than its head until asked for pixels.

    Args:
        path: a picture file.

    Yields:
        The picture and the bytes of its file.

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
            yield image, data
    except UnidentifiedImageError as error:
        hint = "; HEIC needs the package pillow-heif" if path.suffix.lower()[:4] == ".hei" else ""
        raise PictureError(f"not a picture that can be read{hint}") from error
    except PictureError:
        raise
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise PictureError(f"damaged, truncated or too large: {error}") from error


def turn_upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turns a stored picture as its EXIF orientation says.

    Args:
        pixels: (H, W) or (H, W, C), as stored.
        orientation: 1 to 8; anything else counts as 1, upright.

    Returns:
        The upright picture, contiguous.
    """
    return np.ascontiguousarray(_UPRIGHT.get(orientation, lambda a: a)(pixels))


def stored_orientation(image: Image.Image) -> int:
    """EXIF orientation of a picture opened with Pillow; 1 where none is stored."""
    return image.getexif().get(_ORIENTATION, 1)


def is_sixteen_bit(image: Image.Image) -> bool:
    """Whether a picture opened with Pillow is stored with 16 bits; to be asked before all else."""
    # (decoder, extents, offset, raw mode) of the stored data; gone once anything else is asked.
    tiles = getattr(image, "tile", [])
    return any(";16" in str(tile[3]) for tile in tiles)


def _decode(image: Image.Image, data: bytes) -> Picture:
    sixteen_bit = is_sixteen_bit(image)
    notes = []
    orientation = stored_orientation(image)
    profile = image.info.get("icc_profile")
    if image.has_transparency_data:
        notes.append("alpha channel dropped")
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":  # a camera's JPEG with previews behind the picture
        notes.append(f"first of {frames} frames taken")
    image.load()  # fails on a truncated file, which OpenCV would fill with grey
    if sixteen_bit:
        pixels = _decode_16_bit(data)
    elif image.mode in ("I", "F"):
        raise PictureError(
            f"32 bits a channel (mode {image.mode}) are not supported; save it with 8 or 16 bits"
        )
    else:
        # As it is after loading, which turns TIFF upright.
        orientation = stored_orientation(image)
        if image.mode in ("CMYK", "LAB", "YCbCr", "HSV"):
            profile = None  # it describes those channels, not RGB
        pixels = np.array(image.convert("RGB"))
    return Picture(turn_upright(pixels, orientation), profile, tuple(notes))


def _decode_16_bit(data: bytes) -> np.ndarray:
    """Decodes with OpenCV, since Pillow reduces colour pictures to 8 bits."""
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if pixels is None or pixels.dtype != np.uint16:
        raise PictureError("a 16-bit picture of a kind that OpenCV can't decode; save it as PNG")
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
