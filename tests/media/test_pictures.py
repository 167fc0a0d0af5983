"""Reading pictures: every usual format, upright, complete or refused."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from media.fast_pictures import EncodedPicture
from media.listing import list_pictures
from media.pictures import PictureError, read_channels, read_picture

RNG = np.random.default_rng(0)


def random_picture(height: int = 5, width: int = 7, channels: int = 3) -> np.ndarray:
    return RNG.integers(0, 256, (height, width, channels), dtype=np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".PNG", ".tif", ".bmp", ".ppm", ".tga"])
def test_lossless_formats_are_read_exactly(tmp_path: Path, suffix: str) -> None:
    pixels = random_picture()
    Image.fromarray(pixels).save(tmp_path / f"a{suffix}")
    picture = read_picture(tmp_path / f"a{suffix}")
    assert np.array_equal(picture.pixels, pixels)
    assert (picture.icc_profile, picture.notes) == (None, ())


@pytest.mark.parametrize("suffix", [".jpg", ".JPEG", ".webp", ".avif", ".jp2"])
def test_lossy_formats_are_read(tmp_path: Path, suffix: str) -> None:
    pixels = np.full((16, 24, 3), (200, 100, 50), np.uint8)
    Image.fromarray(pixels).save(tmp_path / f"a{suffix}")
    read = read_picture(tmp_path / f"a{suffix}").pixels
    assert read.shape == (16, 24, 3)
    # A flat picture: compression may round its colour, not move it.
    assert np.abs(read.astype(int) - pixels).max() <= 6


@pytest.mark.parametrize(
    ("mode", "value", "wanted"),
    [("L", 90, (90, 90, 90)), ("1", 255, (255, 255, 255)), ("CMYK", (255, 0, 0, 0), (0, 255, 255))],
)
def test_other_modes_become_rgb(tmp_path: Path, mode: str, value, wanted: tuple) -> None:
    Image.new(mode, (4, 3), value).save(tmp_path / "a.tif")
    assert read_picture(tmp_path / "a.tif").pixels[0, 0].tolist() == list(wanted)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bit_pictures_keep_their_values(tmp_path: Path, suffix: str, channels: int) -> None:
    pixels = RNG.integers(0, 65536, (6, 5, channels), dtype=np.uint16)
    stored = pixels[..., 0] if channels == 1 else pixels
    cv2.imwrite(str(tmp_path / f"a{suffix}"), stored)
    picture = read_picture(tmp_path / f"a{suffix}")
    assert picture.pixels.dtype == np.uint16
    wanted = np.repeat(pixels, 3, 2) if channels == 1 else pixels[..., 2::-1]  # OpenCV writes BGR
    assert np.array_equal(picture.pixels, wanted)
    assert picture.notes == (("alpha channel dropped",) if channels == 4 else ())


def test_16_bit_grey_of_a_kind_that_pillow_keeps(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 65536, (6, 5), dtype=np.uint16)
    Image.fromarray(pixels).save(tmp_path / "a.jp2")
    assert np.array_equal(read_picture(tmp_path / "a.jp2").pixels, np.dstack([pixels] * 3))
    assert np.array_equal(read_channels(tmp_path / "a.jp2"), pixels)
    assert np.array_equal(EncodedPicture(tmp_path / "a.jp2").alpha(), pixels >> 8)


def test_float_pictures_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.ones((3, 3), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(PictureError, match="32 bits per channel"):
        read_picture(tmp_path / "a.tif")


def test_alpha_is_dropped_without_blending(tmp_path: Path) -> None:
    pixels = random_picture(channels=4)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    picture = read_picture(tmp_path / "a.png")
    assert np.array_equal(picture.pixels, pixels[..., :3])
    assert picture.notes == ("alpha channel dropped",)


def stored_turned(upright: np.ndarray, orientation: int) -> np.ndarray:
    """What a camera stores, as EXIF defines it: where the stored first row and column belong."""
    rows_are_columns = orientation >= 5
    first_row_bottom_or_right = orientation in (3, 4, 6, 7)
    first_column_right_or_bottom = orientation in (2, 3, 7, 8)
    stored = upright.swapaxes(0, 1) if rows_are_columns else upright
    if first_row_bottom_or_right:
        stored = stored[::-1]
    if first_column_right_or_bottom:
        stored = stored[:, ::-1]
    return np.ascontiguousarray(stored)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
def test_exif_orientation_is_applied(tmp_path: Path, suffix: str, orientation: int) -> None:
    upright = np.repeat(np.repeat(random_picture(3, 4), 16, 0), 16, 1)
    image = Image.fromarray(stored_turned(upright, orientation))
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / f"a{suffix}", exif=exif, **({"quality": 100} if suffix == ".jpg" else {}))
    read = read_picture(tmp_path / f"a{suffix}").pixels
    assert read.shape == upright.shape
    # The middles of the 16-pixel squares, where JPEG at quality 100 keeps the colour.
    difference = np.abs(read.astype(int) - upright)[8::16, 8::16]
    assert difference.max() <= (24 if suffix == ".jpg" else 0)


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_exif_orientation_of_16_bit_pictures(tmp_path: Path, orientation: int) -> None:
    upright = RNG.integers(0, 65536, (3, 4, 3), dtype=np.uint16)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(stored_turned(upright, orientation)[..., ::-1])
    chunk = np.frombuffer(exif.tobytes().removeprefix(b"Exif\0\0"), np.uint8)
    _, data = cv2.imencodeWithMetadata(".png", stored, [cv2.IMAGE_METADATA_EXIF], [chunk])
    (tmp_path / "a.png").write_bytes(data.tobytes())
    assert np.array_equal(read_picture(tmp_path / "a.png").pixels, upright)


def test_colour_profile_is_kept(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(random_picture()).save(tmp_path / "a.jpg", icc_profile=profile)
    assert read_picture(tmp_path / "a.jpg").icc_profile == profile


def test_first_of_several_frames(tmp_path: Path) -> None:
    frames = [Image.fromarray(random_picture()) for _ in range(3)]
    frames[0].save(tmp_path / "a.tif", save_all=True, append_images=frames[1:])
    picture = read_picture(tmp_path / "a.tif")
    assert np.array_equal(picture.pixels, np.asarray(frames[0]))
    assert picture.notes == ("first of 3 frames used",)


def encoded(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(random_picture(64, 64)).save(buffer, kind)
    return buffer.getvalue()


def encoded_16_bit() -> bytes:
    return cv2.imencode(".png", RNG.integers(0, 65536, (64, 64, 3), dtype=np.uint16))[1].tobytes()


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("empty.png", b"", "0 bytes"),
        ("text.png", b"hello", "not a picture"),
        ("phone.heic", b"hello", "pillow-heif"),
        ("half.jpg", encoded("JPEG")[:-200], "truncated"),
        ("half.png", encoded("PNG")[:-200], "truncated"),
        ("half16.png", encoded_16_bit()[:-200], "truncated"),
        ("half.tif", encoded("TIFF")[:-200], "truncated"),
        ("half.webp", encoded("WEBP")[:-200], "truncated"),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(PictureError, match=message):
        read_picture(tmp_path / name)


def test_missing_files_and_bombs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="No such file"):
        read_picture(tmp_path / "a.png")
    Image.new("1", (20_000, 20_000)).save(tmp_path / "bomb.png")
    with pytest.raises(PictureError, match="too large"):
        read_picture(tmp_path / "bomb.png")


def test_listing_searches_subfolders_in_any_case(tmp_path: Path) -> None:
    wanted = ["a.JPG", "b/c.png", "b/d/E.TiFf"]
    others = ["notes.txt", ".hidden.png", ".folder/x.png", "out/y.png", "plate.png"]
    for name in (*wanted, *others):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = list_pictures(tmp_path, exclude=(tmp_path / "out", tmp_path / "plate.png"))
    assert [path.relative_to(tmp_path).as_posix() for path in found.pictures] == wanted


def test_listing_one_file_and_nothing(tmp_path: Path) -> None:
    (tmp_path / "frame.raw").touch()
    assert list_pictures(tmp_path / "frame.raw").pictures == [tmp_path / "frame.raw"]
    with pytest.raises(PictureError, match=r"no picture was found .* \.jpg"):
        list_pictures(tmp_path)
    with pytest.raises(PictureError, match="does not exist"):
        list_pictures(tmp_path / "nothing")
