"""Resizing between the frame's size and the coarse one: what `F.interpolate` gives."""

import pytest
import torch
from torch.nn import functional as F

from model.fast.resampling import enlarge, enlarge_into, reduce

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


# In float32 a position of up to 41 pixels is rounded by 2e-6, and values change by up to 6 a pixel.
@pytest.mark.parametrize(("dtype", "rounding"), [(torch.float64, 1e-12), (torch.float32, 2e-5)])
@pytest.mark.parametrize(("large", "small"), SIZES)
@pytest.mark.parametrize("added", [False, True])
def test_enlarges_as_interpolate_does(
    large: tuple[int, int],
    small: tuple[int, int],
    added: bool,
    dtype: torch.dtype,
    rounding: float,
) -> None:
    picture = torch.randn(2, 3, *small, dtype=dtype)
    other = torch.rand(2, 3, *large, dtype=dtype)
    out = torch.full_like(other, torch.nan)
    enlarge_into(picture, out, other if added else None)
    expected = F.interpolate(picture, large, mode="bilinear", align_corners=False)
    if not added:
        assert torch.equal(enlarge(picture, *large), out)
    else:
        expected = (expected + other).clamp(0, 1)
    torch.testing.assert_close(out, expected, rtol=0, atol=rounding)


def test_reduces_by_four_to_the_mean_of_the_middle() -> None:
    picture = torch.arange(16.0).view(1, 1, 4, 4)
    assert reduce(picture, 1, 1).item() == (5 + 6 + 9 + 10) / 4
