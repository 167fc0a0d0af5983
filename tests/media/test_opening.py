"""Opening pictures: regular files only, of a size that can be held, whatever is in them."""

import os
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from media import formats
from media.fast_pictures import EncodedPicture
from media.pictures import PictureError, read_channels, read_picture, write_jpeg, write_png

POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows has no such files, or other words")


def make_large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2 * 1024**3 + 1)  # without blocks on the disk


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(lambda path: os.mkfifo(path), "not a file but a pipe", marks=POSIX),
        pytest.param(
            lambda path: path.symlink_to("/dev/zero"), "not a file but a device", marks=POSIX
        ),
        pytest.param(lambda path: path.mkdir(), "not a file but a folder", marks=POSIX),
        pytest.param(
            lambda path: path.symlink_to(path), "can't be read: Too many levels", marks=POSIX
        ),
        (lambda path: path.symlink_to("nowhere"), "can't be read: No such file"),
        (make_large, "the file has 2.0 GiB; the limit is 2 GiB"),
    ],
    ids=["pipe", "device", "folder", "loop", "gone", "large"],
)
@pytest.mark.parametrize("read", [read_picture, read_channels, EncodedPicture])
def test_only_regular_files_are_opened(
    tmp_path: Path, make: Callable[[Path], object], message: str, read: Callable[[Path], object]
) -> None:
    path = tmp_path / "b.jpg"
    make(path)
    with pytest.raises(PictureError, match=message):
        read(path)


def head(width: int, height: int) -> bytes:
    """A whole PNG whose head claims a size."""
    pixels = cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes()
    said = b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + pixels[24:29]
    return pixels[:12] + said + zlib.crc32(said).to_bytes(4, "big") + pixels[33:]


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((20000, 15000), "too large: 20000 x 15000 pixels; the limit is 268 million.*smaller"),
        ((60000, 60000), "too large: more than 537 million pixels"),
    ],
)
def test_too_many_pixels_are_refused_with_advice(tmp_path: Path, size, message: str) -> None:
    (tmp_path / "a.png").write_bytes(head(*size))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as media.decoding has it, and pytest undoes
        with pytest.raises(PictureError, match=message):
            read_picture(tmp_path / "a.png")


def test_200_megapixels_are_opened_without_a_warning(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(head(16320, 12240))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert EncodedPicture(tmp_path / "a.png").size == (12240, 16320)


@pytest.mark.parametrize("write", [write_png, write_jpeg])
@pytest.mark.parametrize(
    "answer", [(False, b""), (False, b"\x89PNG"), (True, b"\x89PNG and no end")]
)
def test_an_encoder_that_fails_is_an_error_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write, answer: tuple[bool, bytes]
) -> None:
    def fails(*_: object) -> tuple[bool, np.ndarray]:
        # OpenCV gives no array where it has not begun.
        return answer[0], np.frombuffer(answer[1], np.uint8) if answer[1] else None

    monkeypatch.setattr(cv2, "imencodeWithMetadata", fails)
    monkeypatch.setattr(cv2, "imencode", fails)
    with pytest.raises(OSError, match="could not be encoded"):
        write(tmp_path / "a.png", np.zeros((2, 2, 3), np.uint8))
    assert list(tmp_path.iterdir()) == []


def test_damaged_exif_is_left_out_with_a_note(tmp_path: Path) -> None:
    exif = b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + bytes(range(40))
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg", exif=exif)
    picture = read_picture(tmp_path / "a.jpg")
    assert picture.pixels.shape == (8, 8, 3)


def test_a_grey_picture_with_a_transparent_value_is_grey_for_training_too(tmp_path: Path) -> None:
    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
    Image.fromarray(pixels).save(tmp_path / "a.png", transparency=0)
    assert np.array_equal(EncodedPicture(tmp_path / "a.png").alpha(), pixels)
    assert np.array_equal(read_channels(tmp_path / "a.png"), pixels)


@pytest.mark.parametrize("brand", [b"heic", b"heix", b"mif1", b"msf1"])
@pytest.mark.parametrize("installed", [True, False])
def test_heic_under_another_name_gets_the_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, brand: bytes, installed: bool
) -> None:
    monkeypatch.setattr(formats, "find_spec", lambda _: True if installed else None)
    (tmp_path / "IMG_1.JPG").write_bytes(b"\0\0\0\x18ftyp" + brand + bytes(4) + brand + bytes(40))
    message = "a damaged HEIC" if installed else "HEIC needs the package pillow-heif"
    with pytest.raises(PictureError, match=message):
        read_picture(tmp_path / "IMG_1.JPG")


@pytest.mark.parametrize("suffix", sorted(formats.RAW_EXTENSIONS))
def test_raw_files_are_refused_by_name_with_advice(tmp_path: Path, suffix: str) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg")
    path = (tmp_path / "a.jpg").rename(tmp_path / f"A{suffix.upper()}")
    with pytest.raises(PictureError, match="a raw file: develop it first, to TIFF or JPEG"):
        read_picture(path)


RAW_HEADS = {
    "RAF": b"FUJIFILMCCD-RAW 0201",
    "X3F": b"FOVb\0\0\2\0",
    "MRW": b"\0MRM\0\1",
    "ORF": b"IIRO\x08\0",
    "RW2": b"IIU\0\x18\0\0\0",
    "CRW": b"II\x1a\0\0\0HEAPCCDR",
    "CR2": b"II*\0\x10\0\0\0CR\2\0",
    "CR3": b"\0\0\0\x18ftypcrx \0\0\0\1",
}


@pytest.mark.parametrize("kind", RAW_HEADS)
@pytest.mark.parametrize("name", ["a.jpg", "a.tif"])
def test_raw_files_are_refused_by_content_under_another_name(
    tmp_path: Path, kind: str, name: str
) -> None:
    preview = tmp_path / "preview.jpg"
    Image.new("RGB", (8, 8)).save(preview)
    (tmp_path / name).write_bytes(RAW_HEADS[kind] + bytes(60) + preview.read_bytes())
    with pytest.raises(PictureError, match="a raw file: develop it first"):
        read_picture(tmp_path / name)


def test_no_picture_is_longer_than_a_png_can_be(tmp_path: Path) -> None:
    Image.new("1", (1, 1_000_001)).save(tmp_path / "a.tif")
    with pytest.raises(PictureError, match="too large: 1 x 1000001 pixels; .* a million"):
        read_picture(tmp_path / "a.tif")
