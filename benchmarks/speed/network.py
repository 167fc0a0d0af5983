"""The network whose speed is tested, its machine, and its speed alone, on tensors on the device."""

import importlib.metadata
import platform
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.speed.memory import added_memory
from benchmarks.speed.settings import MeasureSettings
from benchmarks.speed.timing import Timing, count_macs, measure_peak, time_calls
from matting.predictor import Predictor
from matting.quality import resolve_budget
from matting.settings import DEFAULT_CHECKPOINT, ComputeSettings, ModelSettings
from matting.setup import choose_lanes, load_model, set_refinement
from model import MattingBase, MattingRefine
from model.build import NetworkConfig, build_network
from model.refiner import RefineMode
from model.weights import identify, read_state_dict
from runtime.device import autocast, describe_device, precision_note

# A predictor, and facts about its network by name.
Opened = tuple[Predictor, dict[str, Any]]


@dataclass(frozen=True)
class Speed:
    """How fast a network is on frames of one size.

    Attributes:
        width: of a frame, pixels.
        height: of a frame, pixels.
        batch_size: frames of a call.
        backbone_scale: size of the coarse input as a fraction of the frame's.
        refine_mode: how the cells to refine are chosen; None for MattingBase.
        refine_sample_pixels: pixels to refine; None in other modes than `sampling`.
        timing: of the calls.
        macs: multiply-adds of the convolutions for one frame; see `count_macs`.
        memory: bytes needed above the loaded network and the frames, or None if unknown.
    """

    width: int
    height: int
    batch_size: int
    backbone_scale: float
    refine_mode: RefineMode | None
    refine_sample_pixels: int | None
    timing: Timing
    macs: float
    memory: int | None

    def figures(self, peak: float) -> dict[str, Any]:
        """All of it by name; times are those of a call, `gmac` that of a frame.

        Args:
            peak: see `measure_peak`.
        """
        mean = self.timing.mean
        return {
            "width": self.width,
            "height": self.height,
            "batch_size": self.batch_size,
            "backbone_scale": self.backbone_scale,
            "refine_mode": self.refine_mode,
            "refine_sample_pixels": self.refine_sample_pixels,
            "frames_per_second": self.batch_size / mean,
            "mean_ms": mean * 1e3,
            "p50_ms": self.timing.percentile(50) * 1e3,
            "p95_ms": self.timing.percentile(95) * 1e3,
            "iterations": len(self.timing.seconds),
            "gmac": self.macs / 1e9,
            "peak_share": 2 * self.macs * self.batch_size / mean / peak,
            "peak_memory_mib": None if self.memory is None else self.memory / 2**20,
        }


def open_predictor(
    model: ModelSettings,
    compute: ComputeSettings,
    measure: MeasureSettings,
    device: torch.device,
    noise: bool,
) -> Opened:
    """Opens what is to be timed.

    On noise, or with random weights, all of the pixels to refine are refined, as in the authors'
    test; on pictures those where an error is predicted, as ever.

    Args:
        model: which network. Where its checkpoint is the shipped one and does not fit, weights are
            random.
        compute: precision and backend.
        measure: with which memory format.
        device: where.
        noise: whether frames will be noise.

    Returns:
        The predictor, and facts about it: `network`, `weights` (a file or `random`), `backend`,
        `parity` (see `Predictor`) and `notes`, which tell a user what the figures depend on.

    Raises:
        ValueError: when a checkpoint or the backend can't be used.
    """
    network, weights = _open_network(model)
    if measure.channels_last:
        network.to(memory_format=torch.channels_last)
    notes = []
    if weights is None:
        notes.append(
            "random weights: the speed depends on them only by which cells are refined; on a CPU, "
            "cells that lie together take less"
        )
    if isinstance(network, MattingRefine) and (noise or weights is None):
        network.refiner.prevent_oversampling = False
        if model.refine_mode == "sampling":
            notes.append(
                "all of the pixels to refine are refined, also where no error is predicted"
            )
    lanes = choose_lanes(device, compute)
    predictor = Predictor(network, device, compute.precision, compute.backend, lanes)
    return predictor, {
        "network": str(identify(network.state_dict())),
        "weights": weights or "random",
        "backend": compute.backend,
        "parity": predictor.parity,
        "notes": notes,
    }


def measure_speed(
    predictor: Predictor, src: Tensor, bgr: Tensor, model: ModelSettings, measure: MeasureSettings
) -> Speed:
    """Times a network, then counts what it computes.

    Args:
        predictor: runs the network.
        src: (B, 3, H, W) float32 on the device, RGB in [0, 1]; for MattingRefine H and W are
            divisible by 4.
        bgr: (B, 3, H, W) float32 on the device, RGB in [0, 1].
        model: scale and pixels, where they are given; else those of the quality `auto`. MattingBase
            runs at the frames' own size where no scale is given.
        measure: how often.

    Returns:
        The speed.

    Raises:
        ValueError: when the scale leaves no pixel.
    """
    (batch, _, height, width), network = src.shape, predictor.network
    device, precision = predictor.device, predictor.precision
    scale = _set_work(network, height, width, model)
    refiner = network.refiner if isinstance(network, MattingRefine) else None
    if refiner is None and scale != 1:
        size = int(height * scale), int(width * scale)
        src, bgr = (F.interpolate(x, size, mode="bilinear") for x in (src, bgr))
    with added_memory(device) as memory:
        timing = time_calls(
            lambda: predictor.run(src, bgr), device, measure.warm_up, measure.iterations
        )
    # By PyTorch's own path: other backends do not tell what they compute.
    with torch.inference_mode(), autocast(device, precision):
        macs = count_macs(lambda: network(src, bgr))
    samples = refiner is not None and refiner.mode == "sampling"
    return Speed(
        width=width,
        height=height,
        batch_size=batch,
        backbone_scale=scale,
        refine_mode=refiner.mode if refiner else None,
        refine_sample_pixels=refiner.sample_pixels if refiner and samples else None,
        timing=timing,
        macs=macs / batch,
        memory=memory.bytes,
    )


