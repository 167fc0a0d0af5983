"""Reads pictures and new backgrounds that callers of the library pass."""

from pathlib import Path
from typing import get_args

import numpy as np
from PIL import Image

from media.decoding import take_pillow, turn_by_exif
from media.metadata import find_colour, orientation_of, read_exif, take_metadata
from media.pictures import Picture, PictureError, read_picture
from media.profiles import manage_colours
from storage.files import fetched
from storage.location import parse_location

from .compose import BitDepth
from .target import Target, parse_target, render_target

# A picture: pixels (H, W, 3) uint8 or uint16 RGB, a Pillow picture, or a file or its URL.
PictureLike = np.ndarray | Image.Image | Picture | str | Path
_WANTED = (
    "a picture must be an array (H, W, 3) of uint8 or uint16 in RGB, a Pillow picture or a file"
)


def open_picture(picture: PictureLike) -> Picture:
    """Reads a picture from a file, an array or Pillow.

    Args:
        picture: see `PictureLike`; a Pillow picture is rotated upright, loses its alpha and keeps
            its colour profile; an array is in sRGB.

    Returns:
        Pixels (H, W, 3) uint8 or uint16 RGB with profile and notes.

    Raises:
        ValueError: when the file can't be read (`PictureError`) or fetched (`StorageError`), or for
            pixels of another shape or type; floats are refused, because their range is ambiguous.
    """
    if isinstance(picture, Picture):
        return picture
    if isinstance(picture, str | Path):
        if not str(picture):
            raise ValueError(f"{_WANTED}, got an empty name")
        location = parse_location(picture)
        with fetched(location) as path:
            try:
                return read_picture(path)
            except PictureError as error:
                raise PictureError(f"{location}: {error}") from error
    if isinstance(picture, Image.Image):
        return _take_pillow(picture)
    return _take_array(picture)


def _take_array(picture: object) -> Picture:
    try:
        pixels = np.asarray(picture)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{_WANTED}, got {type(picture).__name__}: {error}") from error
    if pixels.dtype.kind == "u":  # other byte orders are kept by files
        pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype not in (np.uint8, np.uint16):
        advice = ""
        if pixels.dtype in (np.uint8, np.uint16) and pixels.ndim == 2:
            advice = "; for grey pixels, pass numpy.dstack([grey] * 3)"
        elif pixels.ndim == 3 and pixels.shape[2] == 4:
            advice = "; for RGBA, pass pixels[..., :3]"
        raise ValueError(
            f"{_WANTED}, got {type(picture).__name__} of shape {pixels.shape} and type "
            f"{pixels.dtype}{advice}"
        )
    if pixels.size == 0:
        raise ValueError(f"{_WANTED}, got one without pixels: shape {pixels.shape}")
    # PyTorch does not support mirrored views, and warns of read-only memory.
    usable = pixels.flags.writeable and min(pixels.strides) >= 0
    return Picture(pixels if usable else pixels.copy())


def _take_pillow(image: Image.Image) -> Picture:
    try:
        exif, damage = read_exif(image, b"")
        orientation = orientation_of(exif)
        image.load()
        orientation = 1 if orientation_of(image.getexif()) == 1 else orientation  # TIFF is upright
        metadata = take_metadata(exif, image)
        dropped = ("alpha channel dropped",) if image.has_transparency_data else ()
        channels = take_pillow(image, wants_alpha=False)
    except PictureError:
        raise
    except Exception as error:  # decoders can raise any exception for damaged data
        raise PictureError(f"a Pillow picture that can't be decoded: {error}") from error
    colour = find_colour(image, b"", exif)
    pixels, profile, managed = manage_colours(channels, colour.profile)
    notes = (*dropped, *damage, *colour.notes, *managed)
    return Picture(turn_by_exif(pixels, orientation), profile, notes, metadata)


def make_target(
    target: PictureLike | tuple[int, int, int] | Target | None,
    bgr: np.ndarray,
    icc_profile: bytes | None,
) -> np.ndarray | None:
    """Makes the new background of a frame from any form of it; see `Matte.composite`.

    Args:
        target: a colour, a picture, `blur`, or None for none.
        bgr: (H, W, 3) uint8 or uint16, the frame's plate.
        icc_profile: the frame's colour profile.

    Returns:
        (H, W, 3) float32 in [0, 1], in the frame's colour space, or None.

    Raises:
        ValueError: when the target is none of these or can't be read.
    """
    picture = None
    if isinstance(target, str):
        target = parse_target(target)
    elif isinstance(target, tuple):
        if len(target) != 3 or not all(
            isinstance(c, int | np.integer) and c in range(256) for c in target
        ):
            raise ValueError(
                f"a colour is red, green and blue, integers from 0 to 255; got {target}"
            )
        target = Target("colour", colour=target)
    if isinstance(target, Target):
        if target.kind == "folder":
            raise ValueError(f"a new background must be one picture, not the folder {target.path}")
        if target.kind == "picture" and target.path is not None:
            picture = open_picture(target.path)
    elif target is not None:
        try:
            picture, target = open_picture(target), Target("picture")
        except ValueError as error:
            raise ValueError(f"new background: {error}") from error
    if target is None:
        return None
    pixels = None if picture is None else picture.in_profile(icc_profile).pixels
    return render_target(target, pixels, bgr, icc_profile)


def check_target(target: object, shape: tuple[int, ...], bit_depth: object) -> None:
    """Raises ValueError unless a target is (H, W, 3) floats in [0, 1] or None, and bits 8 or 16.

    `shape` is the frame's shape.
    """
    if bit_depth not in get_args(BitDepth):
        raise ValueError(f"bit_depth must be 8 or 16, got {bit_depth!r}")
    if target is None:
        return
    wanted = f"target must be a result of render_target, an array {shape} of floats in [0, 1]"
    if not isinstance(target, np.ndarray) or target.dtype.kind != "f" or target.shape != shape:
        got = type(target).__name__
        if isinstance(target, np.ndarray):
            got = f"one of shape {target.shape} and type {target.dtype}"
        raise ValueError(f"{wanted}; got {got}")
    if not (target.min() >= 0 and target.max() <= 1):
        raise ValueError(f"{wanted}; got values from {target.min():g} to {target.max():g}")
