"""ResNet-50 and ResNet-101 as encoders of output stride 16."""

from torch import Tensor, nn
from torchvision.models import resnet50, resnet101


class ResNetEncoder(nn.Module):
    """The feature stages of torchvision's ResNet for any number of input channels.

    The last stage is dilated instead of strided, and the classifier is left out. Module names are
    torchvision's, so that its weights fit.

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
