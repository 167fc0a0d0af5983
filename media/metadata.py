"""Metadata of a file: orientation, dates, resolution and colours."""

import struct
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from PIL import Image

from .formats import is_tiff
from .profiles import DAMAGED, build_profile

_ORIENTATION, _DATE, _DETAILS = 0x0112, 0x0132, 0x8769
# DateTimeOriginal and DateTimeDigitized, their offsets from UTC and fractions of a second.
_DATES = (0x9003, 0x9004, 0x9010, 0x9011, 0x9012, 0x9290, 0x9291, 0x9292)
_PER_UNIT = {2: 1.0, 3: 2.54}  # resolution unit to inches
_D65 = (0.3127, 0.3290)
_SRGB = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
# ITU-T H.273 (07/2024), table 2: white and primaries.
_PRIMARIES = {
    1: (_D65, _SRGB),
    4: ((0.310, 0.316), (0.67, 0.33, 0.21, 0.71, 0.14, 0.08)),
    5: (_D65, (0.64, 0.33, 0.29, 0.60, 0.15, 0.06)),
    6: (_D65, (0.630, 0.340, 0.310, 0.595, 0.155, 0.070)),
    7: (_D65, (0.630, 0.340, 0.310, 0.595, 0.155, 0.070)),
    8: ((0.310, 0.316), (0.681, 0.319, 0.243, 0.692, 0.145, 0.049)),
    9: (_D65, (0.708, 0.292, 0.170, 0.797, 0.131, 0.046)),
    11: ((0.314, 0.351), (0.680, 0.320, 0.265, 0.690, 0.150, 0.060)),
    12: (_D65, (0.680, 0.320, 0.265, 0.690, 0.150, 0.060)),
    22: (_D65, (0.630, 0.340, 0.295, 0.605, 0.155, 0.077)),
}
_HDR = {16: "PQ", 18: "HLG"}
# Adobe RGB (1998), section 4.3: the exponent is 2 51/256.
_ADOBE = (_D65, (0.64, 0.33, 0.21, 0.71, 0.15, 0.06), 2 + 51 / 256)
# sRGB's values as written in PNG, with a tolerance for rounding.
_ROUNDED = 0.002
_COLOR_SPACE, _INTEROPERABILITY = 0xA001, 0xA005


@dataclass(frozen=True)
class Metadata:
    """Metadata that outputs keep; None if the file has none."""

    exif: bytes | None = None
    """EXIF data with dates only, beginning with its TIFF header."""
    dpi: tuple[float, float] | None = None
    """Pixels per inch along the upright width and height."""


NO_METADATA = Metadata()


def read_exif(image: Image.Image | None, data: bytes) -> tuple[Image.Exif, tuple[str, ...]]:
    """Reads EXIF data of a picture, or of a TIFF's bytes if Pillow can't open it; with notes."""
    try:
        if image is not None:
            exif = image.getexif()
        else:
            exif = Image.Exif()
            if is_tiff(data):
                exif.load(data)
        dict(exif), exif.get_ifd(_DETAILS)
    except Exception:  # Pillow can raise any exception for damaged data
        return Image.Exif(), ("damaged EXIF data ignored",)
    return exif, ()


def orientation_of(exif: Image.Exif) -> int:
    """EXIF orientation, 1 to 8; 1 if there is none."""
    value = exif.get(_ORIENTATION, 1)
    return value if value in range(1, 9) else 1


def take_metadata(exif: Image.Exif, image: Image.Image | None) -> Metadata:
    """Reads dates and resolution; ignores damaged values."""
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
    """Makes the PNG chunks of the metadata: pHYs and eXIf."""
    chunks = b""
    if metadata.dpi:
        # Pixels per metre; an inch has 0.0254 m.
        across, down = (round(value / 0.0254) for value in metadata.dpi)
        chunks += _chunk(b"pHYs", struct.pack(">IIB", across, down, 1))
    if metadata.exif:
        chunks += _chunk(b"eXIf", metadata.exif)
    return chunks


def _chunk(name: bytes, content: bytes) -> bytes:
    body = name + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", crc32(body))


@dataclass(frozen=True)
class SaidColour:
    """A profile and notes; the profile is None for sRGB or if none is stated."""

    profile: bytes | None = None
    notes: tuple[str, ...] = ()


def find_colour(image: Image.Image | None, data: bytes, exif: Image.Exif) -> SaidColour:
    """Finds the colour space that a file states.

    The first of these is used: PNG's cICP; a profile; numbers of PNG, AVIF and HEIC; EXIF.

    Source: PNG (third edition), 11.3.2; ISO/IEC 23008-12, 6.5.5; DCF 2.0, Exif 2.32, 4.6.5.
    """
    chunks = _read_png_head(data) if data.startswith(b"\x89PNG") else {}
    if len(code := chunks.get(b"cICP", b"")) == 4:
        if code[2] or not code[3]:
            return SaidColour(None, ("colours of narrow range (cICP) are not converted",))
        return _by_code(code[0], code[1])
    profile = image.info.get("icc_profile") if image is not None else _read_tiff_profile(exif)
    if profile and profile.strip(b"\0"):
        return SaidColour(profile)
    damaged = profile is not None or b"iCCP" in chunks or _has_jpeg_profile(image, data)
    notes = (DAMAGED,) if damaged else ()
    found = SaidColour()
    if b"sRGB" in chunks:
        pass
    elif b"gAMA" in chunks or b"cHRM" in chunks:
        found = _by_numbers(chunks)
    elif image is not None and image.format in ("AVIF", "HEIF"):
        at = data.find(b"colrnclx")
        if at >= 0 and len(data) >= at + 12:
            found = _by_code(*struct.unpack_from(">HH", data, at + 8))
    else:
        found = _by_exif(exif)
    return SaidColour(found.profile, notes + found.notes)


