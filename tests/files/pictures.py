"""Pictures: format x depth x colour x orientation x damage. A new format is one row."""

import imagecodecs
import numpy as np
from PIL import Image, features

from .makers import (
    avif_with,
    bmp16,
    bomb,
    by_pillow,
    by_tifffile,
    chunk,
    deep,
    encoded,
    exif,
    grey,
    grey_plane,
    iccp,
    in_grey_profile,
    png_raw,
    png_with,
    pnm,
    pnm_text,
    profile,
    ramp,
    raw_tiff,
    stored,
    to_deep_profile,
    to_profile,
    write_bytes,
)
from .rows import Row
from .scene import frame

LOSS = "the loss of the format at its best quality, in levels"
ROUNDED = "8 bits in another space, twice rounded"
STEPS = "fewer bits than 8"
ALPHA = "alpha channel dropped"
DAMAGED = "damaged colour profile ignored"
IN_GREY = "compared with the plate in grey"


def rgba() -> np.ndarray:
    return np.dstack([frame(), ramp()])


def associated(full: int = 255) -> np.ndarray:
    values = rgba().astype(np.uint16) * (full // 255)
    values[..., :3] = np.round(values[..., :3] * (values[..., 3:] / full))
    return values.astype(np.uint8 if full == 255 else np.uint16)


def grey_alpha() -> np.ndarray:
    return np.dstack([grey_plane(), ramp()])


def keyed() -> bytes:
    return np.array([1, 2, 3], ">u2").tobytes()


def palette() -> Image.Image:
    return Image.fromarray(frame()).quantize(256, dither=Image.Dither.NONE)


def shown_palette() -> np.ndarray:
    return np.asarray(palette().convert("RGB"))


def palette16() -> np.ndarray:
    colours = np.array(palette().getpalette(), np.uint16).reshape(-1, 3).T * 257
    return np.pad(colours, ((0, 0), (0, 256 - colours.shape[1])))


def indices() -> np.ndarray:
    return np.asarray(palette())


def cmyk(name: str = "cmyk") -> np.ndarray:
    """Inks that the frame may be printed with, by a plain formula."""
    light = frame() / 255
    black = light.max(axis=2, keepdims=True)
    inks = np.concatenate([1 - light / np.maximum(black, 1e-6), 1 - black], axis=2)
    return np.round(inks * 255).astype(np.uint8)


def cmyk_image() -> Image.Image:
    return Image.frombytes("CMYK", cmyk().shape[1::-1], cmyk().tobytes())


def plain_cmyk() -> np.ndarray:
    return np.asarray(cmyk_image().convert("RGB"))


def managed_cmyk() -> np.ndarray:
    import io

    from PIL import ImageCms

    source, target = io.BytesIO(profile("cmyk")), ImageCms.createProfile("sRGB")
    return np.asarray(ImageCms.profileToProfile(cmyk_image(), source, target, 1, "RGB"))


def cmyk_jpeg(path, **options) -> None:
    cmyk_image().save(path, "JPEG", quality=98, subsampling=0, **options)


def lab(bits: int = 8, offset: bool = False) -> np.ndarray:
    """CIELAB by Lindbloom's formulas, adapted to D50, as TIFF stores it."""
    from .makers import SPACES, adapted

    value = frame() / 255
    light = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    xyz = light @ adapted(*SPACES["linear"][:2]).T / [0.9642, 1, 0.8249]
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    light, a, b = 116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])
    if bits == 8:
        low = 128 if offset else 0
        out = np.stack([light * 2.55, (a + low) % 256, (b + low) % 256], -1)
        return np.round(out).astype(np.int64).astype(np.uint8)
    if offset:
        return np.round(np.stack([light * 652.8, a * 256 + 32768, b * 256 + 32768], -1)).astype(
            np.uint16
        )
    out = np.stack([light * 655.35, a * 256, b * 256], -1)
    return (np.round(out).astype(np.int64) % 65536).astype(np.uint16)


def lzw(pixels, **options):
    return by_tifffile(pixels, compression="lzw", predictor=True, **options)


def turned(orientation: int):
    return lambda: stored(frame(), orientation)


def turned_deep(orientation: int):
    return lambda: deep(stored(frame(), orientation))


def few_bits(bits: int):
    """Grey of few bits: what is stored, and what it shows."""
    most = 2**bits - 1
    return np.round(grey_plane() / 255 * most).astype(np.uint8)


