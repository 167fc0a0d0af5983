"""The coarse network for inference: batch norms folded; the refiner computes hidden features."""

import copy
import itertools
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..decoder import Decoder

M = TypeVar("M", bound=nn.Module)

# From reduced frame and plate to (B, 5, h, w), alpha, residual and error, not clamped; and to the
# input of the convolution that computes the hidden features.
CoarseFunction = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]

PREDICTED = 5  # alpha, residual, error
_LANES = 16  # float32 values in a vector register, and outputs of a matrix unit


class CoarseNetwork(nn.Module):
    """Encoder, ASPP and decoder, folded: alpha, residual and error, but no hidden features."""

    def __init__(self, backbone: nn.Module, aspp: nn.Module, decoder: Decoder) -> None:
        super().__init__()
        self.backbone, self.aspp, self.decoder = backbone, aspp, decoder
        self.predict = RowConvolution(
            inference_convolution(decoder.conv4, slice(PREDICTED), padding=1)
        )
        self.eval().to(memory_format=torch.channels_last)

    def forward(self, src: Tensor, bgr: Tensor) -> tuple[Tensor, Tensor]:
        """Computes what `CoarseFunction` describes, in the type of the weights."""
        pictures = torch.cat([src, bgr], dim=1).to(self.predict.convolution.weight.dtype)
        pictures = pictures.contiguous(memory_format=torch.channels_last)
        features, *skips = self.backbone(pictures)
        features = self.decoder.features(self.aspp(features), *skips)
        return self.predict(features), features


class RowConvolution(nn.Module):
    """A convolution of few outputs, which computes several pixels of a row as one.

    Vector units compute 16 outputs at once. Those of four pixels of four channels fill them, and
    read the pixels around only once.

    Args:
        convolution: of stride 1. Without padding, the output's width must be a multiple of the
            pixels that are computed as one.
    """

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.channels = count = convolution.out_channels
        pixels = max(1, _LANES // count)
        # A group more on each side, for widths that groups do not divide.
        self.beyond = pixels if convolution.padding[1] else 0
        height, width = convolution.kernel_size
        above, before = (int(side) for side in convolution.padding)
        self.convolution = nn.Conv2d(
            convolution.in_channels,
            pixels * count,
            (height, width + pixels - 1),
            stride=(1, pixels),
            padding=(above, before + self.beyond),
        ).requires_grad_(False)
        self.convolution.to(convolution.weight).weight.zero_()
        for pixel in range(pixels):
            channels = slice(pixel * count, (pixel + 1) * count)
            self.convolution.weight[channels, :, :, pixel : pixel + width] = convolution.weight
        assert self.convolution.bias is not None  # noqa: S101
        assert convolution.bias is not None  # noqa: S101
        self.convolution.bias.copy_(convolution.bias.repeat(pixels))
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        """Computes what the convolution does, in channels-last memory."""
        computed = self.convolution(x).permute(0, 2, 3, 1)
        computed = computed.reshape(*computed.shape[:2], -1, self.channels)
        if self.beyond:
            computed = computed[:, :, self.beyond : self.beyond + x.shape[3]]
        return computed.permute(0, 3, 1, 2)


def inference_convolution(
    convolution: nn.Conv2d,
    outputs: slice = slice(None),
    padding: int = 0,
    in_channels: int | None = None,
) -> nn.Conv2d:
    """Copies a convolution, or some of its outputs, into channels-last memory, without gradients.

    If `in_channels` is larger than the convolution's own, the additional channels have no effect.
    """
    weight, bias = convolution.weight[outputs], convolution.bias
    count, inputs, side = weight.shape[:3]
    built = nn.Conv2d(in_channels or inputs, count, side, padding=padding, bias=bias is not None)
    built.to(weight).requires_grad_(False).weight.zero_()[:, :inputs] = weight
    if built.bias is not None and bias is not None:
        built.bias.copy_(bias[outputs])
    return built.to(memory_format=torch.channels_last)


def fold_batch_norms(network: M) -> M:
    """Copies a network and folds every batch norm into the convolution registered before it.

    The copy gives the same results within rounding and computes no gradients.

    Raises:
        ValueError: in training mode, where batch norms use the batch's statistics.
    """
    if network.training:
        raise ValueError("batch norms can be folded in evaluation mode only; call eval() first")
    folded = copy.deepcopy(network).requires_grad_(False)
    for module in folded.modules():
        children = list(module.named_children())
        for (name, convolution), (norm_name, norm) in itertools.pairwise(children):
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, _BatchNorm):
                setattr(module, name, fuse_conv_bn_eval(convolution, norm))
                setattr(module, norm_name, nn.Identity())
    return folded.requires_grad_(False)
