"""What is wrong with a capture is told in plain words, and nothing of a good one."""

import json
from dataclasses import asdict

import cv2
import numpy as np
import pytest
from PIL import Image

from matting.plate.check import (
    CaptureVerdict,
    judge_areas,
    measure_shift,
    needs_alignment,
)
from matting.plate.comparison import AlignmentVerdict, find_differences, reduce_colours
from matting.plate.prepare import Preparation, Preprocess, prepare_plate, refine_exposure

HEIGHT, WIDTH = 240, 320
MARGIN = 40
AUTO = Preprocess("auto")


def make_scene(seed: int) -> np.ndarray:
    """Noise of three scales and rectangles, from 20 to 220 grey levels, with a margin."""
    generator = np.random.default_rng(seed)
    size = (WIDTH + 2 * MARGIN, HEIGHT + 2 * MARGIN)
    scene = np.full((size[1], size[0], 3), 120.0)
    for scale, strength in ((64, 25), (16, 15), (5, 12)):
        coarse = generator.normal(0, strength, (size[1] // scale + 2, size[0] // scale + 2, 3))
        scene += cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
    for _ in range(25):
        left, top = generator.integers(0, size[0]), generator.integers(0, size[1])
        right, bottom = left + generator.integers(10, 60), top + generator.integers(10, 60)
        scene[top:bottom, left:right] = generator.uniform(30, 210, 3)
    return np.clip(scene, 20, 220)


def photograph(scene: np.ndarray, across: int = 0, down: int = 0, seed: int = 0) -> np.ndarray:
    top, left = MARGIN + down, MARGIN + across
    view = scene[top : top + HEIGHT, left : left + WIDTH]
    noise = np.random.default_rng(seed).normal(0, 2, view.shape)
    return np.clip(np.rint(view + noise), 0, 255).astype(np.uint8)


def add_person(picture: np.ndarray, across: int = 160) -> np.ndarray:
    """Head and body, 15% of the frame, in two colours that the scene lacks."""
    with_person = picture.copy()
    cv2.ellipse(with_person, (across, 190), (42, 80), 0, 0, 360, (200, 40, 190), -1)
    cv2.circle(with_person, (across, 85), 26, (245, 205, 20), -1)
    return with_person


@pytest.fixture(scope="module")
def scene() -> np.ndarray:
    return make_scene(1)


@pytest.fixture(scope="module")
def plate(scene: np.ndarray) -> np.ndarray:
    return photograph(scene, seed=2)


@pytest.fixture(scope="module")
def frame(scene: np.ndarray) -> np.ndarray:
    return add_person(photograph(scene, seed=3))


def check(src: np.ndarray, bgr: np.ndarray, *problems: str) -> Preparation:
    result = prepare_plate(src, bgr, AUTO)
    assert result.capture.problems == problems, result.capture
    assert (result.capture.verdict is CaptureVerdict.GOOD) == (not problems)
    assert len(result.notes) == len(problems)
    return result


def test_good_capture_is_left_alone(frame: np.ndarray, plate: np.ndarray) -> None:
    result = check(frame, plate)
    assert result.bgr is plate
    assert result.alignment is None, "not even tried"
    assert not result.exposure.applied
    assert result.capture.differing == pytest.approx(0.15, abs=0.03)
    assert result.capture.outline_in_frame > 0.7
    assert result.capture.outline_in_plate < 0.1


def test_other_scene(frame: np.ndarray) -> None:
    result = check(frame, photograph(make_scene(7)), "not the same scene")
    assert "replacement background; that is --target-bgr" in result.notes[0]
    assert result.capture.seen_again < 0.02


def test_moved_camera(scene: np.ndarray, frame: np.ndarray, plate: np.ndarray) -> None:
    result = check(frame, photograph(scene, 6, -8, seed=2), "camera moved")
    assert result.alignment.applied
    assert "the camera moved by up to 10.0 pixels; the plate is aligned" in result.notes[0]
    inner = (slice(12, -12), slice(12, -12))
    # Noise of 2 levels on both sides is 2.3 apart; interpolation smooths a little of that.
    assert np.abs(result.bgr[inner].astype(float) - plate[inner]).mean() < 3


@pytest.mark.parametrize(("gain", "stops"), [(1.25, "-0.7"), (0.8, r"\+0.7")])
def test_exposure_changed(frame: np.ndarray, plate: np.ndarray, gain: float, stops: str) -> None:
    other = np.clip(plate * gain, 0, 255).astype(np.uint8)
    result = check(frame, other, "exposure changed")
    assert f"by {stops.strip(chr(92))}" in result.notes[0]  # 2.2 log2(1.25) is 0.71
    assert np.abs(result.bgr.astype(float) - plate).mean() < 1.5
    assert result.placed is other


def test_white_balance_changed(frame: np.ndarray, plate: np.ndarray) -> None:
    other = np.clip(plate / (1.12, 1, 0.9), 0, 255).astype(np.uint8)
    result = check(frame, other, "white balance changed")
    assert "red +1" in result.notes[0]
    assert "blue -" in result.notes[0]


def test_moved_and_darker(scene: np.ndarray, frame: np.ndarray, plate: np.ndarray) -> None:
    other = (photograph(scene, 6, -8, seed=2) * 0.75).astype(np.uint8)
    result = check(frame, other, "camera moved", "exposure changed")
    inner = (slice(12, -12), slice(12, -12))
    assert np.abs(result.bgr[inner].astype(float) - plate[inner]).mean() < 4
    # Where the plate does not reach stands the frame itself, not the frame at another exposure.
    assert np.array_equal(result.bgr[:, -3:], frame[:, -3:]) or np.array_equal(
        result.bgr[:, :3], frame[:, :3]
    )


def test_swapped(frame: np.ndarray, plate: np.ndarray) -> None:
    result = check(plate, frame, "plate and frame swapped")
    assert "--images-src takes the frames with the subject" in result.notes[0]


@pytest.mark.parametrize("across", [260, 200])  # beside the frame's subject, and behind it
def test_subject_in_the_plate(frame: np.ndarray, plate: np.ndarray, across: int) -> None:
    result = check(frame, add_person(plate, across), "subject in the plate")
    assert "Capture the plate without anybody in the picture" in result.notes[0]


def test_nothing_differs(frame: np.ndarray) -> None:
    check(frame, frame, "no difference")


def test_too_small_to_be_judged(frame: np.ndarray) -> None:
    result = prepare_plate(frame[:40, :60], frame[40:80, :60], AUTO)
    assert result.capture is None
    assert result.notes == ()


def test_none_does_nothing_and_flags_only_what_they_say(frame: np.ndarray, plate) -> None:
    darker = (plate * 0.8).astype(np.uint8)
    result = prepare_plate(frame, darker, Preprocess("none"))
    assert result == Preparation(darker, darker)
    result = prepare_plate(frame, darker, Preprocess("none", exposure=True))
    assert result.exposure.applied
    assert (result.alignment, result.capture, result.notes) == (None, None, ())
    result = prepare_plate(frame, plate, Preprocess("none", alignment=True, exposure=True))
    kept = ("plate not aligned: already aligned", "plate's exposure not matched: already matched")
    assert [note.startswith(start) for note, start in zip(result.notes, kept, strict=True)]
    assert result.bgr is plate


def test_exposure_is_refined_by_a_matte(frame: np.ndarray, plate: np.ndarray) -> None:
    prepared = prepare_plate(frame, (plate * 0.8).astype(np.uint8), AUTO)
    pha = np.zeros((HEIGHT, WIDTH), np.float32)
    refined = refine_exposure(frame, prepared, pha + (add_person(plate) != plate).any(axis=2))
    assert refined.exposure.refined
    assert np.abs(refined.bgr.astype(float) - plate).mean() < 1.5
    assert refine_exposure(frame, prepared, pha + 1) is prepared, "no background in the matte"
    good = prepare_plate(frame, plate, AUTO)
    assert refine_exposure(frame, good, pha) is good


def test_motion_is_measured(scene: np.ndarray, frame: np.ndarray) -> None:
    pair = [reduce_colours(picture) for picture in (frame, photograph(scene, 1, 1, seed=4))]
    assert measure_shift(*pair) * np.hypot(HEIGHT, WIDTH) == pytest.approx(np.sqrt(2), abs=0.4)
    assert needs_alignment(*pair)


def test_a_frame_that_is_dithered_has_not_moved(photographs) -> None:
    """Its texture is another, so little of the plate is seen again, but it lies where it did."""
    plate = photographs.plate(256, 384)
    frame = Image.fromarray(photographs.frame(plate)).quantize(4).convert("RGB")
    result = prepare_plate(np.asarray(frame), plate, AUTO)
    assert result.alignment.verdict is AlignmentVerdict.ALREADY_FITS
    assert not any("can't be aligned" in note for note in result.notes)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_nobody_stands_in_a_grey_plate(photographs, seed: int, kind: type) -> None:
    """A subject of one grey is as light as the plate somewhere, and what differs ends there."""
    plate = photographs.plate(256, 384, seed)
    pair = (cv2.cvtColor(part, cv2.COLOR_RGB2GRAY) for part in (photographs.frame(plate), plate))
    scale = 257 if kind == np.uint16 else 1
    check(*(np.dstack([part] * 3).astype(kind) * scale for part in pair))


def test_outline_tells_who_stands_there() -> None:
    ramp = np.linspace(60, 120, 96, dtype=np.float32)
    empty = np.repeat(np.repeat(ramp[None, :, None], 96, axis=0), 3, axis=2)
    full = empty.copy()
    full[30:60, 30:60] = 200
    for src, bgr, wanted in ((full, empty, (1, 0)), (empty, full, (0, 1))):
        (area,) = judge_areas(src, bgr, find_differences(src, bgr))
        # Smoothing by 1.5 pixels widens the area by one or two a side.
        assert area.size == pytest.approx(30 * 30 / 96**2, rel=0.3)
        assert (area.in_frame, area.in_plate) == wanted
    assert judge_areas(full, full, find_differences(full, full)) == []


def test_report_goes_through_json(frame: np.ndarray, plate: np.ndarray) -> None:
    result = prepare_plate(frame, (plate * 0.8).astype(np.uint8), AUTO)
    for report in (result.capture, result.exposure):
        text = json.dumps(asdict(report), allow_nan=False)
        assert json.loads(text).keys() == asdict(report).keys()
