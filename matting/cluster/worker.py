"""What each actor of the cluster does: it holds a network, and mattes batches of frames."""

import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from uuid import uuid4

import torch

from runtime.device import describe_device
from runtime.files import explain
from runtime.version import VERSION
from storage.files import exists
from storage.location import Location, Url, name_below

from ..images.earlier import is_whole
from ..images.frame import ImagesRun
from ..images.plan import Job
from ..images.settings import Settings
from ..library import Matting
from ..pictures.target import Target
from ..summary import SummaryEntry


@dataclass(frozen=True)
class Assignment:
    """What an actor needs to know besides its jobs."""

    settings: Settings
    target: Target
    threads: int
    """Threads of the network."""
    version: str = VERSION


@dataclass(frozen=True)
class Answer:
    """The results of a batch of jobs."""

    actor: str
    """Differs between actors."""
    device: str
    entries: list[tuple[int, SummaryEntry]]
    """Each job's number in the plan, and its result."""
    error: str = ""
    """Why this actor can't work at all; it has no entries then."""


class Worker:
    """One network, with threads that read, matte and write.

    Args:
        assignment: see there.
        weights: the network's file and what belongs to it, by name.
    """

    def __init__(self, assignment: Assignment, weights: dict[str, bytes]) -> None:
        self._name, self._device, self._error = uuid4().hex, "", ""
        try:
            self._start(assignment, weights)
        except (ValueError, OSError) as error:
            self._error = explain(error)

    def _start(self, assignment: Assignment, weights: dict[str, bytes]) -> None:
        if assignment.version != VERSION:
            raise ValueError(
                f"it has version {VERSION} of this program, and the driver {assignment.version}; "
                "install the same on all"
            )
        torch.set_num_threads(assignment.threads)
        settings, output = assignment.settings, assignment.settings.output
        with tempfile.TemporaryDirectory() as folder:
            for name, content in weights.items():
                Path(folder, name).write_bytes(content)
            model = replace(settings.model, checkpoint=Path(folder, settings.model.checkpoint.name))
            matting = Matting.from_settings(model, settings.compute, settings.quality)
        self._device = describe_device(matting.predictor.device)
        self._resumes = settings.existing != "overwrite"
        self._run = ImagesRun(
            matting,
            assignment.target,
            settings.plates,
            output.bit_depth,
            output.dir,
            should_stop=lambda: False,
        )
        lanes, readers = matting.predictor.lanes, settings.compute.num_workers
        share = partial(torch.set_num_threads, max(1, assignment.threads // lanes))
        # Batches share them, so that none waits for the end of another.
        self._threads = ThreadPoolExecutor(2 * readers + lanes if readers else 1, "", share)

    def __call__(self, jobs: list[tuple[int, Job]]) -> Answer:
        """Mattes a batch of jobs; another thread may bring the next before it ends."""
        if self._error:
            return Answer(self._name, "", [], self._error)
        entries = self._threads.map(self._matte, (job for _, job in jobs))
        numbers = (number for number, _ in jobs)
        return Answer(self._name, self._device, list(zip(numbers, entries, strict=True)))

    def _matte(self, job: Job) -> SummaryEntry:
        """Makes the outputs that are not there yet.

        Ray gives a batch to another actor if a node is lost, or its answer is.
        """
        made: dict[str, str] = {}
        try:
            if self._resumes:
                made = {
                    kind: name_below(path, self._run.output_dir)
                    for kind, path in job.outputs.items()
                    if _is_there(path)
                }
        except ValueError as error:
            return SummaryEntry(job.name, "failed", explain(error))
        left = {kind: path for kind, path in job.outputs.items() if kind not in made}
        if not left:
            return SummaryEntry(job.name, "done", outputs=made)
        entry = self._run(replace(job, outputs=left))
        if entry is None:
            return SummaryEntry(job.name, "not reached")
        entry.outputs = made | entry.outputs
        return entry


def _is_there(path: Location) -> bool:
    return exists(path) if isinstance(path, Url) else is_whole(path)
