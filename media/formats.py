"""Reads picture files whole, and finds their kind by name and first bytes."""

import io
import os
import stat
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import tifffile

from . import PictureError

# Raw files of cameras, in lower case with the dot: sensor data with a thumbnail.
_RAW_NAMES = (
    ".3fr .ari .arw .bay .cap .cr2 .cr3 .crw .dcr .dcs .dng .drf .eip .erf .fff .gpr .iiq .k25 .kdc"
    " .mdc .mef .mos .mrw .nef .nrw .orf .pef .ptx .pxn .r3d .raf .raw .rw2 .rwl .rwz .sr2 .srf"
    " .srw .x3f"
)
RAW_EXTENSIONS = frozenset(_RAW_NAMES.split())
RAW = "a raw file: develop it first"
# Signatures of raw files that are not TIFF: Fujifilm, Canon, Sigma, Minolta, Olympus, Panasonic,
# Phase One. Source: LibRaw's identify.cpp and ExifTool.
_RAW_HEADS = {
    0: (b"FUJIFILMCCD-RAW", b"FOVb", b"\0MRM", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"IIII"),
    4: (b"ftypcrx ",),
    6: (b"HEAPCCDR",),
    8: (b"CR\x02", b"IIII", b"MMMM"),
}
_TIFF_HEADS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"mif2", b"msf1")
# Without O_NONBLOCK, opening a pipe waits for its writer. Windows has other flags.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
# A picture of `MAX_PIXELS` in 16 bits is smaller, even uncompressed.
_MAX_BYTES = 2 * 1024**3
# The largest sensors have 200 million. At this limit, which a damaged header can state, decoding
# takes up to 4 GiB of memory, and a matte about 20 GiB.
MAX_PIXELS = 2**28
_MAX_SIDE = 1_000_000  # pixels, libpng's limit (PNG_USER_WIDTH_MAX)


def read_file(path: Path) -> bytes:
    """Reads a file; refuses pipes, devices and folders without waiting.

    Raises:
        PictureError: when it is not a regular file, is empty, has more than 2 GiB or can't be read.
    """
    try:
        descriptor = os.open(path, _FLAGS)
        with closing(os.fdopen(descriptor, "rb")) as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise PictureError(f"not a file but {_kind(status.st_mode)}; name a picture file")
            if status.st_size > _MAX_BYTES:
                raise PictureError(
                    f"the file has {status.st_size / 1024**3:.1f} GiB; the limit is 2 GiB. Save a "
                    "smaller or compressed one"
                )
            data = file.read()
    except IsADirectoryError as error:
        raise PictureError("not a file but a folder; name a picture file") from error
    except OSError as error:
        raise PictureError(f"can't be read: {error.strerror or error}") from error
    if not data:
        raise PictureError("the file is empty (0 bytes)")
    return data


def check_size(width: int, height: int) -> None:
    """Raises a PictureError for too many pixels, or a side longer than PNG allows."""
    if max(width, height) > _MAX_SIDE:
        raise PictureError(
            f"too large: {width} x {height} pixels; PNG outputs have at most a million pixels per "
            "side. Cut frame and plate into parts"
        )
    if width * height > MAX_PIXELS:
        raise PictureError(
            f"too large: {width} x {height} pixels; the limit is {MAX_PIXELS / 1e6:.0f} million. "
            "Make frame and plate smaller or cut both into parts"
        )


def refuse_raw(path: Path, data: bytes) -> None:
    """Raises a PictureError for a raw file, because decoders would read its thumbnail."""
    heads = any(data.startswith(head, at) for at, some in _RAW_HEADS.items() for head in some)
    if path.suffix.lower() in RAW_EXTENSIONS or heads or (is_tiff(data) and _is_raw_tiff(data)):
        raise PictureError(f"{RAW}, to TIFF or JPEG")


def is_tiff(data: bytes) -> bool:
    """Whether a file is a TIFF or BigTIFF."""
    return data.startswith(_TIFF_HEADS)


def hint(path: Path, data: bytes) -> str:
    """Returns advice for an unreadable file of a known kind."""
    if data[4:8] == b"ftyp" and any(brand in data[8:40] for brand in (b"avif", b"avis")):
        return "; it is a damaged AVIF, or one of a kind that Pillow does not support"
    is_heic = data[4:8] == b"ftyp" and any(brand in data[8:40] for brand in _HEIC_BRANDS)
    if is_heic or path.suffix.lower() in (".heic", ".heif", ".hif"):
        installed = find_spec("pillow_heif") is not None
        return (
            "; it is a damaged HEIC, or one of a kind that pillow-heif does not support"
            if installed
            else "; HEIC needs the package pillow-heif: pip install pillow-heif"
        )
    if data.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")):
        return "; it is JPEG XL: save it as PNG, TIFF or JPEG"
    if data.startswith(b"v/1\x01"):
        return "; it is OpenEXR: save it as PNG or TIFF with 16 bits"
    return ""


def _kind(mode: int) -> str:
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")


def _is_raw_tiff(data: bytes) -> bool:
    """Whether a TIFF has raw sensor data, in its first pages or their subpages."""
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            first = file.pages.first
            if first is None or 50706 in first.tags:  # DNGVersion
                return first is not None
            below = list(first.pages or ()) if 330 in first.tags else []
            pages = [first, *below[:8], *(file.pages[i] for i in range(1, min(len(file.pages), 4)))]
            return any(
                isinstance(page, tifffile.TiffPage) and _shows_sensor(page) for page in pages
            )
    except Exception:  # a damaged TIFF; reading it raises the error
        return False


def _shows_sensor(page: tifffile.TiffPage) -> bool:
    # Photometric interpretations CFA and linear raw, compressions of Nikon, Sony and Pentax.
    by_colours = page.tags.valueof(262) in (32803, 34892)
    return by_colours or page.tags.valueof(259) in (34713, 32767, 65535)
