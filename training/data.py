"""Batches for the network: read by a loader, composited on the training device ahead of steps."""

import signal
from collections import deque
from collections.abc import Sequence
from time import perf_counter
from typing import Any, NamedTuple

import cv2
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader

from dataset import DatasetError
from dataset.batches import Batches
from dataset.cache import Cache
from dataset.files import RemoteFile, local
from dataset.samples import Request, Samples
from dataset.settings import SourceSettings
from dataset.sources import Backgrounds, open_source
from dataset.synthesis import Sample, synthesise
from dataset.synthetic import SyntheticForegrounds
from storage.location import Location

from .processes import Processes
from .settings import RunSettings, TrainingSettings
from .workers import begin, take

# Added to seeds: with the same seed, drawn foregrounds would be those of training.
_VALIDATION_SEEDS = 1 << 31

# Seconds to wait for a batch from a worker before the run ends.
_PATIENCE = 600

# Backgrounds whose size is checked; fewer of those that must be fetched.
_LOOKED_AT, _FETCHED = 200, 20


class Data(NamedTuple):
    """Training batches, in the order set by `batches.begin`, and this process's for validation."""

    loader: DataLoader
    batches: Batches
    validation: DataLoader | None
    notes: list[str] = []  # noqa: RUF012 - warnings for the user

    def total_steps(self, settings: RunSettings) -> int:
        """Steps of the whole run, from its first epoch to its last."""
        return (settings.epoch_end - settings.epoch_start) * len(self.batches)

    def place(self, settings: RunSettings, epoch: int, batch: int) -> int:
        """Steps up to a batch of an epoch, counted in steps of the present size."""
        return max(0, epoch - settings.epoch_start) * len(self.batches) + batch


class Batch(NamedTuple):
    """A training batch on the device."""

    names: list[str]  # of the samples, for messages
    sample: Sample


