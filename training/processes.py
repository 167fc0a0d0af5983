"""The process of a run, or several started by `torchrun`: how they start, agree and end."""

import multiprocessing
import os
import re
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import cv2
import torch
from torch import Tensor, distributed

from runtime.device import resolve_device
from runtime.script import deferred_interrupts, lasting_streams, raise_interrupt
from runtime.settings import parse_settings, to_yaml
from runtime.wording import visible

from .settings import Settings
from .workers import explain

S = TypeVar("S", bound=Settings)

# What the backends say when the connection to another process is gone.
_LOST = re.compile(r"gloo|NCCL|Connection (closed|reset)|Broken pipe")


class NonFiniteLossError(ArithmeticError):
    """The loss is infinite or not a number; the message names step and samples."""


class OtherProcessError(RuntimeError):
    """What ended this process is another one's; that one says what it was."""


@dataclass(frozen=True)
class Processes:
    """The processes of a run: which this one is, how many, and where this one computes."""

    rank: int  # from 0
    world_size: int  # with 1 there is no process group
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and prints."""
        return self.rank == 0

    def total(self, values: Tensor) -> Tensor:
        """Adds up a tensor over all processes."""
        if self.world_size == 1:
            return values
        summed = values.detach().to(self.device).clone()
        distributed.all_reduce(summed)
        return summed.to(values.device)

    def any(self, flag: bool) -> bool:
        """Whether a flag is set in any process."""
        return bool(self.total(torch.tensor(float(flag))) > 0)

    def gather(self, value: Any) -> list[Any]:
        """Collects an object of each process, in every process, by rank."""
        if self.world_size == 1:
            return [value]
        gathered: list[Any] = [None] * self.world_size
        distributed.all_gather_object(gathered, value)
        return gathered

    def share(self, tensors: Iterable[Tensor]) -> None:
        """Gives tensors the values that they have in the first process."""
        if self.world_size > 1:
            for tensor in tensors:
                distributed.broadcast(tensor, 0)

    def wait(self) -> None:
        """Returns when all processes have come here."""
        if self.world_size > 1:
            distributed.barrier()


@lasting_streams()
def run_command(
    settings_type: type[S], description: str, train: Callable[[S, Processes], bool]
) -> int:
    """Runs a training script from its command line; `train` says whether the last epoch has ended.

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
            _say_once(
                "error: another process of this run has ended; --model-last-checkpoint auto goes "
                "on from the last checkpoint"
            )
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
    """Joins the processes that `torchrun` started; alone, nothing is set up.

    The backend is nccl on CUDA, with the device of the local rank's number, and gloo elsewhere.
    Raises ValueError when a machine has fewer CUDA devices than processes.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ and "WORLD_SIZE" not in os.environ:
        yield Processes(0, 1, device)
        return
    if device.type == "cuda":
        local_rank, count = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if local_rank >= count:
            raise ValueError(
                f"process {local_rank} of this machine has no CUDA device of its own; there are "
                f"{count}. Start torchrun with --nproc-per-node {count}"
            )
        device = torch.device("cuda", local_rank)
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Processes(distributed.get_rank(), distributed.get_world_size(), device)
    finally:
        distributed.destroy_process_group()


def _say_once(text: str) -> None:
    """Prints what all processes would say; torchrun names them by RANK."""
    if os.environ.get("RANK", "0") == "0":
        print(text, file=sys.stderr)


@contextmanager
def patient_interrupts(processes: Processes) -> Iterator[Callable[[], bool]]:
    """Turns SIGINT and SIGTERM into a question, as `deferred_interrupts`.

    One of several processes never ends at once: each hears the same signal from the system and from
    torchrun, and one that is gone leaves the others waiting. After a signal, an error that comes
    because another process is gone, which cuts its connections, becomes a KeyboardInterrupt.
    """
    with deferred_interrupts() as interrupted:
        if processes.world_size == 1:
            yield interrupted
            return
        came: list[int] = []
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, frame: came.append(number))
        try:
            yield lambda: interrupted() or bool(came)
        except RuntimeError as error:
            if _LOST.search(str(error)) and (interrupted() or came):
                raise KeyboardInterrupt(": another process of this run has ended") from error
            raise


def _end_workers() -> None:
    """Ends the loaders' processes that an error has left, which hear no SIGTERM."""
    if hasattr(signal, "SIGCHLD"):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # PyTorch's would call that a failure
    for process in multiprocessing.active_children():
        process.kill()
