"""Colour jitter in one matrix against torchvision's steps, blur and sharpening against Pillow's."""

import cv2
import numpy as np
import pytest
from PIL import Image, ImageFilter
from torchvision.transforms import functional as F

from dataset.changes import (
    PictureChange,
    blur_and_sharpen,
    change_colours,
    jitter_matrix,
    tint_matrix,
)

cv2.setNumThreads(1)


def soft_colours() -> np.ndarray:
    """Colours that no change below brings to 0 or 255."""
    small = np.random.default_rng(0).integers(70, 170, (12, 16, 3), np.uint8)
    return cv2.resize(small, (64, 48), interpolation=cv2.INTER_LINEAR)


@pytest.mark.parametrize(
    ("change", "function", "factor"),
    [
        (PictureChange(brightness=1.15), F.adjust_brightness, 1.15),
        (PictureChange(brightness=0.85), F.adjust_brightness, 0.85),
        (PictureChange(contrast=1.15), F.adjust_contrast, 1.15),
        (PictureChange(contrast=0.85), F.adjust_contrast, 0.85),
        (PictureChange(saturation=1.15), F.adjust_saturation, 1.15),
        (PictureChange(saturation=0.85), F.adjust_saturation, 0.85),
    ],
)
def test_steps_are_torchvisions(change: PictureChange, function: object, factor: float) -> None:
    picture = soft_colours()
    expected = np.asarray(function(Image.fromarray(picture), factor)).astype(int)
    # Pillow truncates, and rounds grey and mean.
    assert np.abs(change_colours(picture, change) - expected).max() <= 2


def test_steps_compose_in_order() -> None:
    change = PictureChange(brightness=1.1, contrast=0.9, saturation=1.1, hue=0.03)
    picture = soft_colours().astype(float) / 255
    grey = np.array((0.299, 0.587, 0.114))
    expected = picture * 1.1
    mean = float(expected.mean((0, 1)) @ grey)
    expected = (expected - mean) * 0.9 + mean
    grey_value = (expected @ grey)[..., None]
    expected = ((expected - grey_value) * 1.1 + grey_value) @ tint_matrix(1, 0.03).T
    result = change_colours(soft_colours(), change)
    assert np.abs(result - expected * 255).max() <= 1  # rounded once, and float32


def test_hue_turns_like_hsv_and_keeps_greys() -> None:
    third = tint_matrix(1, 1 / 3)
    assert third @ (1, 0, 0) == pytest.approx([0, 1, 0], abs=1e-12)
    for hue in (-0.1, 0.05, 0.5):
        assert tint_matrix(0.9, hue) @ (0.3, 0.3, 0.3) == pytest.approx([0.3] * 3)
    slight = tint_matrix(1, 0.05) @ (0.8, 0.2, 0.2)
    assert slight[1] > 0.2 > slight[2] - 1e-9  # red goes towards yellow, as in HSV


def test_identity_costs_nothing_and_mean_may_be_masked() -> None:
    picture = soft_colours()
    assert change_colours(picture, PictureChange()) is picture
    assert blur_and_sharpen(picture, PictureChange()) is picture
    assert jitter_matrix(PictureChange(), 99.0) == pytest.approx(np.eye(3, 4))
    half = np.zeros((4, 4, 3), np.uint8)
    half[:, 2:] = 200
    shown = np.zeros((4, 4), np.uint8)
    shown[:, 2:] = 1
    # About their own mean, even colours do not change; about that of all, by half the distance.
    assert change_colours(half, PictureChange(contrast=0.5), shown)[0, 3].tolist() == [200] * 3
    assert change_colours(half, PictureChange(contrast=0.5))[0, 3].tolist() == [150] * 3


@pytest.mark.parametrize("radius", [1, 5])
def test_blur_is_pillows(radius: int) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (40, 50, 3), np.uint8)
    expected = Image.fromarray(picture).filter(ImageFilter.BoxBlur(radius))
    result = blur_and_sharpen(picture, PictureChange(blur_radius=radius))
    assert np.abs(result.astype(int) - np.asarray(expected)).max() <= 1  # rounded per direction


def test_sharpening_is_pillows() -> None:
    picture = soft_colours()
    expected = np.asarray(Image.fromarray(picture).filter(ImageFilter.SHARPEN)).astype(int)
    result = blur_and_sharpen(picture, PictureChange(sharpen=True))
    # Pillow leaves the outermost pixels alone.
    assert np.abs(result - expected)[1:-1, 1:-1].max() <= 1


def test_four_channels() -> None:
    both = np.dstack((soft_colours(), np.full((48, 64), 255, np.uint8)))
    result = blur_and_sharpen(both, PictureChange(blur_radius=3, sharpen=True))
    assert result.shape == both.shape
    assert (result[..., 3] == 255).all()
