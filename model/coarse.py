"""The coarse network for inference, without the hidden features that only the refiner reads."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from .matting import MattingRefine

# The coarse network: reduced frame and plate to (B, 5 or more, h, w), of which the first channels
# are alpha, residual and error, not clamped, and to what the hidden features are computed from.
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
        channels = weight.shape[1], 8
        self.predict = widened_convolution(weight[:PREDICTED], bias[:PREDICTED], 1, channels)
        self.eval().to(memory_format=torch.channels_last)

    def forward(self, src: Tensor, bgr: Tensor) -> tuple[Tensor, Tensor]:
        """Computes what `Coarse` describes."""
        pictures = torch.cat([src, bgr], dim=1).contiguous(memory_format=torch.channels_last)
        features, *skips = self.backbone(pictures)
        features = self.decoder.features(self.aspp(features), *skips)
        return self.predict(features), features


def widened_convolution(
    weight: Tensor, bias: Tensor | None, padding: int, channels: tuple[int, int] | None = None
) -> nn.Conv2d:
    """Builds a convolution for inference, of more channels than it has weights for if asked to.

    Args:
        weight: (out, in, k, k).
        bias: (out,), or None.
        padding: pixels.
        channels: (in, out) of the result; those that are added have no effect, and give zero.

    Returns:
        The convolution, in channels-last memory.
    """
    taken, given = channels or (weight.shape[1], weight.shape[0])
    built = nn.Conv2d(taken, given, int(weight.shape[2]), padding=padding).to(weight)
    built.requires_grad_(False).weight.zero_()[: weight.shape[0], : weight.shape[1]] = weight
    if built.bias is not None and bias is not None:
        built.bias.zero_()[: bias.shape[0]] = bias
    return built.to(memory_format=torch.channels_last)
