"""Composites, new backgrounds, contact sheets: values by hand."""

import numpy as np
import pytest

from matting.pictures.compose import blur, quantise, render
from matting.pictures.sheet import draw_sheet
from matting.pictures.target import Target, parse_target, render_target
from matting.plate.prepare import fit_plate
from matting.prediction import Prediction
from media.pictures import resize_to_cover


@pytest.fixture
def matte() -> Prediction:
    pha = np.array([[0.0, 0.25, 1.0]], np.float32)
    fgr = np.full((1, 3, 3), (1.0, 0.5, 0.0), np.float32)
    return Prediction(pha, fgr, np.array([[0.0, 0.5, 0.1]], np.float32), pha > 0)


def test_composite_is_alpha_f_plus_rest_b(matte: Prediction) -> None:
    target = np.full((1, 3, 3), (0.0, 0.0, 1.0), np.float32)
    got = render("com", matte, target, 8)
    # 0.25 * (1, 0.5, 0) + 0.75 * (0, 0, 1) = (0.25, 0.125, 0.75), rounded to levels of 255.
    assert got.tolist() == [[[0, 0, 255], [64, 32, 191], [255, 128, 0]]]


def test_transparent_composite_has_straight_alpha(matte: Prediction) -> None:
    got = render("com", matte, None, 8)
    assert got.tolist() == [[[0, 0, 0, 0], [255, 128, 0, 64], [255, 128, 0, 255]]]


def test_other_outputs(matte: Prediction) -> None:
    assert render("pha", matte, None, 8).tolist() == [[0, 64, 255]]
    assert render("pha", matte, None, 16).tolist() == [[0, 16384, 65535]]
    assert render("fgr", matte, None, 8)[0, 0].tolist() == [255, 128, 0]
    assert render("err", matte, None, 16).tolist() == [[0, 128, 26]], "always 8 bits"
    assert render("ref", matte, None, 8).tolist() == [[0, 255, 255]]
    with pytest.raises(ValueError, match="sheet"):
        render("sheet", matte, None, 8)


def test_values_are_rounded_and_clipped() -> None:
    values = np.array([-1, 0.49 / 255, 0.51 / 255, 254.6 / 255, 2], np.float32)
    assert quantise(values, 8).tolist() == [0, 0, 1, 255, 255]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (None, Target("none")),
        ("blur", Target("blur")),
        ("green", Target("colour", (0, 177, 64))),
        ("Green", Target("colour", (0, 177, 64))),
        ("#008000", Target("colour", (0, 128, 0))),
        ("#00b140", Target("colour", (0, 177, 64))),
        ("rgb(1,2,3)", Target("colour", (1, 2, 3))),
    ],
)
def test_targets_by_name(text: str | None, wanted: Target) -> None:
    assert parse_target(text) == wanted


def test_targets_by_path(tmp_path) -> None:
    (tmp_path / "a.png").touch()
    assert parse_target(str(tmp_path)) == Target("folder", path=tmp_path)
    assert parse_target(str(tmp_path / "a.png")) == Target("picture", path=tmp_path / "a.png")
    with pytest.raises(ValueError, match="'grene' is neither blur, nor a colour"):
        parse_target("grene")


def test_colour_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="from 0 to 255"):
        parse_target("rgb(300,0,0)")


def test_target_pictures_cover_the_frame() -> None:
    picture = np.zeros((10, 40, 3), np.uint8)
    picture[:, 10:30] = 200  # the middle, as wide as a frame of 2:1
    got = render_target(Target("picture"), picture, np.zeros((20, 40, 3), np.uint8))
    assert got.shape == (20, 40, 3)
    assert np.allclose(got, 200 / 255)
    assert resize_to_cover(picture, 3, 1).shape == (3, 1, 3)
    assert resize_to_cover(picture, 3000, 1).shape == (3000, 1, 3), "of less than a column"
    assert resize_to_cover(picture, 1, 3000).shape == (1, 3000, 3)
    with pytest.raises(ValueError, match="no picture was given"):
        render_target(Target("folder"), None, picture)


