"""One process, or several started by `torchrun`: who this one is, and what all agree on."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed


@dataclass(frozen=True)
class Processes:
    """The processes of a run.

    Attributes:
        rank: this process, from 0.
        world_size: number of processes; with 1 there is no process group.
        device: where this process computes.
    """

    rank: int
    world_size: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and talks."""
        return self.rank == 0

    def total(self, values: Tensor) -> Tensor:
        """Adds up a tensor over all processes."""
        if self.world_size == 1:
            return values
        summed = values.detach().to(self.device).clone()
        distributed.all_reduce(summed)
        return summed.to(values.device)

    def any(self, flag: bool) -> bool:
        """Tells whether a flag is set in any process."""
        return bool(self.total(torch.tensor(float(flag))) > 0)

    def gather(self, value: Any) -> list[Any]:
        """Collects an object of each process, in every process, by rank."""
        if self.world_size == 1:
            return [value]
        gathered: list[Any] = [None] * self.world_size
        distributed.all_gather_object(gathered, value)
        return gathered

    def wait(self) -> None:
        """Returns when all processes have come here."""
        if self.world_size > 1:
            distributed.barrier()


@contextmanager
def start_processes(device: torch.device) -> Iterator[Processes]:
    """Joins the processes that `torchrun` started; alone, nothing is set up.

    The backend is nccl on CUDA devices, one for each process of a machine, and gloo elsewhere.

    Args:
        device: of the kind to use; the number of a CUDA device is the local rank's.

    Yields:
        The processes.

    Raises:
        ValueError: when a machine has fewer CUDA devices than processes.
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
