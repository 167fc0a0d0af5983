"""Checkpoints in a store: found by listing, written whole or not at all, verified when read."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from model.reading import CheckpointError
from runtime.settings import parse_settings, to_yaml
from storage import persistence
from storage.location import Url
from tests.storage.server import Fault, Store
from training.checkpoint import load_checkpoint, newest_checkpoint
from training.loop import fit
from training.resume import find_checkpoint
from training.run import save
from training.settings import BaseSettings

from .conftest import MakeRun, make_settings


@pytest.fixture
def settings(tmp_path: Path, s3: Store) -> BaseSettings:
    settings = make_settings(tmp_path, epoch_end=1, checkpoint_interval=1, checkpoint_keep=2)
    run = replace(settings.run, checkpoint_dir=Url("s3", s3.bucket, "runs"))
    model = replace(settings.model, last_checkpoint="auto")
    return replace(settings, run=run, model=model)


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few attempts within a second."""
    monkeypatch.setattr(persistence, "_FIRST", 0.01)
    monkeypatch.setattr(persistence, "PATIENCE", 0.5)


@pytest.mark.slow
def test_a_run_keeps_its_newest_checkpoints_and_the_best_and_continues(
    settings: BaseSettings, s3: Store, make_run: MakeRun
) -> None:
    s3.put("runs/run/notes.txt", b"of the user")
    run, state = make_run(settings)
    assert fit(run, state)
    names = ["best.pth", "epoch-0-step-3.pth", "epoch-1-step-4.pth", "notes.txt"]
    assert s3.names("runs/") == [f"runs/run/{name}" for name in names]
    assert s3.uploads() == []
    _, again = make_run(settings)
    assert (again.epoch, again.batch, again.step) == (1, 0, 4)
    weights = state.network.state_dict()
    assert all(torch.equal(value, weights[n]) for n, value in again.network.state_dict().items())


def test_settings_with_a_url_keep_it(settings: BaseSettings, s3: Store, tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(to_yaml(settings))
    read = parse_settings(BaseSettings, "", ["--config", str(tmp_path / "run.yaml")])
    assert read.run.checkpoint_dir == settings.run.checkpoint_dir
    flags = ["--config", str(tmp_path / "run.yaml"), "--checkpoint-dir", "s3://other/x"]
    assert parse_settings(BaseSettings, "", flags).run.checkpoint_dir == Url("s3", "other", "x")


def test_weights_of_an_earlier_stage_are_read_from_a_url(
    settings: BaseSettings, s3: Store, make_run: MakeRun
) -> None:
    run, state = make_run(settings)
    with torch.no_grad():
        state.network.decoder.conv4.bias.fill_(7.0)
    save(run, state, best=True)
    model = replace(
        settings.model,
        name="next",
        initial_checkpoint=Url("s3", s3.bucket, "runs/run/best.pth"),
    )
    _, following = make_run(replace(settings, model=model))
    assert following.network.decoder.conv4.bias.unique().tolist() == [7.0]


@pytest.mark.parametrize("code", [500, 503])
@pytest.mark.usefixtures("patience")
def test_a_store_that_fails_for_a_while_loses_no_checkpoint(
    settings: BaseSettings, s3: Store, make_run: MakeRun, code: int
) -> None:
    run, state = make_run(settings)
    s3.faults.append(Fault("^PUT", code, times=3))
    save(run, state)
    assert s3.names() == ["runs/run/epoch-0-step-0.pth"]


@pytest.mark.usefixtures("patience")
def test_a_store_that_stays_away_is_told_and_leaves_the_earlier_checkpoint(
    settings: BaseSettings, s3: Store, make_run: MakeRun
) -> None:
    run, state = make_run(settings)
    save(run, state)
    s3.faults.append(Fault("^PUT"))
    state.step = 1
    said = r"epoch-0-step-1\.pth can't be written: .*answers 500.*given up"
    with pytest.raises(CheckpointError, match=said):
        save(run, state)
    assert s3.names() == ["runs/run/epoch-0-step-0.pth"]


def test_a_changed_checkpoint_is_found_out_and_named(
    settings: BaseSettings, s3: Store, make_run: MakeRun
) -> None:
    run, state = make_run(settings)
    save(run, state)
    name = "runs/run/epoch-0-step-0.pth"
    content = bytearray(s3.get(name))
    content[len(content) // 2] ^= 1
    s3.put(name, bytes(content))
    newest = newest_checkpoint(Url("s3", s3.bucket, "runs/run"))
    with pytest.raises(CheckpointError, match=rf"s3://{s3.bucket}/{name} .*checksum"):
        load_checkpoint(newest)
    s3.put(name, bytes(content[:-100]))
    with pytest.raises(CheckpointError, match=rf"s3://{s3.bucket}/{name} can't be read; it is dam"):
        load_checkpoint(newest)


def test_a_damaged_newest_checkpoint_says_how_to_continue(
    settings: BaseSettings, s3: Store, make_run: MakeRun
) -> None:
    run, state = make_run(settings)
    save(run, state)
    state.step = 1
    save(run, state)
    newest = "runs/run/epoch-0-step-1.pth"
    s3.put(newest, s3.get(newest)[:-100])
    folder = Url("s3", s3.bucket, "runs/run")
    model = replace(settings.model, last_checkpoint="auto")
    with pytest.raises(CheckpointError, match=rf"{newest} .* remove this file: auto then takes"):
        find_checkpoint(folder, model, run.processes)
    s3.client.delete_object(Bucket=s3.bucket, Key=newest)
    path, checkpoint, _ = find_checkpoint(folder, model, run.processes)
    assert checkpoint is not None
    assert str(path).endswith("/epoch-0-step-0.pth")


def test_a_missing_bucket_is_named_before_any_step(
    settings: BaseSettings, s3: Store, make_run: MakeRun
) -> None:
    run = replace(settings.run, checkpoint_dir=Url("s3", "no-such-bucket", "runs"))
    with pytest.raises(ValueError, match="there is no bucket no-such-bucket"):
        make_run(replace(settings, run=run))


def test_a_place_that_is_to_read_only_is_refused_with_the_settings(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="https:// is to read only; write to s3://"):
        make_settings(tmp_path, checkpoint_dir=Url("https", "host.example", "runs"))
