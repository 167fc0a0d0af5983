"""The coarse network for inference, without the hidden features that only the refiner reads."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from ..matting import MattingRefine

# The coarse network: reduced frame and plate to (B, 5, h, w), alpha, residual and error, not
# clamped, and to what the hidden features are computed from.
Coarse = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]

PREDICTED = 5  # alpha, residual, error


class CoarseNetwork(nn.Module):
    """The coarse network of a folded copy, without the hidden features.

    Args:
        folded: see `fold_batch_norms`.
    """

    def __init__(self, folded: "MattingRefine") -> None:
        super().__init__()
        self.backbone, self.aspp, self.decoder = folded.backbone, folded.aspp, folded.decoder
        weight, bias = folded.decoder.last
        self.predict = inference_convolution(weight[:PREDICTED], bias[:PREDICTED], padding=1)
        self.eval().to(memory_format=torch.channels_last)

    def forward(self, src: Tensor, bgr: Tensor) -> tuple[Tensor, Tensor]:
        """Computes what `Coarse` describes."""
        pictures = torch.cat([src, bgr], dim=1).contiguous(memory_format=torch.channels_last)
        features, *skips = self.backbone(pictures)
        features = self.decoder.features(self.aspp(features), *skips)
        return self.predict(features), features


def inference_convolution(
    weight: Tensor, bias: Tensor | None, padding: int = 0, in_channels: int | None = None
) -> nn.Conv2d:
    """Builds a convolution for inference.

    Args:
        weight: (out, in, k, k).
        bias: (out,), or None.
        padding: pixels.
        in_channels: that it takes; those beyond `in` have no effect.

    Returns:
        The convolution, in channels-last memory, without gradients.
    """
    outputs, inputs, side = weight.shape[:3]
    built = nn.Conv2d(in_channels or inputs, outputs, side, padding=padding, bias=bias is not None)
    built.to(weight).requires_grad_(False).weight.zero_()[:, :inputs] = weight
    if built.bias is not None and bias is not None:
        built.bias.copy_(bias)
    return built.to(memory_format=torch.channels_last)
