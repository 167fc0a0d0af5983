"""The process of a run, or several started by `torchrun`: start, communication and end."""

import multiprocessing
import os
import re
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

import cv2
import torch
from torch import Tensor, distributed

from runtime.device import resolve_device
from runtime.script import deferred_interrupts, lasting_streams, raise_interrupt
from runtime.settings import parse_settings, to_yaml
from runtime.wording import visible

from .heartbeat import heartbeat
from .settings import Settings
from .workers import explain

S = TypeVar("S", bound=Settings)
T = TypeVar("T")

# Error messages of the backends when the connection to another process is lost.
_LOST = re.compile(r"gloo|NCCL|Connection (closed|reset)|Broken pipe")


class NonFiniteLossError(ArithmeticError):
    """The loss is infinite or NaN; the message names step and samples."""


class OtherProcessError(RuntimeError):
    """An error in another process ended this one; the other process prints the error."""


@dataclass(frozen=True)
class Processes:
    """The processes of a run: rank, number of processes, and device of this one."""

    rank: int  # from 0
    world_size: int  # 1 means no process group
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and prints."""
        return self.rank == 0

    def total(self, values: Tensor) -> Tensor:
        """Sums a tensor over all processes."""
        if self.world_size == 1:
            return values
        summed = values.detach().to(self.device).clone()
        distributed.all_reduce(summed)
        return summed.to(values.device)

    def any(self, flag: bool) -> bool:
        """Whether a flag is set in any process."""
        return bool(self.total(torch.tensor(float(flag))) > 0)

    def gather(self, value: Any) -> list[Any]:
        """Collects an object from each process, in every process, by rank."""
        if self.world_size == 1:
            return [value]
        gathered: list[Any] = [None] * self.world_size
        distributed.all_gather_object(gathered, value)
        return gathered

    def copy_from(self, rank: int, work: Callable[[], T]) -> T:
        """Does work in one process and returns its result in all; every process must call it.

        Raises:
            OtherProcessError: in the others, when the work has raised an error in that process.
        """
        if self.world_size == 1:
            return work()
        result: list[Any] = [None]  # of a failed work
        try:
            if self.rank == rank:
                result = [(work(),)]
        finally:
            distributed.broadcast_object_list(result, rank)
        if result[0] is None:
            raise OtherProcessError(f"process {rank} of this run has failed")
        return result[0][0]

    def share(self, tensors: Iterable[Tensor]) -> None:
        """Copies the values of tensors from the first process to all."""
        if self.world_size > 1:
            for tensor in tensors:
                distributed.broadcast(tensor, 0)

    def wait(self) -> None:
        """Waits until all processes have called this."""
        if self.world_size > 1:
            distributed.barrier()


@lasting_streams()
def run_command(
    settings_type: type[S], description: str, train: Callable[[S, Processes], bool]
) -> int:
    """Runs a training script; `train` returns whether the last epoch has ended.

    Returns:
        The exit code: 0 when the last epoch has ended, 130 after an interrupt, 2 for invalid
        settings or files, 1 for an error during the run.
    """
    signal.signal(signal.SIGTERM, raise_interrupt)
    cv2.setNumThreads(1)  # forked workers do not have its threads
    try:
        settings = parse_settings(settings_type, description, sys.argv[1:])
        if settings.print_config:
            print(to_yaml(settings), end="")
            return 0
        _check_restarts(settings.model.last_checkpoint)
        with start_processes(resolve_device(settings.run.device)) as processes:
            if train(settings, processes):
                return 0
        _say_once("interrupted; --model-last-checkpoint auto continues from here")
        return 130
    except OtherProcessError:
        return 1
    except (NonFiniteLossError, RuntimeError) as error:
        if isinstance(error, NonFiniteLossError) or "DataLoader" in str(error):
            print(visible(f"error: {explain(error)}"), file=sys.stderr)
        elif "RANK" in os.environ and _LOST.search(str(error)):
            _say_loss("has ended")
        else:
            raise
        return 1
    except (ValueError, OSError) as error:
        print(visible(f"error: {explain(error)}"), file=sys.stderr)
        return 2
    except KeyboardInterrupt as interrupt:
        _say_once(f"interrupted{interrupt}")
        return 130
    finally:
        _end_workers()


@contextmanager
def start_processes(device: torch.device) -> Iterator[Processes]:
    """Joins the processes started by `torchrun`; does nothing for a single process.

    The backend is nccl on CUDA, with the device of the local rank, and gloo elsewhere.
    Raises ValueError when a machine has fewer CUDA devices than processes.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ and "WORLD_SIZE" not in os.environ:
        yield Processes(0, 1, device)
        return
    if device.type == "cuda":
        local_rank, count = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if local_rank >= count:
            raise ValueError(
                f"process {local_rank} of this machine has no CUDA device, because there are only "
                f"{count}. Start torchrun with --nproc-per-node {count}"
            )
        device = torch.device("cuda", local_rank)
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    processes = Processes(distributed.get_rank(), distributed.get_world_size(), device)
    try:
        with nullcontext() if processes.world_size == 1 else heartbeat(_end_lonely):
            yield processes
    finally:
        distributed.destroy_process_group()


def _check_restarts(last_checkpoint: str | None) -> None:
    """Raises ValueError if torchrun could not start a failed run again where it stopped."""
    restarts = os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0")
    if restarts == "0":
        return
    # With PyTorch 2.14 the others look for the dead machine's address for ever.
    shared = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    if shared and os.environ.get("GROUP_WORLD_SIZE", "1") != "1":
        raise ValueError(
            "a run of several machines waits for ever for the address of the first one when that "
            "has died. Set TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 for torchrun on every machine"
        )
    if last_checkpoint != "auto":
        raise ValueError(
            f"torchrun --max-restarts {restarts} starts the run again when a process fails. Give "
            "--model-last-checkpoint auto, so that it continues from the newest checkpoint; got "
            f"{last_checkpoint or 'none'}"
        )


def _say_once(text: str) -> None:
    """Prints a message from the first process of each machine; torchrun sets LOCAL_RANK."""
    if os.environ.get("LOCAL_RANK", "0") == "0":
        print(text, file=sys.stderr)


def _say_loss(how: str) -> None:
    _say_once(
        f"error: another process of this run {how}; --model-last-checkpoint auto continues from "
        "the last checkpoint"
    )


def _end_lonely() -> None:
    _say_loss("does not answer")
    _kill_workers()


@contextmanager
def patient_interrupts(processes: Processes) -> Iterator[Callable[[], bool]]:
    """Defers SIGINT and SIGTERM, as `deferred_interrupts`: yields a check for a signal.

    With several processes, no signal ends this one at once: each process gets the same signal from
    the system and from torchrun, and the others would wait for one that has ended.
    After a signal, an error caused by the lost connection to another process becomes a
    KeyboardInterrupt.
    """
    several = processes.world_size > 1
    with deferred_interrupts(patient=several) as interrupted:
        try:
            yield interrupted
        except RuntimeError as error:
            if several and _LOST.search(str(error)) and interrupted():
                raise KeyboardInterrupt(": another process of this run has ended") from error
            raise


def _end_workers() -> None:
    """Ends the loaders' processes that an error has left; they ignore SIGTERM."""
    if hasattr(signal, "SIGCHLD"):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # PyTorch's handler would report a failure
    _kill_workers()


def _kill_workers() -> None:
    for process in multiprocessing.active_children():
        process.kill()
