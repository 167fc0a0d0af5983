"""Where the plate's texture is gone, on pictures that are drawn here: what counts as subject."""

import pytest
import torch
from torch import Tensor

from model.texture import compare_texture
from model.windows import average

SIZE = 120, 160
SUBJECT = (..., slice(20, 100), slice(40, 120))
HOLE = (..., slice(52, 68), slice(72, 88))  # of the predicted alpha


def textured() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return 0.4 + 0.06 * torch.randn(1, 3, *SIZE, generator=generator)


def lined() -> Tensor:
    """Plain, but for bright lines 12 pixels apart."""
    plate = torch.full((1, 3, *SIZE), 0.4)
    plate[..., 4::12] = 0.6
    return plate


def cover(plate: Tensor, level: float, alpha: float = 1.0) -> Tensor:
    """What `compare_texture` takes for hidden, of a subject in which a hole was predicted."""
    generator = torch.Generator().manual_seed(2)
    frame = plate.clone()
    frame[SUBJECT] = level
    frame = frame + 0.004 * torch.randn(frame.shape, generator=generator)
    pha = torch.zeros(1, 1, *SIZE)
    pha[SUBJECT] = alpha
    pha[HOLE] = 0
    return compare_texture(frame, plate, pha)[1]


def test_a_wide_hole_is_filled() -> None:
    hidden = cover(textured(), 0.45)
    assert hidden[HOLE].min() > 0.9
    assert hidden[..., :12, :].max() < 0.01


def test_what_changed_far_from_a_subject_is_none() -> None:
    assert cover(textured(), 0.45, alpha=0.0).max() == 0


def test_plain_parts_between_lines_that_are_gone_are_filled() -> None:
    assert cover(lined(), 0.45)[HOLE].min() > 0.9


def test_plain_parts_that_did_not_change_are_not_filled() -> None:
    hidden = cover(lined(), 0.4)[HOLE]
    between = hidden[..., 10::12]  # 6 pixels from the lines at 76 and 88
    assert between.max() < 0.1


@pytest.mark.parametrize(("level", "filled"), [(0.04, True), (0.2, False)])
def test_what_is_too_dark_for_a_shadow_is_filled(level: float, *, filled: bool) -> None:
    # As dark cloth, a shadow that leaves half of the light can't be told on a plain plate.
    hidden = cover(torch.full((1, 3, *SIZE), 0.4), level)[HOLE]
    assert hidden.min() > 0.9 if filled else hidden.max() == 0


def test_a_dark_plate_does_not_show_what_is_too_dark() -> None:
    assert cover(torch.full((1, 3, *SIZE), 0.08), 0.0)[HOLE].max() < 0.01


@pytest.mark.parametrize("reach", [1, 2, 3, 4, 8])
def test_averages_are_those_of_a_square(reach: int) -> None:
    generator = torch.Generator().manual_seed(3)
    x = torch.rand(2, 3, 12, 17, generator=generator, dtype=torch.float64)
    padded = torch.nn.functional.pad(x, (reach,) * 4, mode="replicate")
    wanted = torch.nn.functional.avg_pool2d(padded, 2 * reach + 1, stride=1)
    torch.testing.assert_close(average(x, reach), wanted)


def test_hair_beside_the_plain_plate_is_no_edge_of_a_shadow() -> None:
    plate = textured()
    frame, pha = plate.clone(), torch.zeros(1, 1, *SIZE)
    hair = (..., slice(20, 100), slice(40, 42))
    frame[hair], pha[hair] = 0.4, 1
    assert compare_texture(frame, plate, pha)[0][hair].mean() < 0.3
