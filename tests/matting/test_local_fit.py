"""Alpha that is fitted to colours, on pictures that are composed here."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from matting.local_fit import fit_alpha

RNG = torch.Generator().manual_seed(0)


def compose(height: int, width: int, strand: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """Frame, plate and true alpha: strands of random alpha, solid to either side."""
    pha = torch.rand(1, 1, height // strand, width // strand, generator=RNG)
    pha = F.interpolate(pha, (height, width), mode="bilinear")
    pha[..., : width // 4], pha[..., -width // 4 :] = 0, 1
    foreground = torch.tensor((0.8, 0.5, 0.2)).view(1, 3, 1, 1)
    bgr = torch.tensor((0.3, 0.4, 0.6)).view(1, 3, 1, 1).repeat(1, 1, height, width)
    return pha * foreground + (1 - pha) * bgr, bgr, pha


def disturb(pha: Tensor) -> Tensor:
    """Errors in soft places, as a network makes them."""
    noise = 0.15 * torch.randn(pha.shape, generator=RNG)
    return torch.where((pha > 0) & (pha < 1), pha + noise, pha).clamp(0.01, 0.99) * (pha > 0)


@pytest.mark.parametrize(("size", "strand"), [((600, 960), 1), ((1200, 2000), 3)])
def test_what_colours_do_not_show_is_gone(size: tuple[int, int], strand: int) -> None:
    src, bgr, pha = compose(*size, strand)
    before = disturb(pha)
    after = fit_alpha(src, bgr, before)
    between = (pha > 0.1) & (pha < 0.9)
    assert (before - pha)[between].abs().mean() > 0.1
    assert (after - pha)[between].abs().mean() < 0.4 * (before - pha)[between].abs().mean()


def test_what_is_solid_stays() -> None:
    src, bgr, pha = compose(120, 200)
    after = fit_alpha(src + 0.1 * torch.randn(src.shape, generator=RNG), bgr, pha)
    solid = (pha == 0) | (pha == 1)
    assert torch.equal(after[solid], pha[solid])
    assert after.min() >= 0
    assert after.max() <= 1


def test_without_soft_edges_nothing_changes() -> None:
    src, bgr = torch.rand(2, 1, 3, 40, 60, generator=RNG)
    pha = (torch.rand(1, 1, 40, 60, generator=RNG) > 0.5).float()
    assert torch.equal(fit_alpha(src, bgr, pha), pha)


def test_it_is_the_least_squares_fit_of_each_window() -> None:
    """By `torch.linalg.lstsq`, window by window; 9 x 11 pixels, so windows reach one pixel."""
    height, width = 9, 11
    src, bgr = torch.rand(2, 1, 3, height, width, generator=RNG, dtype=torch.float64)
    pha = 0.2 + 0.6 * torch.rand(1, 1, height, width, generator=RNG, dtype=torch.float64)
    distance = (src - bgr).square().sum(1, keepdim=True).sqrt()
    guide = torch.cat([src, distance], dim=1)
    padded = F.pad(torch.cat([guide, pha], dim=1), (1, 1, 1, 1), mode="replicate")[0]
    lines = torch.zeros(height, width, 5, dtype=torch.float64)
    for y in range(height):
        for x in range(width):
            window = padded[:, y : y + 3, x : x + 3].flatten(1).T
            centred = window - window.mean(0)
            # A ridge of 1e-4 for each of the nine pixels.
            ridge = torch.cat([centred[:, :4], (9e-4) ** 0.5 * torch.eye(4).double()])
            wanted = torch.cat([centred[:, 4:], torch.zeros(4, 1).double()])
            slope = torch.linalg.lstsq(ridge, wanted).solution[:, 0]
            lines[y, x, 0] = window.mean(0)[4] - slope @ window.mean(0)[:4]
            lines[y, x, 1:] = slope
    means = F.pad(lines.permute(2, 0, 1)[None], (1, 1, 1, 1), mode="replicate")
    means = F.avg_pool2d(means, 3, 1)
    fitted = means[:, :1] + (means[:, 1:] * guide).sum(1, keepdim=True)
    fitted = ((fitted - 0.01) / 0.98).clamp(0, 1)
    assert (fitted - pha).abs().max() > 0.1, "or any alpha would pass"
    assert torch.allclose(fit_alpha(src, bgr, pha), fitted, atol=1e-9)


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (4, 1300), (1100, 40)])
def test_any_size_and_number(size: tuple[int, int]) -> None:
    src, bgr = torch.rand(2, 2, 3, *size)
    pha = torch.rand(2, 1, *size)
    fitted = fit_alpha(src, bgr, pha)
    assert fitted.shape == pha.shape
    assert fitted.isfinite().all()
    assert torch.allclose(fitted[1:], fit_alpha(src[1:], bgr[1:], pha[1:]), atol=1e-4)
