"""A plan's jobs through Ray Data: batches out, results back, as they come."""

import logging
import pickle
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from queue import Empty, Queue
from threading import Thread
from typing import Any

from ..images.plan import Job, Plan
from ..summary import SummaryEntry
from .settings import ClusterSettings
from .worker import Answer, Assignment, Worker

_BATCH = 8  # frames of a task at most: a lost node costs two tasks an actor
_BATCHES = 100  # tasks at least, if there are as many frames, so that all actors end together
_AT_ONCE, _SENT = 2, 4  # tasks of an actor: one begins while another ends; and those that wait
_RETRIES = 10  # of a task whose actor was lost
_PATIENCE = 0.2  # seconds until a look for an interrupt

Batch = list[tuple[int, Job]]
Ask = Callable[[list[bytes]], Iterator[Answer]]


class Stream:
    """Mattes a plan on a cluster.

    Args:
        plan: what to make.
        ask: sends batches, in bytes, and yields the answers.
        interrupted: returns whether to stop.

    Attributes:
        devices: the device of each actor that has answered.
        error: why the cluster could not go on; empty if it could.
    """

    def __init__(self, plan: Plan, ask: Ask, interrupted: Callable[[], bool]) -> None:
        self._plan, self._ask, self._interrupted = plan, ask, interrupted
        self.devices: dict[str, str] = {}
        self.error = ""
        self._thread: Thread | None = None

    def __iter__(self) -> Iterator[tuple[SummaryEntry, bool]]:
        """Yields each result once, and whether it is of a job; ends after an error, too."""
        pending, batches = bytearray(), []
        size = min(_BATCH, max(1, self._plan.count_jobs() // _BATCHES))
        batch: Batch = []
        for number, item in enumerate(self._plan):
            pending.append(isinstance(item, Job))
            if isinstance(item, SummaryEntry):
                yield item, False
            else:
                batch.append((number, item))
            if len(batch) == size:
                batches.append(pickle.dumps(batch))
                batch = []
        if batch:
            batches.append(pickle.dumps(batch))
        if batches:
            for number, entry in self._receive(batches):
                if pending[number]:  # of a task that was done twice, one counts
                    pending[number] = False
                    yield entry, True
        for number, item in enumerate(self._plan):
            if pending[number]:
                yield self._give_up(item.name), True

    def _receive(self, batches: list[bytes]) -> Iterator[tuple[int, SummaryEntry]]:
        """Yields results until all are there, or an interrupt or error comes."""
        for answer in self._listen(batches):
            if isinstance(answer, Exception):
                self.error = str(answer) or type(answer).__name__
                continue
            if answer.error:
                self.error = f"an actor can't work: {answer.error}"
                return
            self.devices[answer.actor] = answer.device
            yield from answer.entries

    def _listen(self, batches: list[bytes]) -> Iterator[Answer | Exception]:
        """Yields answers, at last an error; ends early after an interrupt.

        Ray is asked in another thread, because it can't be told to stop waiting.
        """
        results: Queue[Any] = Queue(maxsize=100)

        def ask() -> None:
            try:
                for answer in self._ask(batches):
                    results.put(answer)
            except Exception as error:
                results.put(error)
            results.put(None)

        self._thread = Thread(target=ask, daemon=True)
        self._thread.start()
        while not self._interrupted():
            with suppress(Empty):
                if (answer := results.get(timeout=_PATIENCE)) is None:
                    self._thread.join()
                    return
                yield answer

    @property
    def waits(self) -> bool:
        """Whether a thread still waits for the cluster, after an interrupt or an error."""
        return self._thread is not None and self._thread.is_alive()

    def _give_up(self, name: str) -> SummaryEntry:
        if self.error or self._interrupted():
            return SummaryEntry(name, "not reached")
        reason = (
            f"its actor was lost {_RETRIES + 1} times; the nodes may lack memory for {_BATCH} "
            "frames at once, or a frame ends the process. Ray's logs say more"
        )
        return SummaryEntry(name, "failed", reason)


class _Actor(Worker):
    """A worker as Ray Data calls it."""

    def __init__(self, assignment: Assignment, weights: list[Any]) -> None:
        import ray

        super().__init__(assignment, ray.get(weights[0]))  # in a list, or Ray would copy it here

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[bytes]]:  # type: ignore[override]
        sent = (pickle.loads(data) for data in batch["jobs"])  # noqa: S301 - the driver's
        return {"answer": [pickle.dumps(super(_Actor, self).__call__(jobs)) for jobs in sent]}


def ask_cluster(
    batches: list[bytes], assignment: Assignment, weights: Any, settings: ClusterSettings
) -> Iterator[Answer]:
    """Sends batches of jobs to a pool of actors and yields their answers in any order.

    Args:
        batches: pickled lists of jobs with their numbers.
        assignment: see there.
        weights: Ray's reference of the network's files.
        settings: numbers of actors, cores and GPUs.
    """
    import ray.data

    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.execution_no_progress_timeout_s = -1  # nodes may come back later
    context.max_consecutive_actor_init_deaths = _RETRIES
    context.max_errored_blocks = -1  # what a task without answer held is told as failed
    rows = [{"jobs": batch} for batch in batches]
    pool = ray.data.ActorPoolStrategy(
        min_size=1,
        max_size=settings.actors,
        max_tasks_in_flight_per_actor=_SENT,
        max_concurrent_calls_per_actor=_AT_ONCE,
        enable_true_multi_threading=True,
    )
    with warnings.catch_warnings():  # Ray 2.60 to 2.63 has no other way to bound retries
        warnings.simplefilter("ignore", ray.util.annotations.RayDeprecationWarning)
        answers = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            _Actor,
            fn_constructor_args=(assignment, [weights]),
            batch_size=1,
            compute=pool,
            num_cpus=settings.cpus_per_actor,
            num_gpus=settings.gpus_per_actor,
            max_task_retries=_RETRIES,
        )
    for row in answers.iter_rows():
        yield pickle.loads(row["answer"])  # noqa: S301 - of this program's actors
