"""Loads what a run computes with: a network with its weights, or an exported one."""

from collections.abc import Iterable

import torch

from model import MattingBase, MattingRefine
from model.weights import CheckpointError, find_overflow, load_network
from runtime.device import autocast, describe_device, precision_note, resolve_device
from runtime.wording import visible

from .exported.predictor import ExportedPredictor
from .predictor import Predictor, explain_non_finite
from .quality import Quality
from .settings import ComputeSettings, ModelSettings

# Extensions of exported networks, in place of weights.
EXPORTED = (".onnx", ".xml")


def load_predictor(model: ModelSettings, compute: ComputeSettings) -> Predictor:
    """Loads weights onto their device, or opens an exported network.

    Raises:
        ValueError: when the device is not available, the weights or the export can't be used or
            give values that are not finite, or the backend does not support network, device or
            precision.
    """
    if model.checkpoint.suffix.lower() in EXPORTED:
        exported = ExportedPredictor(model.checkpoint)
        exported.check_settings(model, compute)
        return exported
    device = resolve_device(compute.device)
    lanes = choose_lanes(device, compute)
    network = load_model(model).to(device)
    precision = compute.precision or "float32"
    with autocast(device, precision):
        broken = find_overflow(network, device)
    if broken:
        reason = explain_non_finite(f"its layer {broken}", precision)
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


def choose_lanes(device: torch.device, compute: ComputeSettings) -> int:
    """Chooses how many pictures to compute at a time: 1 or 2.

    Two on a CPU, each with half of its cores: ours, because threads that share a frame wait for
    each other several hundred times, and longer if decoders and encoders use the cores
    (docs/performance.md). Two on a GPU of NVIDIA: one is copied while the other is computed.
    Without workers, one.
    """
    if compute.backend != "pytorch" or compute.num_workers == 0:
        return 1
    on_cpu = device.type == "cpu" and torch.get_num_threads() > 1
    return 2 if on_cpu or device.type == "cuda" else 1


def check_output_types(predictor: Predictor, types: Iterable[str]) -> None:
    """Checks that a predictor gives what output types show; ValueError if not."""
    lacking = [kind for kind in types if kind in ("err", "ref")]
    if lacking and isinstance(predictor, ExportedPredictor):
        raise ValueError(
            f"an exported network has no output {' and '.join(lacking)}; leave it out of "
            "--output-types, or use weights"
        )


def describe_setup(
    predictor: Predictor, model: ModelSettings, compute: ComputeSettings, quality: Quality = "auto"
) -> tuple[dict[str, str], list[str]]:
    """Prints the network, the device and the backend.

    Returns:
        The same facts for the summary, and notes for the user.
    """
    facts = {
        "network": predictor.kind,
        "device": describe_device(predictor.device),
        "precision": predictor.choose_precision(quality == "fast"),
        "backend": (
            predictor.runtime if isinstance(predictor, ExportedPredictor) else compute.backend
        ),
    }
    print(visible(f"{facts['network']} from {model.checkpoint}"))
    print(f"device {facts['device']}, precision {facts['precision']}, backend {facts['backend']}")
    if predictor.parity is not None:
        print(f"coarse alpha differs from PyTorch's by {predictor.parity:.1e} at most, on noise")
    notes = []
    if isinstance(predictor, ExportedPredictor):
        notes.append("the exported network fixes scale and pixels to refine, not --quality")
    elif slow := precision_note(predictor.device, predictor.choose_precision(quality == "fast")):
        notes.append(slow)
    return facts, notes
