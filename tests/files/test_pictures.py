"""Each picture of the table as the frame of a run: its pixels, matte, outputs, words, exit code."""

import io
import json
import re

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from media.pictures import read_picture

from .pictures import ROWS
from .rows import Row
from .scene import alpha, plate

# Mean absolute difference from the drawn alpha: what the default network leaves on a pair as small
# as this (0.010), twice. Colours that are not brought together give 0.2.
MATTE = 0.02


def to_srgb(pixels: np.ndarray, profile: bytes | None) -> np.ndarray:
    """Pixels of 8 or 16 bits in sRGB of 8, by the profile; independent of the program's way."""
    pixels = pixels if pixels.dtype == np.uint8 else np.round(pixels / 257).astype(np.uint8)
    if profile is None:
        return pixels
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    assert source.profile.xcolor_space.strip() == "RGB"
    image = Image.fromarray(pixels)
    image = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), 1)
    return np.asarray(image)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_picture(row: Row, tmp_path, run_forked) -> None:
    source = tmp_path / "src" / row.name
    source.parent.mkdir()
    row.make(source)
    Image.fromarray(plate()).save(tmp_path / "plate.png")
    out = tmp_path / "out"
    types = ("com", "pha", "fgr")
    run = run_forked(
        *("--images-src", source, "--images-bgr", tmp_path / "plate.png", "--output-dir", out),
        *("--output-types", *types, "--quality", "auto"),
    )
    said = f"{run.out}\n{run.err}"
    assert run.code == row.code, said
    assert "Traceback" not in said
    assert re.search(row.says, said), said
    assert not (row.quiet and "note:" in said), said
    found = sorted(path for path in out.rglob("*.png"))
    if row.shows is None:
        assert found == []
        return
    picture = read_picture(source)
    shown = to_srgb(picture.pixels, picture.icc_profile).astype(float)
    assert shown.shape == row.shows().shape
    assert np.abs(shown - row.shows()).mean() <= row.within, row.why
    assert [path.parent.name for path in found] == sorted(types)
    for path in found:
        assert cv2.imread(str(path), cv2.IMREAD_UNCHANGED) is not None
        with Image.open(path) as image:
            image.load()
    matte = np.asarray(Image.open(out / "pha" / source.with_suffix(".png").name)) / 255
    assert np.abs(matte - alpha() / 255).mean() <= MATTE
    entry = json.loads((out / "summary.json").read_text())["images"][0]
    assert entry["status"] == "done"
