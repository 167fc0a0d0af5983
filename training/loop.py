"""The training loop of both stages."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.utils.data import DataLoader

from dataset.batches import Batches
from model import BaseOutput, MattingBase, MattingRefine, RefineOutput
from runtime.device import Precision
from settings import to_plain

from .checkpoint import save_best, save_checkpoint
from .log import Log, peak_memory
from .meter import Meter
from .optimiser import is_frozen, set_learning_rates
from .processes import Processes
from .settings import RefineModelSettings, ScheduleSettings
from .state import Settings, State, flatten
from .statistics import StatisticsCount
from .synthesis import Sample, synthesise
from .validation import evaluate, predict

Output = BaseOutput | RefineOutput
Loss = Callable[[Any, Tensor, Tensor], dict[str, Tensor]]


class NonFiniteLossError(ArithmeticError):
    """The loss is infinite or not a number; the message names step and samples."""


@dataclass(frozen=True)
class Run:
    """What stays the same while a run goes on.

    Attributes:
        settings: of the run.
        processes: of the run.
        network: the state's network, or what wraps it for several processes.
        loss: from output, true alpha and true foreground to named terms.
        precision: of the convolutions.
        loader: of training batches.
        batches: the loader's order.
        validation: loader of the fixed samples, or None.
        log: where all is told.
        interrupted: whether the run was asked to stop.
    """

    settings: Settings
    processes: Processes
    network: nn.Module
    loss: Loss
    precision: Precision
    loader: DataLoader
    batches: Batches
    validation: DataLoader | None
    log: Log
    interrupted: Callable[[], bool]

    @property
    def total_steps(self) -> int:
        """Steps of the whole run, from its first epoch to its last."""
        epochs = self.settings.run.epoch_end - self.settings.run.epoch_start
        return epochs * len(self.batches)


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
    batches = iter(run.loader)
    while True:
        start = perf_counter()
        batch = _next_batch(run, state, batches)
        waited = perf_counter() - start
        terms = train_step(run, state, batch)
        meter.add(terms, len(batch["name"]), waited, perf_counter() - start)
        state.step += 1
        state.batch += 1
        run.log.advance()
        if state.step % run.settings.log.train_loss_interval == 0:
            _tell(run, state, meter)
            meter = Meter()
        finished = state.batch == len(run.batches)
        if finished:
            state.epoch, state.batch = state.epoch + 1, 0
        yield finished
        if finished:
            return


def _next_batch(run: Run, state: State, batches: Iterator[dict[str, Any]]) -> dict[str, Any]:
    try:
        return next(batches)
    except Exception:
        if run.processes.world_size == 1:  # others would have to come to the checkpoint too
            run.log.say(f"the data failed; saved as {save(run, state)}")
        raise


def train_step(run: Run, state: State, batch: dict[str, Any]) -> dict[str, float]:
    """Makes one step of the optimiser.

    Args:
        run: see `Run`.
        state: is changed, except for its counters.
        batch: of the loader.

    Returns:
        The loss's terms.

    Raises:
        NonFiniteLossError: after saving the state before that step.
    """
    sample = to_layout(synthesise(batch, run.processes.device), run.settings.run.channels_last)
    set_learning_rates(state.optimiser, run.settings.schedule, state.step, run.total_steps)
    for part in state.network.children():
        part.train(not is_frozen(part))
    state.network.training = True
    with scale_of_step(run, state.network, state.step):
        output = predict(run.network, sample, run.precision)
    terms = run.loss(output, sample.pha, sample.fgr)
    total = torch.stack(list(terms.values())).sum()
    _refuse_non_finite(run, state, total, batch["name"])

    # With a frozen base, a batch without a cell to refine has nothing to teach.
    if total.requires_grad:
        state.optimiser.zero_grad(set_to_none=True)
        state.scaler.scale(total).backward()
        apply_gradients(state, run.settings.schedule)
    if (state.step + 1) % run.settings.log.train_images_interval == 0:
        run.log.pictures("train", sample, output, state.step + 1)
    return {name: term.item() for name, term in terms.items()} | {"total": total.item()}


@contextmanager
def scale_of_step(run: Run, network: MattingBase, step: int) -> Iterator[None]:
    """Gives a network the coarse input's scale of a step; afterwards the settings' own."""
    model = run.settings.model
    if not (isinstance(network, MattingRefine) and isinstance(model, RefineModelSettings)):
        yield
        return
    network.backbone_scale = model.scale_of_step(run.settings.run.seed, step)
    try:
        yield
    finally:
        network.backbone_scale = model.backbone_scale  # as everyone else expects it


@torch.no_grad()
def recount_statistics(run: Run, state: State) -> None:
    """Counts batch norm's running statistics anew, on samples of the epoch after the last.

    Args:
        run: see `Run`.
        state: its network's statistics change; see `StatisticsCount`.
    """
    settings = run.settings.run
    each_step = settings.batch_size * run.processes.world_size
    steps = -(-settings.batch_norm_samples // each_step)
    run.batches.begin(state.epoch, state.batch)
    with StatisticsCount(state.network, run.processes) as count:
        for number, batch in enumerate(islice(run.loader, steps)):
            sample = to_layout(synthesise(batch, run.processes.device), settings.channels_last)
            with scale_of_step(run, state.network, state.step + number):
                predict(state.network, sample, run.precision)
            count.add()


def apply_gradients(state: State, schedule: ScheduleSettings) -> None:
    """Clips the gradients, if so asked, and lets the optimiser take a step."""
    if schedule.clip_norm is not None:
        state.scaler.unscale_(state.optimiser)
        clip_grad_norm_(state.network.parameters(), schedule.clip_norm)
    state.scaler.step(state.optimiser)
    state.scaler.update()


def to_layout(sample: Sample, channels_last: bool) -> Sample:
    """Brings the network's inputs into the memory format of the run."""
    if not channels_last:
        return sample
    src, bgr = (x.contiguous(memory_format=torch.channels_last) for x in (sample.src, sample.bgr))
    return sample._replace(src=src, bgr=bgr)


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


def save(run: Run, state: State, best: bool = False) -> str:
    """Writes a checkpoint; returns its name. Every process must call it."""
    checkpoint = state.to_checkpoint(run.settings, run.processes)
    path = run.settings.run.checkpoint_dir / run.settings.model.name
    if run.processes.is_first:
        if best:
            path = save_best(path, checkpoint)
        else:
            path = save_checkpoint(path, checkpoint, run.settings.run.checkpoint_keep)
    run.processes.wait()
    return str(path)


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


def _refuse_non_finite(run: Run, state: State, total: Tensor, names: list[str]) -> None:
    broken = not bool(total.isfinite())
    if not run.processes.any(broken):
        return
    where = save(run, state)
    if not broken:
        raise NonFiniteLossError(f"the loss of another process is not finite at step {state.step}")
    raise NonFiniteLossError(
        f"the loss is {total.item()} at step {state.step}, epoch {state.epoch}, batch "
        f"{state.batch}. The samples: {'; '.join(names)}. The state before this step is saved as "
        f"{where}. Look at these samples (python -m dataset.check), lower the learning rates, set "
        "schedule.clip_norm or use --precision float32"
    )
