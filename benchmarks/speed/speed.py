"""The speed of a network alone, on tensors that are already on the device."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.memory import added_memory
from benchmarks.speed.network import Opened
from benchmarks.speed.settings import MeasureSettings, check_resolution
from benchmarks.timing import Timing, count_macs, time_calls
from matting.predictor import Predictor
from matting.quality import Budget, resolve_budget
from matting.settings import ModelSettings
from model import MattingBase, MattingRefine
from model.fast import accelerate
from model.refiner import BUDGETED
from runtime.device import autocast
from runtime.wording import listed


@dataclass(frozen=True)
class Speed:
    """Speed of a network on frames of one size.

    Attributes:
        work: `width`, `height` and `batch_size` of a call; `backbone_scale`; `refine_mode`, None
            for MattingBase; `refine_sample_pixels`, None in modes that have no budget.
        timing: of the calls.
        macs: multiply-adds of the convolutions for one frame; see `count_macs`.
        memory: bytes needed above the loaded network and the frames, or None if unknown.
    """

    work: dict[str, Any]
    timing: Timing
    macs: float
    memory: int | None

    def figures(self, peak: float) -> dict[str, Any]:
        """All figures by name: times per call, `gmac` per frame; `peak` as of `measure_peak`."""
        mean, batch_size = self.timing.mean, self.work["batch_size"]
        return {
            **self.work,
            "frames_per_second": batch_size / mean,
            "mean_ms": mean * 1e3,
            "p50_ms": self.timing.percentile(50) * 1e3,
            "p95_ms": self.timing.percentile(95) * 1e3,
            "iterations": len(self.timing.seconds),
            "gmac": self.macs / 1e9,
            "peak_share": 2 * self.macs * batch_size / mean / peak,
            "peak_memory_mib": None if self.memory is None else self.memory / 2**20,
        }


def measure_speed(
    predictor: Predictor, src: Tensor, bgr: Tensor, model: ModelSettings, measure: MeasureSettings
) -> Speed:
    """Times a network, then counts its multiply-adds.

    Args:
        predictor: runs the network.
        src: (B, 3, H, W) float32 on the device, RGB in [0, 1]; for MattingRefine H and W are
            divisible by 4. So is `bgr`.
        bgr: see `src`.
        model: scale and pixels; values that are not given are those of the quality `auto`, and for
            MattingBase the frames' own size.
        measure: numbers of calls.

    Raises:
        ValueError: when the scale leaves no pixel.
    """
    network, device = predictor.network, predictor.device
    batch_size, _, height, width = src.shape
    budget = _choose_work(network, height, width, model)
    work: dict[str, Any] = {"width": width, "height": height, "batch_size": batch_size}
    work["backbone_scale"] = scale = budget.backbone_scale
    asked: dict[str, Any] = {}
    if isinstance(network, MattingRefine):
        refiner, pixels = network.refiner, budget.refine_sample_pixels
        asked = {"backbone_scale": scale, "refine_sample_pixels": pixels}
        asked["corrects_alpha"] = bool(model.corrects_alpha)  # off by default, as in the paper
        work["refine_mode"] = refiner.mode
        work["refine_sample_pixels"] = pixels if refiner.mode in BUDGETED else None
    else:
        work |= {"refine_mode": None, "refine_sample_pixels": None}
        src, bgr = (
            F.interpolate(x, budget.coarse_size(height, width), mode="bilinear") for x in (src, bgr)
        )
    with added_memory(device) as memory:
        timing = time_calls(
            lambda: predictor.run(src, bgr, **asked), device, measure.warm_up, measure.iterations
        )
    # Counted in PyTorch, because other backends do not report their operations; on a GPU without
    # the channels of zeros that the static path adds.
    counted = network if device.type == "cuda" else accelerate(network)
    with torch.inference_mode(), autocast(device, predictor.choose_precision()):
        macs = count_macs(lambda: counted(src, bgr, **asked))
    return Speed(work, timing, macs / batch_size, memory.bytes)


def measure_frames(
    frames: Iterable[tuple[str, Tensor, Tensor]],
    opened: Opened,
    model: ModelSettings,
    measure: MeasureSettings,
    peak: float,
) -> dict[str, Any]:
    """Times a network on each of several frames with their plates, and prints the figures.

    Returns:
        Properties of the network; `Speed.figures` of all frames (means over all calls, the largest
        memory, and None for a size or work that differs between frames); and those of each frame
        by name, in `frames`.

    Raises:
        ValueError: for a resolution that the network does not support, and as `measure_speed`.
    """
    predictor, about = opened
    if measure.resolution:
        check_resolution(*measure.resolution, isinstance(predictor.network, MattingRefine))
    speeds = {name: measure_speed(predictor, src, bgr, model, measure) for name, src, bgr in frames}
    every = list(speeds.values())
    joined = Speed(
        {
            name: value if all(speed.work[name] == value for speed in every) else None
            for name, value in every[0].work.items()
        },
        Timing(tuple(seconds for speed in every for seconds in speed.timing.seconds)),
        sum(speed.macs for speed in every) / len(every),
        max((speed.memory for speed in every if speed.memory is not None), default=None),
    )
    figures = joined.figures(peak)
    print(format_figures(figures))
    notes = about["notes"] + note_disturbance(speeds)
    each = {name: speed.figures(peak) for name, speed in speeds.items()}
    return {**about, "notes": notes, **figures, "frames": each}


def note_disturbance(speeds: Mapping[str, Speed]) -> list[str]:
    """Prints and returns advice if other programs have disturbed measurements, with their names."""
    names = [name for name, speed in speeds.items() if speed.timing.disturbed]
    if not names:
        return []
    note = (
        f"the machine is busy: for {listed(names)} the slowest calls took over 3 times as long as "
        "the median. Stop other programs. If fewer cores than threads are free, give PyTorch "
        f"fewer threads (OMP_NUM_THREADS=1, now {torch.get_num_threads()})"
    )
    print(f"note: {note}")
    return [note]


def format_figures(figures: dict[str, Any]) -> str:
    """Formats figures (see `Speed.figures`), one per line."""
    size = f"{figures['width']} x {figures['height']}" if figures["width"] else "of several sizes"
    scale, pixels = figures["backbone_scale"], figures["refine_sample_pixels"]
    mode = figures["refine_mode"] or "no refiner"
    work = f"{pixels or 'by size'} pixels" if mode in BUDGETED else ""
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


def _choose_work(network: MattingBase, height: int, width: int, model: ModelSettings) -> Budget:
    """Chooses scale and pixels of a network for frames of height x width pixels."""
    budget = resolve_budget(height, width, "auto", model.backbone_scale, model.refine_sample_pixels)
    if not isinstance(network, MattingRefine):
        budget = replace(budget, backbone_scale=model.backbone_scale or 1.0)
    coarse = budget.coarse_size(height, width)
    if min(coarse) < 1:
        raise ValueError(
            f"backbone scale {budget.backbone_scale} leaves {coarse[1]} x {coarse[0]} pixels of "
            f"{width} x {height}; use a larger --model-backbone-scale or --resolution"
        )
    return budget
