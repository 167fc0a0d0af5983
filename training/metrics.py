"""Losses of both stages, and metrics of alpha.

Losses are dicts of named scalar terms, means over pixels and channels; their sum is the loss. The
target of the predicted error is the true error of alpha, taken as a constant: no gradient flows
through it into alpha. The release does this in one of its two scripts, this project in both stages.
"""

import math
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from kornia.filters import sobel
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from dataset.synthesis import Sample, synthesise
from model import BaseOutput, MattingBase, RefineOutput
from model.fast import Prediction, accelerate
from runtime.device import Precision, autocast

from .processes import Processes
from .workers import take_all

Output = BaseOutput | RefineOutput
# Takes output, true alpha (B, 1, H, W) and true foreground (B, 3, H, W), float in [0, 1].
Loss = Callable[[Any, Tensor, Tensor], dict[str, Tensor]]

# Standard deviation and radius of the gradient metric's Gaussian, in pixels.
_SIGMA, _EPSILON = 1.4, 1e-2


def base_loss(output: BaseOutput, true_pha: Tensor, true_fgr: Tensor) -> dict[str, Tensor]:
    """Loss of stage 1; see `Loss`. Terms: `pha_l1`, `pha_sobel`, `fgr_l1` and `err_mse`.

    Source: the paper, training of the base network.
    """
    return {
        **_matte_terms(output.pha, output.fgr, true_pha, true_fgr),
        "err_mse": error_loss(output.err, output.pha, true_pha),
    }


def refine_loss(output: RefineOutput, true_pha: Tensor, true_fgr: Tensor) -> dict[str, Tensor]:
    """Loss of the later stages; see `Loss`.

    Terms: `pha_l1`, `pha_sobel` and `fgr_l1` at full size; the same with `_sm` for the coarse
    output at its size; and `err_mse_sm`.

    Source: the paper, joint training.
    """
    size = output.pha_sm.shape[2:]
    true_pha_sm, true_fgr_sm = (
        F.interpolate(true, size, mode="bilinear", align_corners=False)
        for true in (true_pha, true_fgr)
    )
    coarse = _matte_terms(output.pha_sm, output.fgr_sm, true_pha_sm, true_fgr_sm)
    return {
        **_matte_terms(output.pha, output.fgr, true_pha, true_fgr),
        **{f"{name}_sm": term for name, term in coarse.items()},
        "err_mse_sm": error_loss(output.err_sm, output.pha_sm, true_pha_sm),
    }


def error_loss(pred_err: Tensor, pred_pha: Tensor, true_pha: Tensor) -> Tensor:
    """Mean squared difference of predicted and true error of alpha, (B, 1, H, W) in [0, 1] each.

    Source: the paper, training of the base network; alpha gets no gradient.
    """
    return F.mse_loss(pred_err, (pred_pha.detach() - true_pha).abs())


def _matte_terms(
    pred_pha: Tensor, pred_fgr: Tensor, true_pha: Tensor, true_fgr: Tensor
) -> dict[str, Tensor]:
    shown = true_pha > 0  # foreground colours count only where alpha is not 0
    return {
        "pha_l1": F.l1_loss(pred_pha, true_pha),
        "pha_sobel": F.l1_loss(sobel(pred_pha), sobel(true_pha)),
        "fgr_l1": F.l1_loss(pred_fgr * shown, true_fgr * shown),
    }


def mean_absolute_difference(pred_pha: Tensor, true_pha: Tensor) -> Tensor:
    """MAD per picture: (B,) in [0, 1], from (B, 1, H, W) float in [0, 1]."""
    return (pred_pha - true_pha).abs().mean((1, 2, 3))


def mean_squared_error(pred_pha: Tensor, true_pha: Tensor) -> Tensor:
    """MSE per picture: (B,) in [0, 1], from (B, 1, H, W) float in [0, 1]."""
    return (pred_pha - true_pha).square().mean((1, 2, 3))


def gradient_error(pred_pha: Tensor, true_pha: Tensor) -> Tensor:
    """Grad per picture: sum of squared differences of gradient magnitudes, in thousands.

    Gradients use derivatives of a Gaussian of sigma 1.4 pixels, scaled to unit energy. Returns
    (B,), 0 or more and growing with the picture's size, from (B, 1, H, W) float in [0, 1].

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
    # The two-dimensional filter has unit energy, as in the benchmark's program.
    scale = 1 / (smooth.norm() * slope.norm())
    padded = F.pad(pha, (radius,) * 4, mode="replicate")
    across = _convolve(padded, smooth, slope)
    down = _convolve(padded, slope, smooth)
    return (across.square() + down.square()).sqrt() * scale


def _convolve(picture: Tensor, down: Tensor, across: Tensor) -> Tensor:
    picture = F.conv2d(picture, down.flip(0).view(1, 1, -1, 1))
    return F.conv2d(picture, across.flip(0).view(1, 1, 1, -1))


METRICS = {"mad": mean_absolute_difference, "mse": mean_squared_error, "grad": gradient_error}


def measure(output: Output, true_pha: Tensor) -> dict[str, Tensor]:
    """Measures alpha, (B,) by metric; with `_coarse`, MattingRefine's coarse alpha at full size.

    True alpha is (B, 1, H, W) float in [0, 1].
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
    """Runs a network in a precision; returns float32 for losses and metrics."""
    with autocast(sample.src.device, precision):
        output = network(sample.src, sample.bgr, **choices)
    return type(output)(*(value.float() for value in output))


@torch.no_grad()
def evaluate(
    network: MattingBase, loss: Loss, loader: DataLoader, precision: Precision, processes: Processes
) -> tuple[dict[str, float], tuple[Sample, Output] | None]:
    """Evaluates a network, in evaluation mode, on the samples of all processes' loaders.

    All processes use the running statistics of the first, which a checkpoint stores; the others
    copy them, as in each step.

    Returns:
        Means over the samples, with the names of `measure`, and the terms of the loss with the
        prefix `loss_`; and the first batch with its output, if this process has one.
    """
    processes.share(network.buffers())
    fast = accelerate(network.eval())
    sums: dict[str, float] = defaultdict(float)
    count = 0
    shown = None
    for batch in take_all(loader):
        sample = synthesise(batch, processes.device)
        output = predict(fast, sample, precision)
        size = len(sample.pha)
        for name, term in loss(output, sample.pha, sample.fgr).items():
            sums[f"loss_{name}"] += term.item() * size
        for name, value in measure(output, sample.pha).items():
            sums[name] += value.sum().item()
        count += size
        shown = shown or (sample, output)
    # A process without samples has no names. Metrics come before the terms of the loss.
    names = {name for found in processes.gather(list(sums)) for name in found}
    ordered = sorted(names, key=lambda name: (name.startswith("loss_"), name))
    values = torch.tensor([*(sums[name] for name in ordered), count], dtype=torch.float64)
    total = processes.total(values)
    return {name: float(total[i] / total[-1]) for i, name in enumerate(ordered)}, shown
