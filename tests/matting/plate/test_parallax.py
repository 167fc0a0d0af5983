"""The plate follows near things that moved by themselves, and nothing else."""

import cv2
import numpy as np
import pytest

from matting.plate.align import align_plate, find_alignment
from matting.plate.comparison import warp
from matting.plate.filling import fill_uncovered
from matting.plate.parallax import follow_parallax

HEIGHT, WIDTH = 300, 420
RAIL = (slice(210, 240), slice(0, WIDTH))
SUBJECT = (slice(60, HEIGHT), slice(150, 270))
EVERYWHERE = np.ones((HEIGHT, WIDTH), bool)


def make_texture(seed: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    rng = np.random.default_rng(seed)
    picture = np.full((height, width, 3), 120.0)
    for cell, strength in ((40, 35), (12, 25), (5, 15)):
        coarse = rng.normal(0, strength, (height // cell + 2, width // cell + 2, 3))
        picture += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(picture, 0, 255).astype(np.uint8)


def make_pair(shift: int, subject: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frame, plate, and the plate that would fit: a rail before the scene is `shift` px lower."""
    scene, rail = make_texture(1), make_texture(2, 30)
    fitting, plate = scene.copy(), scene.copy()
    plate[RAIL] = rail
    fitting[RAIL[0].start + shift : RAIL[0].stop + shift] = rail
    src = fitting.copy()
    if subject:
        src[SUBJECT] = make_texture(3)[SUBJECT]
    noise = np.random.default_rng(5).normal(0, 2, (2, *src.shape))
    src, plate = (
        np.clip(picture + extra, 0, 255).astype(np.uint8)
        for picture, extra in zip((src, plate), noise, strict=True)
    )
    return src, plate, fitting


def measure_misfit(plate: np.ndarray, fitting: np.ndarray) -> float:
    """Mean difference around the rail's edges, where the subject does not hide them."""
    rows, columns = slice(RAIL[0].start - 3, RAIL[0].stop + 12), slice(0, SUBJECT[1].start - 20)
    return float(np.abs(plate[rows, columns].astype(float) - fitting[rows, columns]).mean())


@pytest.mark.parametrize("shift", [2, 4, 6])
def test_what_moved_is_followed(shift: int) -> None:
    src, plate, fitting = make_pair(shift)
    before = plate.copy()
    moved, share = follow_parallax(src, plate, EVERYWHERE, plate)
    assert moved.dtype == plate.dtype
    assert measure_misfit(moved, fitting) < 0.6 * measure_misfit(plate, fitting)
    assert 0.02 < share < 0.3
    np.testing.assert_array_equal(plate, before)
    # The scene behind, away from the rail and the subject, stays as it was.
    behind = slice(0, RAIL[0].start - 40), slice(0, SUBJECT[1].start - 20)
    np.testing.assert_array_equal(moved[behind], plate[behind])


def test_the_subject_is_not_copied_to_the_plate() -> None:
    src, plate, _ = make_pair(0)
    moved, share = follow_parallax(src, plate, EVERYWHERE, plate)
    assert share < 0.001
    # Measured 0.012 grey levels, and 0.1 with a correlation of 0.7.
    assert np.abs(moved[SUBJECT].astype(float) - plate[SUBJECT]).mean() < 0.03


def test_what_fits_stays_bit_for_bit() -> None:
    src, plate, _ = make_pair(0, subject=False)
    moved, share = follow_parallax(src, plate, EVERYWHERE, plate)
    assert moved is plate
    assert share == 0


def test_nothing_is_taken_from_where_the_plate_does_not_reach() -> None:
    src, plate, _ = make_pair(4)
    covered = EVERYWHERE.copy()
    covered[:, :100] = False
    beyond = plate.copy()
    beyond[:, :100] = 255  # as a frame's own pixels would be
    moved, share = follow_parallax(src, beyond, covered, plate)
    assert share > 0.02
    brighter = moved[:, 100:].astype(int) - np.maximum(plate, src)[:, 100:]
    usual = follow_parallax(src, plate, EVERYWHERE, plate)[0][:, 100:].astype(int)
    usual -= np.maximum(plate, src)[:, 100:]
    assert brighter.max() <= usual.max()  # white has not come in
    np.testing.assert_array_equal(moved[:, :80], beyond[:, :80])


def test_guide_tells_what_moved_at_another_exposure() -> None:
    src, plate, fitting = make_pair(4)
    darker = (plate * 0.5).astype(np.uint8)
    moved, _ = follow_parallax(src, darker, EVERYWHERE, plate)
    half = (fitting * 0.5).astype(np.uint8)
    assert measure_misfit(moved, half) < 0.5 * measure_misfit(darker, half)


def test_uint16_gives_the_picture_of_uint8() -> None:
    src, plate, _ = make_pair(4)
    moved, share = follow_parallax(src, plate, EVERYWHERE, plate)
    wide_src, wide_plate = (picture.astype(np.uint16) * 257 for picture in (src, plate))
    wide, wide_share = follow_parallax(wide_src, wide_plate, EVERYWHERE, wide_plate)
    assert wide.dtype == np.uint16
    assert wide_share == pytest.approx(share, abs=0.002)
    assert np.abs(wide / 257 - moved).mean() < 0.2


def test_shifts_grow_with_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    src, plate, fitting = (
        cv2.resize(picture, (2 * WIDTH, 2 * HEIGHT), interpolation=cv2.INTER_CUBIC)
        for picture in make_pair(4)
    )
    monkeypatch.setattr("matting.plate.parallax.WORKING_LONG_SIDE", WIDTH)
    covered = np.ones(src.shape[:2], bool)
    moved, share = follow_parallax(src, plate, covered, plate)
    rows, columns = slice(2 * RAIL[0].start - 6, 2 * RAIL[0].stop + 24), slice(0, 250)
    before, after = (
        np.abs(picture[rows, columns].astype(float) - fitting[rows, columns]).mean()
        for picture in (plate, moved)
    )
    assert after < 0.5 * before
    assert 0.02 < share < 0.3


def test_alignment_follows_and_reports() -> None:
    src, plate, _ = make_pair(4, subject=False)
    camera = np.array([[1, 0, 6.0], [0, 1, -5.0], [0, 0, 1]])
    plate = cv2.warpPerspective(plate, camera, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)
    placed, report = align_plate(src, plate)
    assert report.applied
    assert report.parallax > 0.02
    transform, _ = find_alignment(src, plate)
    inside = (slice(RAIL[0].start - 3, RAIL[0].stop + 12), slice(20, -20))
    before, after = (
        np.abs(picture[inside].astype(float) - src[inside]).mean()
        for picture in (fill_uncovered(src, *warp(plate, transform)), placed)
    )
    assert after < 0.6 * before


def test_small_pictures_and_threads() -> None:
    src, plate, _ = make_pair(4)
    small = slice(195, 195 + 48), slice(0, 60)
    moved, _ = follow_parallax(src[small], plate[small], EVERYWHERE[small], plate[small])
    assert moved.shape == (48, 60, 3)
    threads, results = cv2.getNumThreads(), []
    for count in (1, 3):
        cv2.setNumThreads(count)
        results.append(follow_parallax(src, plate, EVERYWHERE, plate)[0])
    cv2.setNumThreads(threads)
    np.testing.assert_array_equal(*results)
