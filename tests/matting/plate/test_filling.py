"""Beyond its edge a plate is the frame where that shows background, and never the subject."""

import cv2
import numpy as np
import pytest

from matting.plate.filling import fill_uncovered
from matting.plate.prepare import Preprocess, prepare_plate

HEIGHT, WIDTH = 300, 400
STRIP = 20  # pixels at the lower edge that the plate does not reach
TOUCHING, ALOFT = slice(100, HEIGHT), slice(100, HEIGHT - STRIP - 30)  # rows of a subject
ACROSS = slice(150, 260)  # its columns
OUTLINE_PX = 8  # the labels are those of a picture of 320 pixels; 6 px off were measured


def make_scene(seed: int = 1) -> np.ndarray:
    """A scene `STRIP` rows higher than the plate: smoothed noise, and 32 px tiles on the left."""
    generator = np.random.default_rng(seed)
    scene = np.full((HEIGHT + STRIP, WIDTH, 3), 120.0)
    for scale, strength in ((60, 40), (12, 20), (4, 8)):
        coarse = generator.normal(0, strength, (HEIGHT // scale + 2, WIDTH // scale + 2, 3))
        scene += cv2.resize(coarse, scene.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    rows, columns = np.indices(scene.shape[:2])
    scene[:, : WIDTH // 4] = 90 + 60 * ((rows // 32 + columns // 32) % 2)[:, : WIDTH // 4, None]
    return scene.clip(20, 235).astype(np.uint8)


def add_noise(picture: np.ndarray, seed: int, sigma: float = 2.0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, sigma, picture.shape)
    return np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)


def make_pair(rows: slice | None, noise: float = 2.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frame of the scene's lower part, plate of its upper part, and what the subject covers."""
    scene, subject = make_scene(), np.zeros((HEIGHT, WIDTH), bool)
    src = add_noise(scene[STRIP:], 1, noise)
    if rows is not None:
        subject[rows, ACROSS] = True
        src[subject] = add_noise(np.full((HEIGHT, WIDTH, 3), (200, 60, 40)), 2)[subject]
    return src, add_noise(scene[:HEIGHT], 3, noise), subject


def place(bgr: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The plate in the frame's position, its last row repeated, and what it covers."""
    placed = np.concatenate([bgr[STRIP:], np.repeat(bgr[-1:], STRIP, axis=0)])
    covered = np.ones(bgr.shape[:2], bool)
    covered[-STRIP:] = False
    return placed, covered


def shrink(subject: np.ndarray, by: int) -> np.ndarray:
    """Erodes a mask by `by` pixels, or dilates it if negative; not at the picture's edge."""
    kernel = np.ones((2 * abs(by) + 1, 2 * abs(by) + 1), np.uint8)
    return (cv2.erode if by > 0 else cv2.dilate)(subject.astype(np.uint8), kernel) > 0


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_subject_at_the_edge_is_not_cut_off(dtype: type) -> None:
    src, bgr, subject = make_pair(TOUCHING)
    scale = np.iinfo(dtype).max // 255
    src, bgr = (picture.astype(dtype) * scale for picture in (src, bgr))
    placed, covered = place(bgr)
    filled = fill_uncovered(src, placed, covered)
    np.testing.assert_array_equal(filled[covered], placed[covered])
    inner, outer = shrink(subject, OUTLINE_PX) & ~covered, ~shrink(subject, -OUTLINE_PX) & ~covered
    np.testing.assert_array_equal(filled[inner], placed[inner])
    np.testing.assert_array_equal(filled[outer], src[outer])
    # The subject's red is 200 and the scene's at most 200 in its columns: most differ by far.
    assert np.median(np.abs(filled[inner].astype(int) - src[inner]).max(axis=1)) > 50 * scale


@pytest.mark.parametrize("rows", [None, ALOFT], ids=["empty", "aloft"])
@pytest.mark.parametrize("noise", [0.0, 5.0])
def test_without_a_subject_at_the_edge_the_strip_is_the_frame(
    rows: slice | None, noise: float
) -> None:
    src, bgr, _ = make_pair(rows, noise)
    placed, covered = place(bgr)
    filled = fill_uncovered(src, placed, covered)
    np.testing.assert_array_equal(filled, np.where(covered[..., None], placed, src))


def test_another_exposure_is_no_subject() -> None:
    src, bgr, _ = make_pair(None)
    dark, (placed, covered) = (src * 0.7).astype(np.uint8), place(bgr)
    filled = fill_uncovered(dark, placed, covered)
    np.testing.assert_array_equal(filled, np.where(covered[..., None], placed, dark))


def test_a_plate_that_covers_the_frame_is_unchanged() -> None:
    src, bgr, _ = make_pair(TOUCHING)
    filled = fill_uncovered(src, bgr, np.ones((HEIGHT, WIDTH), bool))
    np.testing.assert_array_equal(filled, bgr)


@pytest.mark.parametrize("exposure", [1.0, 0.8])
def test_the_preparation_keeps_a_subject_in_the_strip(exposure: float) -> None:
    src, bgr, subject = make_pair(TOUCHING)
    src = (src * exposure).astype(np.uint8)
    prepared = prepare_plate(src, bgr, Preprocess())
    assert prepared.alignment is not None
    assert prepared.alignment.applied
    strip = np.zeros((HEIGHT, WIDTH), bool)
    strip[-STRIP + 2 :] = True  # the fit is not exact
    inner, outer = shrink(subject, OUTLINE_PX) & strip, ~shrink(subject, -OUTLINE_PX) & strip
    equal = (prepared.bgr == src).all(axis=2)
    assert equal[inner].mean() < 0.01  # single pixels may be equal by chance
    assert equal[outer].all()
