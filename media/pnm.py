"""Decodes binary PGM, PPM and PAM files for which OpenCV and Pillow lose bits."""

import numpy as np

from . import PictureError
from .formats import check_size
from .profiles import Channels, scale_bits, split_alpha

_CHANNELS = {b"P5": 1, b"P6": 3}


def is_deep_pnm(data: bytes) -> bool:
    """Whether a file is a PAM, or a PGM or PPM with more than 8 bits."""
    return data.startswith(b"P7\n") or (data[:2] in _CHANNELS and _read_head(data)[3] > 255)


def decode_pnm(data: bytes) -> Channels:
    """Decodes a binary PGM, PPM or PAM, scaled by its largest value.

    Source: the man pages pgm(5), ppm(5) and pam(5) of Netpbm.
    """
    width, height, channels, largest, start = _read_head(data)
    check_size(width, height)
    if not 0 < largest < 65536 or not 0 < channels < 5 or width < 1 or height < 1:
        raise PictureError(
            f"damaged: {width} x {height} pixels, {channels} channels, values up to {largest}"
        )
    count = width * height * channels
    kind = np.dtype(">u2" if largest > 255 else "u1")
    if len(data) - start < count * kind.itemsize:
        raise PictureError("damaged, truncated or too large: the file ends within its pixels")
    values = np.frombuffer(data, kind, count, start).reshape(height, width, channels)
    return split_alpha(scale_bits(values.copy(), largest))  # PyTorch warns of read-only memory


def _read_head(data: bytes) -> tuple[int, int, int, int, int]:
    """Reads width, height, channels, largest value, and the offset of the pixels."""
    if data.startswith(b"P7\n"):
        head, end, _ = data[:4096].partition(b"ENDHDR\n")
        lines = [line.split() for line in head.splitlines() if not line.startswith(b"#")]
        said = {line[0]: line[1] for line in lines if len(line) > 1}
        names = (b"WIDTH", b"HEIGHT", b"DEPTH", b"MAXVAL")
        width, height, channels, largest = (int(said.get(name, b"0")) for name in names)
        return width, height, channels, largest, len(head) + len(end)
    numbers: list[int] = []
    at = 2
    while len(numbers) < 3:
        at += len(data[at : at + 4096]) - len(data[at : at + 4096].lstrip())
        if data[at : at + 1] == b"#":
            at = data.find(b"\n", at) % (len(data) + 1)
            continue
        digits = data[at : at + 16].split(maxsplit=1)[:1]
        if not digits or not digits[0].isdigit():
            return 0, 0, 0, 0, 0
        numbers.append(int(digits[0]))
        at += len(digits[0])
    return *numbers[:2], _CHANNELS[data[:2]], numbers[2], at + 1  # type: ignore[return-value]
