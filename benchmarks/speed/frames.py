"""Input of the speed test: noise, or pictures with their plates."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import gettempdir
from uuid import uuid4

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.speed.settings import DEFAULT_RESOLUTION, MeasureSettings, PictureSettings
from matting.images.frame import load_frame
from matting.images.plan import Job, plan_jobs
from matting.pictures.target import Target
from matting.plate.prepare import Preprocess
from matting.transfers import to_tensor
from media.pictures import read_picture, resize
from model.refiner import CELL

NO_TARGET = Target("none")


def make_noise(
    width: int, height: int, batch_size: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Draws a frame and a plate, (B, 3, H, W) each, uniform in [0, 1], with a fixed seed."""
    generator = torch.Generator().manual_seed(0)
    src, bgr = torch.rand(2, batch_size, 3, height, width, generator=generator)
    return src.to(device), bgr.to(device)


def plan_pictures(image: PictureSettings, output_dir: Path) -> list[Job]:
    """Finds frames and plates in the same way as `inference_images.py`, one job per frame.

    Args:
        image: frames and plates.
        output_dir: folder of the outputs com and pha, which must be empty.

    Raises:
        ValueError: when a path has no picture or a frame has no plate.
    """
    if image.src is None or image.bgr is None:
        raise ValueError("no pictures were given; name them with --image-src and --image-bgr")
    plan = list(plan_jobs(image.src, image.bgr, NO_TARGET, output_dir, ("com", "pha"), "error"))
    jobs = [item for item in plan if isinstance(item, Job)]
    if len(jobs) < len(plan):
        failed = (item for item in plan if not isinstance(item, Job))
        reasons = "; ".join(f"{entry.name}: {entry.reason}" for entry in failed)
        raise ValueError(f"every frame of --image-src needs a plate in --image-bgr; {reasons}")
    return jobs


def load_frames(
    image: PictureSettings, measure: MeasureSettings, device: torch.device, preprocess: Preprocess
) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Loads frames and plates onto the device, one pair at a time.

    If `image` names no pictures, yields noise. Plates are prepared without a first matte.

    Yields:
        Name, src and bgr: (B, 3, H, W) float32 on the device, RGB in [0, 1]. Pictures are padded to
        multiples of 4 by repeating the last row and column.

    Raises:
        ValueError: when a picture can't be read, or a frame has no plate that fits.
    """
    layout = torch.channels_last if measure.channels_last else torch.contiguous_format
    if image.src is None:
        width, height = measure.resolution or DEFAULT_RESOLUTION
        src, bgr = make_noise(width, height, measure.batch_size, device)
        yield "noise", src.contiguous(memory_format=layout), bgr.contiguous(memory_format=layout)
        return
    for job in plan_pictures(image, Path(gettempdir()) / uuid4().hex):
        loaded = load_frame(job, NO_TARGET, preprocess, read_picture)
        src, bgr = (
            _to_batch(picture, measure, device).contiguous(memory_format=layout)
            for picture in (loaded.src.pixels, loaded.plate.bgr)
        )
        yield job.name, src, bgr


def _to_batch(picture: np.ndarray, measure: MeasureSettings, device: torch.device) -> Tensor:
    """Makes a batch of a picture, resized if `measure` says so and padded for any network."""
    if measure.resolution:
        width, height = measure.resolution
        picture = resize(picture, height, width)
    bottom, right = (-side % CELL for side in picture.shape[:2])
    padded = F.pad(to_tensor(picture, device), (0, right, 0, bottom), mode="replicate")
    return padded.repeat(measure.batch_size, 1, 1, 1)