def _by_code(primaries: int, transfer: int) -> SaidColour:
    """The colour space of code points of ITU-T H.273; 2 means unspecified."""
    if transfer in _HDR:
        return SaidColour(None, (f"HDR picture ({_HDR[transfer]}): colours are not converted",))
    if primaries in (1, 2) and transfer in (2, 13):
        return SaidColour()
    curve = _decode_curve(transfer)
    if curve is None or (primaries != 2 and primaries not in _PRIMARIES):
        said = f"primaries {primaries}, transfer {transfer} of ITU-T H.273"
        return SaidColour(None, (f"unknown colours ({said}) are treated as sRGB",))
    return SaidColour(build_profile(*_PRIMARIES[1 if primaries == 2 else primaries], curve))


def _decode_curve(transfer: int) -> float | tuple[float, ...] | None:
    """The curve from coded value to light, for `build_profile`: H.273, table 3; else None."""
    powers = {4: 2.2, 5: 2.8, 8: 1.0}
    if transfer in powers:
        return powers[transfer]
    value = np.linspace(0, 1, 1024)
    if transfer in (2, 13):
        light = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    elif transfer in (1, 6, 14, 15):
        light = np.where(value < 0.081, value / 4.5, ((value + 0.099) / 1.099) ** (1 / 0.45))
    else:
        return None
    return tuple(light.tolist())


def _by_numbers(chunks: dict[bytes, bytes]) -> SaidColour:
    """The colour space of PNG's gAMA and cHRM."""
    try:
        gamma = struct.unpack(">I", chunks[b"gAMA"])[0] / 1e5 if b"gAMA" in chunks else None
        said = struct.unpack(">8I", chunks[b"cHRM"]) if b"cHRM" in chunks else None
    except struct.error:
        return SaidColour(None, ("damaged gAMA or cHRM ignored",))
    white, primaries = _D65, _SRGB
    if said:
        white, primaries = (said[0] / 1e5, said[1] / 1e5), tuple(value / 1e5 for value in said[2:])
    apart = np.abs(np.subtract((*white, *primaries), (*_D65, *_SRGB))).max()
    # 1 / 2.2 means sRGB's curve, because editors write it like this.
    is_srgb = gamma is None or abs(gamma - 1 / 2.2) <= _ROUNDED
    if is_srgb and apart <= _ROUNDED:
        return SaidColour()
    try:
        if gamma is not None and not 0.1 <= gamma <= 10:
            raise ValueError("gamma out of range")
        curve = _SRGB_CURVE if gamma is None else 1 / gamma
        return SaidColour(build_profile(white, primaries, curve))
    except ValueError:
        return SaidColour(None, ("invalid gAMA or cHRM ignored",))


def _by_exif(exif: Image.Exif) -> SaidColour:
    """Adobe RGB, which cameras state only in EXIF."""
    space = exif.get_ifd(0x8769).get(_COLOR_SPACE)
    try:
        index = exif.get_ifd(_INTEROPERABILITY).get(1)
    except KeyError:  # Pillow below 13, if there is none
        index = None
    index = index.encode() if isinstance(index, str) else index
    if space != 1 and isinstance(index, bytes) and index.startswith(b"R03"):
        return SaidColour(build_profile(*_ADOBE))
    if space == 2:  # not in the standard, but used
        return SaidColour(build_profile(*_ADOBE))
    if space == 0xFFFF and not (index and index.startswith(b"R98")):
        return SaidColour(None, ("EXIF states an unknown colour space; treated as sRGB",))
    return SaidColour()


_SRGB_CURVE = _decode_curve(13) or 1.0


def _read_png_head(data: bytes) -> dict[bytes, bytes]:
    """Reads the chunks before a PNG's pixels, the first of each name."""
    chunks: dict[bytes, bytes] = {}
    at = 8
    while at + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        if name == b"IDAT":
            break
        chunks.setdefault(name, data[at + 8 : at + 8 + length])
        at += 12 + length
    return chunks


def drop_metadata(data: bytes) -> bytes:
    """Returns a PNG without what libpng writes warnings about to the terminal; others unchanged.

    Only chunks that define its pixels are kept.
    """
    if not data.startswith(b"\x89PNG"):
        return data
    kept, at = [data[:8]], 8
    while at + 12 <= len(data) and (name := data[at + 4 : at + 8]) != b"IDAT":
        end = at + 12 + struct.unpack_from(">I", data, at)[0]
        if name in (b"IHDR", b"PLTE", b"tRNS"):
            kept.append(data[at:end])
        at = end
    return b"".join([*kept, data[at:]])


def _read_tiff_profile(exif: Image.Exif) -> bytes | None:
    profile = exif.get(34675)
    return profile if isinstance(profile, bytes) else None


def _has_jpeg_profile(image: Image.Image | None, data: bytes) -> bool:
    """Whether a JPEG has a profile whose parts Pillow could not join."""
    is_jpeg = image is not None and image.format in ("JPEG", "MPO")
    return is_jpeg and b"ICC_PROFILE\0" in data[: 2**18]
