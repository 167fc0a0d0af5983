"""Notices that a process of the run no longer answers, for example because its machine is off."""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
from torch import distributed

_PAUSE = 5.0  # seconds between two calls
_LOST_AFTER = timedelta(seconds=60)
# Seconds in which the training thread may end by itself, with its own message and exit code.
_GRACE = 10.0


@contextmanager
def heartbeat(at_loss: Callable[[], object]) -> Iterator[None]:
    """Ends this process with exit code 1 when another one has not answered for a minute.

    A thread of each process calls the others, also during long steps and uploads. Without it, a
    process would wait 10 minutes (NCCL) or 30 (gloo) for one whose machine has lost its network or
    its power. For a process group of at least two processes; all must enter, and leave together or
    fail.

    Args:
        at_loss: called before the process is ended, to say so and to end its own processes.
    """
    group = distributed.new_group(backend="gloo", timeout=_LOST_AFTER)
    leaving = threading.Event()
    thread = threading.Thread(target=_call_others, args=(group, leaving, at_loss), daemon=True)
    thread.start()
    try:
        yield
    finally:
        leaving.set()
        thread.join()


def _call_others(
    group: distributed.ProcessGroup, leaving: threading.Event, at_loss: Callable[[], object]
) -> None:
    leaves = torch.zeros(1)
    while not leaves:  # until one of them leaves, in all processes
        leaving.wait(_PAUSE)
        leaves.fill_(leaving.is_set())
        try:
            distributed.all_reduce(leaves, distributed.ReduceOp.MAX, group)
        except RuntimeError:  # gloo's for a closed connection and a time-out
            if not leaving.wait(_GRACE):
                at_loss()
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(1)  # the training thread waits outside Python
            return
