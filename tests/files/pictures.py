"""Pictures: format x depth x colour x orientation x damage. A new format is one row."""

from pathlib import Path

import numpy as np
from PIL import Image

from .rows import Row
from .scene import frame


def by_pillow(pixels=frame, mode: str = "RGB", **options):
    """Writes by Pillow, in a mode of its own."""
    return lambda path: Image.fromarray(pixels()).convert(mode).save(path, **options)


def grey() -> np.ndarray:
    """The frame in grey, as three channels."""
    return np.asarray(Image.fromarray(frame()).convert("L").convert("RGB"))


def write_bytes(content: bytes):
    """Writes bytes."""
    return lambda path: Path(path).write_bytes(content)


ROWS = [
    Row("rgb.png", by_pillow(), frame, quiet=True),
    Row("rgb.bmp", by_pillow(), frame, quiet=True),
    Row("jpeg.jpg", by_pillow(quality=97, subsampling=0), frame, 2, "JPEG's loss", quiet=True),
    Row("empty.png", write_bytes(b""), code=1, says="empty"),
    Row("text.jpg", write_bytes(b"not a picture" * 9), code=1, says="not a picture"),
]
