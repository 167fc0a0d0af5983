"""Geometry straight to the crop, against hand-computed places and the authors' transform."""

import cv2
import numpy as np
import pytest
from BackgroundMattingV2.dataset import augmentation as authors
from PIL import Image
from torchvision.transforms import RandomAffine

from dataset.changes import PictureChange, linear_part
from dataset.geometry import (
    crop_map,
    needed_side,
    reduce_picture,
    warp_background,
    warp_foreground,
)

cv2.setNumThreads(1)


def place(matrix: np.ndarray, x: float, y: float) -> list[float]:
    return (matrix @ (x, y, 1)).tolist()


def smooth(height: int, width: int, seed: int = 0) -> np.ndarray:
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def test_the_middle_stays_and_scale_1_covers() -> None:
    matrix = crop_map(PictureChange(), (100, 200), (50, 40))
    assert place(matrix, 100, 50) == pytest.approx([20, 25])
    # 100 pixels of height become the 50 of the larger side of the crop.
    assert place(matrix, 110, 60) == pytest.approx([25, 30])


def test_shift_is_a_fraction_of_the_covering_picture() -> None:
    matrix = crop_map(PictureChange(shift_x=0.1, shift_y=-0.1, scale=0.5), (100, 200), (50, 50))
    # The covering picture is 100 x 50, so the middle moves by 10 and 5 whatever the scale.
    assert place(matrix, 100, 50) == pytest.approx([35, 20])
    assert place(matrix, 120, 50) == pytest.approx([40, 20])


def test_rotation_shear_and_flip_by_value() -> None:
    quarter = crop_map(PictureChange(rotation=90), (100, 100), (100, 100))
    assert place(quarter, 60, 50) == pytest.approx([50, 60])  # right turns down
    lean = crop_map(PictureChange(shear=45), (100, 100), (100, 100))
    assert place(lean, 50, 60) == pytest.approx([40, 60])
    flip = crop_map(PictureChange(flip=True, shift_x=0.1), (100, 100), (100, 80))
    assert place(flip, 50, 50) == pytest.approx([30, 50])  # moved right, then mirrored


def test_linear_part_is_torchvisions() -> None:
    angle, shear, scale = 4.0, -3.0, 0.7
    from torchvision.transforms.functional import _get_inverse_affine_matrix

    inverse = _get_inverse_affine_matrix([0, 0], angle, [0, 0], scale, [shear, 0.0])
    inverse = np.array(inverse).reshape(2, 3)[:, :2]
    assert np.linalg.inv(inverse) == pytest.approx(linear_part(angle, shear, scale))


