"""Learning rates, the optimiser and its schedule."""

import math
from dataclasses import fields
from typing import Literal

from torch import nn
from torch.optim import Adam

from runtime.settings import REQUIRED, settings_group

Schedule = Literal["constant", "cosine"]


@settings_group("learning-rate")
class LearningRates:
    """Adam's learning rates of the network's parts; 0 freezes a part, its statistics too.

    Attributes:
        backbone: Of the encoder.
        aspp: Of the pyramid pooling.
        decoder: Of the decoder.
        refiner: Of the refiner; MattingBase has none.
    """

    backbone: float = REQUIRED
    aspp: float = REQUIRED
    decoder: float = REQUIRED
    refiner: float | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            rate = getattr(self, field.name)
            if isinstance(rate, float | int) and not 0 <= rate < math.inf:
                raise ValueError(f"learning rate {field.name} must be 0 or more, got {rate}")


@settings_group("schedule")
class ScheduleSettings:
    """How learning rates change over the run. The published recipe keeps them constant.

    Attributes:
        kind: constant, or cosine from the full rates to a hundredth of them at the last step.
        warm_up: Steps over which the rates grow from 0.
        clip_norm: Largest norm of the gradient; null does not clip.
    """

    kind: Schedule = "constant"
    warm_up: int = 0
    clip_norm: float | None = None

    def __post_init__(self) -> None:
        if self.warm_up < 0:
            raise ValueError(f"warm_up must be 0 or more steps, got {self.warm_up}")
        if self.clip_norm is not None and self.clip_norm <= 0:
            raise ValueError(f"clip_norm must be above 0, got {self.clip_norm}")


# What is left of the rates at the end of a cosine schedule.
_LAST_FACTOR = 0.01


def make_optimiser(network: nn.Module, rates: LearningRates) -> Adam:
    """Builds Adam with one group for each part of the network that learns.

    Args:
        network: `MattingBase` or `MattingRefine`; parts with a rate of 0 are frozen.
        rates: of the parts.

    Returns:
        The optimiser; each group has the part's name in `name` and its rate in `full_lr`.

    Raises:
        ValueError: when a part of the network has no rate, or all have 0.

    Source: the paper, training.
    """
    groups = []
    for name, part in network.named_children():
        rate = getattr(rates, name)
        if rate is None:
            raise ValueError(f"the network has a {name}; give --learning-rate-{name}")
        if rate == 0:
            part.requires_grad_(False)
            continue
        groups.append(
            {"params": list(part.parameters()), "lr": rate, "full_lr": rate, "name": name}
        )
    if not groups:
        raise ValueError("all learning rates are 0; at least one part of the network must learn")
    return Adam(groups)


def is_frozen(part: nn.Module) -> bool:
    """Tells whether no parameter of a module learns; its statistics then stay as well."""
    return not any(parameter.requires_grad for parameter in part.parameters())


def set_learning_rates(
    optimiser: Adam, settings: ScheduleSettings, step: int, total_steps: int
) -> None:
    """Sets the rates of a step.

    Args:
        optimiser: of `make_optimiser`.
        settings: the schedule.
        step: from 0.
        total_steps: of the whole run.

    Source: ours, because the published recipe has constant rates; cosine as in Loshchilov and
        Hutter, 2017.
    """
    factor = 1.0
    if step < settings.warm_up:
        factor = (step + 1) / settings.warm_up
    elif settings.kind == "cosine":
        done = (step - settings.warm_up) / max(1, total_steps - settings.warm_up)
        wave = (1 + math.cos(math.pi * min(1.0, done))) / 2
        factor = _LAST_FACTOR + (1 - _LAST_FACTOR) * wave
    for group in optimiser.param_groups:
        group["lr"] = group["full_lr"] * factor
