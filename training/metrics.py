"""Errors of alpha, and a network judged by them on the fixed samples."""

import math
from collections import defaultdict

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from dataset.synthesis import Sample, synthesise
from model import BaseOutput, MattingBase, RefineOutput
from model.fast import Prediction, accelerate
from runtime.device import Precision, autocast

from .losses import Loss
from .processes import Processes

Output = BaseOutput | RefineOutput

# Standard deviation in pixels of the gradient metric's Gaussian, and what it reaches.
_SIGMA, _EPSILON = 1.4, 1e-2


def mean_absolute_difference(pred_pha: Tensor, true_pha: Tensor) -> Tensor:
    """MAD of each picture: (B,) in [0, 1], of (B, 1, H, W) float in [0, 1]."""
    return (pred_pha - true_pha).abs().mean((1, 2, 3))


def mean_squared_error(pred_pha: Tensor, true_pha: Tensor) -> Tensor:
    """MSE of each picture: (B,) in [0, 1], of (B, 1, H, W) float in [0, 1]."""
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


METRICS = {
    "mad": mean_absolute_difference,
    "mse": mean_squared_error,
    "grad": gradient_error,
}


def measure(output: Output, true_pha: Tensor) -> dict[str, Tensor]:
    """Measures alpha, and for MattingRefine (`_coarse`) the coarse alpha resized to full size.

    Args:
        output: of the network.
        true_pha: (B, 1, H, W) float in [0, 1].

    Returns:
        (B,) by name.
    """
    measured = {name: metric(output.pha, true_pha) for name, metric in METRICS.items()}
    if isinstance(output, RefineOutput):
        size = true_pha.shape[2:]
        coarse = F.interpolate(output.pha_sm, size, mode="bilinear", align_corners=False)
        measured |= {f"{name}_coarse": metric(coarse, true_pha) for name, metric in METRICS.items()}
    return measured


def predict(
    network: nn.Module | Prediction, sample: Sample, precision: Precision, **choices: float
) -> Output:
    """Runs a network in a precision; what it predicts is float32, for losses and metrics."""
    with autocast(sample.src.device, precision):
        output = network(sample.src, sample.bgr, **choices)
    return type(output)(*(value.float() for value in output))


@torch.no_grad()
def evaluate(
    network: MattingBase,
    loss: Loss,
    loader: DataLoader,
    precision: Precision,
    processes: Processes,
) -> tuple[dict[str, float], tuple[Sample, Output] | None]:
    """Judges a network, which is put in evaluation mode, on the samples of all processes' loaders.

    Returns:
        Means over the samples: `mad`, `mse` and `grad` of alpha, with `_coarse` those of the coarse
        alpha resized to full size (MattingRefine), and the loss's terms with `loss_`. And the first
        batch with its output, if this process has one.
    """
    fast = accelerate(network.eval())
    sums: dict[str, float] = defaultdict(float)
    count = 0
    shown = None
    for batch in loader:
        sample = synthesise(batch, processes.device)
        output = predict(fast, sample, precision)
        size = len(sample.pha)
        for name, term in loss(output, sample.pha, sample.fgr).items():
            sums[f"loss_{name}"] += term.item() * size
        for name, value in measure(output, sample.pha).items():
            sums[name] += value.sum().item()
        count += size
        shown = shown or (sample, output)
    # A process without samples knows no names. Metrics come before the loss's terms.
    names = {name for found in processes.gather(list(sums)) for name in found}
    ordered = sorted(names, key=lambda name: (name.startswith("loss_"), name))
    values = torch.tensor([*(sums[name] for name in ordered), count], dtype=torch.float64)
    total = processes.total(values)
    return {name: float(total[i] / total[-1]) for i, name in enumerate(ordered)}, shown
