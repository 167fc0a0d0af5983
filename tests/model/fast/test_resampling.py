"""Resizing between the frame's size and the coarse one: what `F.interpolate` gives."""

import pytest
import torch
from torch.nn import functional as F

from model.fast.resampling import resize, resize_into

# Whole factors, even and odd; others; a single pixel; nothing to do.
SIZES = [
    ((64, 96), (16, 24)),
    ((66, 96), (22, 12)),
    ((100, 36), (33, 17)),
    ((37, 41), (5, 3)),
    ((33, 64), (1, 1)),
    ((48, 40), (48, 40)),
]


# In float32 a position of up to 100 pixels is rounded by 4e-6; values change by up to 6 a pixel.
@pytest.mark.parametrize(("dtype", "rounding"), [(torch.float64, 1e-12), (torch.float32, 5e-5)])
@pytest.mark.parametrize(("large", "small"), SIZES)
@pytest.mark.parametrize("added", [False, True])
@pytest.mark.parametrize("enlarges", [False, True])
def test_resizes_as_interpolate_does(
    large: tuple[int, int],
    small: tuple[int, int],
    added: bool,
    enlarges: bool,
    dtype: torch.dtype,
    rounding: float,
) -> None:
    before, after = (small, large) if enlarges else (large, small)
    picture = torch.randn(2, 3, *before, dtype=dtype)
    other = torch.rand(2, 3, *after, dtype=dtype)
    out = torch.full_like(other, torch.nan)
    resize_into(picture, out, other if added else None)
    expected = F.interpolate(picture, after, mode="bilinear", align_corners=False)
    if not added:
        assert torch.equal(resize(picture, *after), out)
    else:
        expected = (expected + other).clamp(0, 1)
    torch.testing.assert_close(out, expected, rtol=0, atol=rounding)


def test_channels_last_pictures_are_resized() -> None:
    picture = torch.rand(1, 3, 24, 40)
    strided = picture.contiguous(memory_format=torch.channels_last)
    assert torch.equal(resize(strided, 6, 10), resize(picture, 6, 10))


def test_reduces_by_four_to_the_mean_of_the_middle() -> None:
    picture = torch.arange(16.0).view(1, 1, 4, 4)
    assert resize(picture, 1, 1).item() == (5 + 6 + 9 + 10) / 4
