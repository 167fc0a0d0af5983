"""Frames and plates of the library in an S3 server."""

from pathlib import Path

import numpy as np
import pytest

from matting import Matting
from tests.conftest import Photographs
from tests.storage.server import Store


def test_frames_and_plates_may_be_urls(s3: Store, tmp_path: Path) -> None:
    src, bgr = Photographs.pair(tmp_path, "a.png")
    s3.put("a.png", (src / "a.png").read_bytes())
    s3.put("bgr.png", bgr.read_bytes())
    s3.put("broken.png", b"no picture")
    matting = Matting.load(device="cpu", quality="auto")
    bucket = f"s3://{s3.bucket}"
    far, near = matting(f"{bucket}/a.png", f"{bucket}/bgr.png"), matting(src / "a.png", bgr)
    assert np.array_equal(far.alpha, near.alpha)
    assert near.alpha.max() > 0.9
    with pytest.raises(ValueError, match=rf"{bucket}/broken\.png: "):
        matting(f"{bucket}/broken.png", bgr)
    with pytest.raises(ValueError, match=rf"{bucket}/gone\.png: it does not exist"):
        matting(src / "a.png", f"{bucket}/gone.png")
