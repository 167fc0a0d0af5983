"""The camera of a visitor, without a browser."""

from typing import Any

import numpy as np
import pytest

from matting import Matting
from matting.app.camera import LiveCamera, decode, encode
from matting.pictures.target import Target

GREEN = Target("colour", colour=(0, 255, 0))


def show(camera: LiveCamera, pixels: np.ndarray, matting: Matting) -> tuple[np.ndarray, str]:
    jpeg, text = camera.show(pixels, matting.predictor, GREEN)
    return decode(as_url(jpeg)), text


def as_url(jpeg: bytes) -> str:
    from base64 import b64encode

    return f"data:image/jpeg;base64,{b64encode(jpeg).decode()}"


def test_the_plate_is_taken_and_then_replaced(photographs: Any) -> None:
    matting, camera = Matting.load(num_workers=0), LiveCamera()
    plate = photographs.plate(240, 320)
    frame = photographs.frame(plate)
    shown, text = show(camera, frame, matting)
    assert "No plate yet" in text
    assert np.abs(shown.astype(int) - frame).mean() < 8  # what JPEG costs this noise
    camera.take_plate(0)
    texts = [show(camera, plate, matting)[1] for _ in range(10)]
    assert texts[0] == "Taking the plate, keep out: 1 of 10"
    for _ in range(2):
        shown, text = show(camera, frame, matting)
    assert "frames/s" in text
    disc = photographs.disc(240, 320)
    far = np.abs(shown.astype(int) - np.where(disc[..., None], frame, (0, 255, 0))).max(-1)
    assert (far < 60).mean() > 0.97  # but for the edge


def test_another_shape_asks_for_another_plate(photographs: Any) -> None:
    matting, camera = Matting.load(num_workers=0), LiveCamera()
    camera.take_plate(0)
    for _ in range(10):
        show(camera, photographs.plate(), matting)
    with pytest.raises(ValueError, match="aspect"):
        show(camera, photographs.plate(128, 128), matting)
    assert "No plate yet" in show(camera, photographs.plate(128, 128), matting)[1]


def test_a_camera_that_changes_while_the_plate_is_taken_begins_again(photographs: Any) -> None:
    matting, camera = Matting.load(num_workers=0), LiveCamera()
    camera.take_plate(0)
    show(camera, photographs.plate(), matting)
    with pytest.raises(ValueError):
        show(camera, photographs.plate(128, 128), matting)
    assert "No plate yet" in show(camera, photographs.plate(128, 128), matting)[1]


def test_large_pictures_are_reduced(photographs: Any) -> None:
    shown, _ = show(LiveCamera(), np.zeros((100, 2560, 3), np.uint8), Matting.load(num_workers=0))
    assert shown.shape == (50, 1280, 3)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/etc/passwd",
        "http://127.0.0.1/a.jpg",
        "data:image/jpeg;base64,",
        "data:image/jpeg;base64,AAAA",
        "data:image/svg+xml;base64,AAAA",
        "data:image/jpeg;base64,é",
    ],
)
def test_only_jpeg_data_is_decoded(url: str) -> None:
    with pytest.raises(ValueError):
        decode(url)


def test_what_is_encoded_is_decoded() -> None:
    grey = np.full((40, 60, 3), 128, np.uint8)
    assert np.abs(decode(as_url(encode(grey))).astype(int) - 128).max() <= 1  # JPEG rounds


@pytest.mark.parametrize(
    ("side", "message"), [(30_000, "can't be decoded"), (4000, "has 4000 x 4000 pixels")]
)
def test_large_pictures_are_refused_by_their_head(side: int, message: str) -> None:
    jpeg = bytearray(encode(np.zeros((16, 16, 3), np.uint8)))
    at = jpeg.index(b"\xff\xc0") + 5  # height and width, after marker, length and depth
    jpeg[at : at + 4] = side.to_bytes(2, "big") * 2
    with pytest.raises(ValueError, match=message):
        decode(as_url(bytes(jpeg)))


def test_other_formats_are_refused() -> None:
    with pytest.raises(ValueError, match="can't be decoded"):
        decode(as_url(b"P5 4 4 255 " + bytes(16)))
