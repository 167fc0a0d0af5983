"""A plate over time: checked as a photograph's, mended where needed, else left bit for bit."""

import cv2
import numpy as np
import pytest

from matting.plate import tracking
from matting.plate.over_time import CONFIRM_AFTER, PlateOverTime
from matting.plate.prepare import Preparation, Preprocess, prepare_plate
from matting.plate.tracking import PROBE_EVERY, STILL_FRAMES, AlignmentTracker, ExposureTracker
from tests.matting.plate.test_check import add_person, make_scene, photograph

AUTO, NONE = Preprocess("auto"), Preprocess("none")
INSIDE = (slice(16, -16), slice(16, -16))


@pytest.fixture(scope="module")
def scene() -> np.ndarray:
    return make_scene(1)


def film(
    scene: np.ndarray, count: int, across: int = 0, down: int = 0, seed: int = 50
) -> list[np.ndarray]:
    """Frames with a person who walks from left to right."""
    return [
        add_person(photograph(scene, across, down, seed + number), 90 + 4 * number)
        for number in range(count)
    ]


def prepare_all(
    over_time: PlateOverTime, frames: list[np.ndarray], plate: np.ndarray
) -> list[Preparation]:
    return [over_time.prepare(frame, plate) for frame in frames]


def notes_of(prepared: list[Preparation]) -> dict[int, tuple[str, ...]]:
    """By number of the frame."""
    return {number: one.notes for number, one in enumerate(prepared) if one.notes}


def misfit(used: np.ndarray, fitting: np.ndarray) -> float:
    """Grey levels, mean; noise of 2 levels on both sides is 2.3."""
    return float(np.abs(used[INSIDE].astype(float) - fitting[INSIDE]).mean())


def test_plate_that_fits_is_used_as_it_is(scene: np.ndarray) -> None:
    plate = photograph(scene, seed=2)
    over_time = PlateOverTime(AUTO)
    prepared = prepare_all(over_time, film(scene, 12), plate)
    assert all(one.bgr is plate and one.placed is plate for one in prepared)
    assert notes_of(prepared) == {}
    assert over_time.conclude() == ()
    assert over_time.describe() == {"capture": {"checks": 3, "problems": {}}}
    checked = [number for number, one in enumerate(prepared) if one.capture]
    assert checked == [0, 3, 10]


def test_none_checks_nothing(scene: np.ndarray) -> None:
    plate = photograph(scene, 12, seed=2)
    over_time = PlateOverTime(NONE)
    prepared = prepare_all(over_time, film(scene, 4), plate)
    assert all(one.bgr is plate and one.capture is None for one in prepared)
    assert over_time.describe() == {}


def test_first_frame_is_prepared_as_a_photograph_is(scene: np.ndarray) -> None:
    """With 12 pixels between them, and at another exposure."""
    plate = (photograph(scene, 12, seed=2) * 0.8).astype(np.uint8)
    frame = film(scene, 1)[0]
    first = PlateOverTime(AUTO).prepare(frame, plate)
    alone = prepare_plate(frame, plate, AUTO)
    np.testing.assert_array_equal(first.bgr, alone.bgr)
    assert first.notes == alone.notes
    assert len(first.notes) == 2
    assert (first.alignment, first.exposure) == (alone.alignment, alone.exposure)


