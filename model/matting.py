"""MattingBase, the coarse network, and MattingRefine, which adds the refiner."""

import itertools
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.segmentation.deeplabv3 import ASPP

from .correction import correct_alpha
from .decoder import Decoder
from .fast.refine import FastMatting
from .mobilenet import MobileNetV2Encoder
from .outputs import BaseOutput, RefineOutput
from .patches import CropMethod, ReplaceMethod
from .refiner import CELL, HIDDEN_CHANNELS, RefineMode, Refiner
from .resnet import ResNetEncoder

Backbone = Literal["resnet50", "resnet101", "mobilenetv2"]

# Frame and plate, three channels each.
IN_CHANNELS = 6
# Alpha 1, foreground residual 3, error 1, hidden features.
OUT_CHANNELS = 1 + 3 + 1 + HIDDEN_CHANNELS
ASPP_RATES = [3, 6, 9]
DECODER_CHANNELS = (256, 128, 64, 48, OUT_CHANNELS)
MAX_BACKBONE_SCALE = 0.5


class MattingBase(nn.Module):
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
        self.backbone = (
            MobileNetV2Encoder(IN_CHANNELS)
            if backbone == "mobilenetv2"
            else ResNetEncoder(backbone, IN_CHANNELS)
        )
        widths = self.backbone.out_channels
        self.aspp = ASPP(widths[0], ASPP_RATES, DECODER_CHANNELS[0])
        self.decoder = Decoder(DECODER_CHANNELS, widths[1:])

    @property
    def predicts_hidden(self) -> bool:
        """Whether the hidden features are computed; without, `hid` has no channels.

        Stage 1 learns nothing about them, and its steps are a third shorter without (float32, two
        CPU cores, 192 pixels). MattingRefine needs them.
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
        _check_inputs(src, bgr)
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

    `backbone_scale`, `corrects_alpha` and the refiner's `mode`, `sample_pixels` and `threshold` may
    be changed on a built model (`model.backbone_scale = 1 / 8`,
    `model.refiner.sample_pixels = 320_000`).

    In evaluation mode, without gradients and on a CPU, the same is computed in another way, 3 to 7
    times sooner (`FastMatting`). `model.fast = False` turns that off.

    Args:
        backbone: `resnet50`, `resnet101` or `mobilenetv2`.
        backbone_scale: size of the coarse input as a fraction of the frame's, in (0, 1/2].
        refine_mode: see `Refiner`, as are the following.
        refine_sample_pixels: pixels of each frame to refine.
        refine_threshold: predicted error in [0, 1].
        refine_kernel_size: 1 or 3.
        refine_prevent_oversampling: False only to time constant work.
        refine_patch_crop_method: `unfold`, `roi_align` or `gather`.
        refine_patch_replace_method: `scatter_nd` or `scatter_element`.
        corrects_alpha: whether refined alpha is brought nearer to the compositing equation, see
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

    def __init__(
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
        self.fast = True
        self._folded: tuple[Any, FastMatting] | None = None
        self.refiner = Refiner(
            mode=refine_mode,
            sample_pixels=refine_sample_pixels,
            threshold=refine_threshold,
            kernel_size=refine_kernel_size,
            prevent_oversampling=refine_prevent_oversampling,
            crop_method=refine_patch_crop_method,
            replace_method=refine_patch_replace_method,
        )

    @property
    def backbone_scale(self) -> float:
        """Size of the coarse input as a fraction of the frame's, in (0, 1/2]."""
        return self._backbone_scale

    @backbone_scale.setter
    def backbone_scale(self, backbone_scale: float) -> None:
        if not 0 < backbone_scale <= MAX_BACKBONE_SCALE:
            raise ValueError(
                f"backbone scale must be above 0 and at most {MAX_BACKBONE_SCALE}, "
                f"got {backbone_scale}"
            )
        self._backbone_scale = float(backbone_scale)

    def forward(self, src: Tensor, bgr: Tensor) -> RefineOutput:  # type: ignore[override]
        """Predicts the matte coarsely and refines it.

        Args:
            src: (B, 3, H, W) float, RGB in [0, 1], the captured frame; H and W divisible by 4.
            bgr: (B, 3, H, W) float, RGB in [0, 1], the captured plate.

        Returns:
            See `RefineOutput`.

        Raises:
            ValueError: when the two differ in shape, are not (B, 3, H, W), or H or W is not
                divisible by 4.
        """
        _check_inputs(src, bgr)
        height, width = src.shape[2:]
        if height % CELL or width % CELL:
            padded = -(-height // CELL) * CELL, -(-width // CELL) * CELL
            raise ValueError(
                f"height and width must be divisible by {CELL}, got {height} x {width}; "
                f"pad src and bgr to {padded[0]} x {padded[1]} and crop the outputs"
            )
        if self._may_be_fast(src):
            return self.fold()(src, bgr)
        src_sm, bgr_sm = self.reduce(src), self.reduce(bgr)
        pha_sm, residual_sm, err_sm, hid_sm = self._coarse(src_sm, bgr_sm)
        pha, residual, ref_sm = self.refiner(src, bgr, pha_sm, residual_sm, err_sm, hid_sm)
        output = RefineOutput(
            pha=pha.clamp(0, 1),
            fgr=(residual + src).clamp(0, 1),
            pha_sm=pha_sm,
            fgr_sm=(residual_sm + src_sm).clamp(0, 1),
            err_sm=err_sm,
            ref_sm=ref_sm,
        )
        if not self.corrects_alpha:
            return output
        return correct_alpha(src, bgr, src_sm, bgr_sm, output)

    def fold(self) -> FastMatting:
        """Builds what computes this network's predictions fast, or finds the last one again.

        Returns:
            For the weights as they are now; the network must be in evaluation mode.
        """
        tensors = itertools.chain(self.parameters(), self.buffers())
        state = [(id(t), 0 if t.is_inference() else t._version) for t in tensors]
        if self._folded is None or self._folded[0] != state:
            self._folded = None
            self._folded = state, FastMatting(self)
        return self._folded[1]

    def _may_be_fast(self, src: Tensor) -> bool:
        """Whether `forward` may leave the path that gradients, exporters and compilers need."""
        traced = torch.jit.is_tracing() or torch.compiler.is_compiling()
        methods = self.refiner.crop_method, self.refiner.replace_method
        return (
            self.fast
            and src.device.type == "cpu"
            and src.dtype in (torch.float32, torch.float64, torch.bfloat16)
            and not torch.is_grad_enabled()
            and not traced
            and methods == ("unfold", "scatter_nd")
            and not any(module.training for module in self.modules())
        )

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_folded": None}  # a copy folds its own weights

    def reduce(self, picture: Tensor) -> Tensor:
        """Resizes to the coarse size.

        Args:
            picture: (B, C, H, W) float.

        Returns:
            (B, C, floor(H * backbone_scale), floor(W * backbone_scale)).
        """
        return F.interpolate(
            picture,
            scale_factor=self.backbone_scale,
            mode="bilinear",
            align_corners=False,
            recompute_scale_factor=True,
        )


def _check_inputs(src: Tensor, bgr: Tensor) -> None:
    if src.shape != bgr.shape or src.ndim != 4 or src.shape[1] != 3:
        raise ValueError(
            "src and bgr must both be (B, 3, H, W) of the same size, "
            f"got {tuple(src.shape)} and {tuple(bgr.shape)}"
        )
