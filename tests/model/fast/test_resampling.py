"""Resizing between the frame's size and the coarse one: what `F.interpolate` gives."""

import pytest
import torch
from torch.nn import functional as F

from model.fast.resampling import enlarge, reduce

# Whole factors, even and odd; others; a single pixel; nothing to do.
SIZES = [
    ((64, 96), (16, 24)),
    ((66, 96), (22, 12)),
    ((100, 36), (33, 17)),
    ((37, 41), (5, 3)),
    ((33, 64), (1, 1)),
    ((48, 40), (48, 40)),
]


@pytest.mark.parametrize(("large", "small"), SIZES)
def test_reduces_as_interpolate_does(large: tuple[int, int], small: tuple[int, int]) -> None:
    picture = torch.rand(2, 3, *large, dtype=torch.float64)
    expected = F.interpolate(picture, small, mode="bilinear", align_corners=False)
    torch.testing.assert_close(reduce(picture, *small), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("large", "small"), SIZES)
@pytest.mark.parametrize("added", [False, True])
def test_enlarges_as_interpolate_does(
    large: tuple[int, int], small: tuple[int, int], added: bool
) -> None:
    picture = torch.randn(2, 3, *small, dtype=torch.float64)
    other = torch.rand(2, 3, *large, dtype=torch.float64)
    out = torch.full_like(other, torch.nan)
    enlarge(picture, out, other if added else None)
    expected = F.interpolate(picture, large, mode="bilinear", align_corners=False)
    if added:
        expected = (expected + other).clamp(0, 1)
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-12)


def test_reduces_by_four_to_the_mean_of_the_middle() -> None:
    picture = torch.arange(16.0).view(1, 1, 4, 4)
    assert reduce(picture, 1, 1).item() == (5 + 6 + 9 + 10) / 4


def test_precision_of_convolutions_does_not_matter() -> None:
    picture, out = torch.rand(1, 1, 8, 8), torch.empty(1, 1, 64, 64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        enlarge(picture, out)
    expected = F.interpolate(picture, (64, 64), mode="bilinear", align_corners=False)
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-6)  # float32
