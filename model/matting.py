"""MattingBase, the coarse network, and MattingRefine, which adds the refiner."""

from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.models.segmentation.deeplabv3 import ASPP

from .correction import correct_alpha
from .decoder import Decoder
from .encoders import MobileNetV2Encoder, ResNetEncoder
from .outputs import BaseOutput, RefineOutput
from .patches import CropMethod, ReplaceMethod
from .pretrained import Pretrained
from .refiner import CELL, HIDDEN_CHANNELS, RefineMode, Refiner

Backbone = Literal["resnet50", "resnet101", "mobilenetv2"]

# Frame and plate, three channels each.
IN_CHANNELS = 6
# Channels: alpha 1, foreground residual 3, error 1, hidden features.
OUT_CHANNELS = 1 + 3 + 1 + HIDDEN_CHANNELS
ASPP_RATES = [3, 6, 9]
DECODER_CHANNELS = (256, 128, 64, 48, OUT_CHANNELS)
MAX_BACKBONE_SCALE = 0.5


class MattingBase(Pretrained):
    """The coarse network: encoder, ASPP and decoder over frame and plate.

    Args:
        backbone: `resnet50`, `resnet101` or `mobilenetv2`.

    Raises:
        ValueError: for an unknown backbone.

    Source: the paper, base network.

    Example:
        >>> model = MattingBase("mobilenetv2").eval()
        >>> src, bgr = torch.rand(2, 1, 3, 64, 96)
        >>> model(src, bgr).pha.shape
        torch.Size([1, 1, 64, 96])
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        if backbone not in get_args(Backbone):
            raise ValueError(f"backbone must be one of {get_args(Backbone)}, got {backbone!r}")
        self._backbone_name = backbone
        self.backbone = (
            MobileNetV2Encoder(IN_CHANNELS)
            if backbone == "mobilenetv2"
            else ResNetEncoder(backbone, IN_CHANNELS)
        )
        widths = self.backbone.out_channels
        self.aspp = ASPP(widths[0], ASPP_RATES, DECODER_CHANNELS[0])
        self.decoder = Decoder(DECODER_CHANNELS, widths[1:])

    def arguments(self) -> dict[str, Any]:
        """The arguments that build the network with its present settings."""
        return {"backbone": self._backbone_name}

    @property
    def predicts_hidden(self) -> bool:
        """Whether the hidden features are computed; if not, `hid` has 0 channels.

        Stage 1 does not train them, and its steps take a third less time without them (float32,
        two CPU cores, 192 pixels). MattingRefine needs them.
        """
        return self.decoder.computed_channels == OUT_CHANNELS

    @predicts_hidden.setter
    def predicts_hidden(self, predicts: bool) -> None:
        self.decoder.computed_channels = OUT_CHANNELS - (0 if predicts else HIDDEN_CHANNELS)

    def forward(self, src: Tensor, bgr: Tensor) -> BaseOutput:
        """Predicts the matte at the size of the input.

        Args:
            src: (B, 3, H, W) float, RGB in [0, 1], the captured frame.
            bgr: (B, 3, H, W) float, RGB in [0, 1], the captured plate.

        Returns:
            See `BaseOutput`.

        Raises:
            ValueError: when the two differ in shape or are not (B, 3, H, W).
        """
        check_pair(src, bgr)
        pha, residual, err, hid = self._coarse(src, bgr)
        return BaseOutput(pha, (residual + src).clamp(0, 1), err, hid)

    def _coarse(self, src: Tensor, bgr: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Alpha, foreground residual (not clamped), error and hidden features, at src's size."""
        features, *skips = self.backbone(torch.cat([src, bgr], dim=1))
        x = self.decoder(self.aspp(features), *skips)
        pha, residual, err, hid = x.split([1, 3, 1, x.shape[1] - 5], dim=1)
        return pha.clamp(0, 1), residual, err.clamp(0, 1), hid.relu()


