"""The predictor: runs a network on pictures of any size."""

from collections.abc import Callable
from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from model import BaseOutput, MattingBase, MattingRefine, RefineOutput
from model.fast import accelerate
from model.refiner import CELL
from model.weights import CheckpointError, find_overflow, identify, load_network
from runtime.device import (
    Precision,
    autocast,
    describe_device,
    precision_note,
    resolve_device,
)

from .backends import Backend, accelerate_by, check_backend
from .prediction import Prediction
from .quality import Budget, Quality, resolve_budget
from .second_look import Look, drop_faint_islands, look_twice
from .settings import ComputeSettings, ModelSettings

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
        precision: precision of the convolutions.
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
        precision: Precision = "float32",
        backend: Backend = "pytorch",
        lanes: int = 1,
    ) -> None:
        if backend != "pytorch":
            check_backend(backend, network, device, precision)
        if lanes < 1 or (lanes > 1 and backend != "pytorch"):
            raise ValueError(
                f"lanes must be 1, or more with backend pytorch; got {lanes} with {backend}"
            )
        self.network = network.to(device).eval()
        self.device, self.precision, self.lanes = device, precision, lanes
        self.parity: float | None = None
        self.compute: Callable[..., Any]
        if backend == "pytorch":
            self.compute = accelerate(self.network)
        else:
            self.compute, self.parity = accelerate_by(backend, self.network, precision)
        self._free_lanes = BoundedSemaphore(lanes)

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
        with autocast(self.device, self.precision):
            output: BaseOutput | RefineOutput = self.compute(src, bgr, **work)
        return output

    @torch.inference_mode()
    def prepare(self, picture: np.ndarray) -> Prepared:
        """Moves a picture (H, W, 3) uint8 or uint16 RGB to the device, once for all frames."""
        return Prepared(self._pad(to_tensor(picture, self.device)), picture.shape)

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
        height, width = src.shape[:2]
        src_padded, bgr_padded = (
            (picture if isinstance(picture, Prepared) else self.prepare(picture)).tensor
            for picture in (src, bgr)
        )
        coarse = budget.coarse_size(*src_padded.shape[2:])
        if min(coarse) < 1:
            raise ValueError(
                f"backbone scale {budget.backbone_scale} leaves {coarse[1]} x {coarse[0]} pixels "
                f"of a picture of {width} x {height}; use a larger one or leave it to the quality"
            )
        look = self._refined if isinstance(self.network, MattingRefine) else self._coarse
        with self._free_lanes, autocast(self.device, self.precision):
            if budget.second_look:
                outputs = look_twice(src_padded, bgr_padded, budget, look)
            else:
                outputs = look(src_padded, bgr_padded, budget)
            # A sum is finite only if all terms are; clamping does not remove NaN.
            sums = torch.stack([output.sum(dtype=torch.float32) for output in outputs[:2]])
        if not bool(sums.isfinite().all()):
            raise ValueError(explain_non_finite("alpha or foreground", self.precision))
        pha, fgr, err, ref = (
            output[0, :, :height, :width].permute(1, 2, 0).float().contiguous().cpu().numpy()
            for output in outputs
        )
        pha = drop_faint_islands(pha[..., 0]) if budget.second_look else pha[..., 0]
        return Prediction(pha, fgr, err[..., 0], ref[..., 0] > 0)

    def _refined(self, src: Tensor, bgr: Tensor, budget: Budget) -> Look:
        """Predicts with MattingRefine: alpha, foreground, error and refined cells at full size."""
        work = budget.backbone_scale, budget.refine_sample_pixels, budget.corrects_alpha
        pha, fgr, _, _, err_sm, ref_sm = self.compute(src, bgr, *work)
        err = F.interpolate(err_sm, src.shape[2:], mode="bilinear", align_corners=False)
        return pha, fgr, err, F.interpolate(ref_sm, src.shape[2:], mode="nearest")

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

    @staticmethod
    def _pad(picture: Tensor) -> Tensor:
        """Pads to a size that the network supports, by repeating the last row and column."""
        bottom, right = (-max(side, _MIN_SIDE) // CELL * -CELL - side for side in picture.shape[2:])
        if not (bottom or right):
            return picture
        return F.pad(picture, (0, right, 0, bottom), mode="replicate")


def to_tensor(picture: np.ndarray, device: torch.device) -> Tensor:
    """Converts (H, W, 3) uint8 or uint16 RGB to (1, 3, H, W) float32 in [0, 1] for networks.

    Raises:
        ValueError: for another type.
    """
    if picture.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"pictures must be uint8 or uint16, got {picture.dtype}")
    tensor = torch.empty((1, 3, *picture.shape[:2]), device=device)
    tensor[0] = torch.from_numpy(picture).to(device).permute(2, 0, 1)
    return tensor.div_(np.iinfo(picture.dtype).max)


