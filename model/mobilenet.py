"""MobileNetV2 as an encoder of output stride 16."""

from torch import Tensor, nn
from torchvision.models import mobilenet_v2


class MobileNetV2Encoder(nn.Module):
    """The feature blocks of torchvision's MobileNetV2 for any number of input channels.

    Block 14 is not strided and blocks 15 to 17 are dilated; the last 1x1 block (1280 channels) and
    the classifier are left out. Module names are torchvision's, so that its weights fit.

    Args:
        in_channels: channels of the input.

    Source: the paper, base network.
    """

    def __init__(self, in_channels: int = 6) -> None:
        super().__init__()
        self.features = mobilenet_v2(weights=None).features[:18]
        self.features[0][0] = nn.Conv2d(in_channels, 32, 3, stride=2, padding=1, bias=False)
        self._depthwise(14).stride = (1, 1)
        for block in (15, 16, 17):
            self._depthwise(block).dilation = (2, 2)
            self._depthwise(block).padding = (2, 2)
        # Widths at strides 16, 8, 4, 2, 1.
        self.out_channels = (320, 32, 24, 16, in_channels)

    def _depthwise(self, block: int) -> nn.Conv2d:
        """The 3x3 depthwise convolution of an inverted residual block."""
        return self.features[block].conv[1][0]

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Computes the features at strides 16, 8, 4, 2 and 1 (the input itself).

        Args:
            x: (B, in_channels, H, W) float.

        Returns:
            Five tensors, coarsest first; channel i is `out_channels[i]`.
        """
        stride2 = self.features[:2](x)
        stride4 = self.features[2:4](stride2)
        stride8 = self.features[4:7](stride4)
        stride16 = self.features[7:](stride8)
        return stride16, stride8, stride4, stride2, x
