"""One step of the optimiser."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from model import MattingBase, MattingRefine

from .optimiser import is_frozen, set_learning_rates
from .run import Run, save
from .settings import RefineModelSettings, ScheduleSettings
from .state import State
from .synthesis import Sample, synthesise
from .validation import predict


class NonFiniteLossError(ArithmeticError):
    """The loss is infinite or not a number; the message names step and samples."""


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
