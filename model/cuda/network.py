"""Faster inference on a GPU, with the same results."""

import copy
import importlib.util
from functools import partial
from threading import Lock
from types import ModuleType
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..correction import correct_alpha
from ..fast.coarse import fold_batch_norms
from ..matting import IN_CHANNELS, MattingRefine, check_pair, reduce
from ..outputs import RefineOutput
from ..patches import Cells
from ..refiner import BUDGETED, CELL, resize
from . import windows
from .graphs import Graphs
from .refiner import StaticRefiner, choose, spread
from .windows import COARSE

# Frame and plate of the coarse network with channels of zeros; see `windows`.
_IN = 8


class Work(NamedTuple):
    """What a call computes, besides the pictures."""

    dtype: torch.dtype
    scale: float
    pixels: int
    corrects: bool


class CudaMatting:
    """Gives the results of a `MattingRefine` in evaluation mode, from folded copies of it.

    In the refiner's modes `sampling` and `blocks`, a size that recurs is computed from a CUDA graph
    (see `Graphs`). In mode `full` and `thresholding` the network itself computes.

    Convolutions have autocast's type, or that of the weights. The rest is computed in the pictures'
    type. The refiner's mode and the defaults of a call are read from the network at each call. The
    weights are copied once, at construction.

    Args:
        network: in evaluation mode.
        graphs: None computes without graphs, which any device can.
        kernels: whether Triton's kernels gather windows and write outputs; None means on a GPU, if
            Triton is installed.

    Raises:
        ValueError: when the network is in training mode.
    """

    def __init__(
        self, network: MattingRefine, graphs: Graphs | None = None, kernels: bool | None = None
    ) -> None:
        self.network = network
        self._graphs, self._lock = graphs, Lock()
        self._folded = fold_batch_norms(network)
        weight = self._folded.refiner.conv1.weight
        self._dtype, self._device = weight.dtype, weight.device
        self._parts: dict[torch.dtype, tuple[CoarseNetwork, StaticRefiner]] = {}
        if kernels is None:
            kernels = weight.is_cuda and importlib.util.find_spec("triton") is not None
        self._functions: ModuleType = windows
        if kernels:
            from . import kernels as with_triton

            self._functions = with_triton
        self._wait()

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

        All outputs have the pictures' type.
        """
        network, refiner = self.network, self.network.refiner
        if refiner.mode not in BUDGETED:
            return network(src, bgr, backbone_scale, refine_sample_pixels, corrects_alpha)
        check_pair(src, bgr, CELL)
        device = src.device.type
        lowered = torch.is_autocast_enabled(device)
        work = Work(
            torch.get_autocast_dtype(device) if lowered else self._dtype,
            network.resolve_scale(backbone_scale),
            refiner.resolve_pixels(refine_sample_pixels),
            network.corrects_alpha if corrects_alpha is None else corrects_alpha,
        )
        run = partial(self._predict, work, *self._parts_for(work.dtype))
        with torch.autocast(device, enabled=False):
            if self._graphs is None:
                return run(src, bgr)
            key = (src.shape, src.dtype, refiner.mode, refiner.prevent_oversampling, work)
            with torch.cuda.device(src.device):
                return self._graphs(key, run, src.contiguous(), bgr.contiguous())

    def _parts_for(self, dtype: torch.dtype) -> "tuple[CoarseNetwork, StaticRefiner]":
        """The folded network in a type, made at its first use."""
        with self._lock:
            if dtype not in self._parts:
                with torch.inference_mode(False), torch.no_grad():
                    folded = copy.deepcopy(self._folded).to(dtype)
                    refiner = StaticRefiner(folded.refiner, self._functions)
                    self._parts[dtype] = CoarseNetwork(folded), refiner
                self._wait()
            return self._parts[dtype]

    def _wait(self) -> None:
        """Waits until weights are written, because other threads' streams don't."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)

    def _predict(
        self,
        work: Work,
        coarse: "CoarseNetwork",
        refine: StaticRefiner,
        src: Tensor,
        bgr: Tensor,
    ) -> RefineOutput:
        """Predicts by operators whose shapes depend on no value, and that wait for nothing."""
        src, bgr = src.contiguous(), bgr.contiguous()
        height, width = src.shape[2:]
        src_sm, bgr_sm = reduce(src, work.scale), reduce(bgr, work.scale)
        predicted = coarse(torch.cat([src_sm, bgr_sm], dim=1).to(work.dtype))
        pha_sm, residual_sm, err_sm = predicted[:, :5].to(src.dtype).split([1, 3, 1], dim=1)
        err = resize(err_sm, height // CELL, width // CELL)
        blocks, size = choose(self.network.refiner, err, work.pixels)
        pha, fgr = refine(src, bgr, predicted, blocks, size)
        if size == CELL:
            ref_sm = blocks.written[:, None].to(src.dtype)
        else:
            ref_sm = blocks.cells(*err.shape[2:]).to(src.dtype)
        fgr_sm = (residual_sm + src_sm).clamp_(0, 1)
        output = RefineOutput(
            pha, fgr, pha_sm.contiguous(), fgr_sm.contiguous(), err_sm.contiguous(), ref_sm
        )
        count = blocks.place.shape[1]
        if not work.corrects:
            return output
        refined: int | Cells = count
        if size == CELL:
            image = torch.arange(len(src), device=src.device).repeat_interleave(count)
            place = blocks.place.flatten()
            refined = Cells(image, place // err.shape[3], place % err.shape[3])
        return correct_alpha(src, bgr, src_sm, bgr_sm, output, refined)


class CoarseNetwork(nn.Module):
    """Encoder, ASPP and decoder, to a map of coarse channels as in `windows`.

    Args:
        folded: a network with folded batch norms, which is changed.
    """

    def __init__(self, folded: MattingRefine) -> None:
        super().__init__()
        self.backbone, self.aspp, self.decoder = folded.backbone, folded.aspp, folded.decoder
        first = next(m for m in folded.backbone.modules() if isinstance(m, nn.Conv2d))
        first.weight = nn.Parameter(_append(first.weight, 1, _IN), requires_grad=False)
        last = folded.decoder.conv4
        inputs = last.in_channels
        self.predict = spread(last, range(inputs), inputs + _IN - IN_CHANNELS, COARSE, padding=1)
        # Alpha and error lie in [0, 1], hidden features above 0; the residual has no bounds.
        bounds = [(0, 1), *[(-torch.inf, torch.inf)] * 3, (0, 1), *[(0, torch.inf)] * (COARSE - 5)]
        self.low, self.high = torch.tensor(bounds).to(last.weight).view(COARSE, 2, 1, 1).unbind(1)
        self.eval().to(memory_format=torch.channels_last)

    def forward(self, pictures: Tensor) -> Tensor:
        """Computes (B, 40, h, w), channels-last, from reduced frame and plate (B, 6, h, w)."""
        pictures = _append(pictures, 1, _IN).contiguous(memory_format=torch.channels_last)
        features, *skips = self.backbone(pictures)
        x = self.predict(self.decoder.features(self.aspp(features), *skips)).clamp(
            self.low, self.high
        )
        return x.contiguous(memory_format=torch.channels_last)


def _append(x: Tensor, dim: int, size: int) -> Tensor:
    """Appends zeros along a dimension of a 4-dimensional tensor."""
    sides = [0] * 8
    sides[2 * (3 - dim) + 1] = size - x.shape[dim]
    return F.pad(x, sides)
