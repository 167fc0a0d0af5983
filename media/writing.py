"""Writing pictures."""

from pathlib import Path

import cv2
import numpy as np

from runtime.files import write_whole

_JPEG = (cv2.IMWRITE_JPEG_QUALITY, 95)
# Half the time of Pillow's level 3 with its choice of filters, for files as large within 3%
# (photographs, composites and mattes at HD).
_PNG = (cv2.IMWRITE_PNG_COMPRESSION, 2, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP)


def write_png(path: Path, pixels: np.ndarray, icc_profile: bytes | None = None) -> None:
    """Writes (H, W), (H, W, 3) RGB or (H, W, 4) RGBA, uint8 or uint16, as PNG.

    Alpha is straight. Missing folders are made, an existing file is replaced.

    Raises:
        OSError: when the file can't be written; nothing is left of it then.
    """
    swapped = pixels
    if pixels.ndim == 3:
        rgba = pixels.shape[2] == 4
        swapped = cv2.cvtColor(pixels, cv2.COLOR_RGBA2BGRA if rgba else cv2.COLOR_RGB2BGR)
    metadata = {cv2.IMAGE_METADATA_ICCP: icc_profile} if icc_profile else {}
    chunks = [np.frombuffer(chunk, np.uint8) for chunk in metadata.values()]
    # By OpenCV, which lets the filter be chosen and knows 16-bit colour.
    _, data = cv2.imencodeWithMetadata(".png", swapped, list(metadata), chunks, _PNG)
    write_whole(path, data.tobytes())


def write_jpeg(path: Path, pixels: np.ndarray) -> None:
    """Writes (H, W) or (H, W, 3) RGB, uint8, as JPEG; else as `write_png`."""
    swapped = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if pixels.ndim == 3 else pixels
    write_whole(path, cv2.imencode(".jpg", swapped, _JPEG)[1].tobytes())