def test_target_colour_and_none() -> None:
    bgr = np.zeros((2, 3, 3), np.uint8)
    assert render_target(Target("none"), None, bgr) is None
    got = render_target(Target("colour", (255, 0, 51)), None, bgr)
    assert got.shape == (2, 3, 3)
    assert np.allclose(got, (1, 0, 0.2))


def test_blur_keeps_the_mean_and_looks_the_same_at_any_size() -> None:
    """A step's blurred edge is as wide, as a fraction of the picture, at 200 and 1600 pixels."""
    profiles = []
    for side in (200, 1600):
        step = np.zeros((side // 2, side, 3), np.float32)
        step[:, side // 2 :] = 1
        blurred = blur(step)
        assert abs(blurred.mean() - 0.5) < 0.01
        row = blurred[side // 4, :, 0]
        profiles.append(np.interp(np.linspace(0, 1, 50), np.linspace(0, 1, side), row))
    assert np.ptp(profiles[0][20:30]) > 0.5, "the edge is where it was"
    assert 0.1 < profiles[0][24] < 0.4, "0.7 standard deviations before it"
    # The 200-pixel profile is sampled once a pixel and half a percent: up to 4% a step.
    assert np.abs(profiles[0] - profiles[1]).max() < 0.05


def test_plate_is_resized_when_the_aspect_is_the_same() -> None:
    bgr = np.full((20, 30, 3), 77, np.uint8)
    plate, notes = fit_plate(src=np.zeros((60, 90, 3), np.uint8), bgr=bgr)
    assert plate.shape == (60, 90, 3)
    assert (plate == 77).all()
    assert notes == ("plate resized to the frame",)
    plate, notes = fit_plate(src=bgr, bgr=bgr)
    assert plate is bgr
    assert notes == ()


def test_rounded_aspect_is_the_same_and_another_is_refused() -> None:
    frame = np.zeros((667, 1000, 3), np.uint8)
    assert fit_plate(src=frame, bgr=np.zeros((2000, 3000, 3), np.uint8))[0].shape == frame.shape
    with pytest.raises(ValueError, match="plate is 1000 x 750 pixels, the frame 1000 x 667"):
        fit_plate(src=frame, bgr=np.zeros((750, 1000, 3), np.uint8))
    with pytest.raises(ValueError, match="plate is 667 x 1000 pixels"):
        fit_plate(src=frame, bgr=np.zeros((1000, 667, 3), np.uint8))


def test_plate_takes_the_frames_depth() -> None:
    narrow, wide = np.full((4, 4, 3), 200, np.uint8), np.full((4, 4, 3), 200 * 257, np.uint16)
    assert np.array_equal(fit_plate(src=wide, bgr=narrow)[0], wide)
    assert np.array_equal(fit_plate(src=narrow, bgr=wide)[0], narrow)
    assert fit_plate(src=narrow, bgr=wide - 129)[0][0, 0, 0] == 199, "rounded, not truncated"


@pytest.mark.parametrize("size", [(90, 160), (160, 90), (1, 1), (3, 5)])
def test_sheet_shows_every_picture(size: tuple[int, int]) -> None:
    src, bgr = np.full((*size, 3), 255, np.uint8), np.full((*size, 3), 100, np.uint8)
    pha = np.ones(size, np.float32)
    matte = Prediction(pha, np.full((*size, 3), 0.5, np.float32), pha * 0.2, pha > 0)
    sheet = draw_sheet(src, bgr, matte, None, ["name"])
    scale = 480 / max(size)
    height, width = (max(1, round(side * scale)) for side in size)
    assert sheet.shape == (2 * (height + 34) + 8, 4 * (width + 8) + 8, 3)
    middles = [
        sheet[8 + 26 + height // 2 + row * (height + 34), 8 + width // 2 + column * (width + 8), 0]
        for row in (0, 1)
        for column in range(4)
    ]
    # frame, plate, error, refined; alpha, foreground, composite
    assert middles[:7] == [255, 100, 51, 255, 255, 128, 128]
