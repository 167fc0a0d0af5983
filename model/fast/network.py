"""Faster inference on a CPU, with the same results."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor

from ..correction import Tools, correct_alpha
from ..matting import MattingBase, MattingRefine, check_pair
from ..outputs import BaseOutput, RefineOutput
from ..refiner import CELL
from .coarse import CoarseFunction, CoarseNetwork, fold_batch_norms
from .memory import Memory
from .refiner import BlockRefiner, crop_cells
from .resampling import resize, resize_into

# Same arguments and results as a network's `forward`.
Prediction = Callable[..., BaseOutput | RefineOutput]

_DTYPES = (torch.float32, torch.float64, torch.bfloat16)


def accelerate(
    network: MattingBase | MattingRefine, coarse: CoarseFunction | None = None
) -> Prediction:
    """Returns the fastest implementation of a network for the network's device.

    Args:
        network: in evaluation mode, on its device.
        coarse: computes the coarse network in another runtime.

    Returns:
        `FastMatting` for a MattingRefine on a CPU, `CudaMatting` for one on a GPU of NVIDIA, else
        the network itself. Call it as the network, without gradients; several threads may. Later
        changes of the network's weights have no effect on the first two.

    Raises:
        ValueError: when a MattingRefine on a CPU or GPU is in training mode.
    """
    device = next(network.parameters()).device.type
    if isinstance(network, MattingRefine) and device == "cpu":
        return FastMatting(network, coarse)
    if isinstance(network, MattingRefine) and device == "cuda":
        from ..cuda import CudaMatting, Graphs  # loads Triton

        return CudaMatting(network, Graphs())
    return network


class FastMatting:
    """Gives the results of a `MattingRefine` in evaluation mode, from a folded copy of it.

    The refiner's mode and threshold, and the defaults of a call, are read from the network at each
    call. The weights are copied once, at construction.

    Args:
        network: in evaluation mode.
        coarse: computes the coarse network in place of the folded copy.

    Raises:
        ValueError: when the network is in training mode.
    """

    def __init__(self, network: MattingRefine, coarse: CoarseFunction | None = None) -> None:
        self.network = network
        self.memory = Memory()
        folded = fold_batch_norms(network)
        self.refine = BlockRefiner(folded.refiner, folded.decoder.conv4)
        self._tools = Tools(self._enlarge, crop_cells)
        self._lowered: dict[torch.dtype, tuple[CoarseFunction, BlockRefiner]] = {}
        # Not `coarse or ...`: a compiled module has no truth value.
        self.coarse: CoarseFunction = (
            coarse
            if coarse is not None
            else CoarseNetwork(folded.backbone, folded.aspp, folded.decoder)
        )

    @torch.no_grad()
    def __call__(
        self,
        src: Tensor,
        bgr: Tensor,
        backbone_scale: float | None = None,
        refine_sample_pixels: int | None = None,
        corrects_alpha: bool | None = None,
    ) -> RefineOutput:
        """Predicts; arguments, result and errors are those of `MattingRefine.forward`.

        Inside `torch.autocast("cpu")`, all convolutions compute in its precision. Raises ValueError
        also for pictures other than float32, float64 or bfloat16.
        """
        check_pair(src, bgr, CELL)
        if src.dtype not in _DTYPES:
            raise ValueError(f"src must be one of {_DTYPES}, got {src.dtype}")
        scale = self.network.resolve_scale(backbone_scale)
        small = tuple(int(side * scale) for side in src.shape[2:])
        coarse, refine = self.parts()
        src_sm, bgr_sm = resize(src, *small), resize(bgr, *small)
        predicted, features = coarse(src_sm, bgr_sm)
        with torch.autocast("cpu", enabled=False):
            predicted = predicted.to(src.dtype)
            pha_sm = predicted[:, :1].clamp(0, 1).contiguous()
            residual_sm = predicted[:, 1:4].contiguous()
            err_sm = predicted[:, 4:5].clamp(0, 1).contiguous()
            ref_sm = self._select(err_sm, src.shape[2:], refine_sample_pixels)
            pha, fgr = (
                self.memory.empty((src.shape[0], channels, *src.shape[2:]), src.dtype)
                for channels in (1, 3)
            )
            resize_into(pha_sm, pha)
            resize_into(residual_sm, fgr, src)
            refine(src, bgr, features, torch.cat([pha_sm, residual_sm], 1), ref_sm, pha, fgr)
            output = RefineOutput(
                *(pha, fgr, pha_sm, (residual_sm + src_sm).clamp_(0, 1), err_sm, ref_sm)
            )
            corrects = self.network.corrects_alpha if corrects_alpha is None else corrects_alpha
            if not corrects:
                return output
            height, width = src.shape[2:]
            refined = self.network.refiner.list_refined(height, width, refine_sample_pixels)
            return correct_alpha(src, bgr, src_sm, bgr_sm, output, refined, self._tools)

    @torch.inference_mode(False)  # the weights may be used outside inference mode later
    def parts(self) -> tuple[CoarseFunction, BlockRefiner]:
        """Returns the coarse network and the refiner, in the precision of autocast if enabled.

        They are converted once; `torch.autocast` itself converts weights in every call.
        """
        if not torch.is_autocast_enabled("cpu"):
            return self.coarse, self.refine
        dtype = torch.get_autocast_dtype("cpu")
        if dtype not in self._lowered:
            coarse = self.coarse
            if isinstance(coarse, CoarseNetwork):
                coarse = copy.deepcopy(coarse).to(dtype)
            self._lowered[dtype] = coarse, self.refine.to(dtype)
        return self._lowered[dtype]

    def _enlarge(self, picture: Tensor, height: int, width: int) -> Tensor:
        """Resizes into memory that is reused, as `resize` does."""
        enlarged = self.memory.empty((*picture.shape[:2], height, width), picture.dtype)
        resize_into(picture, enlarged)
        return enlarged

    def _select(self, err_sm: Tensor, size: torch.Size, refine_sample_pixels: int | None) -> Tensor:
        """Selects the cells to refine: (B, 1, H / 4, W / 4), 1 where selected, else 0."""
        refiner, cells = self.network.refiner, (size[0] // CELL, size[1] // CELL)
        if refiner.mode == "full":
            return err_sm.new_ones((err_sm.shape[0], 1, *cells))
        return refiner.select(resize(err_sm, *cells), refine_sample_pixels)
