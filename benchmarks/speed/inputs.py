"""What the speed test computes: a network, frames, and the machine that they meet."""

import importlib.metadata
import platform
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import gettempdir
from typing import Any
from uuid import uuid4

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.speed.end_to_end import load_pictures, plan_pictures
from benchmarks.speed.settings import DEFAULT_RESOLUTION, MeasureSettings, PictureSettings
from matting.backends import Backend
from matting.images.plan import Job
from matting.plate.fit import resize
from matting.plate.prepare import Preprocess
from matting.predictor import Predictor, choose_lanes, load_model, set_refinement, to_tensor
from matting.settings import DEFAULT_CHECKPOINT, ComputeSettings, ModelSettings
from model import MattingBase, MattingRefine
from model.build import NetworkConfig, build_network
from model.refiner import CELL
from model.weights import identify, read_state_dict
from runtime.device import describe_device


def open_predictor(
    model: ModelSettings,
    compute: ComputeSettings,
    measure: MeasureSettings,
    device: torch.device,
    noise: bool,
) -> tuple[Predictor, dict[str, Any]]:
    """Opens what is to be timed.

    On noise, or with random weights, all of the pixels to refine are refined, as in the authors'
    test; on pictures those where an error is predicted, as ever.

    Args:
        model: which network.
        compute: precision and backend.
        measure: with which of the options for GPUs.
        device: where.
        noise: whether frames will be noise.

    Returns:
        The predictor, and facts about it: `network`, `weights` (a file or `random`), `backend`,
        `parity` (see `Predictor`) and `notes`, which tell a user what the figures depend on.

    Raises:
        ValueError: when a checkpoint or the backend can't be used.
    """
    network, weights = open_network(model)
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


def load_frames(
    image: PictureSettings, measure: MeasureSettings, device: torch.device, preprocess: Preprocess
) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Brings frames and plates to the device, one pair at a time.

    Args:
        image: pictures, or none for noise.
        measure: size, if it is given, and frames of a batch.
        device: where to.
        preprocess: what is to be done to the plates, without a first matte.

    Yields:
        Name, src and bgr: (B, 3, H, W) float32 on the device, RGB in [0, 1].

    Raises:
        ValueError: when a picture can't be read, or a frame has no plate that fits.
    """
    if image.src is None:
        width, height = measure.resolution or DEFAULT_RESOLUTION
        src, bgr = make_noise(width, height, measure.batch_size, device)
        pairs: Iterable[tuple[str, Tensor, Tensor]] = [("noise", src, bgr)]
    else:
        jobs = plan_pictures(image, Path(gettempdir()) / uuid4().hex)
        pairs = (_load_pair(job, measure, device, preprocess) for job in jobs)
    layout = torch.channels_last if measure.channels_last else torch.contiguous_format
    for name, src, bgr in pairs:
        yield name, src.contiguous(memory_format=layout), bgr.contiguous(memory_format=layout)


def open_network(model: ModelSettings) -> tuple[MattingBase | MattingRefine, str | None]:
    """Loads the checkpoint; where that is the shipped one and does not fit, weights are random.

    Args:
        model: which network. Its checkpoint is the shipped one unless another is named.

    Returns:
        The network on the CPU, in evaluation mode, and where its weights are from: None if they
        are random.

    Raises:
        CheckpointError: when a checkpoint that was named can't be used.
    """
    if model.checkpoint != DEFAULT_CHECKPOINT or _fits_shipped(model):
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


def make_noise(
    width: int, height: int, batch_size: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Draws a frame and a plate, (B, 3, H, W) each, uniform in [0, 1]; always the same."""
    generator = torch.Generator().manual_seed(0)
    src, bgr = torch.rand(2, batch_size, 3, height, width, generator=generator)
    return src.to(device), bgr.to(device)


def to_batch(picture: np.ndarray, batch_size: int, device: torch.device) -> Tensor:
    """Repeats a picture to a batch that any network takes.

    Args:
        picture: (H, W, 3) uint8 or uint16, RGB.
        batch_size: how often.
        device: where to.

    Returns:
        (B, 3, H', W') float32 in [0, 1]; H' and W' are the next multiples of 4, to which the last
        row and column are repeated.
    """
    bottom, right = (-side % CELL for side in picture.shape[:2])
    padded = F.pad(to_tensor(picture, device), (0, right, 0, bottom), mode="replicate")
    return padded.repeat(batch_size, 1, 1, 1)


def describe_machine(device: torch.device, backend: Backend) -> dict[str, Any]:
    """Says what a figure depends on: device, threads, system and versions of the libraries."""
    packages = [
        "torch",
        "torchvision",
        *([backend] if backend in ("onnxruntime", "openvino") else []),
    ]
    versions = {package: importlib.metadata.version(package) for package in packages}
    return {
        "device": describe_device(device),
        "threads": torch.get_num_threads(),
        "system": platform.platform(),
        "tf32_convolutions": device.type == "cuda" and torch.backends.cudnn.allow_tf32,
        "versions": {"python": platform.python_version(), **versions},
    }


def _fits_shipped(model: ModelSettings) -> bool:
    """Whether the shipped weights are of the network that is asked for; they serve both types."""
    shipped = identify(read_state_dict(DEFAULT_CHECKPOINT))
    return model.backbone in (None, shipped.backbone) and model.refine_kernel_size in (
        None,
        shipped.refine_kernel_size,
    )


def _load_pair(
    job: Job, measure: MeasureSettings, device: torch.device, preprocess: Preprocess
) -> tuple[str, Tensor, Tensor]:
    loaded = load_pictures(job, preprocess)
    src, bgr = loaded.src.pixels, loaded.plate.bgr
    if measure.resolution:
        width, height = measure.resolution
        src, bgr = resize(src, height, width), resize(bgr, height, width)
    batch = measure.batch_size
    return job.name, to_batch(src, batch, device), to_batch(bgr, batch, device)
