"""Islands of alpha go, frame by frame; subjects and what is attached to them stay."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytest

from matting.plate.prepare import Preprocess
from matting.prediction import Prediction
from matting.quality import HD
from matting.video.attached import SubjectTracker
from matting.video.stream import FrameMatter

SIZE = (540, 960)  # cells of 2 pixels: 4 make a subject, parts up to 16 pixels apart are one


class Box(NamedTuple):
    """A rectangle of one alpha, in pixels."""

    left: int
    top: int
    width: int
    height: int
    alpha: float = 1.0


PERSON = Box(300, 200, 120, 340)


def draw(*boxes: Box, size: tuple[int, int] = SIZE) -> np.ndarray:
    pha = np.zeros(size, np.float32)
    for left, top, width, height, alpha in boxes:
        pha[max(0, top) : top + height, max(0, left) : left + width] = alpha
    return pha


def check(*frames: tuple[Sequence[Box], Sequence[Box]]) -> None:
    """Compares what is kept of each frame of a clip; a frame is what comes and what stays."""
    tracker = SubjectTracker()
    for come, stay in frames:
        np.testing.assert_array_equal(tracker.keep(draw(*come)), draw(*stay))


def test_a_faint_island_and_dust_are_emptied_in_every_frame() -> None:
    light = Box(700, 0, 60, 540, 0.6)  # 6% of the picture: no limit of size
    dust = [Box(100 + 40 * number, 50 * number, 3, 3) for number in range(4)]  # opaque
    check(*[([PERSON, light, speck], [PERSON]) for speck in dust])


def test_frames_without_islands_are_handed_on_and_others_not_written_to() -> None:
    tracker = SubjectTracker()
    alone, island = draw(PERSON), draw(PERSON, Box(700, 50, 30, 30, 0.5))
    before = island.copy()
    assert tracker.keep(alone) is alone
    assert tracker.keep(island).dtype == np.float32
    np.testing.assert_array_equal(island, before)
    assert tracker.describe() == {"frames": 2, "emptied": 1}


def test_an_empty_scene_stays_empty() -> None:
    check(([], []), ([Box(700, 50, 30, 30, 0.5)], []), ([], []))


def test_a_person_is_kept_from_where_they_enter_on() -> None:
    """A strip of 4 pixels is the side of a square; 2 pixels are too little."""
    strips = [Box(left, 100, 200, 440) for left in (956, 930, 860)]
    check(
        ([PERSON, Box(958, 100, 200, 440)], [PERSON]), *[([PERSON, s], [PERSON, s]) for s in strips]
    )


def test_several_persons_are_kept_and_one_who_appears_in_the_middle() -> None:
    """Nobody has to enter at the border: there are doors, and clips are cut."""
    far = Box(700, 100, 4, 12)
    check(
        ([PERSON, Box(50, 100, 90, 300), far], [PERSON, Box(50, 100, 90, 300), far]),
        ([PERSON, far, Box(500, 50, 20, 40)], [PERSON, far, Box(500, 50, 20, 40)]),
        ([far], [far]),
    )


def test_a_finger_behind_a_post_is_kept_and_one_that_was_never_attached_is_not() -> None:
    finger = Box(436, 300, 3, 3)  # 16 pixels from the person
    apart = [Box(446 + 16 * number, 300, 3, 3) for number in range(5)]  # moves on from there
    check(([PERSON, finger], [PERSON, finger]), *[([PERSON, a], [PERSON, a]) for a in apart])
    check(([PERSON, apart[0]], [PERSON]))


def test_a_ball_that_flies_faster_than_its_reach_is_the_price() -> None:
    ball = [Box(left, 250, 3, 3) for left in (420, 500, 580)]  # 80 pixels a frame
    check(([PERSON, ball[0]], [PERSON, ball[0]]), *[([PERSON, b], [PERSON]) for b in ball[1:]])
    large = [Box(left, 250, 6, 6) for left in (420, 500, 580)]
    check(*[([PERSON, b], [PERSON, b]) for b in large])


def test_what_is_faint_goes_when_it_no_longer_touches() -> None:
    """Light that a person passes must not stay behind them."""
    light = Box(430, 100, 40, 300, 0.6)
    left = Box(200, 200, 120, 340)
    check(([PERSON, light], [PERSON, light]), ([left, light], [left]))


@pytest.mark.parametrize("size", [(1, 1), (47, 63), (541, 1027), (1080, 1920), (2160, 3840)])
def test_every_size_is_split_into_cells(size: tuple[int, int]) -> None:
    """A subject in the last corner, a single faint pixel in the first."""
    high, wide = size
    subject = Box(wide - wide // 3, high - high // 3, wide, high)
    tracker = SubjectTracker()
    pha = draw(subject, size=size)
    wanted = pha.copy()
    pha[0, 0] = 0.1
    np.testing.assert_array_equal(tracker.keep(pha), wanted)


def test_islands_are_emptied_before_alpha_is_smoothed() -> None:
    """An island that loses its subject leaves nothing behind, although alpha is smoothed."""
    matter = FrameMatter(None, HD, Preprocess("none"), smoothing=0.5, keep_attached=True)
    alone = FrameMatter(None, HD, Preprocess("none"), smoothing=0.5)
    src = np.full((*SIZE, 3), 100, np.uint8)
    island = Box(700, 50, 30, 30, 0.6)
    soft = [Box(300, 200, 120, 340, alpha) for alpha in (1.0, 0.9, 0.95)]
    for person in soft:
        got, wanted = (
            one.finish(src, Prediction(draw(*boxes), src, src, src)).pha
            for one, boxes in ((matter, (person, island)), (alone, (person,)))
        )
        np.testing.assert_array_equal(got, wanted)
    assert matter.remembers
    assert not FrameMatter(None, HD, Preprocess("none")).remembers
