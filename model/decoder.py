"""The decoder: coarse features to the input's size."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Decoder(nn.Module):
    """Four steps of upsampling to the skip's size, concatenation and 3x3 convolution.

    Batch norm and ReLU follow the first three convolutions. The last has a bias instead.

    Args:
        channels: widths of the input and of the four convolutions, five numbers.
        skip_channels: widths of the four skips, coarsest first.

    Source: the paper, base network; widths in `MattingBase`.
    """

    def __init__(self, channels: tuple[int, ...], skip_channels: tuple[int, ...]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(
            channels[0] + skip_channels[0], channels[1], 3, padding=1, bias=False
        )
        self.bn1 = nn.BatchNorm2d(channels[1])
        self.conv2 = nn.Conv2d(
            channels[1] + skip_channels[1], channels[2], 3, padding=1, bias=False
        )
        self.bn2 = nn.BatchNorm2d(channels[2])
        self.conv3 = nn.Conv2d(
            channels[2] + skip_channels[2], channels[3], 3, padding=1, bias=False
        )
        self.bn3 = nn.BatchNorm2d(channels[3])
        self.conv4 = nn.Conv2d(channels[3] + skip_channels[3], channels[4], 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        # The last convolution computes its first `computed_channels` outputs only.
        self.computed_channels = channels[4]

    def forward(self, x: Tensor, *skips: Tensor) -> Tensor:
        """Decodes.

        Args:
            x: (B, channels[0], h, w) float, the coarsest features.
            skips: four tensors (B, skip_channels[i], h_i, w_i), coarsest first.

        Returns:
            (B, channels[4], h_3, w_3), the size of the last skip; fewer channels if
            `computed_channels` is smaller.
        """
        x = self.features(x, *skips)
        count = self.computed_channels
        if count == self.conv4.out_channels:
            return self.conv4(x)
        bias = cast(Tensor, self.conv4.bias)
        return F.conv2d(x, self.conv4.weight[:count], bias[:count], padding=1)

    def features(self, x: Tensor, *skips: Tensor) -> Tensor:
        """Computes the input of the last convolution; arguments as in `forward`."""
        x = self.relu(self.bn1(self.conv1(_concat_upsampled(x, skips[0]))))
        x = self.relu(self.bn2(self.conv2(_concat_upsampled(x, skips[1]))))
        x = self.relu(self.bn3(self.conv3(_concat_upsampled(x, skips[2]))))
        return _concat_upsampled(x, skips[3])


def _concat_upsampled(x: Tensor, skip: Tensor) -> Tensor:
    x = F.interpolate(x, size=skip.shape[2:], mode="bilinear", align_corners=False)
    return torch.cat([x, skip], dim=1)
