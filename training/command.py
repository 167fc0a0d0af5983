"""What both training scripts do around their network and loss."""

import multiprocessing
import re
import signal
import sys
from collections.abc import Callable
from typing import TypeVar

import cv2
import torch
from torch.nn.parallel import DistributedDataParallel

from model import MattingBase
from runtime.device import Precision, describe_device, precision_note, resolve_device
from runtime.interrupts import deferred_interrupts, raise_interrupt
from runtime.settings import parse_settings, to_yaml

from .data import open_training_data, open_validation_data
from .log import Log
from .loop import fit
from .processes import Processes, start_processes
from .run import Loss, Run
from .settings import TrainingPrecision
from .state import Settings, State, begin
from .statistics import check_statistics
from .step import NonFiniteLossError
from .sync_batch_norm import synchronise_batch_norm

S = TypeVar("S", bound=Settings)


def run_command(
    settings_type: type[S],
    description: str,
    build: Callable[[S], MattingBase],
    loss: Loss,
) -> int:
    """Runs a training script from its command line.

    Args:
        settings_type: of the script.
        description: what it does, for `--help`.
        build: from settings to a network with random weights.
        loss: of the stage.

    Returns:
        The exit code: 0 when the last epoch has ended, 130 after an interrupt, 2 for what the user
        can mend before the run, 1 for what ended it.
    """
    signal.signal(signal.SIGTERM, raise_interrupt)
    cv2.setNumThreads(1)  # its threads would be missing in the workers, which are forked
    try:
        settings = parse_settings(settings_type, description, sys.argv[1:])
        if settings.print_config:
            print(to_yaml(settings), end="")
            return 0
        with start_processes(resolve_device(settings.run.device)) as processes:
            return train(settings, processes, build, loss)
    except (NonFiniteLossError, RuntimeError) as error:
        if not isinstance(error, NonFiniteLossError) and "DataLoader" not in str(error):
            raise
        print(f"error: {_cause(error)}", file=sys.stderr)
        return 1
    except (ValueError, OSError) as error:
        print(f"error: {_cause(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    finally:
        _end_workers()


def _end_workers() -> None:
    """Ends the loaders' processes that an error has left, which hear no SIGTERM."""
    if hasattr(signal, "SIGCHLD"):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # PyTorch's would call that a failure
    for process in multiprocessing.active_children():
        process.kill()


def train(settings: S, processes: Processes, build: Callable[[S], MattingBase], loss: Loss) -> int:
    """Trains a network as the settings say.

    Args:
        settings: of the run.
        processes: of the run.
        build: from settings to a network with random weights.
        loss: of the stage.

    Returns:
        The exit code, see `run_command`.
    """
    device = processes.device
    precision = resolve_precision(settings.run.precision, device)
    loader, batches = open_training_data(settings, processes)
    validation = open_validation_data(settings, processes)

    torch.manual_seed(settings.run.seed)  # the same weights in every process
    network = build(settings)
    torch.manual_seed(settings.run.seed + 1 + processes.rank)  # and not the same dropout
    state, notes = begin(network, settings, processes, precision)
    if settings.run.freeze_batch_norm:
        check_statistics(network)
    say = print if processes.is_first else _say_nothing
    say(to_yaml(settings))
    parameters = sum(p.numel() for p in network.parameters() if p.requires_grad)
    say(f"{type(network).__name__}, {parameters:,} parameters in training")
    say(
        f"device {describe_device(device)}, precision {precision}, {processes.world_size} processes"
    )
    slow = precision_note(device, precision)
    for note in [*notes, *([slow] if slow else [])]:
        say(f"note: {note}")

    folder = settings.log.dir / settings.model.name if processes.is_first else None
    total = (settings.run.epoch_end - settings.run.epoch_start) * len(batches)
    with deferred_interrupts() as interrupted, Log(folder, state.step, total) as log:
        run = Run(
            settings,
            processes,
            _wrap(state, settings, processes),
            loss,
            precision,
            loader,
            batches,
            validation,
            log,
            interrupted,
        )
        log.text("settings", to_yaml(settings))
        if fit(run, state):
            say(f"finished: {settings.run.checkpoint_dir / settings.model.name}")
            return 0
    print("interrupted; --model-last-checkpoint auto goes on from here", file=sys.stderr)
    return 130


def resolve_precision(name: TrainingPrecision, device: torch.device) -> Precision:
    """Finds the precision that suits a device.

    Args:
        name: what was asked for.
        device: where to compute.

    Returns:
        For `auto` float16 on CUDA, bfloat16 on a CPU that computes in it, else float32.
    """
    if name != "auto":
        return name
    if device.type == "cuda":
        return "float16"
    if device.type == "cpu" and precision_note(device, "bfloat16") is None:
        return "bfloat16"
    return "float32"


def _wrap(state: State, settings: Settings, processes: Processes) -> torch.nn.Module:
    network = state.network
    if settings.run.channels_last:
        network.to(memory_format=torch.channels_last)
    shares_statistics = settings.run.sync_batch_norm and not settings.run.freeze_batch_norm
    if processes.world_size > 1 and shares_statistics:
        synchronise_batch_norm(network, processes.device)
    if settings.run.compile:
        network.compile()
    if processes.world_size == 1:
        return network
    devices = [processes.device] if processes.device.type == "cuda" else None
    return DistributedDataParallel(network, device_ids=devices)


def _cause(error: Exception) -> str:
    """The error that a worker process met, without the worker's call stack."""
    text = str(error).strip()
    if "in DataLoader worker process" not in text:
        return text
    return re.sub(r"^[\w.]+: ", "", text.splitlines()[-1])  # the error's class


def _say_nothing(text: str) -> None:
    """What the other processes say."""
