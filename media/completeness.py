"""Detects PNG and JPEG files that end early, of which decoders fill the rest silently.

Filled pixels are uniform. So only if the end of a picture is uniform, its data is read a second
time, which takes about as long as decoding.
"""

import struct
import zlib

import av
import numpy as np
from PIL import Image

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of PNG's colour types
# First row and column of each pass, and the steps to the next.
_WHOLE = ((0, 0, 1, 1),)
_ADAM7 = (
    *((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2)),
    (1, 0, 2, 1),
)
_PIECE = 2**20  # bytes
_BLOCK = 8  # pixels per side of a JPEG block
_SCAN = 0xDA


def ends_early(image: Image.Image, data: bytes) -> bool:
    """Whether the data of a picture ends before its pixels do.

    Args:
        image: as decoded by Pillow, not rotated. The result is False for other kinds than PNG and
            JPEG.
        data: the content of the file.
    """
    width, height = image.size
    if image.format == "PNG":
        # Adam7's last pass has only the odd rows.
        rows = [image.crop((0, y, width, y + 1)) for y in range(max(0, height - 2), height)]
        return not all(any(row.tobytes()) for row in rows) and _is_short_png(data)
    if image.format in ("JPEG", "MPO"):
        left, top = ((side - 1) // _BLOCK * _BLOCK for side in image.size)
        block = np.asarray(image.crop((left, top, width, height)))
        return bool((block == block[0, 0]).all()) and _is_short_jpeg(data)
    return False


def _is_short_png(data: bytes) -> bool:
    """Whether a PNG's data unpacks to fewer bytes than its header states (PNG, 7.2 and 8.1)."""
    width, height, depth, colour, _, _, interlaced = struct.unpack_from(">IIBBBBB", data, 16)
    wanted = 0
    for top, left, down, right in _ADAM7 if interlaced else _WHOLE:
        rows, columns = -(-(height - top) // down), -(-(width - left) // right)
        wanted += rows * (1 + (columns * depth * _CHANNELS[colour] + 7) // 8) if columns > 0 else 0
    unpack, at, found = zlib.decompressobj(), 8, 0
    while at + 12 <= len(data) and found < wanted and not unpack.eof:
        length, name = struct.unpack_from(">I4s", data, at)
        packed = data[at + 8 : at + 8 + length] if name == b"IDAT" else b""
        while packed and found < wanted:
            found += len(unpack.decompress(packed, _PIECE))
            packed = unpack.unconsumed_tail
        at += 12 + length
    return found < wanted


def _is_short_jpeg(data: bytes) -> bool:
    """Whether a JPEG ends within its pixels, by FFmpeg with an option to fail on that."""
    at, kept = 2, [data[:2]]
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != _SCAN:
        marker, length = data[at + 1], struct.unpack_from(">H", data, at + 2)[0]
        if marker == 0xFF:
            at += 1
            continue
        if not (0xE0 <= marker <= 0xEF or marker == 0xFE):  # which would make it fail too
            kept.append(data[at : at + 2 + length])
        at += 2 + length
    codec = av.CodecContext.create("mjpeg", "r")
    codec.options = {"err_detect": "explode"}
    try:
        codec.decode(av.Packet(b"".join([*kept, data[at:]])))
        codec.decode(None)
    except av.error.InvalidDataError:
        return True
    except av.error.FFmpegError:  # a kind that it does not support
        return False
    return False
