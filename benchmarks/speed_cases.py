"""Shared by the speed benchmarks: networks, presets, a real frame, and alternating timing."""

from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any, Literal, TypeVar, cast

import cv2
import torch
from torch import Tensor

from benchmarks.speed import table
from matting.plate.align import align_plate
from media.listing import list_pictures
from media.pictures import read_picture
from model import MattingRefine
from model.matting import Backbone
from model.weights import load_network

Clock = Literal["wall", "processor"]
Name = TypeVar("Name", bound=Hashable)

CPU = torch.device("cpu")
PRESETS = {preset.name: preset for preset in table.PRESETS}
REAL = Path("../shared/data/real_pairs")
DEMO = Path("demo")


def read_pair(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Reads a real frame with its aligned plate, (1, 3, height, width) each.

    They come from ../shared/data if it exists, else from demo/.
    """
    if REAL.exists():
        frame, plate = REAL / "0001_src.png", REAL / "plate.png"
    else:
        frame = list_pictures(DEMO / "src").pictures[0]
        plate = next(p for p in list_pictures(DEMO / "bgr").pictures if p.stem == frame.stem)
    src = read_picture(frame).pixels
    bgr = align_plate(src, read_picture(plate).pixels)[0]
    resized = (cv2.resize(p, (width, height), interpolation=cv2.INTER_CUBIC) for p in (src, bgr))
    src_tensor, bgr_tensor = (
        torch.from_numpy(p).permute(2, 0, 1)[None].contiguous().float() / 255 for p in resized
    )
    return src_tensor, bgr_tensor


def build_network(backbone: Backbone, checkpoint: Path) -> MattingRefine:
    """Loads the checkpoint if it has this backbone, else makes random weights.

    With random weights, the predicted error is set where the frame is brighter than the plate.
    Cells are then adjacent, as with a trained network, and the whole budget is refined.
    """
    try:
        network = load_network(checkpoint, type="mattingrefine", backbone=backbone)
        return cast(MattingRefine, network).eval()
    except ValueError:
        torch.manual_seed(0)
        random = MattingRefine(backbone).eval()
        predict = random.decoder.conv4
        predict.weight.data[4] = 0
        predict.weight.data[4, -6:-3, 1, 1], predict.weight.data[4, -3:, 1, 1] = 1.0, -1.0
        cast(Tensor, predict.bias).data[:] = 0.01
        return random


def preset_work(preset: table.Preset) -> dict[str, Any]:
    """Returns a preset as arguments of a call of `MattingRefine`."""
    budget = preset.budget
    return {
        "backbone_scale": budget.backbone_scale,
        "refine_sample_pixels": budget.refine_sample_pixels,
        "corrects_alpha": False,
    }


def time_in_turn(
    runs: Mapping[Name, Callable[[], object]], rounds: int, clock: Clock = "wall"
) -> dict[Name, float]:
    """Calls all alternately, after one warm-up call each; returns the median seconds of each.

    The clock `processor` counts the seconds of all threads, which other programs change less.

    `torch.utils.benchmark` times them one after the other, so drift of a shared machine would bias
    the comparison.
    """
    now = perf_counter if clock == "wall" else process_time
    seconds: dict[Name, list[float]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            start = now()
            run()
            if number:
                seconds[name].append(now() - start)
    return {name: median(values) for name, values in seconds.items()}


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Sets PyTorch's number of threads inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
