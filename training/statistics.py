"""Batch norm's running statistics: computed again with the final weights, or frozen."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .processes import Processes


@contextmanager
def counted_statistics(network: nn.Module, processes: Processes) -> Iterator[None]:
    """Counts mean and variance of all that reaches each batch norm of a network in the block.

    What training leaves is an average over its last ten batches or so, of weights that still
    changed. In the block the batch norms normalise by their batch and all else is as in evaluation.
    After it the network is in evaluation mode with the statistics of all batches of all processes,
    every one of which must count. Frozen parts, and layers that nothing has reached, keep theirs.

    Source: Wu and Johnson, "Rethinking 'Batch' in BatchNorm", 2021, section 3. PyTorch's
        `update_bn` leaves out how the batches' means differ, counts one process only, and would
        reset frozen parts.
    """
    parts = [p for p in network.children() if any(w.requires_grad for w in p.parameters())]
    layers = [x for p in parts for x in p.modules() if isinstance(x, _BatchNorm)]
    momenta = [layer.momentum for layer in layers]
    # Batches, means and squares, on the CPU in double so that nothing cancels.
    sums: dict[nn.Module, Tensor] = {
        layer: torch.zeros(3, layer.num_features, dtype=torch.float64) for layer in layers
    }

    def add(layer: nn.Module, *_: object) -> None:
        mean, variance = (value.detach().cpu().double() for value in _statistics(layer))
        sums[layer] += torch.stack((torch.ones_like(mean), mean, variance + mean.square()))

    network.eval()
    for layer in layers:
        layer.train()
        layer.momentum = 1.0  # what a layer holds is its last batch's
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
    # All at once: processes that wait for each other do so once.
    total = processes.total(torch.cat(list(sums.values()), 1))
    shares = total.split([layer.num_features for layer in layers], dim=1)
    for layer, (batches, means, squares) in zip(layers, shares, strict=True):
        if batches[0]:
            running_mean, running_variance = _statistics(layer)
            mean = means / batches
            running_mean.copy_(mean)
            running_variance.copy_(squares / batches - mean.square())


def check_statistics(network: nn.Module) -> None:
    """Raises ValueError where nothing has ever changed a batch norm's running statistics."""
    layers = [(name, x) for name, x in network.named_modules() if isinstance(x, _BatchNorm)]
    for name, layer in layers:
        mean, variance = _statistics(layer)
        if not mean.any() and (variance == 1).all():
            raise ValueError(
                f"freeze_batch_norm keeps running statistics, and {name} has none yet; give "
                "weights of the whole network (--model-initial-checkpoint), or train without it "
                "first"
            )


def freeze_statistics(network: nn.Module) -> None:
    """Lets the batch norms of a network in training mode normalise by running statistics.

    Source: usual where networks go on learning from few samples a step, whose own are noise.
    """
    for layer in network.modules():
        if isinstance(layer, _BatchNorm):
            layer.eval()


def _statistics(layer: nn.Module) -> tuple[Tensor, Tensor]:
    """Running mean and variance of a batch norm."""
    return layer.get_buffer("running_mean"), layer.get_buffer("running_var")
