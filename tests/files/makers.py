"""Makers of the pictures of the table: each gives a function that writes a file at a path."""

import io
import struct
import zlib
from functools import cache
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
from PIL import Image, ImageCms

from .scene import frame

D65 = [0.3127, 0.3290]
SPACES = {  # white, primaries, power
    "adobe": (D65, [0.64, 0.33, 0.21, 0.71, 0.15, 0.06], 2 + 51 / 256),
    "prophoto": ([0.3457, 0.3585], [0.7347, 0.2653, 0.1596, 0.8404, 0.0366, 0.0001], 1.8),
    "p3": (D65, [0.680, 0.320, 0.265, 0.690, 0.150, 0.060], 2.2),
    "linear": (D65, [0.64, 0.33, 0.30, 0.60, 0.15, 0.06], 1.0),
}


@cache
def profile(name: str) -> bytes:
    """A profile of an RGB space, of grey with a power of 1.8, or of CMYK (a small table)."""
    if name == "srgb":
        return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    if name == "grey":
        return imagecodecs.cms_profile("gray", whitepoint=[0.3457, 0.3585], gamma=1.8)
    if name == "cmyk":
        return cmyk_profile()
    white, primaries, gamma = SPACES[name]
    return imagecodecs.cms_profile("rgb", whitepoint=white, primaries=primaries, gamma=gamma)


def cmyk_profile() -> bytes:
    """A CMYK input profile: CIELAB of 4-D table with 5 steps (ICC.1:2010, lut16Type)."""
    steps = np.linspace(0, 1, 5)
    c, m, y, k = np.meshgrid(steps, steps, steps, steps, indexing="ij")
    # Inks that are duller than a monitor's colours, and paper that is no white monitor.
    light = np.stack([1 - 0.85 * c, 1 - 0.8 * m, 1 - 0.9 * y], -1) * (1 - 0.9 * k[..., None])
    lab = ImageCms.profileToProfile(
        Image.fromarray(np.round(light.reshape(-1, 1, 3) * 255).astype(np.uint8)),
        ImageCms.createProfile("sRGB"),
        ImageCms.createProfile("LAB"),
        1,
        "LAB",
    )
    values = np.asarray(lab).reshape(-1, 3).astype(np.int64)
    values[:, 1:] = (values[:, 1:] + 128) % 256  # Pillow's are signed
    table = (values * 256).astype(">u2").tobytes()
    head = struct.pack(
        ">4s4xBBBB9i", b"mft2", 4, 3, 5, 0, *(int(v) for v in np.eye(3).ravel() * 65536)
    )
    curve = np.array([0, 65535], ">u2").tobytes()
    lut = head + struct.pack(">HH", 2, 2) + curve * 4 + table + curve * 3
    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"cmyk\0" + bytes(78)
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    tags, at, body = [], 132 + 12 * 4, b""
    for name, content in ((b"A2B0", lut), (b"desc", text), (b"cprt", text), (b"wtpt", white)):
        content += bytes(-len(content) % 4)
        tags.append(struct.pack(">4sII", name, at + len(body), len(content)))
        body += content
    size = at + len(body)
    header = struct.pack(">I4sI4s4s4s", size, b"test", 0x02100000, b"prtr", b"CMYK", b"Lab ")
    header += struct.pack(">6H4s", 2000, 1, 1, 0, 0, 0, b"acsp") + bytes(28)
    header += struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + struct.pack(">I", 4) + b"".join(tags) + body


def to_profile(pixels: np.ndarray, name: str, mode: str = "RGB") -> np.ndarray:
    """sRGB pixels in a space of 8 bits, by Pillow's ImageCms."""
    target = io.BytesIO(profile(name))
    source = ImageCms.createProfile("sRGB")
    return np.asarray(ImageCms.profileToProfile(Image.fromarray(pixels), source, target, 1, mode))


def to_deep_profile(pixels: np.ndarray, name: str) -> np.ndarray:
    """sRGB pixels in a space of 16 bits, by the formulas of the space (not by LittleCMS)."""
    white, primaries, gamma = SPACES[name]
    value = pixels / 255
    light = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    matrix = np.linalg.inv(adapted(white, primaries)) @ adapted(*SPACES["linear"][:2])
    return np.round((light @ matrix.T).clip(0, 1) ** (1 / gamma) * 65535).astype(np.uint16)