def shown_bits(bits: int):
    return lambda: np.dstack([(few_bits(bits) * (255 // (2**bits - 1))).astype(np.uint8)] * 3)


def bits_png(bits: int):
    def make(path) -> None:
        # Pillow writes palettes of few bits; of even greys it is the same to the eye.
        rows = np.packbits(np.unpackbits(few_bits(bits)[..., None], axis=2)[..., -bits:], axis=1)
        rows = np.packbits(
            np.unpackbits(few_bits(bits)[..., None], axis=2)[..., -bits:].reshape(len(rows), -1),
            axis=1,
        )
        import struct
        import zlib

        height, width = few_bits(bits).shape
        body = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
        parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0))]
        parts += [(b"IDAT", body), (b"IEND", b"")]
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts))

    return make


def shown_masked(masks, bits):
    """What Pillow, GIMP and browsers make of 5 and 6 bits: scaled to 255."""
    levels = [2**count - 1 for count in bits]
    planes = [np.round((frame()[..., i] >> (8 - bits[i])) * (255 / levels[i])) for i in range(3)]
    return np.dstack(planes).astype(np.uint8)


RGB565, RGB555 = ((0xF800, 0x7E0, 0x1F), (5, 6, 5)), ((0x7C00, 0x3E0, 0x1F), (5, 5, 5))


def adobe_deep() -> np.ndarray:
    return to_deep_profile(frame(), "adobe")


def cut(data, share: float = 0.7):
    return lambda: (data() if callable(data) else data)[: int(len(data()) * share)]


