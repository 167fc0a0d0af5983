"""Plates are brought to the frame's exposure where that is safe, and kept with a reason if not."""

import cv2
import numpy as np
import pytest

from matting.plate.comparison import PLAIN_WEIGHT, judge_background, reduce_colours
from matting.plate.exposure import (
    ExposureReport,
    ExposureVerdict,
    apply_exposure,
    estimate_exposure,
    fit_colours,
    take_background,
)
from matting.plate.prepare import Preprocess, prepare_plate

HEIGHT, WIDTH = 180, 320
SUBJECT = (slice(0, HEIGHT), slice(60, 188))  # 40% of the frame


def match_exposure(
    src: np.ndarray, bgr: np.ndarray, pha: np.ndarray | None = None
) -> tuple[np.ndarray, ExposureReport]:
    report = estimate_exposure(reduce_colours(src), reduce_colours(bgr), pha)
    return apply_exposure(bgr, report), report


def make_plate(seed: int = 0) -> np.ndarray:
    """Noise of two scales, from 40 to 180 grey levels: nothing is clipped."""
    generator = np.random.default_rng(seed)
    picture = np.full((HEIGHT, WIDTH, 3), 110.0)
    for scale, strength in ((40, 20), (4, 14)):
        coarse = generator.normal(0, strength, (HEIGHT // scale + 2, WIDTH // scale + 2, 3))
        picture += cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.clip(picture, 40, 180)


def make_frame(plate: np.ndarray, gain: tuple, bias: tuple, seed: int = 1) -> np.ndarray:
    """What a camera at another exposure sees, with noise and a subject over 40%."""
    frame = plate * gain + bias
    frame[SUBJECT] = make_plate(99)[SUBJECT] * (1.3, 0.8, 0.7)
    noise = np.random.default_rng(seed).normal(0, 1.5, frame.shape)
    return np.clip(np.rint(frame + noise), 0, 255).astype(np.uint8)


def round_off(picture: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("gain", "bias"),
    [
        ((1.2, 1.2, 1.2), (0, 0, 0)),
        ((0.73, 0.73, 0.73), (0, 0, 0)),  # a stop darker: 2^(-1/2.2)
        ((1.15, 1.0, 0.88), (0, 0, 0)),
        ((1.1, 1.05, 1.0), (6, 8, 10)),
    ],
)
def test_known_change_is_recovered(gain: tuple, bias: tuple) -> None:
    plate = make_plate()
    captured = round_off(plate)
    matched, report = match_exposure(make_frame(plate, gain, bias), captured)
    assert (report.applied, report.reason) == (True, "matched")
    assert report.verdict is ExposureVerdict.MATCHED
    # Gain and bias make up for each other a little; what counts is the colour, to half a level,
    # which is what rounding leaves.
    wanted = plate * gain + bias
    assert np.abs(matched.astype(float) - wanted).mean() < 0.6
    assert np.abs(matched.mean(axis=(0, 1)) - wanted.mean(axis=(0, 1))).max() < 0.5
    assert report.residual_after < 0.3 * report.residual_before
    # Six tenths of the pixels are background; the plain ones among them count a quarter.
    assert 0.4 < report.background < 0.62
    if bias == (0, 0, 0):
        assert report.gain == pytest.approx(gain, abs=0.015)
        assert report.stops == pytest.approx(2.2 * np.log2(np.mean(gain)), abs=0.05)
        assert report.balance == pytest.approx((gain[0] / gain[1], gain[2] / gain[1]), abs=0.015)


def test_clipped_highlights_do_not_count() -> None:
    plate = make_plate()
    plate[:60] += 120  # a window: beyond white in the brighter frame
    frame = make_frame(plate, (1.25,) * 3, (0, 0, 0))
    assert (frame[:60, 200:] == 255).mean() > 0.5
    _, report = match_exposure(frame, round_off(plate))
    assert report.applied
    assert report.gain == pytest.approx((1.25,) * 3, abs=0.02)


def test_plain_wall_gives_a_gain() -> None:
    """Neither texture nor another colour: a bias of 0 is assumed, and the wall's colour decides."""
    wall = np.full((HEIGHT, WIDTH, 3), (120.0, 110.0, 100.0))
    frame = make_frame(wall, (1.2,) * 3, (0, 0, 0))
    matched, report = match_exposure(frame, round_off(wall))
    assert report.applied
    assert matched[0, 0] == pytest.approx((144, 132, 120), abs=1)
    assert report.bias == pytest.approx((0, 0, 0), abs=1)


def test_sixteen_bits_are_matched_alike() -> None:
    plate = make_plate()
    frame, captured = make_frame(plate, (1.2,) * 3, (0, 0, 0)), round_off(plate)
    eight, _ = match_exposure(frame, captured)
    sixteen, report = match_exposure(*(p.astype(np.uint16) * 257 for p in (frame, captured)))
    assert sixteen.dtype == np.uint16
    assert report.applied
    assert np.abs(sixteen / 257 - eight).max() <= 0.51  # the 8-bit picture is rounded


def test_first_matte_tells_the_background() -> None:
    """Texture that the subject shares with the scene misleads the pair alone, not the matte."""
    plate = make_plate()
    frame = make_frame(plate, (1.2,) * 3, (0, 0, 0))
    pha = np.zeros((HEIGHT, WIDTH))
    pha[SUBJECT] = 1
    matched, report = match_exposure(frame, round_off(plate), pha)
    assert report.applied
    assert report.refined
    assert report.gain == pytest.approx((1.2,) * 3, abs=0.01)
    assert np.abs(matched - plate * 1.2).mean() < 0.6
    _, everything = match_exposure(frame, round_off(plate), np.ones_like(pha))
    assert "0.0% of the picture is background" in everything.reason


class TestKept:
    def check(
        self, src: np.ndarray, bgr: np.ndarray, reason: str, verdict: ExposureVerdict
    ) -> ExposureReport:
        kept, report = match_exposure(src, bgr)
        assert kept is bgr
        assert not report.applied
        assert reason in report.reason
        assert report.verdict is verdict
        return report

    def test_same_exposure(self) -> None:
        plate = make_plate()
        frame = make_frame(plate, (1, 1, 1), (0, 0, 0))
        report = self.check(
            frame, round_off(plate), "already matched", ExposureVerdict.ALREADY_MATCHED
        )
        assert report.change < 0.5
        slight = make_frame(plate, (1.01,) * 3, (0, 0, 0))  # 1.1 grey levels
        reason = "already matched: 1.1 grey levels apart, under 2.5"
        self.check(slight, round_off(plate), reason, ExposureVerdict.ALREADY_MATCHED)

    def test_other_scene(self) -> None:
        pictures = round_off(make_plate(5)), round_off(make_plate(6))
        self.check(*pictures, "too little in common", ExposureVerdict.TOO_LITTLE_IN_COMMON)

    def test_white_picture(self) -> None:
        white = np.full((60, 80, 3), 255, np.uint8)
        reason = "0.0% of the picture is background"
        self.check(white, white, reason, ExposureVerdict.TOO_LITTLE_IN_COMMON)

    def test_implausible_gain(self) -> None:
        plate = make_plate() / 3
        pictures = round_off(plate * 3), round_off(plate)
        self.check(*pictures, "implausible change: gain ", ExposureVerdict.IMPLAUSIBLE)

    def test_subject_in_front_of_a_plain_wall(self) -> None:
        """Two plain colours: the wall, which is the same, decides, not the shirt."""
        wall = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
        frame = wall.copy()
        frame[SUBJECT] = 170
        report = self.check(frame, wall, "already matched: 0.0", ExposureVerdict.ALREADY_MATCHED)
        assert report.gain == pytest.approx((1, 1, 1), abs=0.01)


def test_apply_rounds_and_clips() -> None:
    report = ExposureReport(
        ExposureVerdict.MATCHED, "matched", gain=(1.0, 2.0, 0.5), bias=(10.0, 0.0, -1.0)
    )
    picture = np.array([[[100, 100, 101], [250, 200, 1]]], np.uint8)
    assert apply_exposure(picture, report).tolist() == [[[110, 200, 50], [255, 255, 0]]]
    assert apply_exposure(picture, ExposureReport(ExposureVerdict.NO_GAIN, "no")) is picture


def test_fit_takes_the_lesser_change_of_two_as_good() -> None:
    bgr = np.full((100, 3), 100, np.float32)
    src = np.where(np.arange(100)[:, None] < 50, 110, 150).astype(np.float32) * np.ones(3, "f4")
    gain, bias = fit_colours(src, bgr, np.ones(100, np.float32))
    assert gain * 100 + bias == pytest.approx((110, 110, 110), abs=0.5)


def test_background_is_judged_by_texture() -> None:
    plate = make_plate().astype(np.float32)
    frame = plate * 0.8 + 10
    frame[SUBJECT] = make_plate(99).astype(np.float32)[SUBJECT]
    weight = judge_background(frame, plate)
    inside = weight[:, 70:178]
    assert (weight[:, 200:] == 1).mean() > 0.8
    # The rest is plain, or so faint that it might be noise (a variance of 9 and of 6 levels).
    assert (weight[:, 200:] == 0).mean() < 0.1
    assert (inside == 1).mean() < 0.05  # two noises correlate by chance at 0.7 here and there
    flat = np.full((20, 30, 3), 90, np.float32)
    assert (judge_background(flat, flat * 1.5) == PLAIN_WEIGHT).all()


def test_background_of_a_matte_keeps_away_from_the_subject() -> None:
    pha = np.zeros((40, 60))
    pha[10:20, 10:20] = 1
    taken = take_background(pha, (40, 60, 3))
    assert taken.sum() == 40 * 60 - 14 * 14  # two pixels all around


def test_pictures_are_reduced_in_grey_levels() -> None:
    wide = np.full((400, 640, 3), 128 * 257, np.uint16)
    assert reduce_colours(wide).shape == (200, 320, 3)
    assert reduce_colours(wide)[0, 0, 0] == pytest.approx(128)
    assert reduce_colours(wide[:10, :20]).shape == (10, 20, 3), "never enlarged"
    with pytest.raises(ValueError, match="different aspect ratios"):
        prepare_plate(wide, wide[:10], Preprocess("none", exposure=True))
