"""What ends a worker of the loader, or is missing for it, is said after the state is saved."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from training.workers import begin, explain, take

ROOT = Path(__file__).resolve().parents[2]

# A worker dies while the optimiser computes, and then the state is saved, which starts git.
KILL_AMID_A_STEP = """
import multiprocessing, os, runpy, signal, sys, time
from torch.optim import Adam
import training.run
step = Adam.step
def kill_one(self, *args, **options):
    if not hasattr(kill_one, "done"):
        worker = multiprocessing.active_children()[0]
        os.kill(worker.pid, signal.SIGKILL)
        worker.join(5)
        kill_one.done = True
    for _ in range(100):
        time.sleep(0.001)  # where Python hears signals
    return step(self, *args, **options)
Adam.step = kill_one
sys.argv[0] = "train_base.py"
runpy.run_path("train_base.py", run_name="__main__")
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked")
def test_a_worker_that_is_killed_amid_a_step_saves_the_whole_step_and_names_memory(
    tmp_path: Path,
) -> None:
    folders = ["--checkpoint-dir", str(tmp_path / "c"), "--log-dir", str(tmp_path / "l")]
    done = subprocess.run(
        [sys.executable, "-c", KILL_AMID_A_STEP, "--config", "configs/smoke.yaml", *folders],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "killed by signal: Killed. Most likely memory ran out: lower --num-wo" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "reading data failed; saved as" in done.stdout
    saved = [path.name for path in (tmp_path / "c/smoke").glob("epoch-*")]
    # The batch that was there already is still trained on.
    assert saved == ["epoch-0-step-2.pth"]


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (
            "DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that "
            "dataloader's workers are out of shared memory.",
            r"/dev/shm, which is too small: enlarge it .*--shm-size.*--num-workers 0",
        ),
        (
            "Caught RuntimeError in DataLoader worker process 0.\nRuntimeError: unable to allocate "
            "shared memory(shm) for file </torch_7_1>: No space left on device (28)",
            r"^unable to allocate.*\(28\)\. Batches are passed through /dev/shm",
        ),
        ("DataLoader worker (pid 7) is killed by signal: Killed.", "Most likely memory ran out"),
        ("Killed.png: damaged", "^Killed.png: damaged$"),
    ],
)
def test_what_a_worker_lacked_is_said_with_what_to_do(said: str, wanted: str) -> None:
    assert re.search(wanted, explain(RuntimeError(said)))


@pytest.mark.skipif(not hasattr(signal, "SIGCHLD"), reason="this system has no SIGCHLD")
def test_a_death_between_two_batches_is_told_with_the_next() -> None:
    class Batches:
        _workers = (SimpleNamespace(exitcode=None), SimpleNamespace(exitcode=-9, pid=7))

        _iterator = property(lambda self: self)

    for wait in (take, begin):  # within an epoch, and between two
        with pytest.raises(RuntimeError, match="DataLoader.*pid 7. is killed by signal: Killed"):
            wait(Batches())


def test_a_death_that_is_seen_before_its_signal_is_heard_names_the_signal() -> None:
    class Batches:
        _workers = (SimpleNamespace(exitcode=None, pid=7),)

        def __next__(self) -> None:
            self._workers[0].exitcode = -9
            raise RuntimeError("DataLoader worker (pid(s) 7) exited unexpectedly")

    with pytest.raises(RuntimeError, match="pid 7. is killed by signal: Killed"):
        take(Batches())


@pytest.mark.skipif(not hasattr(signal, "SIGCHLD"), reason="this system has no SIGCHLD")
def test_deaths_are_heard_only_while_a_batch_is_waited_for() -> None:
    heard = []
    before = signal.signal(signal.SIGCHLD, lambda *_: heard.append(1))
    try:
        assert take(iter("ab")) == "a"
        os.kill(os.getpid(), signal.SIGCHLD)
        assert heard == []

        def batches():
            os.kill(os.getpid(), signal.SIGCHLD)
            yield "b"

        assert take(batches()) == "b"
        assert heard == [1]
    finally:
        signal.signal(signal.SIGCHLD, before)
