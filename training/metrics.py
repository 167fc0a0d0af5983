"""Errors of alpha for validation, per picture."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

# Standard deviation in pixels of the gradient metric's Gaussian, and what it reaches.
_SIGMA, _EPSILON = 1.4, 1e-2


def mean_absolute_difference(pred_pha: Tensor, true_pha: Tensor) -> Tensor:
    """MAD of each picture, in [0, 1].

    Args:
        pred_pha: (B, 1, H, W) float in [0, 1].
        true_pha: (B, 1, H, W) float in [0, 1].

    Returns:
        (B,).
    """
    return (pred_pha - true_pha).abs().mean((1, 2, 3))


def mean_squared_error(pred_pha: Tensor, true_pha: Tensor) -> Tensor:
    """MSE of each picture, in [0, 1].

    Args:
        pred_pha: (B, 1, H, W) float in [0, 1].
        true_pha: (B, 1, H, W) float in [0, 1].

    Returns:
        (B,).
    """
    return (pred_pha - true_pha).square().mean((1, 2, 3))


def gradient_error(pred_pha: Tensor, true_pha: Tensor) -> Tensor:
    """Grad of each picture: squared difference of gradient magnitudes, summed, in thousands.

    Gradients are those of a Gaussian of sigma 1.4 pixels, the filters scaled to unit energy.

    Args:
        pred_pha: (B, 1, H, W) float in [0, 1].
        true_pha: (B, 1, H, W) float in [0, 1].

    Returns:
        (B,), at least 0; grows with the picture's size.

    Source: Rhemann et al., "A perceptually motivated online benchmark for image matting", 2009.
    """
    difference = _gradient_magnitude(pred_pha) - _gradient_magnitude(true_pha)
    return difference.square().sum((1, 2, 3)) / 1000


def _gradient_magnitude(pha: Tensor) -> Tensor:
    peak = 1 / (math.sqrt(2 * math.pi) * _SIGMA)
    radius = math.ceil(_SIGMA * math.sqrt(2 * math.log(peak / _EPSILON)))
    offset = torch.arange(-radius, radius + 1, dtype=pha.dtype, device=pha.device)
    smooth = torch.exp(-(offset**2) / (2 * _SIGMA**2)) * peak
    slope = -offset / _SIGMA**2 * smooth
    # The two-dimensional filter has unit energy, as in the benchmark's own program.
    scale = 1 / (smooth.norm() * slope.norm())
    padded = F.pad(pha, (radius,) * 4, mode="replicate")
    across = _convolve(padded, smooth, slope)
    down = _convolve(padded, slope, smooth)
    return (across.square() + down.square()).sqrt() * scale


def _convolve(picture: Tensor, down: Tensor, across: Tensor) -> Tensor:
    picture = F.conv2d(picture, down.flip(0).view(1, 1, -1, 1))
    return F.conv2d(picture, across.flip(0).view(1, 1, 1, -1))
