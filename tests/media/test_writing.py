"""Writing pictures."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from media.pictures import write_png

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (5, 7, 4)])
def test_png_is_read_back_exactly(tmp_path: Path, shape: tuple[int, ...], dtype: type) -> None:
    pixels = RNG.integers(0, np.iinfo(dtype).max, shape).astype(dtype)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = tmp_path / "ordner mit ü" / "a.png"
    write_png(path, pixels, profile)
    read = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    if len(shape) == 3:
        order = cv2.COLOR_BGRA2RGBA if shape[2] == 4 else cv2.COLOR_BGR2RGB
        read = cv2.cvtColor(read, order)
    assert read.dtype == dtype
    assert np.array_equal(read, pixels)
    with Image.open(path) as image:
        assert image.info["icc_profile"] == profile
    assert list(path.parent.iterdir()) == [path]
