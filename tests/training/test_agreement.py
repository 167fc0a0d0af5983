"""Several processes: what they judge together, and how they end together."""

import multiprocessing
import os
import re
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import distributed
from torch.nn.modules.batchnorm import _BatchNorm

from model import MattingBase
from training.data import open_data
from training.metrics import base_loss, evaluate
from training.processes import Processes

from .conftest import CPU, make_settings
from .test_resume import finish, start, wait_for_checkpoint, write_config


def build(statistics: int) -> MattingBase:
    """The same weights in all processes; running means that differ."""
    torch.manual_seed(0)
    network = MattingBase("mobilenetv2")
    generator = torch.Generator().manual_seed(statistics)
    for layer in network.modules():
        if isinstance(layer, _BatchNorm):
            layer.running_mean.normal_(0, 0.1, generator=generator)
    return network


def judge(network: MattingBase, folder: Path, processes: Processes) -> dict[str, float]:
    settings = make_settings(folder, batch_size=2)
    # One at a time, so that a batch holds the same sample whoever judges it.
    settings = replace(settings, validation=replace(settings.validation, batch_size=1))
    validation = open_data(settings, processes).validation
    return evaluate(network, base_loss, validation, "float32", processes)[0]


def judge_in(rank: int, folder: Path) -> None:
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2
    )
    found = judge(build(rank), folder, Processes(rank, 2, CPU))
    torch.save(found, folder / f"{rank}.pt")
    distributed.destroy_process_group()


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked, to start at once")
def test_processes_judge_the_running_statistics_of_the_first_which_a_checkpoint_holds(
    tmp_path: Path,
) -> None:
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=judge_in, args=(rank, tmp_path)) for rank in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join(120)
        assert child.exitcode == 0
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    assert first == second
    # Sums of other parts; a sample's own numbers are the same.
    assert first == pytest.approx(judge(build(0), tmp_path, Processes(0, 1, CPU)), rel=1e-5)
    assert first != pytest.approx(judge(build(1), tmp_path, Processes(0, 1, CPU)), rel=1e-3)


def children_of(pid: int) -> list[int]:
    return [int(x) for x in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def own_words(said: str) -> str:
    """What the run says of its end, without torchrun's own report."""
    found = re.findall(r"^(?:stopped|interrupted|error|the data).*$", said, re.MULTILINE)
    return "\n".join(line for line in found if "saved as" not in line)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="torchrun's processes are found in /proc")
def test_sigterm_to_torchrun_and_its_processes_saves_and_is_told_once(tmp_path: Path) -> None:
    command, settings = write_config(tmp_path, epochs=1000)
    process = start(command, processes=2)
    wait_for_checkpoint(process, settings.run.checkpoint_dir / "run")
    for pid in 2 * children_of(process.pid):  # as a queue does, and torchrun once more
        os.kill(pid, signal.SIGTERM)
    process.send_signal(signal.SIGTERM)
    said = finish(process, code=1)  # torchrun's own
    assert own_words(said) == "interrupted; --model-last-checkpoint auto continues from here"
    assert said.count("stopped by a signal; saved as") == 1
    assert 'train_base.py", line' not in said, "a traceback of ours"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="torchrun's processes are found in /proc")
def test_a_process_that_is_killed_ends_the_others_in_one_line(tmp_path: Path) -> None:
    command, settings = write_config(tmp_path, epochs=1000)
    process = start(command, processes=2)
    wait_for_checkpoint(process, settings.run.checkpoint_dir / "run")
    time.sleep(0.5)
    os.kill(children_of(process.pid)[1], signal.SIGKILL)
    said = finish(process, code=1)
    wanted = r"(error|interrupted): another process of this run has ended.*"
    assert re.fullmatch(wanted, own_words(said)), said
    assert 'train_base.py", line' not in said, "a traceback of ours"