@pytest.mark.parametrize("source", [(60, 90), (200, 150)])
def test_crops_are_the_authors(source: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """The same drawn numbers give the same picture, within what their whole-pixel steps allow."""
    height, width = source
    picture = smooth(height, width)
    cover = 128 / min(source)
    x, y = round(0.05 * cover * width), round(-0.04 * cover * height)

    def fixed(*_: object) -> tuple:
        return 4.0, (x, y), 0.8 * cover, (3.0, 0.0)

    monkeypatch.setattr(RandomAffine, "get_params", fixed)
    their = authors.RandomAffineAndResize((128, 128), (-5, 5), (0.1, 0.1), (0.4, 1), (-5, 5))
    expected = np.asarray(their(Image.fromarray(picture))).astype(int)
    change = PictureChange(4.0, 3.0, x / cover / width, y / cover / height, 0.8)
    pha = np.full(source, 255, np.uint8)
    ours = warp_foreground(picture, pha, change, (128, 128))
    inside = cv2.erode(ours[..., 3], np.ones((5, 5), np.uint8)) == 255
    assert inside.mean() > 0.5
    difference = np.abs(ours[..., :3].astype(int) - expected)[inside]
    assert difference.mean() < 1.5  # half a pixel and less, of a smooth picture
    assert np.corrcoef(ours[inside][:, 0], expected[inside][:, 0])[0, 1] > 0.999


def test_crop_is_the_middle_of_the_square() -> None:
    picture, pha = smooth(80, 80), np.full((80, 80), 255, np.uint8)
    square = warp_foreground(picture, pha, PictureChange(), (80, 80))
    assert np.array_equal(square[..., :3], picture)
    low = warp_foreground(picture, pha, PictureChange(), (40, 80))
    assert np.array_equal(low, square[20:60])
    flipped = warp_foreground(picture, pha, PictureChange(flip=True), (80, 80))
    assert np.array_equal(flipped, square[:, ::-1])


def test_alpha_ends_and_colours_continue_beyond_the_picture() -> None:
    picture = np.full((50, 50, 3), (200, 100, 50), np.uint8)
    both = warp_foreground(
        picture, np.full((50, 50), 255, np.uint8), PictureChange(scale=0.5), (64,) * 2
    )
    assert (both[16:48, 16:48, 3] == 255).all()
    both_alpha = both[..., 3].copy()
    both_alpha[15:49, 15:49] = 0
    assert (both_alpha == 0).all()
    near = cv2.dilate(both[..., 3], np.ones((11, 11), np.uint8)) > 0
    assert (both[near][:, :3] == (200, 100, 50)).all()  # nothing dark at the edge
    other_size = warp_foreground(
        picture, np.full((25, 25), 255, np.uint8), PictureChange(), (50, 50)
    )
    assert (other_size[..., 3] == 255).all()


def test_backgrounds_cover() -> None:
    rng = np.random.default_rng(0)
    for size in ((60, 90), (90, 60), (64, 64)):
        white = np.full((*size, 3), 255, np.uint8)
        for _ in range(30):
            turn, lean, x, y = rng.uniform(-1, 1, 4) * (5, 5, 0.1, 0.1)
            change = PictureChange(turn, lean, x, y, rng.uniform(1, 2), bool(rng.integers(2)))
            assert (warp_background(white, change, (48, 64)) == 255).all()


def test_uncovered_corners_show_the_reflection() -> None:
    ramp = np.repeat(np.arange(100, dtype=np.uint8)[None, :, None], 100, 0).repeat(3, 2)
    moved = warp_background(ramp, PictureChange(shift_x=0.1), (100, 100))
    assert moved[50, 10:, 0].tolist() == list(range(90))
    assert moved[50, :10, 0].tolist() == list(range(10, 0, -1))


def test_reduction_leaves_enough_and_does_not_alias() -> None:
    assert needed_side(PictureChange(scale=0.5), (100, 301)) == 151
    checks = (np.indices((400, 500)).sum(0) % 2 * 255).astype(np.uint8)
    reduced = reduce_picture(checks, 100)
    assert reduced.shape == (100, 125)
    assert np.abs(reduced.astype(int) - 127).max() <= 1
    for size, side in (((401, 700), 100), ((199, 300), 100), ((1080, 1920), 512)):
        shape = reduce_picture(np.zeros(size, np.uint8), side).shape
        assert side <= min(shape) < 2 * side
        assert shape[1] / shape[0] == pytest.approx(size[1] / size[0], rel=0.01)
    small = np.zeros((50, 60), np.uint8)
    assert reduce_picture(small, 100) is small


def test_reading_reduced_does_not_move_the_picture() -> None:
    picture, pha = smooth(400, 600), np.full((400, 600), 255, np.uint8)
    change = PictureChange(3, -2, 0.05, 0.02, 0.6, True)
    whole = warp_foreground(picture, pha, change, (128, 96)).astype(int)
    side = needed_side(change, (128, 96))
    reduced = warp_foreground(
        reduce_picture(picture, side), reduce_picture(pha, side), change, (128, 96)
    )
    inside = cv2.erode(reduced[..., 3], np.ones((5, 5), np.uint8)) == 255
    assert np.abs(whole - reduced)[inside].mean() < 1
