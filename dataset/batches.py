"""Samples, order and crop size of batches: seeded, sharded over processes, resumable."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Annotated

import numpy as np
from pydantic import Field

from runtime.settings import settings_group

from .samples import Request

_ORDER, _SIZE = 0, 1  # independent streams of random numbers with the same seed


@settings_group("crop")
class CropSettings:
    """Size of the training crops; height and width are drawn for each batch."""

    smallest: Annotated[int, Field(ge=32)] = 256
    """Pixels."""
    largest: int = 512
    """Pixels."""
    multiple: Annotated[int, Field(ge=1)] = 1
    """Both sizes are multiples of this many pixels; MattingRefine needs 4."""

    def __post_init__(self) -> None:
        if not self.choices:
            raise ValueError(
                f"no multiple of {self.multiple} lies between {self.smallest} and {self.largest}"
            )

    @property
    def choices(self) -> range:
        """Sizes to choose from, in pixels."""
        first = -(-self.smallest // self.multiple) * self.multiple
        return range(first, self.largest + 1, self.multiple)


class Batches:
    """A batch sampler: lists of requests for one process.

    Every epoch has a different order. A run (consecutive frames of a clip, or a single picture) is
    read in order by one worker. Each sample of a global batch comes from a different run; workers
    take batches in turn and do not share runs. All processes together use each sample once, except
    samples left over from the last full batch.

    Args:
        runs: global indices to be read in order, which together are the epoch.
        batch_size: samples per batch and process.
        crop, seed: sizes of the crops; seed and epoch determine order and sizes.
        workers: workers of each process's loader; 0 counts as 1.
        rank, world_size: this process, from 0, and the number of processes.

    Raises:
        ValueError: when there are not enough samples for one batch.

    Source: ours, because decoding the next frame of a clip costs one frame, and seeking costs many.
    """

    def __init__(
        self,
        runs: Sequence[range],
        batch_size: int,
        crop: CropSettings,
        seed: int,
        workers: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        samples = sum(len(run) for run in runs)
        if samples < batch_size * world_size:
            raise ValueError(
                f"an epoch has {samples} samples, fewer than one batch of {batch_size} for each of "
                f"{world_size} processes; give more data, raise `repeat` of the source or lower "
                "--batch-size"
            )
        self.runs, self.batch_size, self.crop, self.seed = runs, batch_size, crop, seed
        self.slots, self.rank, self.world_size = max(workers, 1), rank, world_size
        self.epoch = self.start = 0
        self._length = samples // (batch_size * world_size)

    def begin(self, epoch: int, start: int = 0) -> None:
        """Sets the epoch and its first batch for the next iteration."""
        self.epoch, self.start = epoch, start

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[list[Request]]:
        rng = np.random.default_rng((self.seed, self.epoch, _SIZE))
        sizes = rng.choice(self.crop.choices, (self._length, 2)).tolist()
        mine = slice(self.rank * self.batch_size, (self.rank + 1) * self.batch_size)
        for number, batch in enumerate(self._global_batches()):
            if number >= self.start:
                yield [Request(index, self.epoch, *sizes[number]) for index in batch[mine]]

    def _global_batches(self) -> Iterator[list[int]]:
        rng = np.random.default_rng((self.seed, self.epoch, _ORDER))
        runs = (self.runs[number] for number in rng.permutation(len(self.runs)))
        places = self.batch_size * self.world_size
        # After its run a lane takes the next unused run, and at last samples of other lanes.
        lanes = [chain.from_iterable(runs) for _ in range(self.slots * places)]
        for number in range(self._length):
            first = number % self.slots * places
            yield [next(chain(lane, *lanes)) for lane in lanes[first : first + places]]
