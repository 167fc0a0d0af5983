"""Alphas as other programs write them."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from evaluation.reading import read_alpha, read_colours
from media.pictures import PictureError, write_png
from media.profiles import bring, build_profile

RAMP = np.arange(240, dtype=np.uint8).reshape(12, 20)


def save(path: Path, pixels: np.ndarray, mode: str | None = None, **options: object) -> Path:
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


def test_grey_and_grey_in_colour(tmp_path: Path) -> None:
    for mode in ("L", "RGB", "RGBA"):
        found = read_alpha(save(tmp_path / f"{mode}.png", RAMP, mode))
        assert found.dtype == np.float64
        assert np.array_equal(found, RAMP / 255), mode
    lossy = read_alpha(save(tmp_path / "a.jpg", RAMP, "RGB", quality=95))
    np.testing.assert_allclose(lossy, RAMP / 255, atol=0.02)  # JPEG's loss


def test_sixteen_bits_keep_their_depth(tmp_path: Path) -> None:
    deep = (RAMP.astype(np.uint16) * 257) + 5
    colours = np.random.default_rng(0).integers(0, 2**16, (12, 20, 3), np.uint16)
    for name, pixels in (
        ("grey", deep),
        ("colour", np.dstack([deep] * 3)),
        ("rgba", np.dstack([colours, deep])),
    ):
        cv2.imwrite(str(tmp_path / f"{name}.png"), pixels)
        assert np.array_equal(read_alpha(tmp_path / f"{name}.png"), deep / 65535), name


@pytest.mark.parametrize("alpha", [RAMP, np.zeros_like(RAMP), np.full_like(RAMP, 255)])
def test_the_alpha_channel_counts_also_where_it_is_the_same_everywhere(
    tmp_path: Path, alpha: np.ndarray
) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (12, 20, 3), np.uint8)
    path = save(tmp_path / "cut_out.png", np.dstack([colours, alpha]))
    assert np.array_equal(read_alpha(path), alpha / 255)


def test_a_photograph_is_no_alpha(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (12, 20, 3), np.uint8)
    with pytest.raises(PictureError, match="without an alpha channel.*name the folder"):
        read_alpha(save(tmp_path / "a.png", colours))
    assert np.array_equal(read_colours(tmp_path / "a.png"), colours / 255)


def test_orientation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(tmp_path / "a.png", RAMP, exif=exif)
    assert np.array_equal(read_alpha(path), RAMP.T[:, ::-1] / 255)


def test_broken_and_unsupported_files_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", np.random.default_rng(0).integers(0, 256, (40, 40), np.uint8))
    path.write_bytes(path.read_bytes()[:800])
    with pytest.raises(PictureError, match="truncated"):
        read_alpha(path)
    with pytest.raises(PictureError, match="32 bits per channel"):
        read_alpha(save(tmp_path / "a.tif", RAMP.astype(np.float32)))


ALPHA = np.linspace(0, 255, 48 * 32).round().astype(np.uint8).reshape(32, 48)
DEEP = ALPHA.astype(np.uint16) * 257
COLOURED = np.dstack([DEEP // 2, DEEP, DEEP // 3, DEEP])
KINDS = {
    "white is 0": (65535 - DEEP, {"photometric": "miniswhite"}),
    "white is 0, 8 bits": (255 - ALPHA, {"photometric": "miniswhite"}),
    "planes": (
        np.moveaxis(COLOURED, 2, 0),
        {"photometric": "rgb", "planarconfig": "separate", "extrasamples": ["unassalpha"]},
    ),
    "associated": (COLOURED, {"photometric": "rgb", "extrasamples": ["assocalpha"]}),
    "big endian": (DEEP, {"photometric": "minisblack", "byteorder": ">"}),
    "packed": (DEEP, {"photometric": "minisblack", "compression": "zstd"}),
    "turned": (
        np.rot90(DEEP).copy(),
        {"photometric": "minisblack", "extratags": [(274, 3, 1, 6, True)]},
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_alpha_in_16_bit_tiff_measures_0_against_its_8_bit_twin(
    tmp_path: Path, kind: str
) -> None:
    pixels, options = KINDS[kind]
    tifffile.imwrite(tmp_path / "a.tif", pixels, **options)
    assert np.array_equal(read_alpha(tmp_path / "a.tif"), ALPHA / 255)


def test_a_grey_alpha_with_a_transparent_value_measures_0_against_itself(tmp_path: Path) -> None:
    for name, options in (("a.png", {}), ("key.png", {"transparency": 0})):
        Image.fromarray(ALPHA).save(tmp_path / name, **options)
    assert np.array_equal(read_alpha(tmp_path / "key.png"), read_alpha(tmp_path / "a.png"))


def test_foregrounds_are_compared_in_srgb(tmp_path: Path) -> None:
    profile = build_profile((0.3127, 0.329), (0.64, 0.33, 0.21, 0.71, 0.15, 0.06), 2.2)
    colours = np.dstack([ALPHA // 2 + 60, 200 - ALPHA // 2, ALPHA // 3 + 50])
    Image.fromarray(colours).save(tmp_path / "a.png")
    tagged = bring(colours.astype(np.uint16) * 257, None, profile)
    write_png(tmp_path / "tagged.png", tagged, profile)
    off = read_colours(tmp_path / "tagged.png") - read_colours(tmp_path / "a.png")
    assert np.abs(off).max() < 1 / 255  # 16 bits there and back
