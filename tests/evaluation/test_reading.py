"""Alphas as other programs write them."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from evaluation.reading import read_alpha, read_colours
from media.pictures import PictureError

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
    with pytest.raises(PictureError, match="colour picture without alpha channel.*name the folder"):
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
    with pytest.raises(PictureError, match="32 bits a channel"):
        read_alpha(save(tmp_path / "a.tif", RAMP.astype(np.float32)))
