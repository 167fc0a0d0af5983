"""The training loop of both stages: steps, validation and checkpoints.

`training.run` initialises weights and optimiser; `training.data` makes the batches.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from time import perf_counter

import torch
from torch.nn.utils import clip_grad_norm_

from dataset import CHECK
from model import MattingBase
from runtime.settings import to_plain

from .checkpoint import State, flatten
from .data import Batch, Feed, compose
from .metrics import evaluate, predict
from .processes import NonFiniteLossError, OtherProcessError
from .run import Run, save
from .statistics import counted_statistics, freeze_statistics
from .workers import take_all


def fit(run: Run, state: State) -> bool:
    """Trains until the last epoch ends or a signal interrupts.

    Returns:
        Whether the last epoch has ended.

    Raises:
        NonFiniteLossError: after saving the state before that step.
        CheckpointError: when a checkpoint can't be written.
    """
    settings, log = run.settings, run.log
    metrics: dict[str, float] = {}
    validated = -1
    while state.epoch < settings.run.epoch_end:
        for finished in train_one_epoch(run, state):
            if state.step % settings.log.valid_interval == 0:
                metrics = validate(run, state)
                validated = state.step
            if finished or state.step % settings.run.checkpoint_interval == 0:
                save(run, state)
            if run.processes.any(run.interrupted()):
                log.print(f"stopped by a signal; saved as {save(run, state)}")
                return False
    if settings.run.batch_norm_samples:
        recount_statistics(run, state)
        validated = -1
    if state.step != validated:
        metrics = validate(run, state)
    if settings.run.batch_norm_samples:
        log.print(f"running statistics computed again; saved as {save(run, state)}")
    log.result(flatten(to_plain(settings)), metrics)
    log.print(f"finished: {settings.run.checkpoint_dir / settings.model.name}")
    return True


def train_one_epoch(run: Run, state: State) -> Iterator[bool]:
    """Trains on the remaining batches of an epoch.

    After every step, yields whether it was the epoch's last; the state then points to the next
    batch.
    """
    batches = run.data.batches
    finished = state.batch >= len(batches)  # larger steps or less data than before
    if finished:
        state.epoch, state.batch = state.epoch + 1, 0
        return
    batches.begin(state.epoch, state.batch)
    with _saves_first(run, state):
        feed = Feed(run.data.loader, run.settings.run, run.processes.device)
    feed.prepare()
    while not finished:
        start, waited = perf_counter(), feed.waited
        batch = _take(run, state, feed)
        losses = train_step(run, state, batch, feed.prepare)
        # Waiting for a batch is counted in the step that uses it.
        run.log.add_step(losses, len(batch.names), waited, perf_counter() - start - feed.waited)
        state.step += 1
        state.batch += 1
        if state.step % run.settings.log.train_loss_interval == 0:
            rates = {group["name"]: group["lr"] for group in state.optimiser.param_groups}
            run.log.write_steps(rates, run.processes)
        finished = state.batch == len(batches)
        if finished:
            state.epoch, state.batch = state.epoch + 1, 0
        yield finished


def train_step(
    run: Run, state: State, batch: Batch, meanwhile: Callable[[], None]
) -> dict[str, float]:
    """Makes one step, from batch to optimiser; does not change the state's counters.

    Calls `meanwhile` while a GPU computes the gradients. Returns the terms of the loss, and their
    sum as `total`. Raises NonFiniteLossError after saving the state before that step.
    """
    settings, sample = run.settings, batch.sample
    place = run.data.place(settings.run, state.epoch, state.batch)
    total_steps = run.data.total_steps(settings.run)
    factor = settings.schedule.factor_of_step(state.step, total_steps, place)
    for group in state.optimiser.param_groups:
        group["lr"] = group["full_lr"] * factor
    set_training_mode(state.network, settings.run.freeze_batch_norm)
    choices = settings.model.draw_arguments(settings.run.seed, state.step)
    output = predict(run.network, sample, run.precision, **choices)
    terms = run.loss(output, sample.pha, sample.fgr)
    total = torch.stack(list(terms.values())).sum()
    # With a frozen base, a batch without refined cells gives no gradient.
    if total.requires_grad:
        state.optimiser.zero_grad(set_to_none=True)
        state.scaler.scale(total).backward()
    meanwhile()
    losses = torch.stack([*terms.values(), total]).tolist()  # waits for the GPU
    _refuse_non_finite(run, state, losses[-1], batch.names)
    if total.requires_grad:
        if settings.schedule.clip_norm is not None:
            state.scaler.unscale_(state.optimiser)
            clip_grad_norm_(state.network.parameters(), settings.schedule.clip_norm)
        state.scaler.step(state.optimiser)
        state.scaler.update()
    if (state.step + 1) % settings.log.train_images_interval == 0:
        run.log.pictures("train", sample, output, state.step + 1)
    return dict(zip([*terms, "total"], losses, strict=True))


def set_training_mode(network: MattingBase, freezes_batch_norm: bool) -> None:
    """Sets training mode, except for frozen parts and, if `freezes_batch_norm`, batch norms."""
    network.train()
    for part in network.children():
        part.train(any(parameter.requires_grad for parameter in part.parameters()))
    if freezes_batch_norm:
        freeze_statistics(network)


def validate(run: Run, state: State) -> dict[str, float]:
    """Validates on the fixed samples, logs the result, and saves the network if it is the best."""
    if run.data.validation is None:
        return {}
    with _saves_first(run, state):
        metrics, shown = evaluate(
            state.network, run.loss, run.data.validation, run.precision, run.processes
        )
    run.log.scalars("valid", metrics, state.step)
    values = ", ".join(f"{name} {value:.5f}" for name, value in metrics.items())
    run.log.print(f"step {state.step}: {values}")
    if shown:
        run.log.pictures("valid", *shown, state.step)
    if state.best is None or metrics["mad"] < state.best:
        state.best = metrics["mad"]
        save(run, state, best=True)
    return metrics


@torch.no_grad()
def recount_statistics(run: Run, state: State) -> None:
    """Computes batch norm's running statistics again, on samples of the next epoch."""
    settings, model = run.settings.run, run.settings.model
    each_step = settings.batch_size * settings.pairings * run.processes.world_size
    steps = -(-settings.batch_norm_samples // each_step)
    run.data.batches.begin(state.epoch, state.batch)
    with _saves_first(run, state), counted_statistics(state.network, run.processes):
        for number, batch in enumerate(islice(take_all(run.data.loader), steps)):
            sample = compose(batch, settings, run.processes.device).sample
            choices = model.draw_arguments(settings.seed, state.step + number)
            predict(state.network, sample, run.precision, **choices)


def _take(run: Run, state: State, feed: Feed) -> Batch:
    """Returns the prepared batch; saves the state before raising if data failed in any process."""
    if run.processes.any(feed.failed):
        where = save(run, state)
        run.log.print(f"reading data failed; saved as {where}")
        if not feed.failed:
            raise OtherProcessError("reading data failed in another process")
    return feed.take()


@contextmanager
def _saves_first(run: Run, state: State) -> Iterator[None]:
    """Saves the state if code between two steps fails, before raising the error."""
    try:
        yield
    except Exception:
        if run.processes.world_size == 1:  # saving needs all processes
            run.log.print(f"failed between two steps; saved as {save(run, state)}")
        raise


def _refuse_non_finite(run: Run, state: State, total: float, names: list[str]) -> None:
    broken = not math.isfinite(total)
    if not run.processes.any(broken):
        return
    where = save(run, state)
    if not broken:
        raise OtherProcessError(f"the loss of another process is not finite at step {state.step}")
    raise NonFiniteLossError(
        f"the loss is {total} at step {state.step}, epoch {state.epoch}, batch "
        f"{state.batch}. The samples: {'; '.join(names)}. The state before this step is saved as "
        f"{where}. Check these samples ({CHECK}), lower the learning rates, set "
        "schedule.clip_norm or use --precision float32"
    )
