"""Speed of a network alone, on tensors that are on the device already."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.speed.cuda_graphs import replayed
from benchmarks.speed.settings import MeasureSettings
from benchmarks.speed.timing import Timing, count_macs, peak_memory, time_calls
from matting.predictor import Predictor
from matting.quality import resolve_budget
from matting.settings import ModelSettings
from model import MattingBase, MattingRefine
from model.refiner import RefineMode
from runtime.device import autocast


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
        """Says it in numbers.

        Args:
            peak: see `measure_peak`.

        Returns:
            By name; times are those of a call, `gmac` that of a frame.
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


def measure_speed(
    predictor: Predictor,
    src: Tensor,
    bgr: Tensor,
    model: ModelSettings,
    measure: MeasureSettings,
) -> Speed:
    """Times a network, then counts what it computes.

    Args:
        predictor: runs the network. Its scale and pixels are set for the frames' size.
        src: (B, 3, H, W) float32 on the device, RGB in [0, 1]; for MattingRefine H and W are
            divisible by 4.
        bgr: (B, 3, H, W) float32 on the device, RGB in [0, 1].
        model: scale and pixels, where they are given; else those of the quality `auto`. MattingBase
            runs at the frames' own size where no scale is given.
        measure: how often, and with which of the options for GPUs.

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
    with replayed(network, precision, measure.cuda_graphs), peak_memory(device) as memory:
        timing = time_calls(
            lambda: predictor.run(src, bgr), device, measure.warm_up, measure.iterations
        )
    # By PyTorch's own path: other backends tell nothing of what they compute.
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
    memories = [speed.memory for speed in speeds if speed.memory is not None]
    joined = replace(
        speeds[0],
        timing=Timing(tuple(seconds for speed in speeds for seconds in speed.timing.seconds)),
        macs=sum(speed.macs for speed in speeds) / len(speeds),
        memory=max(memories, default=None),
    )
    figures, each = joined.figures(peak), [speed.figures(peak) for speed in speeds]
    for key in ("width", "height", "backbone_scale", "refine_sample_pixels"):
        if len({one[key] for one in each}) > 1:
            figures[key] = None
    return figures


def format_figures(figures: dict[str, Any]) -> str:
    """Writes figures for a reader, one a line.

    Args:
        figures: see `Speed.figures`.

    Returns:
        The text.
    """
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
