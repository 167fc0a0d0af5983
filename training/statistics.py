"""Batch norm's running statistics: counted anew with the weights as they are, or kept."""

from typing import Self

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .optimiser import is_frozen
from .processes import Processes


class StatisticsCount:
    """Counts mean and variance of what reaches each batch norm of a network, over many batches.

    What training leaves is an average over its last ten batches or so, of weights that still
    changed. As a context manager: the batch norms normalise by their batch and all else is as in
    evaluation. At the end the network is in evaluation mode with the statistics of all batches of
    all processes. Parts that are frozen, and layers that nothing has reached, keep theirs.

    Args:
        network: `MattingBase` or `MattingRefine`.
        processes: of the run; every one must count.

    Source: Wu and Johnson, "Rethinking 'Batch' in BatchNorm", 2021, section 3.
    """

    def __init__(self, network: nn.Module, processes: Processes) -> None:
        self._network, self._processes = network, processes
        self._layers = [
            layer
            for part in network.children()
            if not is_frozen(part)
            for layer in part.modules()
            if isinstance(layer, _BatchNorm) and layer.track_running_stats
        ]

    def __enter__(self) -> Self:
        self._network.eval()
        self._momenta = [layer.momentum for layer in self._layers]
        self._seen = [_counter(layer).item() for layer in self._layers]
        for layer in self._layers:
            layer.train()
            layer.momentum = 1.0  # what a layer holds is its last batch's
        # Batches, means and squares, on the CPU in double so that nothing cancels.
        self._sums = [_sums_of(layer) * 0 for layer in self._layers]
        return self

    def add(self) -> None:
        """Takes in the batch that has just run through the network."""
        for i, layer in enumerate(self._layers):
            seen = _counter(layer).item()
            if seen != self._seen[i]:
                self._seen[i] = seen
                self._sums[i] += _sums_of(layer)

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        for layer, momentum in zip(self._layers, self._momenta, strict=True):
            layer.momentum = momentum
        self._network.eval()
        if failure is not None or not self._layers:
            return
        # All at once: processes that wait for each other do so once.
        sums = self._processes.total(torch.cat(self._sums, 1))
        widths = [layer.num_features for layer in self._layers]
        for layer, (batches, means, squares) in zip(
            self._layers, sums.split(widths, dim=1), strict=True
        ):
            if batches[0] == 0:
                continue
            mean = means / batches
            _buffer(layer.running_mean).copy_(mean)
            _buffer(layer.running_var).copy_(squares / batches - mean.square())


def check_statistics(network: nn.Module) -> None:
    """Refuses a network that can't be trained with its running statistics as they are.

    Raises:
        ValueError: when nothing has ever changed those of a batch norm.
    """
    for name, layer in network.named_modules():
        if not isinstance(layer, _BatchNorm):
            continue
        if not _buffer(layer.running_mean).any() and (_buffer(layer.running_var) == 1).all():
            raise ValueError(
                f"freeze_batch_norm keeps running statistics, and {name} has none yet; give "
                "weights of the whole network (--model-initial-checkpoint), or train without it "
                "first"
            )


def freeze_statistics(network: nn.Module) -> None:
    """Lets every batch norm of a network normalise by its running statistics, and keep them.

    Args:
        network: in training mode, where it else is to stay.

    Source: usual where networks go on learning from few samples a step, whose means and variances
        are noise.
    """
    for layer in network.modules():
        if isinstance(layer, _BatchNorm):
            layer.eval()


def _sums_of(layer: _BatchNorm) -> Tensor:
    """(3, C): 1, mean and mean square of the layer's last batch."""
    mean, variance = (
        _buffer(b).detach().cpu().double() for b in (layer.running_mean, layer.running_var)
    )
    return torch.stack((torch.ones_like(mean), mean, variance + mean.square()))


def _counter(layer: _BatchNorm) -> Tensor:
    return _buffer(layer.num_batches_tracked)


def _buffer(value: Tensor | None) -> Tensor:
    assert value is not None  # noqa: S101 - there with track_running_stats
    return value
