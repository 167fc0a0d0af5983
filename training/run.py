"""A training run: its parts, starting, resuming and saving."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.amp import GradScaler
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Adam

from model import MattingBase
from model.loading import load_weights
from model.reading import CheckpointError
from runtime.device import Precision, describe_device, precision_note
from runtime.settings import to_yaml
from runtime.wording import visible

from .checkpoint import State, restore, save_best, save_checkpoint, take_checkpoint
from .data import Data
from .initialise import initialise
from .log import Log
from .metrics import Loss
from .processes import Processes, patient_interrupts
from .resume import find_checkpoint
from .settings import LearningRates, RunSettings, Settings, TrainingPrecision
from .statistics import check_statistics


@dataclass(frozen=True)
class Run:
    """The parts of a run that do not change."""

    settings: Settings
    processes: Processes
    data: Data
    network: nn.Module  # that of the state, or its wrapper for several processes
    loss: Loss
    precision: Precision  # of the convolutions
    log: Log
    interrupted: Callable[[], bool]  # whether the run was asked to stop


@contextmanager
def start(
    settings: Settings, processes: Processes, data: Data, network: MattingBase, loss: Loss
) -> Iterator[tuple[Run, State]]:
    """Starts or resumes a run, and prints its configuration.

    Yields:
        The arguments of `fit`; the network has its weights, device and memory format. Inside the
        block, the first SIGINT or SIGTERM only sets a flag that stops the run.

    Raises:
        CheckpointError: as `begin`.
        ValueError: when running statistics should be frozen before any were computed, or a step
            has one sample.
    """
    device = processes.device
    precision = resolve_precision(settings.run.precision, device)
    torch.manual_seed(settings.run.seed + 1 + processes.rank)  # different dropout in each process
    check_batch_norm(settings, processes)
    state, notes = begin(network, settings, processes, precision)
    notes += data.notes
    if settings.run.freeze_batch_norm:
        check_statistics(network)
    notes += synchronise(network, settings.run, processes)
    if settings.run.channels_last:
        network.to(memory_format=torch.channels_last)
    if settings.run.compile:
        network.compile()
    wrapped: nn.Module = network
    count = processes.world_size
    if count > 1:
        wrapped = DistributedDataParallel(network, [device] if device.type == "cuda" else None)
    learning = sum(p.numel() for p in network.parameters() if p.requires_grad)
    if slow := precision_note(device, precision):
        notes.append(slow)
    folder = None
    if processes.is_first:
        folder = settings.log.dir / settings.model.name
        print(to_yaml(settings))
        print(f"{type(network).__name__}, {learning:,} trainable parameters")
        print(f"device {describe_device(device)}, precision {precision}, {count} processes")
        for note in notes:
            print(visible(f"note: {note}"))
    # In steps of the present size, which may differ from the steps done.
    total = state.step + data.total_steps(settings.run)
    total -= data.place(settings.run, state.epoch, state.batch)
    with patient_interrupts(processes) as interrupted, Log(folder, state.step, total) as log:
        log.text("settings", to_yaml(settings))
        yield Run(settings, processes, data, wrapped, loss, precision, log, interrupted), state


def begin(
    network: MattingBase, settings: Settings, processes: Processes, precision: Precision
) -> tuple[State, list[str]]:
    """Makes the state of a new or resumed run; also returns notes on the initialisation.

    Loads the network's weights and moves it to its device. Raises CheckpointError when a file does
    not fit, or when a new run's folder has checkpoints of an earlier run.
    """
    model = settings.model
    folder = settings.run.checkpoint_dir / model.name
    path, checkpoint, notes = find_checkpoint(folder, model, processes)
    if checkpoint:
        load_weights(network, checkpoint.network, f"checkpoint {path}")
        notes += [f"continuing from {path}: epoch {checkpoint.epoch}, step {checkpoint.step}"]
    else:
        notes += [initialise(network, model, path or model.initial_checkpoint)]
    network.to(processes.device)
    optimiser = make_optimiser(network, settings.learning_rates)
    scaler = GradScaler(processes.device.type, enabled=precision == "float16")
    state = State(network, optimiser, scaler, settings.run.epoch_start)
    if checkpoint:
        try:
            notes += restore(state, checkpoint, settings, processes)
        except ValueError as error:
            raise CheckpointError(f"checkpoint {path}: {error}") from error
    return state, notes


def resolve_precision(name: TrainingPrecision, device: torch.device) -> Precision:
    """Returns the precision for a device; for `auto` see the setting."""
    if name != "auto":
        return name
    has_bfloat16 = device.type == "cpu" and precision_note(device, "bfloat16") is None
    return "float16" if device.type == "cuda" else "bfloat16" if has_bfloat16 else "float32"


def make_optimiser(network: nn.Module, rates: LearningRates) -> Adam:
    """Builds Adam with one group for each trained part of the network; freezes the others.

    Each group has the part's name in `name` and its rate in `full_lr`. Raises ValueError when a
    part has no rate, or all have 0.

    Source: the paper, training.
    """
    groups: list[dict[str, Any]] = []
    for name, part in network.named_children():
        rate = getattr(rates, name)
        if rate is None:
            raise ValueError(f"the network has a {name}; give --learning-rate-{name}")
        part.requires_grad_(rate > 0)
        if rate:
            groups.append({"params": part.parameters(), "lr": rate, "full_lr": rate, "name": name})
    if not groups:
        raise ValueError("all learning rates are 0; at least one must be above 0")
    return Adam(groups)


def synchronise(network: MattingBase, settings: RunSettings, processes: Processes) -> list[str]:
    """Synchronises batch norms over all processes on CUDA; elsewhere returns a note."""
    shares = settings.sync_batch_norm and not settings.freeze_batch_norm
    if processes.world_size == 1 or not shares:
        return []
    if processes.device.type == "cuda":
        nn.SyncBatchNorm.convert_sync_batchnorm(network)
        return []
    return [
        "batch norm is synchronised on CUDA only: here each process normalises over its own "
        "samples, and the running statistics of the first are saved"
    ]


def check_batch_norm(settings: Settings, processes: Processes) -> None:
    """Raises ValueError if a batch norm would normalise a single value.

    The pyramid pooling averages each picture to one value per channel.
    """
    run = settings.run
    shares = run.sync_batch_norm and processes.device.type == "cuda" and processes.world_size > 1
    learns = settings.learning_rates.aspp > 0 and not run.freeze_batch_norm
    if run.batch_size == 1 and learns and not shares:
        raise ValueError(
            "--batch-size must be at least 2: the pyramid pooling averages each picture to one "
            "value, and batch norm can't normalise a single one. For steps of one sample freeze "
            "the statistics (--freeze-batch-norm, with --model-initial-checkpoint)"
        )


def save(run: Run, state: State, best: bool = False) -> str:
    """Writes a checkpoint; returns its name. Every process must call it."""
    settings, processes = run.settings, run.processes
    checkpoint = take_checkpoint(state, settings, processes)
    path = settings.run.checkpoint_dir / settings.model.name
    if processes.is_first and best:
        path = save_best(path, checkpoint)
    elif processes.is_first:
        path = save_checkpoint(path, checkpoint, settings.run.checkpoint_keep)
    processes.wait()
    return str(path)
