"""What stays the same while a run goes on, and how its state is saved."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.utils.data import DataLoader

from dataset.batches import Batches
from model import BaseOutput, RefineOutput
from runtime.device import Precision

from .checkpoint import save_best, save_checkpoint
from .log import Log
from .processes import Processes
from .state import Settings, State

Output = BaseOutput | RefineOutput
Loss = Callable[[Any, Tensor, Tensor], dict[str, Tensor]]


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