def ended() -> bytes:
    """A JPEG of which a part is lost, but not its end."""
    data = encoded("JPEG", quality=97)
    return data[: len(data) // 2] + b"\xff\xd9"


def with_rows(count: int, pixels: np.ndarray | None = None) -> bytes:
    """A PNG that says it has all rows, and has only so many."""
    pixels = frame() if pixels is None else pixels
    whole, less = (png_raw(part, 2, 8 * pixels.itemsize) for part in (pixels, pixels[:count]))
    return whole[:33] + less[33:]


def tiff_bytes(pixels, **options):
    def give() -> bytes:
        import io

        import tifffile

        buffer = io.BytesIO()
        tifffile.imwrite(buffer, pixels(), **options)
        return buffer.getvalue()

    return give


BAD_PROFILES = {
    "byte": b"x",
    "cut": profile("adobe")[:-60],
    "long": profile("adobe") + b"trailing",
    "garbage": bytes(range(256)) * 3,
    "header": profile("adobe")[:132],
    "count": profile("adobe")[:128] + b"\xff\xff\xff\xff" + profile("adobe")[132:],
}

FORMATS = [
    Row("rgb.png", by_pillow(), frame, quiet=True),
    Row("rgb.bmp", by_pillow(), frame, quiet=True),
    Row("rgb.dib", by_pillow(), frame, quiet=True),
    Row("rgb.tif", by_pillow(), frame, quiet=True),
    Row("rgb.ppm", by_pillow(), frame, quiet=True),
    Row("rgb.tga", by_pillow(), frame, quiet=True),
    Row("rle.tga", by_pillow(compression="tga_rle"), frame, quiet=True),
    Row("pcx.png", by_pillow(format="PCX"), frame, quiet=True),
    Row("sgi.png", by_pillow(format="SGI"), frame, quiet=True),
    Row("lossless.webp", by_pillow(lossless=True), frame, quiet=True),
    Row("lossy.webp", by_pillow(quality=95), frame, 3, LOSS, quiet=True),
    Row("lossless.jp2", by_pillow(), frame, quiet=True),
    Row("ico.png", by_pillow(sizes=[(144, 96)], format="ICO"), frame, quiet=True),
    Row("palette.gif", lambda p: palette().save(p), shown_palette, quiet=True),
    Row("palette.png", lambda p: palette().save(p), shown_palette, quiet=True),
    Row("key.png", lambda p: palette().save(p, transparency=0), shown_palette, says=ALPHA),
    Row("jpeg.jpg", by_pillow(quality=97, subsampling=0), frame, 2, LOSS, quiet=True),
    Row(
        "progressive.jpg",
        by_pillow(quality=97, subsampling=0, progressive=True),
        frame,
        2,
        LOSS,
        quiet=True,
    ),
    Row(
        "half.jpg",
        by_pillow(quality=97, subsampling=2),
        frame,
        4,
        "colours of half size",
        quiet=True,
    ),
    Row(
        "cameras.mpo",
        lambda p: Image.fromarray(frame()).save(
            p,
            save_all=True,
            append_images=[Image.fromarray(frame()[::2, ::2])],
            quality=97,
            subsampling=0,
        ),
        frame,
        2,
        LOSS,
        quiet=True,
    ),
    Row(
        "moves.gif",
        lambda p: palette().save(p, save_all=True, append_images=[palette().rotate(180)]),
        shown_palette,
        says="first of 2 frames",
    ),
    Row(
        "moves.webp",
        lambda p: Image.fromarray(frame()).save(
            p, save_all=True, append_images=[Image.fromarray(frame()[::-1])], lossless=True
        ),
        frame,
        says="first of 2 frames",
    ),
    Row(
        "pages.tif",
        by_tifffile(lambda: np.stack([frame()] * 3), photometric="rgb"),
        frame,
        says="first of 3 frames",
    ),
    Row(
        "interlaced.png", write_bytes(lambda: png_raw(frame(), 2, 8, adam7=True)), frame, quiet=True
    ),
    Row("rgba.png", by_pillow(rgba, "RGBA"), frame, says=ALPHA),
    Row("rgba.webp", by_pillow(rgba, "RGBA", lossless=True), frame, says=ALPHA),
    Row("rgba.tga", by_pillow(rgba, "RGBA"), frame, says=ALPHA),
    Row("rgba.jp2", by_pillow(rgba, "RGBA"), frame, says=ALPHA),
    Row(
        "bmp565.bmp",
        write_bytes(lambda: bmp16(*RGB565)),
        lambda: shown_masked(*RGB565),
        1,
        STEPS,
        quiet=True,
    ),
    Row(
        "bmp555.bmp",
        write_bytes(lambda: bmp16(*RGB555)),
        lambda: shown_masked(*RGB555),
        1,
        STEPS,
        quiet=True,
    ),
    Row("text.ppm", write_bytes(lambda: pnm_text("P3", 255, frame())), frame, quiet=True),
    Row("pam.ppm", write_bytes(lambda: pnm("P7", 255, frame())), frame, quiet=True),
    Row("pam alpha.ppm", write_bytes(lambda: pnm("P7", 255, rgba())), frame, says=ALPHA),
]
GREYS = [
    Row("grey.png", by_pillow(mode="L"), grey, says=IN_GREY),
    Row("grey.jpg", by_pillow(mode="L", quality=97), grey, 2, LOSS, IN_GREY),
    Row("grey in colour.jpg", by_pillow(grey, quality=97), grey, 2, LOSS, IN_GREY),
    Row("grey.tif", by_tifffile(grey_plane, photometric="minisblack"), grey, says=IN_GREY),
    Row("grey.jp2", by_pillow(mode="L"), grey, says=IN_GREY),
    Row("grey.webp", by_pillow(grey, lossless=True), grey, says=IN_GREY),
    Row("grey.pgm", by_pillow(mode="L"), grey, says=IN_GREY),
    Row("grey alpha.png", by_pillow(grey_alpha, "LA"), grey, says=ALPHA),
    Row("grey16.png", write_bytes(lambda: png_raw(deep(grey_plane()), 0, 16)), grey, says=IN_GREY),
    Row(
        "pgm12.pgm",
        write_bytes(lambda: pnm("P5", 4095, grey_plane())),
        grey,
        0.5,
        "12 bits",
        IN_GREY,
    ),
    Row(
        "pgm10.pgm",
        write_bytes(lambda: pnm("P5", 1023, grey_plane())),
        grey,
        0.5,
        "10 bits",
        IN_GREY,
    ),
    Row("pgm16.pgm", write_bytes(lambda: pnm("P5", 65535, grey_plane())), grey, says=IN_GREY),
    Row(
        "text12.pgm",
        write_bytes(lambda: pnm_text("P2", 4095, grey_plane())),
        grey,
        0.5,
        "12 bits",
        IN_GREY,
    ),
    Row(
        "grey16.jp2",
        write_bytes(
            lambda: imagecodecs.jpeg2k_encode(deep(grey_plane()), level=0, codecformat="jp2")
        ),
        grey,
        says=IN_GREY,
    ),
    Row("grey4.png", bits_png(4), shown_bits(4), says=IN_GREY),
    Row("grey2.png", bits_png(2), shown_bits(2), says=IN_GREY, matte=0.5),
    Row(
        "white is 0.tif",
        by_tifffile(lambda: 255 - grey_plane(), photometric="miniswhite"),
        grey,
        says=IN_GREY,
    ),
    Row(
        "white is 0 16.tif",
        by_tifffile(lambda: 65535 - deep(grey_plane()), photometric="miniswhite"),
        grey,
        says=IN_GREY,
    ),
    Row(
        "white is 0 4.tif",
        by_tifffile(lambda: 15 - few_bits(4), photometric="miniswhite", bitspersample=4),
        shown_bits(4),
        says=IN_GREY,
    ),
    Row(
        "grey12.tif",
        by_tifffile(lambda: deep(grey_plane()) >> 4, photometric="minisblack", bitspersample=12),
        grey,
        0.5,
        "12 bits",
        IN_GREY,
    ),
    Row(
        "grey alpha 16.tif",
        by_tifffile(
            lambda: deep(grey_alpha()), photometric="minisblack", extrasamples=["unassalpha"]
        ),
        grey,
        says=ALPHA,
    ),
    Row(
        "profile.jpg",
        by_pillow(
            lambda: np.round(in_grey_profile() * 255).astype(np.uint8), "L", "grey", quality=98
        ),
        grey,
        2,
        ROUNDED,
        IN_GREY,
    ),
    Row(
        "profile16.tif",
        by_tifffile(
            lambda: np.round(in_grey_profile() * 65535).astype(np.uint16),
            photometric="minisblack",
            icc="grey",
        ),
        grey,
        1,
        ROUNDED,
        IN_GREY,
    ),
]
DEEP = [
    Row("rgb16.png", write_bytes(lambda: png_raw(deep(), 2, 16)), frame, quiet=True),
    Row(
        "interlaced16.png",
        write_bytes(lambda: png_raw(deep(), 2, 16, adam7=True)),
        frame,
        quiet=True,
    ),
    Row("rgba16.png", write_bytes(lambda: png_raw(deep(rgba()), 6, 16)), frame, says=ALPHA),
    Row(
        "key16.png",
        write_bytes(lambda: png_raw(deep(), 2, 16, (b"tRNS", keyed()))),
        frame,
        says=ALPHA,
    ),
    Row("rgb16.ppm", write_bytes(lambda: pnm("P6", 65535, frame())), frame, quiet=True),
    Row(
        "rgb12.ppm",
        write_bytes(lambda: pnm("P6", 4095, frame())),
        frame,
        0.5,
        "12 bits",
        quiet=True,
    ),
    Row("pam16.ppm", write_bytes(lambda: pnm("P7", 65535, frame())), frame, quiet=True),
    Row(
        "rgb16.jp2",
        write_bytes(lambda: imagecodecs.jpeg2k_encode(deep(), level=0, codecformat="jp2")),
        frame,
        quiet=True,
    ),
    Row(
        "jpeg12.jpg",
        write_bytes(
            lambda: imagecodecs.jpeg8_encode(
                deep() >> 4, level=98, bitspersample=12, subsampling="444"
            )
        ),
        frame,
        2,
        LOSS,
        quiet=True,
    ),
    Row(
        "lossless.jpg",
        write_bytes(lambda: imagecodecs.jpeg8_encode(frame(), lossless=True)),
        frame,
        quiet=True,
    ),
    Row("rgb16.tif", by_tifffile(deep, photometric="rgb"), frame, quiet=True),
    Row("lzw16.tif", lzw(deep, photometric="rgb"), frame, quiet=True),
    Row(
        "zip16.tif", by_tifffile(deep, photometric="rgb", compression="deflate"), frame, quiet=True
    ),
    Row("zstd16.tif", by_tifffile(deep, photometric="rgb", compression="zstd"), frame, quiet=True),
    Row("big endian.tif", by_tifffile(deep, photometric="rgb", byteorder=">"), frame, quiet=True),
    Row("bigtiff.tif", by_tifffile(deep, photometric="rgb", bigtiff=True), frame, quiet=True),
    Row("tiles16.tif", lzw(deep, photometric="rgb", tile=(32, 32)), frame, quiet=True),
    Row("planes16.tif", by_tifffile(deep, photometric="rgb", planar=True), frame, quiet=True),
    Row("planes lzw.tif", lzw(deep, photometric="rgb", planar=True), frame, quiet=True),
    Row(
        "rgb12.tif",
        by_tifffile(lambda: deep() >> 4, photometric="rgb", bitspersample=12),
        frame,
        0.5,
        "12 bits",
        quiet=True,
    ),
    Row(
        "alpha16.tif",
        by_tifffile(lambda: deep(rgba()), photometric="rgb", extrasamples=["unassalpha"]),
        frame,
        says=ALPHA,
    ),
    Row(
        "associated16.tif",
        by_tifffile(lambda: associated(65535), photometric="rgb", extrasamples=["assocalpha"]),
        frame,
        0.1,
        "16 bits divided",
        ALPHA,
    ),
    Row(
        "associated.tif",
        by_tifffile(associated, photometric="rgb", extrasamples=["assocalpha"]),
        frame,
        1.5,
        "8 bits divided",
        ALPHA,
    ),
    Row(
        "planes associated.tif",
        by_tifffile(associated, photometric="rgb", extrasamples=["assocalpha"], planar=True),
        frame,
        1.5,
        "8 bits divided",
        ALPHA,
    ),
    Row(
        "planes and alpha.tif",
        by_tifffile(rgba, photometric="rgb", extrasamples=["unassalpha"], planar=True),
        frame,
        says=ALPHA,
    ),
    Row("planes.tif", by_tifffile(frame, photometric="rgb", planar=True), frame, quiet=True),
    Row(
        "palette.tif",
        by_tifffile(indices, photometric="palette", colormap=palette16()),
        shown_palette,
        quiet=True,
    ),
    Row("webp.tif", by_tifffile(frame, photometric="rgb", compression="webp"), frame, quiet=True),
    Row(
        "jpeg.tif",
        by_tifffile(
            lambda: np.asarray(Image.fromarray(frame()).convert("YCbCr")),
            photometric="ycbcr",
            compression="jpeg",
            compressionargs={"level": 97},
        ),
        frame,
        4,
        LOSS,
        quiet=True,
    ),
    Row("lab8.tif", by_tifffile(lab, photometric="cielab"), frame, 1, ROUNDED, quiet=True),
    Row(
        "lab16.tif",
        by_tifffile(lambda: lab(16), photometric="cielab"),
        frame,
        0.5,
        ROUNDED,
        quiet=True,
    ),
    Row(
        "icclab8.tif",
        by_tifffile(lambda: lab(8, True), photometric="icclab"),
        frame,
        1,
        ROUNDED,
        quiet=True,
    ),
    Row(
        "icclab16.tif",
        by_tifffile(lambda: lab(16, True), photometric="icclab"),
        frame,
        0.5,
        ROUNDED,
        quiet=True,
    ),
]
TURNED = [
    *(
        Row(
            f"turned {o}.jpg",
            by_pillow(turned(o), quality=97, subsampling=0, exif=exif(o)),
            frame,
            2,
            LOSS,
            quiet=True,
        )
        for o in (2, 3, 5, 6, 8)
    ),
    *(
        Row(
            f"turned {o}.tif",
            by_tifffile(turned(o), photometric="rgb", orientation=o),
            frame,
            quiet=True,
        )
        for o in (3, 6, 8)
    ),
    *(
        Row(
            f"turned16 {o}.tif",
            by_tifffile(turned_deep(o), photometric="rgb", orientation=o),
            frame,
            quiet=True,
        )
        for o in (2, 3, 4, 5, 6, 7, 8)
    ),
    Row("turned 6.png", by_pillow(turned(6), exif=exif(6)), frame, quiet=True),
    Row("turned 6.webp", by_pillow(turned(6), exif=exif(6), lossless=True), frame, quiet=True),
    Row(
        "turned12 6.jpg",
        lambda p: p.write_bytes(
            (lambda data, head: data[:2] + head + data[2:])(
                imagecodecs.jpeg8_encode(
                    deep(stored(frame(), 6)) >> 4, level=98, bitspersample=12, subsampling="444"
                ),
                b"\xff\xe1" + (len(exif(6)) + 2).to_bytes(2, "big") + exif(6),
            )
        ),
        frame,
        2,
        LOSS,
        quiet=True,
    ),
]
TAGGED = "converted to the colour profile of the frame"
COLOURS = [
    Row("srgb.jpg", by_pillow(icc="srgb", quality=97, subsampling=0), frame, 2, LOSS, quiet=True),
    Row("srgb.png", by_pillow(icc="srgb"), frame, 0.5, "sRGB by other hands", quiet=True),
    Row(
        "adobe.png",
        by_pillow(lambda: to_profile(frame(), "adobe"), icc="adobe"),
        frame,
        1,
        ROUNDED,
        TAGGED,
    ),
    Row(
        "adobe.jpg",
        by_pillow(lambda: to_profile(frame(), "adobe"), icc="adobe", quality=98, subsampling=0),
        frame,
        2,
        LOSS,
        TAGGED,
    ),
    Row(
        "adobe16.tif",
        by_tifffile(adobe_deep, photometric="rgb", icc="adobe"),
        frame,
        0.5,
        "8 bits in the test",
        TAGGED,
    ),
    Row(
        "prophoto.jpg",
        by_pillow(
            lambda: to_profile(frame(), "prophoto"), icc="prophoto", quality=98, subsampling=0
        ),
        frame,
        3,
        "a wide space in 8 bits",
        TAGGED,
    ),
    Row(
        "prophoto16.tif",
        by_tifffile(
            lambda: to_deep_profile(frame(), "prophoto"), photometric="rgb", icc="prophoto"
        ),
        frame,
        1,
        "8 bits in the test",
        TAGGED,
    ),
    Row(
        "prophoto16.png",
        write_bytes(
            lambda: png_raw(to_deep_profile(frame(), "prophoto"), 2, 16, iccp(profile("prophoto")))
        ),
        frame,
        1,
        "8 bits in the test",
        TAGGED,
    ),
    Row(
        "p3.webp",
        by_pillow(lambda: to_profile(frame(), "p3"), icc="p3", lossless=True),
        frame,
        1,
        ROUNDED,
        TAGGED,
    ),
    Row(
        "p3.tif", by_pillow(lambda: to_profile(frame(), "p3"), icc="p3"), frame, 1, ROUNDED, TAGGED
    ),
    Row(
        "exif adobe.jpg",
        by_pillow(
            lambda: to_profile(frame(), "adobe"),
            quality=98,
            subsampling=0,
            exif=exif(None, 65535, "R03"),
        ),
        frame,
        2,
        LOSS,
        TAGGED,
    ),
    Row(
        "exif srgb.jpg",
        by_pillow(quality=97, subsampling=0, exif=exif(None, 1, "R98")),
        frame,
        2,
        LOSS,
        quiet=True,
    ),
    Row(
        "exif unknown.jpg",
        by_pillow(quality=97, subsampling=0, exif=exif(None, 65535)),
        frame,
        2,
        LOSS,
        "unknown colour space",
    ),
    Row(
        "gama linear.png",
        lambda p: p.write_bytes(
            png_raw(
                to_deep_profile(frame(), "linear"), 2, 16, (b"gAMA", (100000).to_bytes(4, "big"))
            )
        ),
        frame,
        1,
        "8 bits in the test",
        TAGGED,
    ),
    Row("gama usual.png", png_with((b"gAMA", (45455).to_bytes(4, "big"))), frame, quiet=True),
    Row(
        "srgb chunk.png",
        png_with((b"sRGB", b"\0"), (b"gAMA", (45455).to_bytes(4, "big"))),
        frame,
        quiet=True,
    ),
    Row(
        "chrm adobe.png",
        png_with(
            (b"gAMA", (45471).to_bytes(4, "big")),
            (
                b"cHRM",
                b"".join(
                    v.to_bytes(4, "big")
                    for v in (31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000)
                ),
            ),
            pixels=lambda: to_profile(frame(), "adobe"),
        ),
        frame,
        1,
        ROUNDED,
        TAGGED,
    ),
    Row("chrm no colours.png", png_with((b"cHRM", bytes(32))), frame, says="gAMA or cHRM"),
    Row(
        "cicp p3.png",
        png_with((b"cICP", b"\x0c\x04\0\1"), pixels=lambda: to_profile(frame(), "p3")),
        frame,
        1,
        ROUNDED,
        TAGGED,
    ),
    Row(
        "cicp first.png",
        png_with(
            (b"cICP", b"\x0c\x04\0\1"),
            pixels=lambda: to_profile(frame(), "p3"),
            form={"icc_profile": profile("adobe")},
        ),
        frame,
        1,
        ROUNDED,
        TAGGED,
    ),
    Row("cicp srgb.png", png_with((b"cICP", b"\1\x0d\0\1")), frame, quiet=True),
    Row("cicp pq.png", png_with((b"cICP", b"\x09\x10\0\1")), frame, says="HDR picture .PQ."),
    Row("cicp hlg.png", png_with((b"cICP", b"\x09\x12\0\1")), frame, says="HDR picture .HLG."),
    Row("cicp narrow.png", png_with((b"cICP", b"\1\x0d\0\0")), frame, says="narrow range"),
    Row("cicp unknown.png", png_with((b"cICP", b"\x63\x0d\0\1")), frame, says="unknown colours"),
    Row("cmyk.jpg", lambda p: cmyk_jpeg(p, icc_profile=profile("cmyk")), managed_cmyk, 2, LOSS),
    Row("cmyk plain.jpg", cmyk_jpeg, plain_cmyk, 2, LOSS, "CMYK without a colour profile"),
    Row(
        "ycck.jpg",
        write_bytes(
            lambda: imagecodecs.jpeg8_encode(
                255 - cmyk(), level=98, colorspace="cmyk", outcolorspace="ycck", subsampling="444"
            )
        ),
        plain_cmyk,
        3,
        LOSS,
        "CMYK without",
    ),
    Row(
        "cmyk.tif", by_tifffile(cmyk, photometric="separated", icc="cmyk"), managed_cmyk, 1, ROUNDED
    ),
    Row(
        "cmyk16.tif",
        by_tifffile(lambda: deep(cmyk()), photometric="separated", icc="cmyk"),
        managed_cmyk,
        1.5,
        ROUNDED,
    ),
    Row(
        "cmyk16 plain.tif",
        by_tifffile(lambda: deep(cmyk()), photometric="separated"),
        plain_cmyk,
        1,
        ROUNDED,
        "CMYK without",
    ),
    Row(
        "rgb with cmyk.jpg",
        by_pillow(icc="cmyk", quality=97, subsampling=0),
        frame,
        2,
        LOSS,
        "it is for CMYK, the picture is RGB",
    ),
    Row(
        "rgb with grey.png", by_pillow(icc="grey"), frame, says="it is for grey, the picture is RGB"
    ),
    Row(
        "rgb16 with grey.png",
        write_bytes(lambda: png_raw(deep(), 2, 16, iccp(profile("grey")))),
        frame,
        why="libpng must not complain on the terminal",
        says="it is for grey, the picture is RGB",
    ),
    *(
        Row(f"profile {name}.png", png_with(iccp(bad)), frame, says=DAMAGED)
        for name, bad in BAD_PROFILES.items()
    ),
    *(
        Row(
            f"profile {name}.jpg",
            by_pillow(raw_icc=bad, quality=97, subsampling=0),
            frame,
            2,
            LOSS,
            DAMAGED,
        )
        for name, bad in BAD_PROFILES.items()
    ),
    Row(
        "profile cut.tif",
        by_tifffile(deep, photometric="rgb", iccprofile=BAD_PROFILES["cut"]),
        frame,
        says=DAMAGED,
    ),
    Row(
        "profile cut.webp",
        by_pillow(raw_icc=BAD_PROFILES["cut"], lossless=True),
        frame,
        says=DAMAGED,
    ),
    *(
        Row(f"profile {name}.png", png_with(iccp(other)), frame, says="it is not one for grey")
        for name, other in (
            ("lab", imagecodecs.cms_profile("lab4")),
            ("link", profile("adobe")[:12] + b"link" + profile("adobe")[16:]),
        )
    ),
    Row("profile packed.png", png_with((b"iCCP", b"p\0\0not packed")), frame, says=DAMAGED),
]
if features.check("avif"):
    FORMATS.append(
        Row("rgb.avif", by_pillow(quality=100, subsampling="4:4:4"), frame, 3, LOSS, quiet=True)
    )
    COLOURS += [
        Row(
            "nclx p3.avif",
            write_bytes(lambda: avif_with(12, 4, lambda: to_profile(frame(), "p3"))),
            frame,
            3,
            LOSS,
            TAGGED,
        ),
        Row(
            "nclx pq.avif",
            write_bytes(lambda: avif_with(9, 16)),
            frame,
            3,
            LOSS,
            "HDR picture .PQ.",
        ),
    ]
    FORMATS += [
        Row(
            f"bits{bits}.avif",
            write_bytes(
                lambda bits=bits: imagecodecs.avif_encode(
                    deep() >> (16 - bits), level=100, bitspersample=bits, pixelformat="444"
                )
            ),
            frame,
            1,
            LOSS,
            f"{bits} bits per channel read as 8",
        )
        for bits in (10, 12)
    ]
try:
    import pillow_heif
except ImportError:
    pillow_heif = None
else:
    pillow_heif.register_heif_opener()
    heic = {"format": "HEIF", "quality": 100, "chroma": 444}
    FORMATS += [
        Row("rgb.heic", by_pillow(**heic), frame, 4, LOSS, quiet=True),
        Row(
            "bits10.heic",
            lambda path: pillow_heif.from_bytes(
                "RGB;16", frame().shape[1::-1], deep().tobytes()
            ).save(path, quality=100, chroma=444),
            frame,
            4,
            LOSS,
            "1. bits per channel read as 8",
        ),
        Row("heic as.jpg", by_pillow(**heic), frame, 4, LOSS, quiet=True),
        Row(
            "p3.heic",
            by_pillow(lambda: to_profile(frame(), "p3"), icc="p3", **heic),
            frame,
            4,
            LOSS,
            TAGGED,
        ),
    ]
RAW = "a raw file: develop it first"
DAMAGE = [
    Row("empty.png", write_bytes(b""), code=1, says="empty"),
    Row("text.jpg", write_bytes(b"not a picture" * 9), code=1, says="not a picture"),
    Row("cut.jpg", write_bytes(cut(lambda: encoded("JPEG", quality=97))), code=1, says="truncated"),
    Row("cut.png", write_bytes(cut(encoded)), code=1, says="truncated"),
    Row("cut16.png", write_bytes(cut(lambda: png_raw(deep(), 2, 16))), code=1, says="truncated"),
    Row("cut and ended.jpg", write_bytes(lambda: ended()), code=1, says="damaged: its data ends"),
    Row("few rows.png", write_bytes(lambda: with_rows(95)), code=1, says="damaged: its data ends"),
    Row(
        "few rows 16.png",
        write_bytes(lambda: with_rows(95, deep())),
        code=1,
        says="damaged",
    ),
    Row("cut.avif", write_bytes(cut(lambda: encoded("AVIF"))), code=1, says="a damaged AVIF"),
    Row(
        "cut.webp",
        write_bytes(cut(lambda: encoded("WEBP", lossless=True))),
        code=1,
        says="damaged|not a picture",
    ),
    Row("cut.bmp", write_bytes(cut(lambda: encoded("BMP"))), code=1, says="truncated"),
    Row("cut.jp2", write_bytes(cut(lambda: encoded("JPEG2000"), 0.3)), code=1, says="damaged"),
    Row("cut16.tif", write_bytes(cut(tiff_bytes(deep, photometric="rgb"))), code=1, says="damaged"),
    Row(
        "cut lzw.tif",
        write_bytes(cut(tiff_bytes(deep, photometric="rgb", compression="lzw"))),
        code=1,
        says="damaged",
    ),
    Row("cut.ppm", write_bytes(cut(lambda: pnm("P6", 65535, frame()))), code=1, says="truncated"),
    Row(
        "no numbers.ppm",
        write_bytes(b"P6\nx y\n65535\n" + bytes(99)),
        code=1,
        says="damaged|not a picture",
    ),
    Row(
        "float.tif",
        by_tifffile(lambda: frame().astype(np.float32) / 255, photometric="rgb"),
        code=1,
        says="32 bits per channel, floating",
    ),
    Row(
        "half float.tif",
        by_tifffile(lambda: frame().astype(np.float16), photometric="rgb"),
        code=1,
        says="floating-point",
    ),
    Row(
        "int32.tif",
        by_tifffile(lambda: deep().astype(np.uint32), photometric="rgb"),
        code=1,
        says="32 bits per channel",
    ),
    Row(
        "signed.tif",
        by_tifffile(lambda: deep().astype(np.int16), photometric="rgb"),
        code=1,
        says="signed",
    ),
    Row(
        "ycbcr16.tif", by_tifffile(deep, photometric="ycbcr"), code=1, says="YCBCR is not supported"
    ),
    *(
        Row(
            f"ycbcr{' planes' * planar}.tif",
            by_tifffile(frame, photometric="ycbcr", planar=planar),
            code=1,
            says="8 bits with colours as YCBCR is not supported",
        )
        for planar in (False, True)
    ),
    Row(
        "bgr565.bmp",
        write_bytes(lambda: bmp16((0x1F, 0x7E0, 0xF800), (5, 6, 5))),
        code=1,
        says="of a kind that is not supported; save it as PNG or TIFF: Unsupported BMP",
    ),
    Row("raw.dng", write_bytes(raw_tiff), code=1, says=RAW),
    Row("nef as.tif", write_bytes(raw_tiff), code=1, says=RAW),
    Row("dng as.tif", write_bytes(lambda: raw_tiff(34892, True)), code=1, says=RAW),
    Row("dng says.tif", write_bytes(lambda: raw_tiff(2, True)), code=1, says=RAW),
    Row("cr2 as.jpg", write_bytes(b"II*\0\x10\0\0\0CR\2\0" + bytes(200)), code=1, says=RAW),
    Row("cr3 as.jpg", write_bytes(b"\0\0\0\x18ftypcrx " + bytes(200)), code=1, says=RAW),
    Row(
        "raf as.jpg",
        write_bytes(lambda: b"FUJIFILMCCD-RAW " + bytes(100) + encoded("JPEG")),
        code=1,
        says=RAW,
    ),
    Row("jxl as.jpg", write_bytes(b"\xff\x0a" + bytes(64)), code=1, says="JPEG XL"),
    Row("bomb.png", write_bytes(bomb), code=1, says="too large: more than 537 million"),
]
ROWS = [*FORMATS, *GREYS, *DEEP, *TURNED, *COLOURS, *DAMAGE]
