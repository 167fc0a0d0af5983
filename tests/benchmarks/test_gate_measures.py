"""What the gate measures, on made alphas and frames whose values are counted by hand."""

import numpy as np
import pytest

from benchmarks.gate_measures import (
    erode_core,
    find_core,
    find_shadow,
    measure_change,
    measure_flicker,
    measure_holes,
    measure_islands,
    measure_lowest,
    measure_strands,
    measure_within,
)
from benchmarks.gate_scenes import measure_share


def square(low: int = 20, high: int = 80) -> np.ndarray:
    true = np.zeros((100, 100))
    true[low:high, low:high] = 1
    return true


def test_a_hole_in_the_core_counts_and_one_at_the_edge_does_not() -> None:
    true = square()
    core = erode_core(true)  # by 1% of 100 pixels
    assert core.sum() == 58 * 58
    pha = true.copy()
    pha[20:80, 20] = 0  # the edge
    assert (measure_holes(pha, core), measure_lowest(pha, core)) == (0, 1)
    pha[40:45, 40:45] = 0.89
    pha[50:55, 50:55] = 0.91
    assert measure_holes(pha, core) == 25 / 58**2
    assert measure_lowest(pha, core) == 0.89
    assert measure_holes(pha, np.zeros_like(core)) is None


def test_lowest_alpha_leaves_single_pixels_aside() -> None:
    core = np.ones((100, 100), bool)
    pha = np.ones((100, 100))
    pha[0, :9] = 0  # 9 of 10,000; the 0.1 percentile lies between the 10th and 11th
    assert measure_lowest(pha, core) == 1
    pha[0, :12] = 0
    assert measure_lowest(pha, core) == 0


def test_islands_are_far_from_the_subject_and_visible() -> None:
    subject = square(40, 60) > 0
    pha = subject.astype(float)
    pha[50, 64:66] = 1  # 5 and 6 pixels away
    pha[0, :3] = 0.11
    pha[99, :3] = 0.09
    assert measure_islands(pha, subject, 5) == 4 / 10_000
    assert measure_islands(pha, subject, 6) == 3 / 10_000


def test_a_strand_that_is_kept_counts_and_the_body_does_not() -> None:
    true = square(20, 60)
    true[70:73, 10:90] = 1  # 3 pixels wide
    body = true.copy()
    body[70:73] = 0
    strand = true - body
    # The corners of the square, where no disc fits, are 3% of what is counted.
    assert measure_strands(true, true) == 1
    assert measure_strands(np.ones_like(true), true) == 1
    assert measure_strands(body, true) == pytest.approx(0, abs=0.1)
    assert measure_strands(strand, true) == pytest.approx(1, abs=0.1)
    assert measure_strands(body + strand / 2, true) == pytest.approx(0.5, abs=0.05)
    assert measure_strands(true, np.zeros_like(true)) is None


def test_alpha_in_a_shadow_is_its_mean() -> None:
    mask = square() > 0
    pha = np.zeros((100, 100))
    pha[20:80, 20:50] = 0.5
    pha[0] = 1
    assert measure_within(pha, mask) == 0.25
    assert measure_within(pha, ~mask) == 100 / 6400


def test_a_shadow_is_the_plate_times_one_factor(photographs) -> None:
    plate = photographs.plate(120, 160)
    src = plate.copy()
    src[20:60, 20:60] = (src[20:60, 20:60] * 0.6 + 0.5).astype(np.uint8)
    src[20:60, 100:140] = (src[20:60, 100:140] * (0.6, 0.6, 0.75) + 0.5).astype(np.uint8)  # tinted
    src[70:110, 20:60] = (plate[70:110, 20:60].mean((0, 1)) * 0.6).astype(np.uint8)  # plain
    found = find_shadow(src, plate)
    assert found[25:55, 25:55].mean() > 0.97, "rounding makes dark pixels uneven"
    assert found[25:55, 105:135].mean() == 0
    assert found[75:105, 25:55].mean() < 0.1, "where the plate happens to be smooth"
    assert not find_shadow(plate, plate).any()


def test_a_shadow_on_a_plain_plate_needs_no_texture() -> None:
    plate = np.full((60, 60, 3), (60, 160, 140), np.uint8)
    src = plate.copy()
    src[20:40, 20:40] = (45, 120, 105)
    assert find_shadow(src, plate)[22:38, 22:38].all()


def test_the_core_of_people_has_no_gaps_and_no_shade() -> None:
    plate = np.full((160, 160, 3), 150, np.uint8)
    src = plate.copy()
    src[20:140, 40:120] = (20, 25, 40)  # a body with arms and legs
    src[60:70, 60:100] = (120, 60, 60)  # a red stripe
    src[40:50, 70:90] = (110, 150, 150)  # no clear difference, but tinted
    src[80:140, 60:75] = 150  # a gap between the legs
    src[80:140, 85:100] = 105  # another, in their shade
    src[100:110, 5:15] = 20  # too small for a person
    core = find_core(src, plate, 60)
    assert core[24:76, 44:116].all()
    assert not core[82:138, 60:75].any()
    assert not core[82:138, 85:100].any()
    assert core[84:136, 104:116].all()
    assert not core[:, :36].any()


def test_flicker_counts_only_where_the_frame_stands_still() -> None:
    before = np.full((100, 100, 3), 90, np.uint8)
    after = before.copy()
    after[:, 60:] = 100
    first, second = np.zeros((100, 100)), np.zeros((100, 100))
    second[:, 70:] = 1  # the frame changed there too
    assert measure_flicker(first, second, before, after) == 0
    second[:, :10] = 0.5
    still = measure_flicker(first, second, before, after)
    # Columns 0 to 58 or 59 are still: the blur reaches over the edge.
    assert still == pytest.approx(5 / 59, rel=0.04)
    assert measure_flicker(first, second, before, before + np.uint8(9)) is None


def test_change_is_dtssd_of_each_frame() -> None:
    true = [np.zeros((4, 4)), np.full((4, 4), 0.5), np.ones((4, 4))]
    pred = [np.zeros((4, 4)), np.full((4, 4), 0.5), np.full((4, 4), 0.8)]
    np.testing.assert_allclose(measure_change(*pred, trues=true), (0, 20), atol=1e-12)


def test_the_mean_of_the_tiles_is_the_share() -> None:
    pha = np.random.default_rng(0).random((100, 90))
    mask = np.zeros((100, 90), bool)
    mask[40:75, 10:60] = True
    tiles = measure_share(pha, mask)
    # Rows 32 to 79 and columns 0 to 63 are touched, in tiles of 16.
    assert tiles.shape == (3 * 4,)
    assert tiles.mean() == pytest.approx(pha[mask].sum() / pha.sum())