class MattingRefine(MattingBase):
    """The coarse network on a reduced frame, and the refiner at full resolution.

    `backbone_scale`, `corrects_alpha` and the refiner's `sample_pixels` are defaults that a call
    may override. Several threads may call one network in evaluation mode.
    `model.fast.accelerate` computes the same predictions 3 to 7 times faster on a CPU.

    Args:
        backbone: `resnet50`, `resnet101` or `mobilenetv2`.
        backbone_scale: size of the coarse input as a fraction of the frame's, in (0, 1/2].
        refine_mode: see `Refiner`, as are the following.
        refine_sample_pixels: pixels of each frame to refine.
        refine_threshold: predicted error in [0, 1].
        refine_kernel_size: 1 or 3.
        refine_prevent_oversampling: False makes the work constant, for timing.
        refine_patch_crop_method: `unfold`, `roi_align` or `gather`.
        refine_patch_replace_method: `scatter_nd` or `scatter_element`.
        corrects_alpha: whether refined alpha is corrected by the compositing equation, see
            `correct_alpha`; not in the paper.

    Raises:
        ValueError: for a value outside the above.

    Source: the paper, base and refinement network; presets HD (1/4, 80,000 pixels) and 4K (1/8,
        320,000 pixels).

    Example:
        >>> model = MattingRefine("mobilenetv2", backbone_scale=0.25).eval()
        >>> src, bgr = torch.rand(2, 1, 3, 128, 192)
        >>> model(src, bgr).ref_sm.shape
        torch.Size([1, 1, 32, 48])
    """

    def __init__(  # noqa: PLR0913 - the published arguments
        self,
        backbone: Backbone,
        backbone_scale: float = 0.25,
        refine_mode: RefineMode = "sampling",
        refine_sample_pixels: int = 80_000,
        refine_threshold: float = 0.1,
        refine_kernel_size: int = 3,
        refine_prevent_oversampling: bool = True,
        refine_patch_crop_method: CropMethod = "unfold",
        refine_patch_replace_method: ReplaceMethod = "scatter_nd",
        corrects_alpha: bool = False,
    ) -> None:
        super().__init__(backbone)
        self.corrects_alpha = corrects_alpha
        self.backbone_scale = backbone_scale
        self.refiner = Refiner(
            mode=refine_mode,
            sample_pixels=refine_sample_pixels,
            threshold=refine_threshold,
            kernel_size=refine_kernel_size,
            prevent_oversampling=refine_prevent_oversampling,
            crop_method=refine_patch_crop_method,
            replace_method=refine_patch_replace_method,
        )

    def arguments(self) -> dict[str, Any]:
        """The arguments that build the network with its present settings."""
        refiner = self.refiner
        return super().arguments() | {
            "backbone_scale": self.backbone_scale,
            "refine_mode": refiner.mode,
            "refine_sample_pixels": refiner.sample_pixels,
            "refine_threshold": refiner.threshold,
            "refine_kernel_size": refiner.kernel_size,
            "refine_prevent_oversampling": refiner.prevent_oversampling,
            "refine_patch_crop_method": refiner.crop_method,
            "refine_patch_replace_method": refiner.replace_method,
            "corrects_alpha": self.corrects_alpha,
        }

    @property
    def backbone_scale(self) -> float:
        """Size of the coarse input as a fraction of the frame's, in (0, 1/2]."""
        return self._backbone_scale

    @backbone_scale.setter
    def backbone_scale(self, backbone_scale: float) -> None:
        self._backbone_scale = check_backbone_scale(backbone_scale)

    def forward(  # type: ignore[override]
        self,
        src: Tensor,
        bgr: Tensor,
        backbone_scale: float | None = None,
        refine_sample_pixels: int | None = None,
        corrects_alpha: bool | None = None,
    ) -> RefineOutput:
        """Predicts the coarse matte and refines it.

        Args:
            src: (B, 3, H, W) float, RGB in [0, 1], the captured frame; H and W divisible by 4.
            bgr: (B, 3, H, W) float, RGB in [0, 1], the captured plate.
            backbone_scale: for this call, see the class; None means the attribute.
            refine_sample_pixels: for this call; None means the refiner's `sample_pixels`.
            corrects_alpha: for this call; None means the attribute.

        Returns:
            See `RefineOutput`.

        Raises:
            ValueError: when the two differ in shape, are not (B, 3, H, W), H or W is not divisible
                by 4, or another argument is out of its range.
        """
        check_pair(src, bgr, CELL)
        scale = self.resolve_scale(backbone_scale)
        src_sm, bgr_sm = self.reduce(src, scale), self.reduce(bgr, scale)
        pha_sm, residual_sm, err_sm, hid_sm = self._coarse(src_sm, bgr_sm)
        pha, residual, ref_sm = self.refiner(
            src, bgr, pha_sm, residual_sm, err_sm, hid_sm, refine_sample_pixels
        )
        output = RefineOutput(
            pha=pha.clamp(0, 1),
            fgr=(residual + src).clamp(0, 1),
            pha_sm=pha_sm,
            fgr_sm=(residual_sm + src_sm).clamp(0, 1),
            err_sm=err_sm,
            ref_sm=ref_sm,
        )
        corrects = self.corrects_alpha if corrects_alpha is None else corrects_alpha
        if not corrects:
            return output
        refined = self.refiner.list_refined(src.shape[2], src.shape[3], refine_sample_pixels)
        return correct_alpha(src, bgr, src_sm, bgr_sm, output, refined)

    def reduce(self, picture: Tensor, scale: float) -> Tensor:
        """Resizes a picture to the size of the coarse input; see the function `reduce`."""
        return reduce(picture, scale)

    def resolve_scale(self, backbone_scale: float | None) -> float:
        """Checks and returns the scale of a call; None means the attribute."""
        if backbone_scale is None:
            return self.backbone_scale
        return check_backbone_scale(backbone_scale)


def reduce(picture: Tensor, scale: float) -> Tensor:
    """Resizes (B, C, H, W) bilinearly to (B, C, floor(H * scale), floor(W * scale))."""
    return F.interpolate(
        picture,
        scale_factor=scale,
        mode="bilinear",
        align_corners=False,
        recompute_scale_factor=True,
    )


def check_backbone_scale(scale: float) -> float:
    """Returns the scale, or raises ValueError if it is outside (0, 1/2]."""
    if not 0 < scale <= MAX_BACKBONE_SCALE:
        raise ValueError(
            f"backbone scale must be above 0 and at most {MAX_BACKBONE_SCALE}, got {scale}"
        )
    return float(scale)


def check_pair(src: Tensor, bgr: Tensor, multiple: int = 1) -> None:
    """Checks the inputs of a network.

    Raises:
        ValueError: when frame and plate differ in shape, are not (B, 3, H, W), or H or W is not
            divisible by `multiple`.
    """
    if src.shape != bgr.shape or src.ndim != 4 or src.shape[1] != 3:
        raise ValueError(
            "src and bgr must both be (B, 3, H, W) of the same size, "
            f"got {tuple(src.shape)} and {tuple(bgr.shape)}"
        )
    height, width = src.shape[2:]
    if height % multiple or width % multiple:
        padded = -(-height // multiple) * multiple, -(-width // multiple) * multiple
        raise ValueError(
            f"height and width must be divisible by {multiple}, got {height} x {width}; "
            f"pad src and bgr to {padded[0]} x {padded[1]} and crop the outputs"
        )
