"""Batch normalisation over the samples of all processes."""

from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm


def synchronise_batch_norm(network: nn.Module, device: torch.device) -> nn.Module:
    """Replaces the batch norms of a network by synchronised ones, keeping names and values.

    Args:
        network: any module.
        device: where it will run: PyTorch's own layers serve CUDA, `CpuSyncBatchNorm` the CPU.

    Returns:
        The network, changed in place (or its replacement, if it is a batch norm itself).
    """
    if device.type != "cpu":
        return nn.SyncBatchNorm.convert_sync_batchnorm(network)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.__class__ = CpuSyncBatchNorm  # type: ignore[assignment]  # the same parameters and buffers
    return network


class CpuSyncBatchNorm(_BatchNorm):
    """`nn.SyncBatchNorm` for CPU tensors, which PyTorch's refuses.

    Processes may hold different numbers of values, also none.

    Source: ours, because PyTorch has none; the arithmetic is that of batch normalisation (Ioffe and
        Szegedy, 2015), the mean before the squares so that nothing cancels.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim != 4:
            raise ValueError(f"expected (N, C, H, W), got {tuple(input.shape)}")

    def forward(self, input: Tensor) -> Tensor:
        """Normalises.

        Args:
            input: (N, C, H, W) float.

        Returns:
            The same shape.
        """
        alone = not distributed.is_initialized() or distributed.get_world_size() == 1
        if not self.training or alone:
            return super().forward(input)
        exact = input.to(torch.promote_types(input.dtype, torch.float32))
        values = exact.transpose(0, 1).flatten(1)  # C n
        count = exact.new_tensor([float(values.shape[1])])
        sums = _Total.apply(torch.cat([values.sum(1), count]))
        count = sums[-1].detach()
        mean = sums[:-1] / count
        shape = (1, -1, 1, 1)
        centred = exact - mean.view(shape)
        squares = centred.square().transpose(0, 1).flatten(1).sum(1)
        variance = _Total.apply(squares) / count
        self._track(mean.detach(), variance.detach(), count)
        scale = torch.rsqrt(variance + self.eps)
        if self.weight is not None:
            scale = scale * self.weight
        out = centred * scale.view(shape)
        out = out if self.bias is None else out + self.bias.view(shape)
        return out.to(input.dtype)

    def _track(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        if self.running_mean is None or self.running_var is None:
            return
        assert self.num_batches_tracked is not None  # noqa: S101 - goes with the running values
        self.num_batches_tracked.add_(1)
        momentum = self.momentum
        if momentum is None:
            momentum = 1 / float(self.num_batches_tracked)
        unbiased = variance * count / (count - 1)
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(unbiased, momentum)


class _Total(torch.autograd.Function):
    """The sum over all processes, whose gradients come back to each of them."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return _total(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _total(gradients[0])


def _total(values: Tensor) -> Tensor:
    values = values.clone(memory_format=torch.contiguous_format)
    distributed.all_reduce(values)
    return values
