"""Decodes TIFF files that Pillow can't read correctly: all with more than 8 bits, and others.

Source: TIFF 6.0, sections 8, 16, 18, 20 and 23; tifffile unpacks and decompresses.
"""

import io
import logging

import numpy as np
import tifffile

from . import PictureError
from .formats import MAX_PIXELS, check_size
from .profiles import Channels, divide_alpha, scale_bits

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # else it writes to the terminal

_SAVE = "save it with 8 or 16 bits per channel, in RGB"
# Photometric interpretations (tag 262).
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _SEPARATED, _YCBCR, _CIELAB, _ICCLAB = (
    *(0, 1, 2, 3),
    *(5, 6, 8, 9),
)
_MODELS = {_WHITE_IS_ZERO: "grey", _BLACK_IS_ZERO: "grey", _SEPARATED: "cmyk"}
_JPEG = (6, 7, 34892)  # compressions that are decoded to RGB


def decode_tiff(data: bytes) -> Channels:
    """Decodes the first page that is not a reduced copy of another; as stored, not rotated.

    Raises:
        PictureError: for floats, signed numbers, more than 16 bits and unusual colours.
    """
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = find_page(file)
        bits, photometric = page.bitspersample, int(page.photometric)
        _refuse_others(page, photometric)
        check_size(page.imagewidth, page.imagelength)
        if page.samplesperpixel > 16 or page.nbytes > 16 * MAX_PIXELS:
            raise PictureError(f"too large: {page.samplesperpixel} channels of {bits} bits")
        pixels = page.asarray()
        extra = tuple(int(kind) for kind in page.extrasamples)
        colormap = page.colormap if page.colormap is not None else np.zeros((3, 0), np.uint16)
    if int(page.planarconfig) == 2 and pixels.ndim == 3:
        pixels = np.moveaxis(pixels, 0, -1)
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    if photometric == _PALETTE:
        return Channels(np.moveaxis(colormap[:, pixels[..., 0]] >> 8, 0, -1).astype(np.uint8))
    count = 1 if photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO) else 3 + (photometric == 5)
    if pixels.shape[2] < count:
        raise PictureError(f"a TIFF with {pixels.shape[2]} of {count} channels; {_SAVE}")
    deep = bits > 8
    if photometric in (_CIELAB, _ICCLAB):
        return Channels(lab_values(pixels, photometric == _ICCLAB), None, "lab", deep)
    pixels = scale_bits(pixels, 2**bits - 1)
    alpha = _take_alpha(pixels, count, extra)
    colours = pixels[..., 0] if count == 1 else pixels[..., :count]
    if photometric == _WHITE_IS_ZERO:
        colours = ~colours
    if alpha is not None and 1 in extra:
        colours = divide_alpha(colours, alpha)
    model = "grey" if count == 1 else "cmyk" if count == 4 else "rgb"
    return Channels(colours, alpha, model, deep)  # type: ignore[arg-type]


def count_pages(data: bytes) -> int:
    """Counts the pages of a TIFF, including reduced copies."""
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        return len(file.pages)


def find_page(file: tifffile.TiffFile) -> tifffile.TiffPage:
    """Finds the first page that is not a reduced copy of another (tag 254); else the first."""
    for index in range(min(len(file.pages), 8)):
        page = file.pages[index]
        if isinstance(page, tifffile.TiffPage) and not page.subfiletype & 1:
            return page
    return file.pages.first


def _refuse_others(page: tifffile.TiffPage, photometric: int) -> None:
    bits = page.bitspersample
    kinds = {2: "signed", 3: "floating-point", 5: "complex", 6: "complex"}
    lab = photometric in (_CIELAB, _ICCLAB)
    if int(page.sampleformat) in kinds and not (lab and int(page.sampleformat) == 2):
        kind = kinds[int(page.sampleformat)]
        raise PictureError(f"{bits} bits per channel, {kind}, are not supported; {_SAVE}")
    if bits > 16:
        raise PictureError(f"{bits} bits per channel are not supported; {_SAVE}")
    if lab and bits not in (8, 16):
        raise PictureError(f"CIELAB with {bits} bits a channel is not supported; {_SAVE}")
    known = (*range(4), _SEPARATED, _CIELAB, _ICCLAB)
    decoded = photometric == _YCBCR and int(page.compression) in _JPEG
    inks = page.tags.valueof(332, 1) if photometric == _SEPARATED else 1
    if (photometric not in known and not decoded) or inks != 1 or page.imagedepth > 1:
        name = getattr(page.photometric, "name", page.photometric)
        raise PictureError(
            f"a TIFF of {bits} bits with colours as {name} is not supported; {_SAVE}"
        )


def _take_alpha(pixels: np.ndarray, count: int, extra: tuple[int, ...]) -> np.ndarray | None:
    """Returns alpha from the channels after the colours: the first that is marked as alpha."""
    if pixels.shape[2] == count:
        return None
    kinds = extra or (2,)  # some writers omit the tag
    index = next((i for i, kind in enumerate(kinds) if kind in (1, 2)), None)
    if index is None or count + index >= pixels.shape[2]:
        return None
    return pixels[..., count + index]


def lab_values(pixels: np.ndarray, offset: bool) -> np.ndarray:
    """Converts stored values, (H, W, 3) of 8 or 16 bits, to CIELAB.

    a and b are signed (TIFF 6.0, section 23), or have an `offset` (Technical Note 4).
    """
    deep = pixels.itemsize == 2
    unsigned = pixels.view(np.uint16 if deep else np.uint8)[..., :3]
    white, one, middle = (65280 if offset else 65535, 256, 2**15) if deep else (255, 1, 128)
    signed = unsigned[..., 1:].view(np.int16 if deep else np.int8).astype(np.float64)
    if offset:
        signed = unsigned[..., 1:].astype(np.float64) - middle
    return np.dstack([unsigned[..., 0].astype(np.float64) * (100 / white), signed / one]).astype(
        np.float64
    )
