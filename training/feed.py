"""From a loader's batches to samples on the training device, one batch ahead of the steps."""

from collections import deque
from time import perf_counter
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dataset.synthesis import Sample, synthesise

from .run import Run


class Composed(NamedTuple):
    """A batch to train on.

    Attributes:
        names: of its samples, for messages.
        sample: on the device, in the memory format of the run.
    """

    names: list[str]
    sample: Sample


class Feed:
    """Composes the batches of an epoch.

    `prepare` begins the next one and `take` hands it over. On CUDA it is composed on a stream of
    its own, so that whoever prepares while a step is on its way has it done beside the step.

    Args:
        run: see `Run`; its order of batches must have begun.

    Source: ours; composing is hundreds of small kernels, which leave a GPU idle. Not measured.
    """

    def __init__(self, run: Run) -> None:
        self._run, self._batches = run, iter(run.loader)
        device = run.processes.device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._prepared: deque[Composed | Exception] = deque()

    def prepare(self) -> float:
        """Waits for the loader's next batch and begins to compose it; `take` raises failures.

        Returns:
            Seconds that the loader let us wait.
        """
        start = perf_counter()
        waited = 0.0
        try:
            batch = next(self._batches)
            waited = perf_counter() - start
            with torch.cuda.stream(self._stream):  # None: the current one
                self._prepared.append(compose(self._run, batch))
        except Exception as error:  # for whoever takes it, after the step that is on its way
            self._prepared.append(error)
        return waited

    def take(self) -> Composed:
        """Hands over what was prepared.

        Raises:
            Exception: what went wrong with the data.
            IndexError: when nothing was prepared.
        """
        composed = self._prepared.popleft()
        if isinstance(composed, Exception):
            raise composed
        if self._stream is not None:
            current = torch.cuda.current_stream()
            current.wait_stream(self._stream)
            for pictures in composed.sample:
                pictures.record_stream(current)
        return composed


def compose(run: Run, batch: dict[str, Any]) -> Composed:
    """Composes a batch for the network.

    Args:
        run: see `Run`.
        batch: of its loader.

    Returns:
        See `Composed`.
    """
    device = run.processes.device
    # Before pairing, which copies them: a GPU does that in no time.
    pictures = {name: batch[name].to(device, non_blocking=True) for name in ("fgr", "pha", "bgr")}
    batch = pair_anew({**batch, **pictures}, run.settings.run.pairings)
    sample = synthesise(batch, device)
    if run.settings.run.channels_last:
        sample = sample._replace(
            src=sample.src.contiguous(memory_format=torch.channels_last),
            bgr=sample.bgr.contiguous(memory_format=torch.channels_last),
        )
    return Composed(batch["name"], sample)


def pair_anew(batch: dict[str, Any], pairings: int) -> dict[str, Any]:
    """Lets foregrounds meet the backgrounds of other samples of their batch as well.

    Args:
        batch: collated samples of `dataset.samples.Samples`.
        pairings: backgrounds for each foreground, 1 or more.

    Returns:
        The batch, followed by itself with every foreground mirrored over the background of the
        sample after it, disturbed as the one after that; then with every foreground over the second
        next background, and so on.

    Source: ours, because reading or drawing a foreground takes longer than all else of a sample,
        and what is foreground shows best when only the background changes.
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