def summarise(speeds: list[Speed], peak: float) -> dict[str, Any]:
    """Joins the speeds on several pictures: means over all calls, and the largest memory.

    Args:
        speeds: one or more, of calls of one batch size.
        peak: see `measure_peak`.

    Returns:
        See `Speed.figures`; a size or work that is not the same for all is None.
    """
    joined = replace(
        speeds[0],
        timing=Timing(tuple(seconds for speed in speeds for seconds in speed.timing.seconds)),
        macs=sum(speed.macs for speed in speeds) / len(speeds),
        memory=max((s.memory for s in speeds if s.memory is not None), default=None),
    )
    figures = joined.figures(peak)
    for key in ("width", "height", "backbone_scale", "refine_sample_pixels"):
        if len({getattr(speed, key) for speed in speeds}) > 1:
            figures[key] = None
    return figures


def format_figures(figures: dict[str, Any]) -> str:
    """Writes figures (see `Speed.figures`) for a reader, one a line."""
    size = f"{figures['width']} x {figures['height']}" if figures["width"] else "of several sizes"
    scale, pixels = figures["backbone_scale"], figures["refine_sample_pixels"]
    mode = figures["refine_mode"] or "no refiner"
    work = f"{pixels or 'by size'} pixels" if mode == "sampling" else ""
    memory = figures["peak_memory_mib"]
    lines = {
        "frames": f"{size}, batches of {figures['batch_size']}, {figures['iterations']} timed",
        "work": f"scale {scale or 'by size'}, {mode} {work}".rstrip(),
        "frames/s": f"{figures['frames_per_second']:.2f}",
        "ms a batch": "mean {mean_ms:.2f}, p50 {p50_ms:.2f}, p95 {p95_ms:.2f}".format(**figures),
        "GMac a frame": f"{figures['gmac']:.2f} (convolutions)",
        "of the peak": f"{figures['peak_share']:.1%}",
        "memory": "unknown" if memory is None else f"{memory:.0f} MiB above the loaded model",
    }
    return "\n".join(f"{name:<14}{text}" for name, text in lines.items())


def print_network(opened: Opened) -> Opened:
    """Prints what is timed, and returns it."""
    about = opened[1]
    print(f"{about['network']}, weights {about['weights']}, backend {about['backend']}")
    if about["parity"] is not None:
        print(f"coarse alpha differs from PyTorch's by {about['parity']:.1e} at most, on noise")
    for note in about["notes"]:
        print(f"note: {note}")
    return opened


def measure_machine(device: torch.device, compute: ComputeSettings) -> tuple[dict[str, Any], float]:
    """Prints what a figure depends on: device, threads, system, versions, and the peak.

    Returns:
        The same by name, and the peak; see `measure_peak`.
    """
    precision, backend = compute.precision, compute.backend
    packages = ["torch", "torchvision", *([] if backend == "pytorch" else [backend])]
    versions = {package: importlib.metadata.version(package) for package in packages}
    machine = {
        "device": describe_device(device),
        "threads": torch.get_num_threads(),
        "system": platform.platform(),
        "tf32_convolutions": device.type == "cuda" and torch.backends.cudnn.allow_tf32,
        "versions": {"python": platform.python_version(), **versions},
    }
    slow = precision_note(device, precision)
    # What emulates a precision computes in float32.
    peak = measure_peak(device, "float32" if slow else precision)
    shown = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    print(f"device {machine['device']}, {machine['system']}, {shown}")
    print(f"precision {precision}, measured peak {peak / 1e9:.1f} GFLOP/s")
    if slow:
        print(f"note: {slow}")
    return {"machine": machine, "peak_gflops": peak / 1e9, "note": slow}, peak


def _open_network(model: ModelSettings) -> tuple[MattingBase | MattingRefine, str | None]:
    """The network, in evaluation mode, and where its weights are from: None if they are random."""
    shipped = identify(read_state_dict(DEFAULT_CHECKPOINT))  # its weights serve both types
    fits = (model.backbone or shipped.backbone) == shipped.backbone and (
        model.refine_kernel_size or shipped.refine_kernel_size
    ) == shipped.refine_kernel_size
    if model.checkpoint != DEFAULT_CHECKPOINT or fits:
        return load_model(model), str(model.checkpoint)
    config = NetworkConfig(
        type=model.type or NetworkConfig.type,
        backbone=model.backbone or NetworkConfig.backbone,
        refine_kernel_size=model.refine_kernel_size or NetworkConfig.refine_kernel_size,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build_network(config).eval()
    set_refinement(network, model)
    return network, None


def _set_work(network: MattingBase, height: int, width: int, model: ModelSettings) -> float:
    """Gives a network its work for a size of frames; returns the scale of the coarse input."""
    pixels = model.refine_sample_pixels
    budget = resolve_budget(height, width, "auto", model.backbone_scale, pixels)
    refines = isinstance(network, MattingRefine)
    scale = budget.backbone_scale if refines else model.backbone_scale or 1.0
    coarse = int(height * scale), int(width * scale)
    if min(coarse) < 1:
        raise ValueError(
            f"backbone scale {scale} leaves {coarse[1]} x {coarse[0]} pixels of {width} x "
            f"{height}; use a larger --model-backbone-scale or --resolution"
        )
    if isinstance(network, MattingRefine):
        network.backbone_scale = scale
        network.refiner.sample_pixels = budget.refine_sample_pixels
        network.corrects_alpha = bool(model.corrects_alpha)  # the paper's network, unless asked
    return scale