def test_camera_that_stands_still_is_aligned_once(
    scene: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    fits = []
    find = tracking.find_alignment
    monkeypatch.setattr(tracking, "find_alignment", lambda *args: fits.append(1) or find(*args))
    fitting, plate = photograph(scene, seed=3), photograph(scene, 12, seed=2)
    over_time = PlateOverTime(AUTO)
    prepared = prepare_all(over_time, film(scene, 20), plate)
    assert list(notes_of(prepared)) == [0]
    assert "moved by up to 12.0 pixels; the plate is aligned" in prepared[0].notes[0]
    assert max(misfit(one.bgr, fitting) for one in prepared) < 3 < misfit(plate, fitting)
    assert len(fits) == STILL_FRAMES
    alignment = over_time.describe()["alignment"]
    assert alignment["frames"] == {"aligned": STILL_FRAMES, "still": 19 - STILL_FRAMES}
    assert alignment["fits"] == STILL_FRAMES
    assert alignment["ms_per_fit"] > 0


def test_camera_that_is_pushed_is_aligned_anew(scene: np.ndarray) -> None:
    plate = photograph(scene, 12, seed=2)
    over_time = PlateOverTime(AUTO)
    prepare_all(over_time, film(scene, 12), plate)
    pushed = prepare_all(over_time, film(scene, 12, across=5, down=3), plate)
    fitting = photograph(scene, 5, 3, seed=3)
    assert misfit(pushed[0].bgr, fitting) > 4, "or the push would not show"
    assert max(misfit(one.bgr, fitting) for one in pushed[PROBE_EVERY:]) < 3


def test_camera_in_a_hand_is_followed(scene: np.ndarray) -> None:
    plate = photograph(scene, 12, seed=2)
    over_time = PlateOverTime(AUTO)
    for number in range(12):
        frame = film(scene, 1, across=3 * (number % 5), seed=number)[0]
        used = over_time.prepare(frame, plate).bgr
        assert misfit(used, photograph(scene, 3 * (number % 5), seed=3)) < 3
    assert over_time.describe()["alignment"]["frames"] == {"aligned": 11}


def test_lasting_change_of_the_light_is_found_at_once(scene: np.ndarray) -> None:
    plate = photograph(scene, seed=2)
    over_time = PlateOverTime(AUTO)
    frames = film(scene, 20)
    darker = [(frame * 0.8).astype(np.uint8) for frame in frames[14:]]
    prepared = prepare_all(over_time, [*frames[:14], *darker], plate)
    assert list(notes_of(prepared)) == [14]
    assert "plate's by -0.7" in prepared[14].notes[0]
    assert all(one.bgr is plate for one in prepared[:14])
    for one in prepared[14:]:
        assert misfit(one.bgr, photograph(scene, seed=3) * 0.8) < 3


def test_cut_to_another_scene_is_told(scene: np.ndarray) -> None:
    plate = photograph(scene, seed=2)
    over_time = PlateOverTime(AUTO)
    frames = [*film(scene, 15), *film(make_scene(7), 20)]
    told = notes_of(prepare_all(over_time, frames, plate))
    (number,) = told
    assert 15 < number <= 15 + CONFIRM_AFTER
    assert "don't show the same scene" in told[number][0]


def test_faults_are_told_when_two_frames_show_them(scene: np.ndarray) -> None:
    with_person = add_person(photograph(scene, seed=2), 270)
    over_time = PlateOverTime(AUTO)
    told = notes_of(prepare_all(over_time, film(scene, 12), with_person))
    assert list(told) == [3]
    assert "the plate has a subject in it" in told[3][0]
    assert over_time.conclude() == ()
    alone = PlateOverTime(AUTO)
    assert alone.prepare(film(scene, 1)[0], with_person).notes == ()
    assert "the plate has a subject in it" in alone.conclude()[0], "a clip of one frame"


def test_nobody_at_first_is_no_fault(scene: np.ndarray) -> None:
    plate = photograph(scene, seed=2)
    empty = [photograph(scene, seed=number) for number in range(60, 64)]
    over_time = PlateOverTime(AUTO)
    assert notes_of(prepare_all(over_time, empty, plate)) == {}
    assert "shows only the plate" in over_time.conclude()[0]
    assert notes_of(prepare_all(over_time, film(scene, 10), plate)) == {}
    assert over_time.conclude() == (), "somebody came"


def test_what_is_asked_for_is_tracked_as_ever(scene: np.ndarray) -> None:
    """The trackers' own results, with checks or without."""
    plate = (photograph(scene, 6, seed=2) * 0.9).astype(np.uint8)
    frames = film(scene, 5)
    alignment, exposure = AlignmentTracker(), ExposureTracker()
    wanted = [exposure.follow(frame, alignment.follow(frame, plate)) for frame in frames]
    for mode in ("auto", "none"):
        over_time = PlateOverTime(Preprocess(mode, alignment=True, exposure=True))
        prepared = prepare_all(over_time, frames, plate)
        for one, plate_wanted in zip(prepared, wanted, strict=True):
            np.testing.assert_array_equal(one.bgr, plate_wanted)
        assert over_time.describe()["alignment"]["frames"] == {"aligned": 5}


def test_uncovered_border_stays_the_frame(scene: np.ndarray) -> None:
    plate = (photograph(scene, 12, seed=2) * 0.75).astype(np.uint8)
    over_time = PlateOverTime(AUTO)
    frames = film(scene, 4)
    prepared = prepare_all(over_time, frames, plate)
    for frame, one in zip(frames, prepared, strict=True):
        sides = [
            np.array_equal(one.bgr[:, part], frame[:, part]) for part in (slice(8), slice(-8, None))
        ]
        assert any(sides)


def test_plate_of_another_size_and_one_that_changes(scene: np.ndarray) -> None:
    plate = photograph(scene, seed=2)
    large = cv2.resize(plate, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    over_time = PlateOverTime(NONE)
    frames = film(scene, 3)
    first, second = (over_time.prepare(frame, large) for frame in frames[:2])
    assert first.notes == ("plate resized to the frame",)
    assert second.bgr is first.bgr, "fitted once"
    third = over_time.prepare(frames[2], plate)
    assert third.bgr is plate
    assert second.notes == third.notes == ()
    with pytest.raises(ValueError, match="different aspect ratios"):
        over_time.prepare(frames[2], plate[:100])
