"""Inference on a CPU without the work that the training path wastes: the same results, faster."""

import math
import weakref
from collections.abc import Callable
from threading import Lock

import numpy as np
import torch
from torch import Tensor

from ..correction import correct_alpha
from ..matting import MattingBase, MattingRefine, check_pair
from ..outputs import BaseOutput, RefineOutput
from ..refiner import CELL, resize
from .coarse import CoarseFunction, CoarseNetwork, fold_batch_norms
from .refiner import BlockRefiner
from .resampling import enlarge, reduce

# Computes what a network's forward computes, from the same arguments.
Prediction = Callable[..., BaseOutput | RefineOutput]

_DTYPES = (torch.float32, torch.float64, torch.bfloat16)
# Pieces of memory that are kept though nobody holds them.
_KEPT = 4


def accelerate(
    network: MattingBase | MattingRefine, coarse: CoarseFunction | None = None
) -> Prediction:
    """Finds what computes a network's predictions fastest where the network is.

    Args:
        network: in evaluation mode, on its device.
        coarse: computes the coarse network, in a runtime of its own.

    Returns:
        `FastMatting` for a MattingRefine on a CPU, else the network itself. It is called as the
        network is, by several threads if need be, without gradients, and has the weights of now.

    Raises:
        ValueError: when a MattingRefine on a CPU is in training mode.
    """
    on_cpu = next(network.parameters()).device.type == "cpu"
    return (
        FastMatting(network, coarse) if isinstance(network, MattingRefine) and on_cpu else network
    )


class FastMatting:
    """Computes what a `MattingRefine` in evaluation mode computes, from a folded copy of it.

    Mode, threshold, and what a call does not name are those that the network has when this is
    called. Weights are those that it had when this was built.

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
        # A compiled module has no truth value, so that `or` would not do.
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

        Pictures are float32, float64 or bfloat16, others raise ValueError too.
        """
        check_pair(src, bgr, CELL)
        if src.dtype not in _DTYPES:
            raise ValueError(f"src must be one of {_DTYPES}, got {src.dtype}")
        network, refiner = self.network, self.network.refiner
        scale = network.resolve_scale(backbone_scale)
        height, width = src.shape[2:]
        small = tuple(int(side * scale) for side in (height, width))
        src_sm, bgr_sm = reduce(src, *small), reduce(bgr, *small)
        predicted, features = self.coarse(src_sm, bgr_sm)
        predicted = predicted.to(src.dtype)
        pha_sm = predicted[:, :1].clamp(0, 1).contiguous()
        residual_sm = predicted[:, 1:4].contiguous()
        err_sm = predicted[:, 4:5].clamp(0, 1).contiguous()
        cells = height // CELL, width // CELL
        if refiner.mode == "full":
            ref_sm = src.new_ones((src.shape[0], 1, *cells))
        else:
            ref_sm = refiner.select(resize(err_sm, *cells), refine_sample_pixels)

        pha, fgr = (
            self.memory.empty((src.shape[0], channels, height, width), src.dtype)
            for channels in (1, 3)
        )
        enlarge(pha_sm, pha)
        enlarge(residual_sm, fgr, src)
        self.refine(src, bgr, features, torch.cat([pha_sm, residual_sm], 1), ref_sm, pha, fgr)
        output = RefineOutput(
            *(pha, fgr, pha_sm, (residual_sm + src_sm).clamp_(0, 1), err_sm, ref_sm)
        )
        corrects = network.corrects_alpha if corrects_alpha is None else corrects_alpha
        return correct_alpha(src, bgr, src_sm, bgr_sm, output) if corrects else output


class Memory:
    """Gives out tensors, and takes their memory again after the last reference to them is gone.

    New memory of many megabytes comes from the system page by page, and each page is cleared when
    it is first touched: for the outputs of a 4K frame that takes longer than computing them.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        # A tensor holds the array that it was made from, and so does every view of it.
        self._pieces: list[tuple[np.ndarray, weakref.ref[np.ndarray]]] = []

    def empty(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Gives a tensor of any numbers on the CPU, in memory that nobody else holds."""
        size = math.prod(shape) * dtype.itemsize
        if size == 0:
            return torch.empty(shape, dtype=dtype)
        with self._lock:
            free = [piece for piece in self._pieces if piece[1]() is None]
            memory = next((kept for kept, _ in free if kept.nbytes == size), None)
            if memory is None:
                memory = np.empty(size, np.uint8)
            held = memory.view()
            self._pieces = [
                *((kept, user) for kept, user in self._pieces if user() is not None),
                *((kept, user) for kept, user in free[-_KEPT:] if kept is not memory),
                (memory, weakref.ref(held)),
            ]
        return torch.from_numpy(held).view(dtype).view(shape)
