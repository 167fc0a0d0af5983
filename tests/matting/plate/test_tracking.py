"""Place and exposure of a plate over time: found, followed, held, and without flicker."""

import cv2
import numpy as np

from matting.plate.tracking import AlignmentTracker, ExposureTracker


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
    assert outside(photographs, tracker.follow(frame, plate), frame) < 2
    assert tracker.counts == {"matched": 1}


def test_leaves_a_plate_that_suits(photographs) -> None:
    plate, frame = pair(photographs, 1.0)
    tracker = ExposureTracker()
    assert tracker.follow(frame, plate) is plate
    assert tracker.counts == {"kept": 1}
    assert not tracker.reasons


def test_holds_where_nothing_is_seen_and_gives_up(photographs) -> None:
    plate, frame = pair(photographs, 0.8)
    tracker = ExposureTracker()
    matched = tracker.follow(frame, plate)
    covered = np.full_like(frame, 90)  # the subject fills the picture
    assert np.array_equal(tracker.follow(covered, plate), matched)
    assert tracker.counts == {"matched": 1, "held": 1}
    assert sum(tracker.reasons.values()) == 1
    for _ in range(15):
        last = tracker.follow(covered, plate)
    assert last is plate


def test_small_changes_are_followed_slowly(photographs) -> None:
    plate, frame = pair(photographs, 0.8)
    slightly = pair(photographs, 0.803)[1]
    tracker = ExposureTracker()
    first = tracker.follow(frame, plate).astype(float)
    second = tracker.follow(slightly, plate).astype(float)
    fresh = ExposureTracker().follow(slightly, plate).astype(float)
    assert np.abs(second - first).mean() < 0.5 * np.abs(fresh - first).mean()


def test_tracker_is_steadier_than_each_fit(photographs) -> None:
    """The fit's error alone, on a camera that stands still a little beside the plate's place."""
    plate = photographs.plate(240, 320)
    place = np.array([[1, 0, 3.4], [0, 1, -2.3], [0, 0, 1]])
    tracker = AlignmentTracker()
    generator = np.random.default_rng(0)
    for _ in range(3):
        moved = cv2.warpPerspective(plate, place, (320, 240), borderMode=cv2.BORDER_REPLICATE)
        noise = generator.normal(0, 2, moved.shape)
        frame = np.clip(moved + noise, 0, 255).astype(np.uint8)
        aligned = tracker.follow(frame, plate)
    assert tracker.counts == {"aligned": 3}
    inside = (slice(20, -20), slice(20, -20))
    error = np.abs(aligned[inside].astype(int) - moved[inside]).mean()
    assert error < 0.5 * np.abs(plate[inside].astype(int) - moved[inside]).mean()


def test_tracker_holds_and_then_lets_go(photographs) -> None:
    plate = photographs.plate(240, 320)
    frame = np.roll(plate, 4, axis=1)
    tracker = AlignmentTracker()
    tracker.follow(frame, plate)
    blank = np.full_like(plate, 90)
    for _ in range(16):
        last = tracker.follow(blank, plate)
    assert tracker.counts == {"aligned": 1, "held": 15, "kept": 1}
    assert last is plate
