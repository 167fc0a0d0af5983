"""The network as it is exported: two pictures in, alpha and foreground out, shapes fixed."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.nn import functional as F

from matting.exported.card import HD_AROUND
from matting.quality import HD, HD_PIXELS, Budget
from model import MattingBase, MattingRefine
from model.matting import reduce
from model.refiner import BUDGET_PER_BLOCK, Refiner, count_all_blocks
from runtime.device import DTYPES, Precision

Mode = Literal["blocks", "full", "coarse"]

# Sides of frames of dynamic size are multiples of 4 pixels, and at least this: ours, so that the
# coarse features have a pixel at a scale of 1/8.
DYNAMIC_MIN = 64
_TRACED = (480, 640)  # any size serves for tracing a dynamic one


class SizedRefiner(Refiner):
    """Counts blocks by the frame's size: as many as `quality.resolve_budget` takes for `auto`.

    None with `sample_pixels` of 0.
    """

    def count_blocks(self, height: int, width: int, sample_pixels: int | None = None) -> int:
        """Counts the blocks of a frame of this size in pixels, which may be symbols."""
        if not self.sample_pixels:
            return 0
        least = HD.refine_sample_pixels // BUDGET_PER_BLOCK
        share = least * height * width // HD_PIXELS
        wanted = torch.sym_max(share, 2 * least - share)
        return cast(int, torch.sym_min(wanted, count_all_blocks(height, width)))


def reduce_by_size(picture: Tensor) -> Tensor:
    """Resizes a picture, (B, 3, H, W), to a coarse input whose size follows H and W, in integers.

    Source: ours. The coarse input has a fourth of height plus width at HD and an eighth at 4K, at
        most half. For 16:9 that is `quality.resolve_budget` for `auto`; for other aspect ratios it
        has up to 9% more pixels, but needs no square root, which sizes can't have in all formats.
    """
    height, width = picture.shape[2:]
    around = height + width
    least = torch.sym_min(HD_AROUND, around)
    size = cast(list[int], [side * least // (2 * around) for side in (height, width)])
    return F.interpolate(picture, size, mode="bilinear", align_corners=False)


class SizedMatting(MattingRefine):
    """Chooses the size of its coarse input by the frame's size; see `reduce_by_size`."""

    def __init__(self, network: MattingRefine) -> None:
        super().__init__(**network.arguments())
        self.refiner = SizedRefiner(kernel_size=network.refiner.kernel_size)
        self.load_state_dict(network.state_dict())

    def reduce(self, picture: Tensor, scale: float) -> Tensor:
        """Resizes a picture, (B, 3, H, W), to the size of the coarse input."""
        return reduce_by_size(picture)


class ExportedNetwork(nn.Module):
    """Predicts alpha and foreground of a frame, without a choice of its caller.

    Args:
        network: in evaluation mode; changed: its refiner's mode, its defaults and its precision.
        mode: `blocks` and `full` are refine modes; `coarse` enlarges the coarse prediction.
        budget: scale and pixels to refine.
        precision: of network and weights. Pictures and results are float32.
        sized: whether scale and pixels follow the frame's size, in place of the budget's.

    Raises:
        ValueError: when a MattingBase shall refine.
    """

    def __init__(
        self,
        network: MattingBase,
        mode: Mode,
        budget: Budget,
        precision: Precision = "float32",
        sized: bool = False,
    ) -> None:
        super().__init__()
        if sized and isinstance(network, MattingRefine):
            network = SizedMatting(network)
        if isinstance(network, MattingRefine):
            network.backbone_scale = budget.backbone_scale
            network.corrects_alpha = budget.corrects_alpha
            network.refiner.mode = "blocks" if mode == "coarse" else mode
            network.refiner.sample_pixels = 0 if mode == "coarse" else budget.refine_sample_pixels
        elif mode != "coarse":
            raise ValueError(
                f"a mattingbase has no refiner for mode {mode}; use --mode coarse or the weights "
                "of a mattingrefine"
            )
        self.scale, self.sized, self.dtype = budget.backbone_scale, sized, DTYPES[precision]
        self.network = network.to(self.dtype)
        self.eval().requires_grad_(False)

    def forward(self, src: Tensor, bgr: Tensor) -> tuple[Tensor, Tensor]:
        """Predicts.

        Args:
            src: (1, 3, H, W) float32, RGB in [0, 1], the captured frame; H and W divisible by 4.
            bgr: (1, 3, H, W) float32, RGB in [0, 1], the captured plate.

        Returns:
            Alpha (1, 1, H, W) and foreground (1, 3, H, W), float32 in [0, 1].
        """
        src, bgr = src.to(self.dtype), bgr.to(self.dtype)
        if isinstance(self.network, MattingRefine):
            output = self.network(src, bgr)
            return output.pha.float(), output.fgr.float()
        src_sm, bgr_sm = (
            reduce_by_size(picture) if self.sized else reduce(picture, self.scale)
            for picture in (src, bgr)
        )
        coarse = self.network(src_sm, bgr_sm)
        enlarged = torch.cat([coarse.pha, coarse.fgr - src_sm], dim=1)
        enlarged = F.interpolate(enlarged, src.shape[2:], mode="bilinear", align_corners=False)
        return enlarged[:, :1].float(), (enlarged[:, 1:] + src).clamp(0, 1).float()


@dataclass(frozen=True)
class Graph:
    """What is exported, with the forms that several formats start from, each made once.

    Attributes:
        module: the network.
        size: height and width of frames in pixels; None means that they are dynamic.
        budget: see `ExportedNetwork`.
    """

    module: ExportedNetwork
    size: tuple[int, int] | None
    budget: Budget

    @property
    def example(self) -> tuple[Tensor, Tensor]:
        """A frame and a plate of noise to trace with."""
        noise = torch.rand(2, 1, 3, *(self.size or _TRACED), generator=torch.manual_seed(0))
        return noise[0], noise[1]

    @cached_property
    @torch.no_grad()
    def program(self) -> ExportedProgram:
        """The program of `torch.export`."""
        if self.size is not None:
            return torch.export.export(self.module, self.example)
        least = DYNAMIC_MIN // 4
        sides = {2: 4 * Dim("rows", min=least), 3: 4 * Dim("columns", min=least)}
        # Guards would limit the program to sizes that behave like the example.
        return torch.export.export(
            self.module,
            self.example,
            dynamic_shapes=(sides, sides),
            prefer_deferred_runtime_asserts_over_guards=True,
        )

    @cached_property
    @torch.no_grad()
    def onnx(self) -> Any:
        """An `onnx.ModelProto`, checked and simplified by its exporter."""
        import onnx

        exported = torch.onnx.export(
            self.program,
            self.example,
            dynamo=True,
            optimize=True,
            verbose=False,
            input_names=["src", "bgr"],
            output_names=["pha", "fgr"],
        )
        assert exported is not None  # noqa: S101 - the exporter's type allows it for old uses
        model = exported.model_proto
        onnx.checker.check_model(model, full_check=True)
        return model
