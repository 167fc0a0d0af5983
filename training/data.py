"""Loaders of training and validation batches."""

import signal
from collections.abc import Sequence
from pathlib import Path

import cv2
import torch
from torch.utils.data import DataLoader

from dataset.augmentation import AugmentationSettings
from dataset.backgrounds import Backgrounds
from dataset.batches import Batches
from dataset.samples import Request, Samples
from dataset.settings import SourceSettings
from dataset.sources import Foregrounds, open_source
from dataset.synthetic import SyntheticForegrounds

from .processes import Processes
from .settings import TrainingSettings, ValidationSettings

# Drawn foregrounds of the same seed would be those of training.
_VALIDATION_SEEDS = 1 << 31


# Seconds after which a batch that a worker does not deliver ends the run.
_PATIENCE = 600


def open_training_data(
    settings: TrainingSettings, processes: Processes
) -> tuple[DataLoader, Batches]:
    """Opens the training set.

    Args:
        settings: of the run.
        processes: of the run.

    Returns:
        The loader, and its order of batches: `begin` chooses epoch and batch to go on with.

    Raises:
        ValueError: when data are missing, unpaired or too few.
    """
    data, seed = settings.dataset, settings.run.seed
    samples = _open_samples(data.split().train, data.train_backgrounds, settings.augmentation, seed)
    batches = Batches(
        samples.runs,
        settings.run.batch_size,
        settings.crop,
        settings.run.seed,
        settings.run.num_workers,
        processes.rank,
        processes.world_size,
    )
    return _make_loader(samples, batches, settings.run.num_workers, processes), batches


def open_validation_data(settings: TrainingSettings, processes: Processes) -> DataLoader | None:
    """Opens the validation set: the same samples at every validation, shared out to processes.

    Args:
        settings: of the run.
        processes: of the run.

    Returns:
        The loader, or None when the data set has no validation split.

    Raises:
        ValueError: when data are missing or unpaired.
    """
    sources = settings.dataset.split().valid
    if not sources:
        return None
    valid = settings.validation
    samples = _open_samples(
        sources,
        settings.dataset.valid_backgrounds,
        settings.augmentation,
        _VALIDATION_SEEDS + valid.seed,
    )
    requests = _spread(len(samples), valid)[processes.rank :: processes.world_size]
    groups = [requests[i : i + valid.batch_size] for i in range(0, len(requests), valid.batch_size)]
    return _make_loader(samples, groups, settings.run.num_workers, processes)


def _spread(length: int, valid: ValidationSettings) -> list[Request]:
    """Requests evenly over a data set, so that few samples still are of many clips."""
    count = min(valid.samples, length)
    return [Request(i * length // count, 0, valid.size, valid.size) for i in range(count)]


def _open_samples(
    sources: Sequence[SourceSettings],
    backgrounds: tuple[Path, ...],
    augmentation: AugmentationSettings,
    seed: int,
) -> Samples:
    return Samples(
        [_open_source(source, seed) for source in sources],
        Backgrounds(backgrounds, seed) if backgrounds else None,
        augmentation,
        seed,
        [source.repeat for source in sources],
    )


def _open_source(source: SourceSettings, seed: int) -> Foregrounds | SyntheticForegrounds:
    return SyntheticForegrounds(source.synthetic, seed) if source.synthetic else open_source(source)


def _make_loader(
    samples: Samples,
    batches: Batches | list[list[Request]],
    workers: int,
    processes: Processes,
) -> DataLoader:
    return DataLoader(
        samples,
        batch_sampler=batches,
        num_workers=workers,
        pin_memory=processes.device.type == "cuda",
        persistent_workers=workers > 0,
        timeout=_PATIENCE if workers else 0,
        worker_init_fn=_begin_worker,
        # Its own, so that opening it takes nothing from the generator that a checkpoint restores.
        generator=torch.Generator(),
    )


def _begin_worker(worker: int) -> None:
    """Leaves interrupts to the training process, which comes to an orderly end."""
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
