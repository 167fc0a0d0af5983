"""Validation on fixed samples."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from dataset.synthesis import Sample, synthesise
from model import BaseOutput, MattingBase, RefineOutput
from runtime.device import Precision, autocast

from .metrics import gradient_error, mean_absolute_difference, mean_squared_error
from .processes import Processes

METRICS = {
    "mad": mean_absolute_difference,
    "mse": mean_squared_error,
    "grad": gradient_error,
}


@torch.no_grad()
def evaluate(
    network: MattingBase,
    loss: Callable[[Any, Tensor, Tensor], dict[str, Tensor]],
    loader: DataLoader,
    precision: Precision,
    processes: Processes,
) -> tuple[dict[str, float], tuple[Sample, BaseOutput | RefineOutput] | None]:
    """Judges a network; the same numbers however many processes share the samples.

    Args:
        network: is put in evaluation mode.
        loss: of the stage.
        loader: of this process's samples.
        precision: of the convolutions.
        processes: of the run.

    Returns:
        Means over the samples: `mad`, `mse` and `grad` of alpha, with `_coarse` those of the coarse
        alpha resized to full size (MattingRefine), and the loss's terms with `loss_`. And the first
        batch with its output, if this process has one.
    """
    network.eval()
    sums: dict[str, float] = defaultdict(float)
    count = 0
    shown = None
    for batch in loader:
        sample = synthesise(batch, processes.device)
        output = predict(network, sample, precision)
        size = len(sample.pha)
        for name, term in loss(output, sample.pha, sample.fgr).items():
            sums[f"loss_{name}"] += term.item() * size
        for name, value in measure(output, sample.pha).items():
            sums[name] += value.sum().item()
        count += size
        shown = shown or (sample, output)
    return _means(sums, count, processes), shown


def predict(network: nn.Module, sample: Sample, precision: Precision) -> BaseOutput | RefineOutput:
    """Runs a network in a precision; what it predicts is float32, for losses and metrics."""
    with autocast(sample.src.device, precision):
        output = network(sample.src, sample.bgr)
    return type(output)(*(value.float() for value in output))


def measure(output: BaseOutput | RefineOutput, true_pha: Tensor) -> dict[str, Tensor]:
    """Measures alpha.

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


def _means(sums: dict[str, float], count: int, processes: Processes) -> dict[str, float]:
    # A process without samples knows no names.
    names = sorted({name for found in processes.gather(list(sums)) for name in found})
    values = torch.tensor([*(sums[name] for name in names), count], dtype=torch.float64)
    total = processes.total(values)
    means = {name: float(total[i] / total[-1]) for i, name in enumerate(names)}
    return {name: means[name] for name in sorted(names, key=lambda name: name.startswith("loss_"))}
