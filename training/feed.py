"""From a loader's batches to samples on the training device, one batch ahead of the steps."""

from collections import deque
from time import perf_counter
from typing import Any, NamedTuple

import torch

from .run import Run
from .synthesis import Sample, synthesise


class Composed(NamedTuple):
    """A batch to train on.

    Attributes:
        names: of its samples, for messages.
        sample: on the device, in the memory format of the run.
        waited: seconds that the loader let us wait.
    """

    names: list[str]
    sample: Sample
    waited: float


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

    def prepare(self) -> None:
        """Waits for the loader's next batch and begins to compose it; `take` raises failures."""
        start = perf_counter()
        try:
            batch = next(self._batches)
            waited = perf_counter() - start
            with torch.cuda.stream(self._stream):  # None: the current one
                names, sample = compose(self._run, batch)
            self._prepared.append(Composed(names, sample, waited))
        except Exception as error:  # for whoever takes it, after the step that is on its way
            self._prepared.append(error)

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


def compose(run: Run, batch: dict[str, Any]) -> tuple[list[str], Sample]:
    """Composes a batch for the network.

    Args:
        run: see `Run`.
        batch: of its loader.

    Returns:
        The names and the sample, see `Composed`.
    """
    batch = pair_anew(batch, run.settings.run.pairings)
    sample = synthesise(batch, run.processes.device)
    if run.settings.run.channels_last:
        sample = sample._replace(
            src=sample.src.contiguous(memory_format=torch.channels_last),
            bgr=sample.bgr.contiguous(memory_format=torch.channels_last),
        )
    return batch["name"], sample


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
    fgr, pha, bgr, names = (batch[key] for key in ("fgr", "pha", "bgr", "name"))
    parts = [batch]
    for shift in range(1, pairings):
        mirrored = shift % 2 == 1
        parts.append(
            {
                "fgr": fgr.flip(-1) if mirrored else fgr,
                "pha": pha.flip(-1) if mirrored else pha,
                "bgr": bgr.roll(-shift, 0),
                "disturbance": {
                    key: value.roll(-2 * shift) for key, value in batch["disturbance"].items()
                },
                "name": [
                    f"{name}{', mirrored' if mirrored else ''}, over the background of {other}"
                    for name, other in zip(names, names[shift:] + names[:shift], strict=True)
                ],
            }
        )
    if pairings == 1:
        return batch
    return {
        **{key: torch.cat([part[key] for part in parts]) for key in ("fgr", "pha", "bgr")},
        "disturbance": {
            key: torch.cat([part["disturbance"][key] for part in parts])
            for key in batch["disturbance"]
        },
        "name": [name for part in parts for name in part["name"]],
    }
