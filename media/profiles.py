"""Validates and builds colour profiles, and converts pictures between them.

Conversions use LittleCMS through imagecodecs, because Pillow's ImageCms supports 8 bits only. The
intent is relative colorimetric: the only one of matrix profiles, and it keeps white.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import imagecodecs
import numpy as np

_NOOPTIMIZE = 0x0100  # with tables, dark 16-bit colours are wrong by up to 5 levels of 255
_SAME = 2  # levels of 255 by which different profiles of the same space differ
_DEVICES = (b"scnr", b"mntr", b"prtr", b"spac")
_SPACES = {"grey": b"GRAY", "rgb": b"RGB ", "cmyk": b"CMYK"}
_NAMES = {"grey": "gray", "rgb": "rgb", "cmyk": "cmyk", "lab": "lab"}
DAMAGED = "damaged colour profile ignored"
OF_OTHERS = "colour profile ignored: it is not one for grey, RGB or CMYK pictures"


@dataclass(frozen=True)
class Channels:
    """The channels of a picture as stored, scaled to the full range of their type."""

    colours: np.ndarray
    """(H, W) grey, (H, W, 3) RGB or (H, W, 4) CMYK (0 means no ink), uint8 or uint16; or
    (H, W, 3) float64 CIELAB, L from 0 to 100."""
    alpha: np.ndarray | None = None
    """(H, W), of the same type as the colours, straight."""
    model: Literal["grey", "rgb", "cmyk", "lab"] = "rgb"
    deep: bool = False
    """Whether there are more than 8 bits per channel."""


def split_alpha(pixels: np.ndarray) -> Channels:
    """Splits (H, W) grey, (H, W, 2) grey and alpha, (H, W, 3) RGB or (H, W, 4) RGBA."""
    deep = pixels.dtype == np.uint16
    if pixels.ndim == 2 or pixels.shape[2] == 1:
        return Channels(pixels.reshape(pixels.shape[:2]), None, "grey", deep)
    if pixels.shape[2] == 2:
        return Channels(pixels[..., 0], pixels[..., 1], "grey", deep)
    return Channels(pixels[..., :3], pixels[..., 3] if pixels.shape[2] == 4 else None, "rgb", deep)


def scale_bits(values: np.ndarray, largest: int) -> np.ndarray:
    """Scales integers from 0 to `largest` to the range of uint8, or of uint16 above 255."""
    full = 255 if largest <= 255 else 65535
    if largest == full:
        return values.astype(np.uint8 if full == 255 else np.uint16, copy=False)
    # Fits in 32 bits: at most 65535 * 65535 + 32767.
    scaled = (np.minimum(values, largest).astype(np.uint32) * full + largest // 2) // largest
    return scaled.astype(np.uint8 if full == 255 else np.uint16)


def divide_alpha(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Divides (H, W[, C]) premultiplied colours by (H, W) alpha; 0 where alpha is 0."""
    largest = np.iinfo(colours.dtype).max
    over = (alpha if colours.ndim == 2 else alpha[..., None]).astype(np.uint64)
    straight = (colours.astype(np.uint64) * largest + over // 2) // np.maximum(over, 1)
    return np.where(over > 0, np.minimum(straight, largest), 0).astype(colours.dtype)


def _undated(profile: bytes) -> bytes:
    """Sets a constant date, so that every run writes the same bytes."""
    return profile[:24] + bytes((7, 208, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0)) + profile[36:]


SRGB = _undated(imagecodecs.cms_profile("srgb"))
_LAB = imagecodecs.cms_profile("lab4")


@lru_cache(maxsize=32)
def is_sound(profile: bytes, model: str) -> bool:
    """Whether a profile is complete and describes a device's grey, RGB or CMYK (`model`).

    It must pass libpng's checks of profiles to write (png_icc_check_header and
    png_icc_check_tag_table in png.c), and LittleCMS must support it.
    """
    if not _is_whole(profile) or int.from_bytes(profile[64:68], "big") >= 0xFFFF:
        return False
    if profile[12:16] not in _DEVICES or profile[20:24] not in (b"XYZ ", b"Lab "):
        return False
    if profile[16:20] != _SPACES[model]:
        return False
    channels = {"grey": 1, "rgb": 3, "cmyk": 4}[model]
    try:
        convert(np.zeros((1, 1, channels), np.uint8), profile, SRGB, model)
        # Plates are converted to an RGB profile too, so test that direction.
        if model == "rgb":
            convert(np.zeros((1, 1, 3), np.uint8), SRGB, profile)
    except (RuntimeError, ValueError):
        return False
    return True


def _is_whole(profile: bytes) -> bool:
    """Whether a profile of any kind has its stated length, and all of its tags."""

    def number(at: int) -> int:
        return int.from_bytes(profile[at : at + 4], "big")

    length = len(profile)
    if length < 132 or number(0) != length or (profile[8] > 3 and length % 4):
        return False
    if 132 + 12 * number(128) > length or profile[36:40] != b"acsp":
        return False
    tags = range(132, 132 + 12 * number(128), 12)
    return all(number(tag + 4) + number(tag + 8) <= length for tag in tags)


def convert(
    pixels: np.ndarray, source: bytes, target: bytes = SRGB, model: str = "rgb"
) -> np.ndarray:
    """Converts (H, W) or (H, W, C) of any type from a profile of `model` to one of RGB.

    Floats are from 0 to 1; results may be outside.
    """
    flags = 0 if pixels.dtype == np.uint8 else _NOOPTIMIZE
    flat = pixels.reshape(*pixels.shape[:2], -1)
    if flat.shape[2] == 1:
        flat = flat[..., 0]
    return imagecodecs.cms_transform(
        flat,
        source,
        target,
        colorspace=_NAMES[model],
        outcolorspace="rgb",
        intent=1,
        flags=flags,
    )


def bring(pixels: np.ndarray, source: bytes | None, target: bytes | None) -> np.ndarray:
    """Converts (H, W, 3) RGB from one profile to another; None means sRGB.

    uint8 and uint16 keep their type, floats in [0, 1] their range. If both spaces are the same, the
    same object is returned.
    """
    if are_alike(source, target):
        return pixels
    converted = convert(pixels, source or SRGB, target or SRGB)
    return converted.clip(0, 1, out=converted) if pixels.dtype.kind == "f" else converted


@lru_cache(maxsize=64)
def are_alike(source: bytes | None, target: bytes | None) -> bool:
    """Whether two RGB profiles describe the same space: colours differ by at most 2 of 255."""
    if source == target:
        return True
    steps = np.linspace(0, 1, 9)
    colours = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
    converted = convert(colours, source or SRGB, target or SRGB)
    return bool(np.abs(converted - colours).max() <= _SAME / 255)


@lru_cache(maxsize=16)
def build_profile(
    white: tuple[float, float],
    primaries: tuple[float, ...],
    curve: float | tuple[float, ...],
) -> bytes:
    """Builds the profile of an RGB space.

    Args:
        white: x and y of the white point.
        primaries: x and y of red, green and blue.
        curve: exponent from coded value to linear light; or linear light, 0 to 1, at even steps.

    Raises:
        ValueError: when the values are not those of an RGB space.
    """
    how: dict[str, Any] = (
        {"gamma": curve}
        if isinstance(curve, float)
        else {"transferfunction": np.round(np.array(curve) * 65535).astype(np.uint16)}
    )
    try:
        profile = imagecodecs.cms_profile(
            "rgb", whitepoint=list(white), primaries=list(primaries), **how
        )
    except (RuntimeError, ZeroDivisionError) as error:
        raise ValueError(f"not an RGB space: {error}") from error
    profile = _undated(profile)
    if not is_sound(profile, "rgb"):
        raise ValueError("not an RGB space")
    return profile


def manage_colours(
    channels: Channels, profile: bytes | None
) -> tuple[np.ndarray, bytes | None, Sequence[str]]:
    """Converts stored colours to RGB.

    Args:
        channels: the colours.
        profile: the profile that the file states, or None.

    Returns:
        (H, W, 3) uint8 or uint16, the RGB profile of these (None means sRGB), and notes.
    """
    colours, model = channels.colours, channels.model
    notes = []
    if profile is not None and model != "lab":
        own = next((space for space in _SPACES if is_sound(profile, space)), None)
        wanted = ("grey", "rgb") if model == "grey" else (model,)
        if own not in wanted:
            of = {"grey": "grey", "rgb": "RGB", "cmyk": "CMYK"}
            notes.append(
                f"colour profile ignored: it is for {of[own]}, the picture is {of[model]}"
                if own
                else OF_OTHERS
                if _is_whole(profile)
                else DAMAGED
            )
            profile = None
        elif own != "rgb":
            return convert(colours, profile, model=model), None, notes
    if model == "lab":
        return _from_lab(channels), None, notes
    if model == "cmyk":
        notes.append("CMYK without a colour profile: its colours are approximate")
        return plain_rgb(channels), None, notes
    return plain_rgb(channels), profile, notes


def plain_rgb(channels: Channels) -> np.ndarray:
    """Converts stored colours to RGB without a profile."""
    colours = channels.colours
    if channels.model == "grey":
        return np.repeat(colours[..., None], 3, axis=2)
    if channels.model == "lab":
        return _from_lab(channels)
    if channels.model == "cmyk":
        largest = np.iinfo(colours.dtype).max
        light = largest - colours.astype(np.uint32)
        return ((light[..., :3] * light[..., 3:] + largest // 2) // largest).astype(colours.dtype)
    return colours


def _from_lab(channels: Channels) -> np.ndarray:
    rgb = convert(channels.colours, _LAB, model="lab")
    largest, kind = (65535, np.uint16) if channels.deep else (255, np.uint8)
    return np.round(rgb.clip(0, 1) * largest).astype(kind)