def open_data(settings: TrainingSettings, processes: Processes) -> Data:
    """Opens training and validation set; every process must call it.

    Raises:
        ValueError: for missing, unpaired or too few data, or if processes found different ones.
    """
    data, run, valid = settings.dataset, settings.run, settings.validation
    rank, count = processes.rank, processes.world_size
    split = data.split()
    photographs = _open_backgrounds(data.train_backgrounds, run.seed, data.cache)
    samples = _open_samples(split.train, photographs, settings, run.seed)
    _check_same(len(samples), len(photographs or ()), processes)
    notes = note_small(photographs, settings.crop.largest) if photographs and not rank else []
    batches = Batches(
        samples.runs, run.batch_size, settings.crop, run.seed, run.num_workers, rank, count
    )
    loader = _make_loader(samples, batches, run.num_workers, processes)
    if not split.valid:
        return Data(loader, batches, None, notes)
    seed = _VALIDATION_SEEDS + valid.seed
    photographs = _open_backgrounds(data.valid_backgrounds, seed, data.cache)
    fixed = _open_samples(split.valid, photographs, settings, seed)
    judged = min(valid.samples, len(fixed))
    # Evenly over the data set, so that few samples come from many clips.
    places = [i * len(fixed) // judged for i in range(rank, judged, count)]
    requests = [Request(place, 0, valid.size, valid.size) for place in places]
    groups = [requests[i : i + valid.batch_size] for i in range(0, len(requests), valid.batch_size)]
    return Data(loader, batches, _make_loader(fixed, groups, run.num_workers, processes), notes)


def note_small(photographs: Backgrounds, largest: int) -> list[str]:
    """Warns if the largest crop enlarges some of the first photographs, in random order."""
    looked = small = 0
    for index in range(min(len(photographs), _LOOKED_AT)):
        file = photographs.file(index)
        if isinstance(file, RemoteFile) and looked == _FETCHED:
            break
        try:
            with local(file) as path, Image.open(path) as picture:
                small += min(picture.size) < largest
                looked += 1
        except DatasetError:
            raise  # it can't be fetched
        except (OSError, ValueError, Image.DecompressionBombError):
            continue  # reading it later raises the error
    if not small:
        return []
    return [
        f"{small} of {looked} train_backgrounds that were checked (of {len(photographs)}) are "
        f"shorter than the largest crop, {largest} pixels. They are enlarged for it and look "
        "softer than the foregrounds. Lower --crop-largest or use larger photographs"
    ]


class Feed:
    """Composites the training batches of an epoch: `prepare` starts one and `take` returns it.

    On CUDA it is composited on a separate stream, so it can overlap with a training step. The last
    `prepare` waited `waited` seconds for the loader.

    Source: ours; compositing launches hundreds of small kernels, which leave a GPU idle. Not
        measured.
    """

    def __init__(self, loader: DataLoader, settings: RunSettings, device: torch.device) -> None:
        self._batches, self._settings, self._device = begin(loader), settings, device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._prepared: deque[Batch | Exception] = deque()
        self.waited = 0.0

    def prepare(self) -> None:
        """Waits for the loader's next batch and starts compositing it; `take` raises errors."""
        start = perf_counter()
        self.waited = 0.0
        try:
            batch = take(self._batches)
            self.waited = perf_counter() - start
            with torch.cuda.stream(self._stream):  # None means the current one
                self._prepared.append(compose(batch, self._settings, self._device))
        except Exception as error:  # raised by `take`, after the running step
            self._prepared.append(error)

    @property
    def failed(self) -> bool:
        """Whether `take` will raise."""
        return isinstance(self._prepared[0], Exception)

    def take(self) -> Batch:
        """Returns the prepared batch, or raises the error of the data."""
        prepared = self._prepared.popleft()
        if isinstance(prepared, Exception):
            raise prepared
        if self._stream is not None:
            current = torch.cuda.current_stream()
            current.wait_stream(self._stream)
            for pictures in prepared.sample:
                pictures.record_stream(current)
        return prepared


def compose(batch: dict[str, Any], settings: RunSettings, device: torch.device) -> Batch:
    """Composites a loader's batch for the network at once, without `Feed`."""
    # Moved before pairing, because a GPU copies them faster.
    pictures = {name: batch[name].to(device, non_blocking=True) for name in ("fgr", "pha", "bgr")}
    batch = pair_with_others({**batch, **pictures}, settings.pairings)
    sample = synthesise(batch, device)
    if settings.channels_last:
        src, bgr = (x.contiguous(memory_format=torch.channels_last) for x in sample[:2])
        sample = sample._replace(src=src, bgr=bgr)
    return Batch(batch["name"], sample)


def pair_with_others(batch: dict[str, Any], pairings: int) -> dict[str, Any]:
    """Composites foregrounds over the backgrounds of other samples of their batch as well.

    Appends copies of the batch. In the first, each foreground is mirrored and lies over the
    background of the next sample, with the disturbance of the one after that. In the second, it
    lies over the second next background, and so on.

    Source: ours, because reading or drawing a foreground takes most of a sample's time, and a pair
        that differs only in the background shows best which part is the foreground.
    """
    if pairings == 1:
        return batch
    shifts, names = range(pairings), batch["name"]

    def mirror(pictures: Tensor) -> Tensor:
        return torch.cat([pictures.flip(-1) if shift % 2 else pictures for shift in shifts])

    def move_on(values: Tensor, by: int) -> Tensor:
        return torch.cat([values.roll(-by * shift, 0) for shift in shifts])

    paired = [
        f"{name}{', mirrored' if shift % 2 else ''}, over the background of {other}"
        for shift in shifts[1:]
        for name, other in zip(names, names[shift:] + names[:shift], strict=True)
    ]
    return {
        "fgr": mirror(batch["fgr"]),
        "pha": mirror(batch["pha"]),
        "bgr": move_on(batch["bgr"], 1),
        "disturbance": {
            name: drawn._make(move_on(values, 2) for values in drawn)
            for name, drawn in batch["disturbance"].items()
        },
        "name": [*names, *paired],
    }


def _check_same(samples: int, backgrounds: int, processes: Processes) -> None:
    found = processes.gather((samples, backgrounds))
    if len(set(found)) > 1:
        counts = "; ".join(f"{count} samples and {others} backgrounds" for count, others in found)
        raise ValueError(
            f"the processes of this run found different data, by rank: {counts}. Give the same "
            "data to all machines"
        )


def _open_backgrounds(folders: tuple[Location, ...], seed: int, cache: Cache) -> Backgrounds | None:
    return Backgrounds(folders, seed, cache) if folders else None


def _open_samples(
    sources: Sequence[SourceSettings],
    backgrounds: Backgrounds | None,
    settings: TrainingSettings,
    seed: int,
) -> Samples:
    cache, repeats = settings.dataset.cache, [source.repeat for source in sources]
    foregrounds = [
        SyntheticForegrounds(source.synthetic, seed)
        if source.synthetic
        else open_source(source, cache)
        for source in sources
    ]
    return Samples(foregrounds, backgrounds, settings.augmentation, seed, repeats)


def _make_loader(
    samples: Samples, batches: Batches | list[list[Request]], workers: int, processes: Processes
) -> DataLoader:
    return DataLoader(
        samples,
        batch_sampler=batches,
        num_workers=workers,
        pin_memory=processes.device.type == "cuda",
        persistent_workers=workers > 0,
        timeout=_PATIENCE if workers else 0,
        worker_init_fn=_begin_worker,
        # A separate one, so that opening it does not use the generator that a checkpoint restores.
        generator=torch.Generator(),
    )


def _begin_worker(worker: int) -> None:
    """Ignores interrupts in workers; the training process handles them."""
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
