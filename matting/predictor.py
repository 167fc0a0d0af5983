"""The predictor: runs a network on pictures of any size."""

from collections.abc import Callable
from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from model import BaseOutput, MattingBase, MattingRefine, RefineOutput
from model.fast import FastMatting, Memory, accelerate
from model.fast.resampling import resize as resize_by_opencv
from model.refiner import CELL, resize
from model.weights import identify
from runtime.device import (
    Precision,
    autocast,
    fast_precision,
)

from .backends import Backend, accelerate_by, check_backend
from .prediction import Prediction
from .quality import Budget, Quality, resolve_budget
from .second_look import Look, drop_faint_islands, look_twice
from .transfers import Transfers, to_tensor

# Smaller pictures are padded to this size in pixels: ours, so that at a scale of 1/2 the coarse
# features have at least one pixel.
_MIN_SIDE = 32


@dataclass(frozen=True)
class Prepared:
    """A picture converted for the network, for a plate shared by many frames."""

    tensor: Tensor
    """(1, 3, H', W') float32 on the device, RGB in [0, 1], padded."""
    shape: tuple[int, ...]
    """(H, W, 3) of the picture."""


class Predictor:
    """Runs a network on pictures of any size, called by any number of threads.

    Args:
        network: MattingRefine, or MattingBase, which then predicts at `backbone_scale` and is
            resized. It is moved to the device and put in evaluation mode.
        device: where to compute.
        precision: precision of the convolutions; None means float32, or the device's fastest for
            budgets that say so. Backends other than `pytorch` then stay in float32.
        backend: runtime of the coarse network.
        lanes: number of pictures computed at the same time; further threads wait. Must be 1 for
            backends other than `pytorch`.

    Attributes:
        compute: the function that predicts, see `model.fast.accelerate`.
        parity: largest difference of the backend's coarse alpha from PyTorch's on noise; None for
            PyTorch.

    Raises:
        ValueError: when the backend is not installed or does not support network, device or
            precision.
    """

    def __init__(
        self,
        network: MattingBase | MattingRefine,
        device: torch.device,
        precision: Precision | None = None,
        backend: Backend = "pytorch",
        lanes: int = 1,
    ) -> None:
        if backend != "pytorch":
            precision = precision or "float32"
            check_backend(backend, network, device, precision)
        if lanes < 1 or (lanes > 1 and backend != "pytorch"):
            raise ValueError(
                f"lanes must be 1, or more with backend pytorch; got {lanes} with {backend}"
            )
        self.network = network.to(device).eval()
        self.device, self.precision = device, precision
        self.parity: float | None = None
        self.compute: Callable[..., Any]
        if backend == "pytorch":
            self.compute = accelerate(self.network)
        else:
            self.compute, self.parity = accelerate_by(backend, self.network, precision or "float32")
        compute = self.compute
        self._set_lanes(lanes, compute.memory if isinstance(compute, FastMatting) else Memory())

    def _set_lanes(self, lanes: int, memory: Memory) -> None:
        self._memory = memory
        self.lanes, self._free_lanes = lanes, BoundedSemaphore(lanes)
        self._transfers = Transfers(self.device)
        self._transfers.wait()  # for the network's copy, because the threads' streams don't

    @property
    def kind(self) -> str:
        """What computes, in words."""
        return str(identify(self.network.state_dict()))

    def choose_budget(self, height: int, width: int, quality: Quality, **asked: Any) -> Budget:
        """Chooses scale and pixels for a picture; see `resolve_budget`."""
        return resolve_budget(height, width, quality, **asked)

    def choose_precision(self, lowers: bool = False) -> Precision:
        """The precision of a picture, whose budget lowers it or not."""
        lowest = fast_precision(self.device) if lowers else "float32"
        return self.precision or lowest

    @torch.inference_mode()
    def run(self, src: Tensor, bgr: Tensor, **work: Any) -> BaseOutput | RefineOutput:
        """Runs the network on tensors.

        Args:
            src: (B, 3, H, W) float32 on the device, RGB in [0, 1]; for MattingRefine H and W are
                divisible by 4.
            bgr: (B, 3, H, W) float32 on the device, RGB in [0, 1].
            work: other arguments of `MattingRefine.forward`.

        Returns:
            The output of the network.
        """
        with autocast(self.device, self.choose_precision()):
            output: BaseOutput | RefineOutput = self.compute(src, bgr, **work)
        return output

    @torch.inference_mode()
    def prepare(self, picture: np.ndarray) -> Prepared:
        """Moves a picture (H, W, 3) uint8 or uint16 RGB to the device, once for all frames."""
        with self._transfers.stream():
            prepared = self._prepare(picture)
            self._transfers.wait()  # other threads' streams don't
        return prepared

    def _prepare(self, picture: np.ndarray) -> Prepared:
        tensor = to_tensor(picture, self.device, self._memory)
        return Prepared(self._pad(tensor), picture.shape)

    @torch.inference_mode()
    def predict(self, src: np.ndarray, bgr: np.ndarray | Prepared, budget: Budget) -> Prediction:
        """Predicts the matte of one picture.

        Args:
            src: (H, W, 3) uint8 or uint16, RGB, the captured frame; any size.
            bgr: (H, W, 3) uint8 or uint16, RGB, the captured plate; or a result of `prepare`.
            budget: scale and pixels.

        Returns:
            See `Prediction`.

        Raises:
            ValueError: when the two differ in size or have another type, the budget's scale leaves
                no pixel, or the network's output is not finite.
        """
        if src.shape != bgr.shape:
            raise ValueError(f"frame and plate must agree in size, got {src.shape}, {bgr.shape}")
        with self._transfers.stream():
            return self._predict(src, bgr, budget)

    def _predict(self, src: np.ndarray, bgr: np.ndarray | Prepared, budget: Budget) -> Prediction:
        height, width = src.shape[:2]
        src_padded, bgr_padded = (
            (picture if isinstance(picture, Prepared) else self._prepare(picture)).tensor
            for picture in (src, bgr)
        )
        coarse = budget.coarse_size(*src_padded.shape[2:])
        if min(coarse) < 1:
            raise ValueError(
                f"backbone scale {budget.backbone_scale} leaves {coarse[1]} x {coarse[0]} pixels "
                f"of a picture of {width} x {height}; use a larger one or leave it to the quality"
            )
        look = self._refined if isinstance(self.network, MattingRefine) else self._coarse
        precision = self.choose_precision(budget.lowers_precision)
        with self._free_lanes, autocast(self.device, precision):
            if budget.second_look:
                *mattes, ref = look_twice(src_padded, bgr_padded, budget, look)
            else:
                *mattes, ref = look(src_padded, bgr_padded, budget)
            # A sum is finite only if all terms are; clamping does not remove NaN.
            sums = torch.stack([matte.sum(dtype=torch.float32) for matte in mattes[:2]])
        outputs = [
            self._to_picture(output, height, width)
            for output in (*(matte.float() for matte in mattes), ref > 0)
        ]
        pha, fgr, err, refined, finite = self._transfers.download([*outputs, sums.isfinite()])
        if not finite.all():
            raise ValueError(explain_non_finite("alpha or foreground", precision))
        pha = drop_faint_islands(pha[..., 0]) if budget.second_look else pha[..., 0]
        return Prediction(pha, fgr, err[..., 0], refined[..., 0])

    def _refined(self, src: Tensor, bgr: Tensor, budget: Budget) -> Look:
        """Predicts with MattingRefine: alpha, foreground, error and refined cells at full size."""
        work = budget.backbone_scale, budget.refine_sample_pixels, budget.corrects_alpha
        pha, fgr, _, _, err_sm, ref_sm = self.compute(src, bgr, *work)
        enlarge = resize_by_opencv if src.device.type == "cpu" else resize
        ref = ref_sm.repeat_interleave(CELL, 2).repeat_interleave(CELL, 3)
        return pha, fgr, enlarge(err_sm, *src.shape[2:]), ref

    def _coarse(self, src: Tensor, bgr: Tensor, budget: Budget) -> Look:
        """Predicts with MattingBase, at a coarse size, and resizes; no refined cells."""
        size = budget.coarse_size(*src.shape[2:])
        src_sm, bgr_sm = (
            F.interpolate(picture, size, mode="bilinear", align_corners=False)
            for picture in (src, bgr)
        )
        pha, fgr, err, _ = self.compute(src_sm, bgr_sm)
        stacked = torch.cat([pha, err, fgr - src_sm], dim=1)
        stacked = F.interpolate(stacked, src.shape[2:], mode="bilinear", align_corners=False)
        pha, err, residual = stacked.split([1, 1, 3], dim=1)
        # The residual is applied to the full-resolution frame, which keeps its detail (the paper).
        return pha, (residual + src).clamp(0, 1), err, torch.zeros_like(pha)

    def _to_picture(self, output: Tensor, height: int, width: int) -> Tensor:
        """Crops (1, C, H', W') and gives it the order of pictures, (H, W, C), one by one."""
        cropped = output[0, :, :height, :width]
        if self.device.type != "cpu" or len(cropped) == 1:
            return cropped.permute(1, 2, 0).contiguous()
        picture = self._memory.empty((height, width, len(cropped)), output.dtype)
        cv2.merge([plane.numpy() for plane in cropped], picture.numpy())
        return picture

    @property
    def _least(self) -> int:
        """Smaller pictures are padded to this side in pixels."""
        return _MIN_SIDE

    def _pad(self, picture: Tensor) -> Tensor:
        """Pads to a size that the network supports, by repeating the last row and column."""
        least = self._least
        bottom, right = (-max(side, least) // CELL * -CELL - side for side in picture.shape[2:])
        if not (bottom or right):
            return picture
        return F.pad(picture, (0, right, 0, bottom), mode="replicate")


def explain_non_finite(what: str, precision: Precision) -> str:
    """Describes which values are not finite, with advice for the precision."""
    advice = "The weights are damaged or from a failed training run; use others"
    if precision != "float32":
        advice = f"Values exceed the range of {precision}: use --precision float32"
    return f"the network computes values that are not finite (NaN or infinity): {what}. {advice}"
