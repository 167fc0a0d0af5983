"""Frames and plates in grey beside others in colour."""

import numpy as np
import pytest

from matting.plate.over_time import PlateOverTime
from matting.plate.prepare import Preprocess, match_grey, prepare_plate

COLOURED = np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8)
GREY = np.repeat(COLOURED[..., 1:2], 3, 2)
NONE = Preprocess("none")


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_grey_frame_is_compared_with_the_plate_in_grey(kind: type) -> None:
    scale = 257 if kind == np.uint16 else 1
    prepared = prepare_plate(GREY.astype(kind) * scale, COLOURED.astype(kind) * scale, NONE)
    assert np.ptp(prepared.bgr, axis=2).max() == 0
    weights = COLOURED @ [0.299, 0.587, 0.114]  # BT.601, as Pillow and cameras make grey
    assert np.abs(prepared.bgr[..., 0] / scale - weights).max() <= 1
    assert prepared.notes == ("the frame is grey: it is compared with the plate in grey",)


def test_jpegs_slack_is_grey_and_dull_colours_are_none() -> None:
    generator = np.random.default_rng(1)
    slack = np.clip(GREY + generator.integers(-1, 3, GREY.shape), 0, 255).astype(np.uint8)
    assert match_grey(src=slack, bgr=COLOURED)[1]
    dull = np.clip(GREY + np.array([-5, 0, 5]), 0, 255).astype(np.uint8)
    assert match_grey(src=dull, bgr=COLOURED) == (COLOURED, ())
    assert match_grey(src=GREY, bgr=dull) == (dull, ())
    assert match_grey(src=GREY, bgr=GREY) == (GREY, ())


def test_a_grey_plate_before_a_frame_in_colour_says_what_to_do() -> None:
    prepared = prepare_plate(COLOURED, GREY, NONE)
    assert prepared.bgr is GREY
    assert "capture the plate in colour, or convert both to grey" in prepared.notes[0]


def test_a_clip_that_begins_in_black_keeps_its_plate_in_colour() -> None:
    over_time = PlateOverTime(NONE)
    black = np.zeros_like(COLOURED)
    assert np.ptp(over_time.prepare(black, COLOURED).bgr, axis=2).max() == 0
    later = over_time.prepare(COLOURED, COLOURED)
    assert later.bgr is COLOURED
    assert later.notes == ()
    again = over_time.prepare(black, COLOURED)
    assert again.notes == (), "said once"
