"""The training loop of both stages."""

from collections.abc import Iterator
from itertools import islice
from time import perf_counter

import torch

from runtime.settings import to_plain

from .feed import Composed, Feed, compose
from .log import peak_memory
from .meter import Meter
from .run import Run, save
from .state import State, flatten
from .statistics import StatisticsCount
from .step import begin_step, finish_step, scale_of_step
from .validation import evaluate, predict


def fit(run: Run, state: State) -> bool:
    """Trains until the last epoch has ended, or an interrupt comes.

    Args:
        run: see `Run`.
        state: is changed.

    Returns:
        Whether the end was reached.

    Raises:
        NonFiniteLossError: after saving the state before that step.
        CheckpointError: when a checkpoint can't be written.
    """
    metrics: dict[str, float] = {}
    validated = -1
    while state.epoch < run.settings.run.epoch_end:
        for finished in train_one_epoch(run, state):
            if state.step % run.settings.log.valid_interval == 0:
                metrics = validate(run, state)
                validated = state.step
            if finished or state.step % run.settings.run.checkpoint_interval == 0:
                save(run, state)
            if run.processes.any(run.interrupted()):
                run.log.say(f"stopped by a signal; saved as {save(run, state)}")
                return False
    if run.settings.run.batch_norm_samples:
        recount_statistics(run, state)
        validated = -1
    if state.step != validated:
        metrics = validate(run, state)
    if run.settings.run.batch_norm_samples:
        run.log.say(f"running statistics counted anew; saved as {save(run, state)}")
    run.log.result(flatten(to_plain(run.settings)), metrics)
    return True


def train_one_epoch(run: Run, state: State) -> Iterator[bool]:
    """Trains on what is left of an epoch.

    Args:
        run: see `Run`.
        state: is changed.

    Yields:
        After every step, whether it was the epoch's last; the state then is that of the next.

    Raises:
        NonFiniteLossError: after saving the state before that step.
    """
    if state.batch >= len(run.batches):  # steps have become larger, or the data fewer
        state.epoch, state.batch = state.epoch + 1, 0
        return
    run.batches.begin(state.epoch, state.batch)
    meter = Meter()
    feed = Feed(run)
    waited = feed.prepare()
    finished = False
    while not finished:
        start = perf_counter()
        batch = _take(run, state, feed)
        step = begin_step(run, state, batch)
        finished = state.batch + 1 == len(run.batches)
        waited_for_next = 0.0 if finished else feed.prepare()
        terms = finish_step(run, state, step)
        # The wait for a batch counts with the batch's own step.
        busy = perf_counter() - start - waited_for_next
        meter.add(terms, len(batch.names), waited, waited + busy)
        waited = waited_for_next
        state.step += 1
        state.batch += 1
        run.log.advance()
        if state.step % run.settings.log.train_loss_interval == 0:
            _tell(run, state, meter)
            meter = Meter()
        if finished:
            state.epoch, state.batch = state.epoch + 1, 0
        yield finished


def _take(run: Run, state: State, feed: Feed) -> Composed:
    try:
        return feed.take()
    except Exception:
        if run.processes.world_size == 1:  # others would have to come to the checkpoint too
            run.log.say(f"the data failed; saved as {save(run, state)}")
        raise


@torch.no_grad()
def recount_statistics(run: Run, state: State) -> None:
    """Counts batch norm's running statistics anew, on samples of the epoch after the last.

    Args:
        run: see `Run`.
        state: its network's statistics change; see `StatisticsCount`.
    """
    settings = run.settings.run
    each_step = settings.batch_size * settings.pairings * run.processes.world_size
    steps = -(-settings.batch_norm_samples // each_step)
    run.batches.begin(state.epoch, state.batch)
    with StatisticsCount(state.network, run.processes) as count:
        for number, batch in enumerate(islice(run.loader, steps)):
            sample = compose(run, batch).sample
            with scale_of_step(run, state.network, state.step + number):
                predict(state.network, sample, run.precision)
            count.add()


def validate(run: Run, state: State) -> dict[str, float]:
    """Judges the network on the fixed samples, tells, and keeps it if it is the best so far."""
    if run.validation is None:
        return {}
    metrics, shown = evaluate(state.network, run.loss, run.validation, run.precision, run.processes)
    run.log.scalars("valid", metrics, state.step)
    told = ", ".join(f"{name} {value:.5f}" for name, value in metrics.items())
    run.log.say(f"step {state.step}: {told}")
    if shown:
        run.log.pictures("valid", *shown, state.step)
    if state.best is None or metrics["mad"] < state.best:
        state.best = metrics["mad"]
        save(run, state, best=True)
    return metrics


def _tell(run: Run, state: State, meter: Meter) -> None:
    means = {name: value / meter.steps for name, value in meter.terms.items()}
    rate = meter.samples * run.processes.world_size / meter.seconds
    rates = {group["name"]: group["lr"] for group in state.optimiser.param_groups}
    speed = {
        "samples_per_second": rate,
        "data_wait_share": meter.waited / meter.seconds,
        "peak_memory_gib": peak_memory(run.processes.device),
    }
    run.log.scalars("loss", means, state.step)
    run.log.scalars("learning_rate", rates, state.step)
    run.log.scalars("speed", speed, state.step)
    run.log.progress(means["total"], rate)
