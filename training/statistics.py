"""Batch norm's running statistics: computed again with the final weights, or frozen."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .processes import Processes


@contextmanager
def counted_statistics(network: nn.Module, processes: Processes) -> Iterator[None]:
    """Computes mean and variance of the input of each batch norm of a network, inside the block.

    Training leaves an average over about its last ten batches, from weights that still changed. In
    the block batch norms use their batch's statistics, and everything else is as in evaluation.
    After it the network is in evaluation mode with the statistics of all batches of all processes;
    every process must enter the block. Frozen parts, and layers that were not called, keep theirs.

    Source: Wu and Johnson, "Rethinking 'Batch' in BatchNorm", 2021, section 3. PyTorch's
        `update_bn` ignores the variance between the batches' means, uses one process only, and
        would reset frozen parts.
    """
    parts = [p for p in network.children() if any(w.requires_grad for w in p.parameters())]
    layers = [x for p in parts for x in p.modules() if isinstance(x, _BatchNorm)]
    momenta = [layer.momentum for layer in layers]
    # Sums of batches, means and squares, on the CPU in float64 to avoid cancellation.
    sums: dict[nn.Module, Tensor] = {
        layer: torch.zeros(3, layer.num_features, dtype=torch.float64) for layer in layers
    }

    def add(layer: nn.Module, *_: object) -> None:
        mean, variance = (value.detach().cpu().double() for value in _statistics(layer))
        sums[layer] += torch.stack((torch.ones_like(mean), mean, variance + mean.square()))

    network.eval()
    for layer in layers:
        layer.train()
        layer.momentum = 1.0  # a layer's statistics are those of its last batch
    hooks = [layer.register_forward_hook(add) for layer in layers]
    try:
        yield
    finally:
        for layer, momentum, hook in zip(layers, momenta, hooks, strict=True):
            layer.momentum = momentum
            hook.remove()
        network.eval()
    if not layers:
        return
    # In one tensor, so that processes wait for each other only once.
    total = processes.total(torch.cat(list(sums.values()), 1))
    shares = total.split([layer.num_features for layer in layers], dim=1)
    for layer, (batches, means, squares) in zip(layers, shares, strict=True):
        if batches[0]:
            running_mean, running_variance = _statistics(layer)
            mean = means / batches
            running_mean.copy_(mean)
            running_variance.copy_(squares / batches - mean.square())


def check_statistics(network: nn.Module) -> None:
    """Raises ValueError if a batch norm's running statistics still have their initial values."""
    layers = [(name, x) for name, x in network.named_modules() if isinstance(x, _BatchNorm)]
    for name, layer in layers:
        mean, variance = _statistics(layer)
        if not mean.any() and (variance == 1).all():
            raise ValueError(
                f"freeze_batch_norm needs running statistics, but {name} has none yet; give "
                "weights of the whole network (--model-initial-checkpoint), or first train without "
                "it"
            )


def freeze_statistics(network: nn.Module) -> None:
    """Makes the batch norms of a network in training mode use their running statistics.

    Source: usual for fine-tuning with few samples per step, whose own statistics are noisy.
    """
    for layer in network.modules():
        if isinstance(layer, _BatchNorm):
            layer.eval()


def _statistics(layer: nn.Module) -> tuple[Tensor, Tensor]:
    """Returns running mean and variance of a batch norm."""
    return layer.get_buffer("running_mean"), layer.get_buffer("running_var")
