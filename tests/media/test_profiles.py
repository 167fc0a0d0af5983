"""Colour profiles: built, judged and converted between as the formulas say."""

import io

import cv2
import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageCms

from media.profiles import SRGB, are_alike, bring, build_profile, is_sound

D65 = (0.3127, 0.3290)
ADOBE = (0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
SRGB_PRIMARIES = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
PROFILE = build_profile(D65, ADOBE, 2 + 51 / 256)


def to_xyz(primaries: tuple[float, ...]) -> np.ndarray:
    """RGB to XYZ at the white D65 (Lindbloom, RGB/XYZ matrices)."""
    pairs = np.reshape(primaries, (3, 2))
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in pairs]).T
    white = [D65[0] / D65[1], 1, (1 - sum(D65)) / D65[1]]
    return columns * np.linalg.solve(columns, white)


def to_adobe(value: np.ndarray) -> np.ndarray:
    """sRGB in [0, 1] to Adobe RGB (1998), which has the same white: no adaptation."""
    light = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    matrix = np.linalg.inv(to_xyz(ADOBE)) @ to_xyz(SRGB_PRIMARIES)
    return (light @ matrix.T).clip(0, 1) ** (1 / (2 + 51 / 256))


def test_16_bits_are_converted_as_the_formulas_say() -> None:
    pixels = np.random.default_rng(0).integers(0, 65536, (40, 50, 3), dtype=np.uint16)
    off = np.abs(bring(pixels, None, PROFILE) - to_adobe(pixels / 65535) * 65535)
    # Profiles hold matrices in steps of 1/65536, which the power makes larger next to black.
    assert off.max() <= 130, "half a level of 255"
    assert off.mean() <= 2
    back = bring(bring(pixels, None, PROFILE), PROFILE, None).astype(int)
    assert np.abs(back - pixels).mean() <= 2


def test_8_bits_are_converted_within_rounding() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    off = np.abs(bring(pixels, None, PROFILE) - to_adobe(pixels / 255) * 255)
    # LittleCMS computes 8 bits with tables, which are coarse in the dark.
    assert off.max() <= 2.5
    assert off.mean() <= 0.3


def test_floats_keep_their_range() -> None:
    red = np.array([[[1, 0, 0]]], np.float64)
    inside = bring(red, PROFILE, None)  # a red that sRGB does not have
    assert inside.min() >= 0
    assert inside.max() <= 1


def test_equal_spaces_change_nothing() -> None:
    pixels = np.zeros((2, 2, 3), np.uint8)
    other = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for source, target in ((None, None), (PROFILE, PROFILE), (None, SRGB), (other, None)):
        assert are_alike(source, target)
        assert bring(pixels, source, target) is pixels
    assert not are_alike(PROFILE, None)


def test_the_same_colours_give_the_same_bytes() -> None:
    build_profile.cache_clear()
    assert build_profile(D65, ADOBE, 2 + 51 / 256) == PROFILE


def test_colours_that_are_none_are_refused() -> None:
    for primaries in ((0.0,) * 6, (0.3, 0.3) * 3):
        with pytest.raises(ValueError, match="not an RGB space"):
            build_profile((0.0, 0.0), primaries, 2.2)


def test_damaged_profiles_are_told_from_sound_ones() -> None:
    grey = imagecodecs.cms_profile("gray", whitepoint=[0.3457, 0.3585], gamma=2.2)
    assert is_sound(PROFILE, "rgb")
    assert is_sound(grey, "grey")
    assert not is_sound(grey, "rgb")
    assert not is_sound(PROFILE, "cmyk")
    for bad in (b"", b"x", PROFILE[:-4], PROFILE + b"more", bytes(500), PROFILE[:132]):
        assert not is_sound(bad, "rgb")


def test_what_is_taken_for_sound_libpng_writes() -> None:
    generator = np.random.default_rng(1)
    taken = 0
    for _ in range(300):
        profile = bytearray(PROFILE)
        for _ in range(generator.integers(1, 4)):
            profile[generator.integers(0, len(profile) // 2)] = generator.integers(0, 256)
        if is_sound(bytes(profile), "rgb"):
            taken += 1
            chunk = np.frombuffer(bytes(profile), np.uint8)
            pixels = np.zeros((2, 2, 3), np.uint8)
            kinds = [cv2.IMAGE_METADATA_ICCP]
            assert cv2.imencodeWithMetadata(".png", pixels, kinds, [chunk])[0]
            ImageCms.profileToProfile(
                Image.fromarray(pixels), ImageCms.createProfile("sRGB"), _opened(bytes(profile))
            )
    assert 30 < taken < 300


def _opened(profile: bytes) -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(io.BytesIO(profile))
