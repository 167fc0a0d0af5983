"""The network to time, and the machine that it runs on."""

import importlib.metadata
import platform
from typing import Any

import torch

from benchmarks.speed.settings import MeasureSettings
from benchmarks.timing import measure_peak
from matting.loading import EXPORTED, choose_lanes, load_model, set_refinement
from matting.predictor import Predictor
from matting.settings import DEFAULT_CHECKPOINT, ComputeSettings, ModelSettings
from model import MattingBase, MattingRefine
from model.refiner import BUDGETED
from model.weights import Architecture, identify, read_state_dict
from runtime.device import describe_device, precision_note
from runtime.wording import visible

# A predictor, and properties of its network by name.
Opened = tuple[Predictor, dict[str, Any]]


def open_predictor(
    model: ModelSettings,
    compute: ComputeSettings,
    measure: MeasureSettings,
    device: torch.device,
    noise: bool,
) -> Opened:
    """Opens the network to time.

    If no checkpoint is given and the shipped one does not fit, weights are random. With random
    weights, or on noise, the whole budget of pixels is refined, as in the authors' test.

    Returns:
        The predictor, and its properties: `network`, `weights` (a file or `random`), `backend`,
        `parity` (see `Predictor`) and `notes` on what the figures depend on.

    Raises:
        ValueError: when a checkpoint or the backend can't be used.
    """
    if model.checkpoint.suffix.lower() in EXPORTED:
        raise ValueError(
            f"{model.checkpoint} is an exported network, and this times weights; `python -m "
            "benchmarks.exports` times exports"
        )
    network, weights = _open_network(model)
    if measure.channels_last:
        network.to(memory_format=torch.channels_last)
    notes = []
    if weights == "random":
        notes.append(
            "random weights: they affect the speed only by which cells are refined; on a CPU, "
            "adjacent cells take less time"
        )
    if isinstance(network, MattingRefine) and (noise or weights == "random"):
        network.refiner.prevent_oversampling = False
        if model.refine_mode in BUDGETED:
            notes.append("the whole budget of pixels is refined, also where no error is predicted")
    lanes = choose_lanes(device, compute)
    predictor = Predictor(network, device, compute.precision, compute.backend, lanes)
    return predictor, {
        "network": str(identify(network.state_dict())),
        "weights": weights,
        "backend": compute.backend,
        "parity": predictor.parity,
        "notes": notes,
    }


def print_network(opened: Opened) -> Opened:
    """Prints the properties of the network, and returns its argument."""
    about = opened[1]
    text = f"{about['network']}, weights {about['weights']}, backend {about['backend']}"
    print(visible(text))
    if about["parity"] is not None:
        print(f"coarse alpha differs from PyTorch's by {about['parity']:.1e} at most, on noise")
    for note in about["notes"]:
        print(visible(f"note: {note}"))
    return opened


def measure_machine(device: torch.device, compute: ComputeSettings) -> tuple[dict[str, Any], float]:
    """Prints device, threads, system, versions and the peak, on which figures depend.

    Returns:
        The same by name, and the peak; see `measure_peak`.
    """
    precision, backend = compute.precision or "float32", compute.backend
    packages = ["torch", "torchvision", *([] if backend == "pytorch" else [backend])]
    versions = {package: importlib.metadata.version(package) for package in packages}
    machine: dict[str, Any] = {
        "device": describe_device(device),
        "threads": torch.get_num_threads(),
        "system": platform.platform(),
        "tf32_convolutions": device.type == "cuda" and torch.backends.cudnn.allow_tf32,
        "versions": {"python": platform.python_version(), **versions},
    }
    slow = precision_note(device, precision)
    # An emulated precision is computed in float32.
    peak = measure_peak(device, "float32" if slow else precision)
    shown = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    print(f"device {machine['device']}, {machine['system']}, {shown}")
    print(f"precision {precision}, measured peak {peak / 1e9:.1f} GFLOP/s")
    if slow:
        print(f"note: {slow}")
    return {"machine": machine, "peak_gflops": peak / 1e9, "note": slow}, peak


def _open_network(model: ModelSettings) -> tuple[MattingBase | MattingRefine, str]:
    """The network in evaluation mode, and the source of its weights: a file, or `random`."""
    shipped = identify(read_state_dict(DEFAULT_CHECKPOINT))  # its weights serve both types
    backbone = model.backbone or shipped.backbone
    kernel_size = model.refine_kernel_size or shipped.refine_kernel_size
    fits = (backbone, kernel_size) == (shipped.backbone, shipped.refine_kernel_size)
    if model.checkpoint != DEFAULT_CHECKPOINT or fits:
        return load_model(model), str(model.checkpoint)
    wanted = Architecture(model.type or shipped.type, backbone, kernel_size)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = wanted.build().eval()
    set_refinement(network, model)
    return network, "random"