def adapted(white: list[float], primaries: list[float]) -> np.ndarray:
    """RGB to XYZ at D50, by Bradford (Lindbloom; ICC.1:2010, annex E)."""
    xyz = np.array(
        [[x / y, 1, (1 - x - y) / y] for x, y in zip(*[iter(primaries)] * 2, strict=True)]
    ).T
    point = np.array([white[0] / white[1], 1, (1 - white[0] - white[1]) / white[1]])
    matrix = xyz * np.linalg.solve(xyz, point)
    cone = np.array(
        [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
    )
    gain = (cone @ [0.9642, 1, 0.8249]) / (cone @ point)
    return np.linalg.inv(cone) @ np.diag(gain) @ cone @ matrix


def grey() -> np.ndarray:
    """The frame in grey, as three channels."""
    return np.asarray(Image.fromarray(frame()).convert("L").convert("RGB"))


def grey_plane() -> np.ndarray:
    return grey()[..., 0]


def deep(pixels: np.ndarray | None = None) -> np.ndarray:
    return (frame() if pixels is None else pixels).astype(np.uint16) * 257


def ramp() -> np.ndarray:
    """(H, W) uint8 alpha that is nowhere 0, so that no colour is lost."""
    height, width = frame().shape[:2]
    return np.broadcast_to(np.linspace(60, 255, width).astype(np.uint8), (height, width))


def stored(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """What is stored of a picture that an EXIF orientation turns upright."""
    undone = {1: 0, 6: 1, 3: 2, 8: 3}
    if orientation in undone:
        return np.ascontiguousarray(np.rot90(pixels, undone[orientation]))
    mirrored = {2: pixels[:, ::-1], 4: pixels[::-1], 5: pixels.swapaxes(0, 1)}
    mirrored[7] = pixels.swapaxes(0, 1)[::-1, ::-1]
    return np.ascontiguousarray(mirrored[orientation])


def exif(orientation: int | None = None, space: int | None = None, index: str = "") -> bytes:
    data = Image.Exif()
    if orientation:
        data[0x0112] = orientation
    details = {} if space is None else {0xA001: space}
    if index:
        details[0xA005] = {1: index, 2: b"0100"}
    if details:
        data[0x8769] = details
    return data.tobytes()


def by_pillow(pixels=frame, mode: str = "RGB", icc: str = "", raw_icc: bytes = b"", **options):
    """Writes by Pillow, in a mode of its own; `icc` names a profile of `profile`."""

    def make(path: Path) -> None:
        image = Image.fromarray(np.ascontiguousarray(pixels()))
        image = image if image.mode == mode else image.convert(mode)
        if icc or raw_icc:
            options["icc_profile"] = raw_icc or profile(icc)
        image.save(path, **options)

    return make


def by_tifffile(pixels, **options):
    """Writes by tifffile; `planar` separates the channels, `icc` names a profile."""

    def make(path: Path) -> None:
        said = dict(options)
        values = pixels()
        if said.pop("planar", False):
            values, said["planarconfig"] = np.moveaxis(values, -1, 0), "separate"
        if icc := said.pop("icc", ""):
            said["iccprofile"] = profile(icc)
        if orientation := said.pop("orientation", 0):
            said["extratags"] = [(274, 3, 1, orientation, True)]
        tifffile.imwrite(path, np.ascontiguousarray(values), **said)

    return make


def write_bytes(content):
    """Writes bytes, or what a function gives."""
    return lambda path: Path(path).write_bytes(content() if callable(content) else content)


def encoded(form: str = "PNG", pixels=frame, **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels()).save(buffer, form, **options)
    return buffer.getvalue()


def chunk(name: bytes, content: bytes) -> bytes:
    crc = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", crc)


def png_with(*chunks: tuple[bytes, bytes], pixels=frame, form: dict | None = None):
    """A PNG by Pillow with chunks behind its head."""

    def make() -> bytes:
        data = encoded(pixels=pixels, **(form or {}))
        return data[:33] + b"".join(chunk(*one) for one in chunks) + data[33:]

    return write_bytes(make)


def iccp(content: bytes) -> tuple[bytes, bytes]:
    return b"iCCP", b"p\0\0" + zlib.compress(content)


def png_raw(pixels: np.ndarray, colour: int, depth: int, *chunks: tuple[bytes, bytes], adam7=False):
    """A PNG of whole bytes a value, with or without interlacing."""
    starts = (
        (0, 0, 8, 8),
        (0, 4, 8, 8),
        (4, 0, 8, 4),
        (0, 2, 4, 4),
        (2, 0, 4, 2),
        (0, 1, 2, 2),
        (1, 0, 2, 1),
    )
    passes = [pixels[y::dy, x::dx] for y, x, dy, dx in starts] if adam7 else [pixels]
    rows = b"".join(
        b"\0" + row.astype(f">u{depth // 8}").tobytes() for part in passes for row in part
    )
    height, width = pixels.shape[:2]
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(adam7))
    parts = [(b"IHDR", head), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def bmp16(masks: tuple[int, int, int], bits: tuple[int, int, int]) -> bytes:
    """A BMP of 16 bits a pixel."""
    height, width = frame().shape[:2]
    value = np.zeros((height, width), np.uint16)
    for channel, (mask, count) in enumerate(zip(masks, bits, strict=True)):
        shift = (mask & -mask).bit_length() - 1
        value |= (frame()[..., channel].astype(np.uint16) >> (8 - count)) << shift
    head = struct.pack(
        "<IiiHHIIiiII3I", 40, width, -height, 1, 16, 3, value.nbytes, 2835, 2835, 0, 0, *masks
    )
    start = 14 + len(head)
    return (
        b"BM"
        + struct.pack("<IHHI", start + value.nbytes, 0, 0, start)
        + head
        + value.astype("<u2").tobytes()
    )


def pnm(magic: str, largest: int, pixels: np.ndarray) -> bytes:
    """A PGM, PPM or PAM of another largest value."""
    height, width = pixels.shape[:2]
    values = np.round(pixels / 255 * largest).astype(">u2" if largest > 255 else "u1").tobytes()
    if magic == "P7":
        depth = pixels.shape[2]
        said = (
            f"P7\nWIDTH {width}\nHEIGHT {height}\nDEPTH {depth}\nMAXVAL {largest}\n# it\nENDHDR\n"
        )
        return said.encode() + values
    return f"{magic}\n# a comment\n{width} {height}\n{largest}\n".encode() + values


def pnm_text(magic: str, largest: int, pixels: np.ndarray) -> bytes:
    values = np.round(pixels / 255 * largest).astype(int).ravel()
    height, width = pixels.shape[:2]
    return f"{magic}\n{width} {height}\n{largest}\n{' '.join(map(str, values))}\n".encode()


def avif_with(primaries: int, transfer: int, pixels=frame) -> bytes:
    """An AVIF whose nclx says other colours."""
    data = encoded("AVIF", pixels, quality=100, subsampling="4:4:4")
    at = data.index(b"colrnclx") + 8
    return data[:at] + struct.pack(">HH", primaries, transfer) + data[at + 4 :]


def raw_tiff(photometric: int = 32803, dng: bool = False) -> bytes:
    """A thumbnail with what a sensor saw in a page below it, as NEF, ARW and DNG have it."""
    buffer = io.BytesIO()
    extra = [(50706, 1, 4, b"\1\4\0\0", True)] if dng else []
    with tifffile.TiffWriter(buffer) as file:
        file.write(frame()[::2, ::2], photometric="rgb", subifds=1, subfiletype=1, extratags=extra)
        sensor = deep()[..., 0] if photometric == 32803 else deep()
        file.write(sensor, photometric=photometric, subfiletype=0)
    return buffer.getvalue()


def bomb() -> bytes:
    """A whole PNG whose head claims 900 million pixels."""
    head = struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(bytes(99))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def in_grey_profile() -> np.ndarray:
    """The grey frame in the space of the grey profile, by formula."""
    value = grey_plane() / 255
    light = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return light ** (1 / 1.8)
