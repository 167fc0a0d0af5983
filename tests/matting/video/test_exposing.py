"""Exposure of a plate over time: found, followed, held, and without flicker."""

import numpy as np

from matting.video.exposing import ExposureTracker


def pair(photographs, gain: float) -> tuple[np.ndarray, np.ndarray]:
    """A plate, and the frame before it that the camera exposed otherwise."""
    plate = photographs.plate(128, 192)
    frame = photographs.frame(plate).astype(float) * gain
    return plate, np.clip(frame + 0.5, 0, 255).astype(np.uint8)


def outside(photographs, plate: np.ndarray, frame: np.ndarray) -> float:
    """Grey levels, mean: how far the two differ where the subject is not and nothing is clipped."""
    shown = ~photographs.disc(*frame.shape[:2]) & (frame.max(axis=2) < 250)
    return float(np.abs(plate.astype(float) - frame)[shown].mean())


def test_matches_at_once(photographs) -> None:
    plate, frame = pair(photographs, 0.8)
    tracker = ExposureTracker()
    assert outside(photographs, plate, frame) > 15
    assert outside(photographs, tracker(plate, frame), frame) < 2
    assert tracker.counts == {"matched": 1}


def test_leaves_a_plate_that_suits(photographs) -> None:
    plate, frame = pair(photographs, 1.0)
    tracker = ExposureTracker()
    assert tracker(plate, frame) is plate
    assert tracker.counts == {"kept": 1}
    assert not tracker.reasons


def test_holds_where_nothing_is_seen_and_gives_up(photographs) -> None:
    plate, frame = pair(photographs, 0.8)
    tracker = ExposureTracker()
    matched = tracker(plate, frame)
    covered = np.full_like(frame, 90)  # the subject fills the picture
    assert np.array_equal(tracker(plate, covered), matched)
    assert tracker.counts == {"matched": 1, "held": 1}
    assert sum(tracker.reasons.values()) == 1
    for _ in range(15):
        last = tracker(plate, covered)
    assert last is plate


def test_small_changes_are_followed_slowly(photographs) -> None:
    plate, frame = pair(photographs, 0.8)
    slightly = pair(photographs, 0.803)[1]
    tracker = ExposureTracker()
    first = tracker(plate, frame).astype(float)
    second = tracker(plate, slightly).astype(float)
    fresh = ExposureTracker()(plate, slightly).astype(float)
    assert np.abs(second - first).mean() < 0.5 * np.abs(fresh - first).mean()
