"""ResNet and MobileNetV2 as encoders of output stride 16."""

from torch import Tensor, nn
from torchvision.models import mobilenet_v2, resnet50, resnet101


class ResNetEncoder(nn.Module):
    """The feature stages of torchvision's ResNet, for any number of input channels.

    The last stage is dilated instead of strided, and there is no classifier. Module names are
    torchvision's, so its weights can be loaded.

    Args:
        variant: `resnet50` or `resnet101`.
        in_channels: channels of the input.

    Raises:
        ValueError: for an unknown variant.

    Source: the paper, base network.
    """

    def __init__(self, variant: str, in_channels: int = 6) -> None:
        super().__init__()
        constructors = {"resnet50": resnet50, "resnet101": resnet101}
        if variant not in constructors:
            raise ValueError(f"variant must be one of {list(constructors)}, got {variant!r}")
        resnet = constructors[variant](
            weights=None, replace_stride_with_dilation=[False, False, True]
        )
        self.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = resnet.bn1
        self.relu = resnet.relu
        self.maxpool = resnet.maxpool
        self.layer1 = resnet.layer1
        self.layer2 = resnet.layer2
        self.layer3 = resnet.layer3
        self.layer4 = resnet.layer4
        # Widths at strides 16, 8, 4, 2, 1.
        self.out_channels = (2048, 512, 256, 64, in_channels)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Computes the features at strides 16, 8, 4, 2 and 1 (the input itself).

        Args:
            x: (B, in_channels, H, W) float.

        Returns:
            Five tensors, coarsest first; channel i is `out_channels[i]`.
        """
        stride2 = self.relu(self.bn1(self.conv1(x)))
        stride4 = self.layer1(self.maxpool(stride2))
        stride8 = self.layer2(stride4)
        stride16 = self.layer4(self.layer3(stride8))
        return stride16, stride8, stride4, stride2, x


class MobileNetV2Encoder(nn.Module):
    """The feature blocks of torchvision's MobileNetV2, for any number of input channels.

    Block 14 is not strided and blocks 15 to 17 are dilated. The last 1x1 block (1280 channels) and
    the classifier are left out. Module names are torchvision's, so its weights can be loaded.

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
