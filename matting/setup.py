"""From settings to a predictor, and what a run says of it at its beginning."""

import torch

from model import MattingBase, MattingRefine
from model.weights import identify, load_network
from runtime.device import describe_device, precision_note, resolve_device

from .predictor import Predictor
from .quality import Budget, Quality, resolve_budget
from .settings import ComputeSettings, ModelSettings


def load_model(model: ModelSettings) -> MattingBase | MattingRefine:
    """Loads the network, on the CPU.

    Args:
        model: which weights, and how to refine.

    Returns:
        The network, in evaluation mode.

    Raises:
        CheckpointError: when the weights are not what is expected.
    """
    network = load_network(
        model.checkpoint,
        type=model.type,
        backbone=model.backbone,
        refine_kernel_size=model.refine_kernel_size,
    )
    set_refinement(network, model)
    return network


def set_refinement(network: MattingBase | MattingRefine, model: ModelSettings) -> None:
    """Sets how a network refines, if it does."""
    if isinstance(network, MattingRefine):
        network.refiner.mode = model.refine_mode
        network.refiner.threshold = model.refine_threshold


def choose_budget(height: int, width: int, quality: Quality, model: ModelSettings) -> Budget:
    """Chooses the work for a picture; see `resolve_budget`."""
    asked = model.backbone_scale, model.refine_sample_pixels, model.corrects_alpha
    return resolve_budget(height, width, quality, *asked)


def load_predictor(model: ModelSettings, compute: ComputeSettings) -> Predictor:
    """Loads the network onto its device.

    Args:
        model: which weights, and how to refine.
        compute: where and how.

    Returns:
        The predictor.

    Raises:
        ValueError: when the device is absent, the weights are not what is expected, or the backend
            can't do this.
    """
    device = resolve_device(compute.device)
    lanes = choose_lanes(device, compute)
    return Predictor(load_model(model), device, compute.precision, compute.backend, lanes)


def choose_lanes(device: torch.device, compute: ComputeSettings) -> int:
    """Chooses how many pictures to compute at a time.

    Two on a CPU, each with half of its cores: ours, because two threads wait for each other several
    hundred times in a frame, and longer where decoders and encoders have the cores meanwhile.
    docs/performance.md has what it gains.

    Args:
        device: where to compute.
        compute: how; without workers one thing is done after the other.

    Returns:
        1 or 2.
    """
    many = device.type == "cpu" and compute.backend == "pytorch" and compute.num_workers > 0
    return 2 if many and torch.get_num_threads() > 1 else 1


def tell_setup(
    predictor: Predictor, model: ModelSettings, compute: ComputeSettings
) -> tuple[dict[str, str], list[str]]:
    """Prints which network runs where.

    Args:
        predictor: as loaded.
        model: which weights.
        compute: where and how.

    Returns:
        The same for the report; and what a user should know, in words.
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
