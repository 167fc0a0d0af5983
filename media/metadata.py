"""What outputs keep of a photograph beside its pixels: when it was taken, and its resolution."""

import struct
from dataclasses import dataclass
from zlib import crc32

from PIL import Image

from .formats import is_tiff

_ORIENTATION, _DATE, _DETAILS = 0x0112, 0x0132, 0x8769
# DateTimeOriginal and DateTimeDigitized, their offsets from UTC and fractions of a second.
_DATES = (0x9003, 0x9004, 0x9010, 0x9011, 0x9012, 0x9290, 0x9291, 0x9292)
_PER_UNIT = {2: 1.0, 3: 2.54}  # resolution unit to inches


@dataclass(frozen=True)
class Metadata:
    """What is kept; None where a file says nothing."""

    exif: bytes | None = None
    """Dates alone, as EXIF begins with its TIFF header."""
    dpi: tuple[float, float] | None = None
    """Pixels an inch along the upright width and height."""


NO_METADATA = Metadata()


def read_exif(image: Image.Image | None, data: bytes) -> tuple[Image.Exif, tuple[str, ...]]:
    """The EXIF data of a picture, or of a TIFF's bytes where Pillow can't open it; with notes."""
    try:
        if image is not None:
            exif = image.getexif()
        else:
            exif = Image.Exif()
            if is_tiff(data):
                exif.load(data)
        dict(exif), exif.get_ifd(_DETAILS)
    except Exception:  # whatever Pillow meets in damaged data
        return Image.Exif(), ("damaged EXIF data left out",)
    return exif, ()


def orientation_of(exif: Image.Exif) -> int:
    """EXIF orientation, 1 to 8; 1 where none is stored."""
    value = exif.get(_ORIENTATION, 1)
    return value if value in range(1, 9) else 1


def take_metadata(exif: Image.Exif, image: Image.Image | None) -> Metadata:
    """Takes dates and resolution; what is damaged is left out."""
    kept = Image.Exif()
    if isinstance(date := exif.get(_DATE), str):
        kept[_DATE] = date
    details = exif.get_ifd(_DETAILS)
    if dates := {tag: details[tag] for tag in _DATES if isinstance(details.get(tag), str)}:
        kept[_DETAILS] = dates
    return Metadata(kept.tobytes().removeprefix(b"Exif\0\0") if kept else None, _dpi(exif, image))


def _dpi(exif: Image.Exif, image: Image.Image | None) -> tuple[float, float] | None:
    try:
        dpi = image.info.get("dpi") if image is not None else None
        if dpi is None and 282 in exif and 283 in exif:
            unit = _PER_UNIT[exif.get(296, 2)]
            dpi = float(exif[282]) * unit, float(exif[283]) * unit
        across, down = (float(value) for value in dpi or ())
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    if not (0.1 < across < 1e6 and 0.1 < down < 1e6):
        return None
    return (down, across) if orientation_of(exif) > 4 else (across, down)


def png_chunks(metadata: Metadata) -> bytes:
    """The PNG chunks that hold it: pHYs and eXIf."""
    chunks = b""
    if metadata.dpi:
        # Pixels a metre, of which an inch has 0.0254.
        across, down = (round(value / 0.0254) for value in metadata.dpi)
        chunks += _chunk(b"pHYs", struct.pack(">IIB", across, down, 1))
    if metadata.exif:
        chunks += _chunk(b"eXIf", metadata.exif)
    return chunks


def _chunk(name: bytes, content: bytes) -> bytes:
    body = name + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", crc32(body))
