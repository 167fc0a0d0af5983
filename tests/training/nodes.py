"""Machines of a run, played by agents of torchrun on this one."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# As on a machine that only keeps the meeting point; so any machine of the run may die.
MEETING = """
import time
from torch.distributed import TCPStore
store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
print(store.port, flush=True)
time.sleep(600)
"""
# Short waits: a dead machine is given up after 2 seconds, and others are waited for 2 seconds.
WAITS = "is_host=0,keep_alive_interval=1,keep_alive_max_attempt=2,last_call_timeout=2"


def children_of(pid: int) -> list[int]:
    return [int(x) for x in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class Node:
    """A machine: an agent with one process of the run, started at once.

    Args:
        port: of the meeting point.
        address: 127.0.0.1 to 127.0.0.9; the lowest address of a round has the first process.
        command: the script and its flags.
        said: file to which all that it prints is added.
        least: number of machines, 1 or 2, without which the run waits.
    """

    def __init__(
        self, port: int, address: str, command: list[str], said: Path, least: int = 1
    ) -> None:
        self._said = said
        agent = ["-m", "torch.distributed.run", "--nnodes", f"{least}:2", "--nproc-per-node", "1"]
        agent += ["--max-restarts", "20", "--rdzv-backend", "c10d", "--rdzv-id", "run"]
        agent += ["--rdzv-endpoint", f"127.0.0.1:{port}", "--rdzv-conf", WAITS]
        environment = os.environ | {
            **{"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "COLUMNS": "999"},
            "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
        }
        with said.open("a") as file:
            self.process = subprocess.Popen(
                [sys.executable, *agent, "--local-addr", address, *command],
                **{"cwd": ROOT, "env": environment, "stdout": file, "stderr": file},
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        """All that it has printed."""
        return self._said.read_text()

    def processes(self) -> list[int]:
        """The agent and all below it."""
        found = [self.process.pid]
        for pid in found:
            with suppress(OSError):
                found += children_of(pid)
        return found

    def send(self, number: signal.Signals) -> None:
        """Sends a signal to the agent and all below it, the agent first."""
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self) -> None:
        """Kills all that runs on it at once, as when a machine dies."""
        self.send(signal.SIGKILL)
        self.process.wait()

    def finish(self, code: int = 0) -> str:
        """Waits for the agent's end; returns what it said."""
        assert self.process.wait(timeout=240) == code, self.said
        return self.said


@contextmanager
def meeting_point() -> Iterator[int]:
    """Keeps the meeting point of a run; yields its port."""
    with subprocess.Popen([sys.executable, "-c", MEETING], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()
