"""Processes of several machines: which checkpoint they continue from, and what they notice."""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import distributed

import training.heartbeat
from dataset.settings import DatasetSettings, SourceSettings, SplitSettings
from training.checkpoint import save_checkpoint, take_checkpoint
from training.data import open_data
from training.heartbeat import heartbeat
from training.processes import Processes, run_command
from training.resume import find_checkpoint
from training.settings import BaseModelSettings, BaseSettings

from .conftest import CPU, MakeRun, make_settings

forks = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked, to start at once")


def run_two(folder: Path, work: Callable[[Processes], object]) -> list[object]:
    """Does work in two processes; returns both results, or the names of their errors."""

    def do(rank: int) -> None:
        distributed.init_process_group(
            "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2
        )
        try:
            result = work(Processes(rank, 2, CPU))
        except Exception as error:
            result = f"{type(error).__name__}: {error}"
        torch.save(result, folder / f"{rank}.pt")
        distributed.destroy_process_group()

    context = multiprocessing.get_context("fork")
    children = [context.Process(target=do, args=(rank,)) for rank in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
        assert child.exitcode == 0
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


def write_checkpoint(run: MakeRun, folder: Path, step: int, value: float) -> Path:
    """Writes a checkpoint whose bias has this value; returns its file."""
    built, state = run()
    state.step = step
    torch.nn.init.constant_(state.network.decoder.conv4.bias, value)
    return save_checkpoint(folder, take_checkpoint(state, built.settings, built.processes), 3)


def find(
    folders: list[Path], last: str | None, processes: Processes
) -> tuple[str | None, float | None, list[str]]:
    model = BaseModelSettings(name="run", last_checkpoint=last)
    path, found, notes = find_checkpoint(folders[processes.rank], model, processes)
    bias = found.network["decoder.conv4.bias"][0].item() if found else None
    return path.name if path else None, bias, notes


@forks
def test_all_continue_from_the_newest_checkpoint_that_one_of_them_has(
    tmp_path: Path, make_run: MakeRun
) -> None:
    """The first machine comes back with an older file; the second has gone on without it."""
    folders = [tmp_path / "first", tmp_path / "second"]
    write_checkpoint(make_run, folders[0], 3, 3.0)
    write_checkpoint(make_run, folders[1], 5, 5.0)
    first, second = run_two(tmp_path, partial(find, folders, "auto"))
    assert first[:2] == second[:2] == ("epoch-0-step-5.pth", 5.0)
    assert "only 1 of 2 processes found epoch-0-step-5.pth" in first[2][0]


@forks
def test_a_shared_folder_is_no_reason_for_a_note(tmp_path: Path, make_run: MakeRun) -> None:
    write_checkpoint(make_run, tmp_path / "shared", 3, 3.0)
    found = run_two(tmp_path, partial(find, 2 * [tmp_path / "shared"], "auto"))
    assert found == 2 * [("epoch-0-step-3.pth", 3.0, [])]


@forks
def test_a_damaged_checkpoint_is_told_by_its_reader_and_ends_all(
    tmp_path: Path, make_run: MakeRun
) -> None:
    folders = [tmp_path / "first", tmp_path / "second"]
    path = write_checkpoint(make_run, folders[1], 5, 5.0)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    first, second = run_two(tmp_path, partial(find, folders, "auto"))
    assert first == "OtherProcessError: process 1 of this run has failed"
    assert "CheckpointError" in second
    assert "checksum" in second


def open_own_data(folder: Path, processes: Processes) -> int:
    settings = make_settings(folder)
    own = SplitSettings((SourceSettings(synthetic=8 + processes.rank),), ())
    settings = replace(settings, dataset=DatasetSettings("own", {"own": own}))
    return len(open_data(settings, processes).batches)


@forks
def test_machines_with_different_data_are_refused(tmp_path: Path) -> None:
    said = "ValueError: the processes of this run found different data, by rank: 8 samples and 0"
    results = run_two(tmp_path, partial(open_own_data, tmp_path))
    assert all(str(result).startswith(said) for result in results), results


@forks
def test_a_process_that_does_not_answer_ends_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training.heartbeat, "_PAUSE", 0.1)
    monkeypatch.setattr(training.heartbeat, "_LOST_AFTER", timedelta(seconds=1))
    monkeypatch.setattr(training.heartbeat, "_GRACE", 0.5)

    def live(rank: int) -> None:
        distributed.init_process_group(
            "gloo", init_method=f"file://{tmp_path}/meeting", rank=rank, world_size=2
        )
        with heartbeat((tmp_path / f"{rank} is alone").touch):
            (tmp_path / f"{rank} began").touch()
            distributed.barrier()  # the second comes too late, but for half an hour not too late
            if rank:
                time.sleep(60)
            distributed.barrier()

    context = multiprocessing.get_context("fork")
    children = [context.Process(target=live, args=(rank,)) for rank in range(2)]
    try:
        for child in children:
            child.start()
        limit = time.monotonic() + 30
        while not all((tmp_path / f"{rank} began").exists() for rank in range(2)):
            assert time.monotonic() < limit
            time.sleep(0.05)
        time.sleep(3)  # longer than the other may be silent: it waits in a barrier, but answers
        assert children[0].exitcode is None
        os.kill(children[1].pid, signal.SIGSTOP)  # as a machine without network
        children[0].join(20)
        assert children[0].exitcode == 1
        assert (tmp_path / "0 is alone").exists()
    finally:
        for child in children:
            child.kill()


def test_restarts_need_a_run_that_can_continue(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "3")
    monkeypatch.setattr(sys, "argv", ["train_base.py", "--config", "configs/smoke.yaml"])
    monkeypatch.setattr("training.processes.signal.signal", lambda *_: None)
    done: list[BaseSettings] = []

    def train(settings: BaseSettings, processes: Processes) -> bool:
        done.append(settings)
        return True

    assert run_command(BaseSettings, "", train) == 0
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--model-last-checkpoint", "a.pth"])
    assert run_command(BaseSettings, "", train) == 2
    assert len(done) == 1
    said = capsys.readouterr().err
    assert "--max-restarts 3" in said
    assert "Give --model-last-checkpoint auto" in said
    monkeypatch.setattr(sys, "argv", sys.argv[:3])
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", "True")
    assert run_command(BaseSettings, "", train) == 0  # one machine
    monkeypatch.setenv("GROUP_WORLD_SIZE", "2")
    assert run_command(BaseSettings, "", train) == 2
    assert "Set TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1" in capsys.readouterr().err
