"""One step of the optimiser."""

from collections.abc import Iterator
from contextlib import contextmanager
from math import isfinite
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from model import MattingBase, MattingRefine

from .feed import Composed
from .optimiser import is_frozen, set_learning_rates
from .run import Output, Run, save
from .settings import RefineModelSettings, ScheduleSettings
from .state import State
from .statistics import freeze_statistics
from .validation import predict


class NonFiniteLossError(ArithmeticError):
    """The loss is infinite or not a number; the message names step and samples."""


class Step(NamedTuple):
    """A step whose gradients a GPU may still be computing.

    Attributes:
        batch: what it trains on.
        output: the network's.
        terms: of the loss.
        total: their sum.
    """

    batch: Composed
    output: Output
    terms: dict[str, Tensor]
    total: Tensor


def begin_step(run: Run, state: State, batch: Composed) -> Step:
    """Computes the gradients of a batch; on a GPU without waiting for them.

    Args:
        run: see `Run`.
        state: its gradients, learning rates and batch norm's running statistics change.
        batch: see `Composed`.

    Returns:
        What `finish_step` needs.
    """
    sample = batch.sample
    set_learning_rates(state.optimiser, run.settings.schedule, state.step, run.total_steps)
    for part in state.network.children():
        part.train(not is_frozen(part))
    if run.settings.run.freeze_batch_norm:
        freeze_statistics(state.network)
    state.network.training = True
    with scale_of_step(run, state.network, state.step):
        output = predict(run.network, sample, run.precision)
    terms = run.loss(output, sample.pha, sample.fgr)
    total = torch.stack(list(terms.values())).sum()
    # With a frozen base, a batch without a cell to refine has nothing to teach.
    if total.requires_grad:
        state.optimiser.zero_grad(set_to_none=True)
        state.scaler.scale(total).backward()
    return Step(batch, output, terms, total)


def finish_step(run: Run, state: State, step: Step) -> dict[str, float]:
    """Waits for a step's gradients and lets the optimiser use them.

    Args:
        run: see `Run`.
        state: is changed, except for its counters.
        step: of `begin_step`.

    Returns:
        The loss's terms, and their sum as `total`.

    Raises:
        NonFiniteLossError: after saving the state before that step.
    """
    losses = torch.stack([*step.terms.values(), step.total]).tolist()
    _refuse_non_finite(run, state, losses[-1], step.batch.names)
    if step.total.requires_grad:
        apply_gradients(state, run.settings.schedule)
    if (state.step + 1) % run.settings.log.train_images_interval == 0:
        run.log.pictures("train", step.batch.sample, step.output, state.step + 1)
    return dict(zip([*step.terms, "total"], losses, strict=True))


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


def apply_gradients(state: State, schedule: ScheduleSettings) -> None:
    """Clips the gradients, if so asked, and lets the optimiser take a step."""
    if schedule.clip_norm is not None:
        state.scaler.unscale_(state.optimiser)
        clip_grad_norm_(state.network.parameters(), schedule.clip_norm)
    state.scaler.step(state.optimiser)
    state.scaler.update()


def _refuse_non_finite(run: Run, state: State, total: float, names: list[str]) -> None:
    broken = not isfinite(total)
    if not run.processes.any(broken):
        return
    where = save(run, state)
    if not broken:
        raise NonFiniteLossError(f"the loss of another process is not finite at step {state.step}")
    raise NonFiniteLossError(
        f"the loss is {total} at step {state.step}, epoch {state.epoch}, batch "
        f"{state.batch}. The samples: {'; '.join(names)}. The state before this step is saved as "
        f"{where}. Look at these samples (python -m dataset.check), lower the learning rates, set "
        "schedule.clip_norm or use --precision float32"
    )
