"""Runs through the scripts that are killed, stopped and continued."""

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from runtime.settings import to_yaml
from training.checkpoint import load_checkpoint, newest_checkpoint
from training.settings import BaseSettings

from .conftest import make_settings

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = os.environ | {
    "OMP_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "",
    "COLUMNS": "999",
}


def write_config(
    folder: Path, refine: bool = False, epochs: int = 2
) -> tuple[list[str], BaseSettings]:
    """Writes a run of 8 steps, with a checkpoint after each second one."""
    settings = make_settings(
        folder, refine, num_workers=1, batch_size=2, epoch_end=epochs, checkpoint_interval=2
    )
    settings = replace(
        settings,
        model=replace(settings.model, last_checkpoint="auto"),
        log=replace(settings.log, valid_interval=3),
    )
    folder.mkdir(exist_ok=True)
    path = folder / "run.yaml"
    path.write_text(to_yaml(settings))
    script = "train_refine.py" if refine else "train_base.py"
    return [script, "--config", str(path)], settings


def start(command: list[str], processes: int = 1) -> subprocess.Popen:
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return subprocess.Popen(
        [sys.executable, *(launcher if processes > 1 else []), *command],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen, code: int = 0) -> str:
    out, _ = process.communicate(timeout=240)
    assert process.returncode == code, out
    return out


def wait_for_checkpoint(process: subprocess.Popen, folder: Path) -> None:
    limit = time.monotonic() + 120
    while newest_checkpoint(folder) is None:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < limit
        time.sleep(0.01)


def final_weights(settings: BaseSettings) -> dict[str, torch.Tensor]:
    folder = settings.run.checkpoint_dir / settings.model.name
    checkpoint = load_checkpoint(folder / f"epoch-{settings.run.epoch_end}-step-8.pth")
    assert checkpoint is not None
    return checkpoint.network | {
        f"{key}.{name}": value
        for key, state in checkpoint.optimiser["state"].items()
        for name, value in state.items()
    }


def kill_and_resume(command: list[str], folder: Path, processes: int = 1) -> str:
    process = start(command, processes)
    wait_for_checkpoint(process, folder)
    if processes > 1:  # torchrun's are in sessions of their own, and would go on without it
        for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
            os.kill(int(child), signal.SIGKILL)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    newest = newest_checkpoint(folder)
    assert newest is not None
    assert newest.name != "epoch-2-step-8.pth", "it ended before it was killed"
    return finish(start(command, processes))


@pytest.mark.slow
@pytest.mark.parametrize("refine", [False, True], ids=["base", "refine"])
def test_killed_and_resumed_is_bitwise_the_same(tmp_path: Path, refine: bool) -> None:
    command, whole = write_config(tmp_path / "whole", refine)
    finish(start(command))
    command, killed = write_config(tmp_path / "killed", refine)
    said = kill_and_resume(command, killed.run.checkpoint_dir / "run")
    assert re.search(r"continuing from .*epoch-\d-step-\d\.pth: epoch \d, step [2-6]", said)
    wanted, got = final_weights(whole), final_weights(killed)
    assert wanted.keys() == got.keys()
    different = [name for name in wanted if not torch.equal(wanted[name], got[name])]
    assert different == []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="torchrun's processes are found in /proc")
def test_two_processes_resume_within_rounding(tmp_path: Path) -> None:
    command, whole = write_config(tmp_path / "whole", epochs=4)  # of two steps for two processes
    finish(start(command, processes=2))
    command, killed = write_config(tmp_path / "killed", epochs=4)
    kill_and_resume(command, killed.run.checkpoint_dir / "run", processes=2)
    wanted, got = final_weights(whole), final_weights(killed)
    for name, value in wanted.items():
        # Sums over processes may be rounded in another order.
        assert torch.allclose(value, got[name], rtol=1e-4, atol=1e-6), name


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals of this kind")
@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_signals_save_and_exit(tmp_path: Path, number: signal.Signals) -> None:
    command, settings = write_config(tmp_path)
    folder = settings.run.checkpoint_dir / "run"
    process = start(command)
    wait_for_checkpoint(process, folder)
    os.killpg(process.pid, number)  # workers get it too, as from a terminal
    said = finish(process, code=130)
    assert "stopped by a signal; saved as" in said
    assert "--model-last-checkpoint auto continues from here" in said
    assert "Traceback" not in said
    checkpoint = load_checkpoint(newest_checkpoint(folder))
    assert checkpoint is not None
    assert f"epoch-{checkpoint.epoch}-step-{checkpoint.step}.pth" in said
    assert not list(folder.glob(".*")), "something half written"