def load_predictor(model: ModelSettings, compute: ComputeSettings) -> Predictor:
    """Loads a network onto its device.

    Raises:
        ValueError: when the device is not available, the weights can't be used or give values that
            are not finite, or the backend does not support network, device or precision.
    """
    device = resolve_device(compute.device)
    lanes = choose_lanes(device, compute)
    network = load_model(model).to(device)
    with autocast(device, compute.precision):
        broken = find_overflow(network, device)
    if broken:
        reason = explain_non_finite(f"its layer {broken}", compute.precision)
        raise CheckpointError(f"checkpoint {model.checkpoint}: {reason}")
    return Predictor(network, device, compute.precision, compute.backend, lanes)


def load_model(model: ModelSettings) -> MattingBase | MattingRefine:
    """Loads a network onto the CPU, in evaluation mode; CheckpointError as `load_network`."""
    network = load_network(
        model.checkpoint,
        type=model.type,
        backbone=model.backbone,
        refine_kernel_size=model.refine_kernel_size,
    )
    set_refinement(network, model)
    return network


def set_refinement(network: MattingBase | MattingRefine, model: ModelSettings) -> None:
    """Sets the refinement of a network that no other thread uses yet, if it has a refiner."""
    if isinstance(network, MattingRefine):
        network.refiner.mode = model.refine_mode
        network.refiner.threshold = model.refine_threshold


def choose_budget(height: int, width: int, quality: Quality, model: ModelSettings) -> Budget:
    """Chooses scale and pixels for a picture; see `resolve_budget`."""
    asked = model.backbone_scale, model.refine_sample_pixels, model.corrects_alpha
    return resolve_budget(height, width, quality, *asked)


def choose_lanes(device: torch.device, compute: ComputeSettings) -> int:
    """Chooses how many pictures to compute at a time: 1 or 2.

    Two on a CPU, each with half of its cores: ours, because threads that share a frame wait for
    each other several hundred times, and longer if decoders and encoders use the cores
    (docs/performance.md). Without workers, one.
    """
    many = device.type == "cpu" and compute.backend == "pytorch" and compute.num_workers > 0
    return 2 if many and torch.get_num_threads() > 1 else 1


def describe_setup(
    predictor: Predictor, model: ModelSettings, compute: ComputeSettings
) -> tuple[dict[str, str], list[str]]:
    """Prints the network, the device and the backend.

    Returns:
        The same facts for the summary, and notes for the user.
    """
    facts = {
        "network": str(identify(predictor.network.state_dict())),
        "device": describe_device(predictor.device),
        "precision": compute.precision,
        "backend": compute.backend,
    }
    print(f"{facts['network']} from {model.checkpoint}")
    print(f"device {facts['device']}, precision {facts['precision']}, backend {facts['backend']}")
    if predictor.parity is not None:
        print(f"coarse alpha differs from PyTorch's by {predictor.parity:.1e} at most, on noise")
    slow = precision_note(predictor.device, compute.precision)
    return facts, [slow] if slow else []


def explain_non_finite(what: str, precision: Precision) -> str:
    """Describes which values are not finite, with advice for the precision."""
    advice = "The weights are damaged or from a failed training run; use others"
    if precision != "float32":
        advice = f"Values exceed the range of {precision}: use --precision float32"
    return f"the network computes values that are not finite (NaN or infinity): {what}. {advice}"
