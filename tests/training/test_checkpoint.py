"""Checkpoints: whole, rotated, safe to read, and refused where they do not fit."""

import errno
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from model import MattingBase
from model.weights import CheckpointError, load_network, read_state_dict
from runtime.plain_yaml import parse_yaml
from training import checkpoint as module
from training.checkpoint import (
    Checkpoint,
    State,
    load_checkpoint,
    newest_checkpoint,
    restore,
    save_best,
    save_checkpoint,
    shorten_paths,
)
from training.loop import train_one_epoch
from training.run import Run, begin, save
from training.settings import BaseSettings, ScheduleSettings

from .conftest import MakeRun, make_settings, train_step

EMPTY = Checkpoint(
    network={"weight": torch.arange(3.0)},
    optimiser={"state": {0: {"step": torch.tensor(4.0)}}, "param_groups": [{"lr": 0.1}]},
    scaler={},
    name="run",
    epoch=1,
    batch=2,
    step=3,
    best=None,
    random=[{"cpu": torch.get_rng_state()}],
    settings="model: {name: run}\n",
    revision="unknown",
)


def test_comes_back_as_it_was(tmp_path: Path) -> None:
    read = load_checkpoint(save_checkpoint(tmp_path, EMPTY, keep=1))
    assert read is not None
    assert torch.equal(read.network["weight"], EMPTY.network["weight"])
    assert torch.equal(read.random[0]["cpu"], EMPTY.random[0]["cpu"])
    assert (read.optimiser, read.epoch, read.batch, read.step) == (EMPTY.optimiser, 1, 2, 3)


def test_newest_are_kept_by_step_and_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.pth").write_text("a user's")
    save_best(tmp_path, EMPTY)
    for step in (8, 9, 10, 11):
        save_checkpoint(tmp_path, replace(EMPTY, step=step), keep=2)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"mine.pth", "best.pth", "epoch-1-step-10.pth", "epoch-1-step-11.pth"}
    assert newest_checkpoint(tmp_path) == tmp_path / "epoch-1-step-11.pth"
    assert newest_checkpoint(tmp_path / "missing") is None


def test_full_disk_leaves_the_earlier_ones_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = save_checkpoint(tmp_path, EMPTY, keep=1)
    before = first.read_bytes()

    def fill_disk(content: object, path: Path) -> None:
        path.write_bytes(b"the first part")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module.torch, "save", fill_disk)
    with pytest.raises(CheckpointError, match="No space left.*complete one is .*step-3.pth.*auto"):
        save_checkpoint(tmp_path, replace(EMPTY, step=4), keep=1)
    assert first.read_bytes() == before
    assert list(tmp_path.iterdir()) == [first]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
def test_what_pytorch_says_of_a_full_disk_is_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def full(path: Path):
        yield Path("/dev/full")

    monkeypatch.setattr(module, "stored", full)
    with pytest.raises(CheckpointError, match="can't be written"):
        save_checkpoint(tmp_path, EMPTY, keep=1)


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"format": 1, "network": {}, "name": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(CheckpointError, match="refused"):
        load_checkpoint(tmp_path / "evil.pth")
    assert not (tmp_path / "ran").exists()


def test_incomplete_and_newer_files_are_refused(tmp_path: Path) -> None:
    torch.save({"format": 1, "network": {}}, tmp_path / "part.pth")
    with pytest.raises(CheckpointError, match="is not complete"):
        load_checkpoint(tmp_path / "part.pth")
    torch.save({"format": 2, "network": {}}, tmp_path / "new.pth")
    with pytest.raises(CheckpointError, match="newer version"):
        load_checkpoint(tmp_path / "new.pth")


def test_inference_takes_the_network_of_a_checkpoint(make_run: MakeRun) -> None:
    run, state = make_run()
    path = Path(save(run, state))
    network = load_network(path)
    for name, value in state.network.state_dict().items():
        assert torch.equal(network.state_dict()[name], value)
    assert network.predicts_hidden


def begin_with(settings: BaseSettings, make_run: MakeRun, **model: object) -> tuple:
    settings = replace(settings, model=replace(settings.model, **model))
    run, state = make_run(settings)
    return run, state, begin(state.network, settings, run.processes, "float32")[1]


def test_a_new_run_does_not_mix_with_an_old_one(settings: BaseSettings, make_run: MakeRun) -> None:
    save(*make_run(settings))
    with pytest.raises(CheckpointError, match="earlier run.*auto, or use another --model-name"):
        make_run(settings)


def test_a_file_of_another_run_gives_its_weights_only(
    settings: BaseSettings, make_run: MakeRun
) -> None:
    run, state = make_run(settings)
    train_step(run, state, next(iter(run.data.loader)))
    state.step = 1
    path = save(run, state)
    _, other, notes = begin_with(settings, make_run, name="other", last_checkpoint=path)
    assert (other.step, other.optimiser.state) == (0, {})
    assert "optimiser and step are new" in notes[0]
    for name, value in state.network.state_dict().items():
        assert torch.equal(other.network.state_dict()[name], value)


def test_stage_2_takes_the_base_and_says_what_is_new(make_run: MakeRun, tmp_path: Path) -> None:
    base = make_settings(tmp_path)
    run, state = make_run(base)
    path = save(run, state)
    refine = make_settings(tmp_path, refine=True)
    refine = replace(refine, model=replace(refine.model, name="two", initial_checkpoint=Path(path)))
    run, second = make_run(refine)
    notes = begin(second.network, refine, run.processes, "float32")[1]
    assert "the refiner has new random weights" in notes[0]
    for name, value in state.network.state_dict().items():
        assert torch.equal(second.network.state_dict()[name], value)


def test_another_backbone_is_refused(settings: BaseSettings, tmp_path: Path, make_run) -> None:
    weights = MattingBase("resnet50").state_dict()
    torch.save(weights, tmp_path / "resnet.pth")
    model = replace(settings.model, initial_checkpoint=tmp_path / "resnet.pth")
    with pytest.raises(CheckpointError, match="a mattingbase with resnet50.*does not fit"):
        make_run(replace(settings, model=model))


def go_on(settings: BaseSettings, decoder: float) -> BaseSettings:
    """Settings to go on with, by another learning rate of the decoder."""
    return replace(
        settings,
        model=replace(settings.model, last_checkpoint="auto"),
        learning_rates=replace(settings.learning_rates, decoder=decoder),
    )


def test_changed_settings_are_told_and_win(settings: BaseSettings, make_run: MakeRun) -> None:
    save(*make_run(settings))
    changed = go_on(settings, decoder=0.5)
    run, state = make_run(changed)
    _, notes = begin(state.network, changed, run.processes, "float32")
    assert "changed since: learning_rates.decoder 0.003 -> 0.5" in notes
    assert {g["name"]: g["full_lr"] for g in state.optimiser.param_groups}["decoder"] == 0.5


def test_a_part_frozen_since_is_told(settings: BaseSettings, make_run: MakeRun) -> None:
    save(*make_run(settings))
    changed = go_on(settings, decoder=0)
    with pytest.raises(CheckpointError, match="frozen by a learning rate of 0.*another --model-n"):
        make_run(changed)


@pytest.mark.parametrize(("batch_size", "place"), [(2, 3), (1, 6), (4, 1)])
def test_the_place_in_the_epoch_is_counted_in_samples(
    settings: BaseSettings, make_run: MakeRun, batch_size: int, place: int
) -> None:
    run, state = make_run(settings)
    state.batch = 3  # of two samples
    save(run, state)
    changed = replace(
        settings,
        model=replace(settings.model, last_checkpoint="auto"),
        run=replace(settings.run, batch_size=batch_size),
    )
    run, state = make_run(changed)
    assert (state.epoch, state.batch) == (0, place)


@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_schedule_goes_on_by_samples_when_the_size_of_a_step_changes(
    settings: BaseSettings, make_run: MakeRun, batch_size: int
) -> None:
    settings = replace(settings, schedule=ScheduleSettings("cosine"))
    run, state = make_run(settings)
    state.epoch, state.step = 1, 4  # half of two epochs of 8 samples, 2 a step
    save(run, state)
    before = run_rate(run, state)
    changed = replace(
        settings,
        model=replace(settings.model, last_checkpoint="auto"),
        run=replace(settings.run, batch_size=batch_size),
    )
    run, state = make_run(changed)
    assert state.step == 4
    assert run_rate(run, state) == pytest.approx(before, rel=1e-12)
    assert before == pytest.approx(3e-3 * (0.01 + 0.99 / 2))


def run_rate(run: Run, state: State) -> float:
    """The decoder's learning rate in the next step."""
    if run.settings.run.batch_size > 1:
        train_step(run, state, next(iter(run.data.loader)))
    else:  # batch norm takes no single sample
        freeze = replace(run.settings.run, freeze_batch_norm=True)
        run = replace(run, settings=replace(run.settings, run=freeze))
        train_step(run, state, next(iter(run.data.loader)))
    return next(g["lr"] for g in state.optimiser.param_groups if g["name"] == "decoder")


def test_checkpoints_hold_no_absolute_path_and_go_on_without_a_word_about_it(
    settings: BaseSettings, make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "bob")
    monkeypatch.chdir(tmp_path)
    initial = replace(settings.model, initial_checkpoint=Path("/data/bob/base.pth"))
    saved = replace(settings, model=initial, log=replace(settings.log, dir=tmp_path / "bob"))
    run, state = make_run(settings)
    path = Path(save(replace(run, settings=saved), state))
    checkpoint = load_checkpoint(path)
    assert checkpoint is not None
    plain = parse_yaml(checkpoint.settings, "")
    assert plain["run"]["checkpoint_dir"] == "checkpoint"
    assert plain["model"]["initial_checkpoint"] == "…/base.pth"
    assert plain["log"]["dir"] == "bob"  # below the present folder
    assert str(tmp_path).encode() not in path.read_bytes()
    assert b"/data/bob" not in path.read_bytes()
    assert shorten_paths(str(tmp_path / "bob")) == "bob"
    monkeypatch.chdir("/")
    assert shorten_paths([str(tmp_path), "data/x", "~/x"])[1:] == ["data/x", "~/x"]
    monkeypatch.chdir(Path(__file__).parent)
    assert shorten_paths({"a": [str(tmp_path / "bob"), "/x/y"]}) == {"a": ["…", "…/y"]}
    go_on = replace(saved.model, last_checkpoint="auto")
    again = replace(saved, model=go_on, run=replace(saved.run, checkpoint_dir=path.parents[1]))
    _, state = make_run(replace(again, model=replace(go_on, initial_checkpoint=None)))
    notes = restore(state, checkpoint, saved, run.processes)
    assert [
        note for note in notes if "changed since" in note and "checkpoint_dir" not in note
    ] == []


@pytest.mark.parametrize(
    ("field", "change", "message"),
    [
        ("optimiser", lambda o: {"state": {}}, "optimiser does not fit the run"),
        ("optimiser", lambda o: o | {"param_groups": [3]}, "optimiser does not fit the run"),
        ("optimiser", lambda o: o | {"state": {"a": 1}}, "optimiser does not fit the run"),
        ("optimiser", lambda o: o | {"state": {10**9: {}}}, "optimiser does not fit the run"),
        (
            "optimiser",
            lambda o: o | {"state": o["state"] | {0: o["state"][1]}},
            "exp_avg of parameter 0 has another shape",
        ),
        ("random", lambda r: [{"cpu": torch.zeros(3, dtype=torch.uint8)}], "random is not a state"),
        ("random", lambda r: [{"cpu": torch.zeros(5056)}], "random is not a state"),
        ("settings", lambda s: "run: {batch_size: a}", "the batch_size 'a'"),
        ("settings", lambda s: "run: {batch_size: -2}", "the batch_size -2"),
    ],
)
def test_fields_that_do_not_fit_the_run_are_named(
    settings: BaseSettings, make_run: MakeRun, field: str, change, message: str
) -> None:
    run, state = make_run(settings)
    train_step(run, state, next(iter(run.data.loader)))
    path = Path(save(run, state))
    content = torch.load(path)
    torch.save(content | {field: change(content[field])}, path)
    changed = replace(settings, model=replace(settings.model, last_checkpoint="auto"))
    with pytest.raises(CheckpointError, match=message) as error:
        make_run(changed)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_place_beyond_the_epoch_begins_the_next(make_run: MakeRun) -> None:
    run, state = make_run()
    state.batch = 4
    assert list(train_one_epoch(run, state)) == []
    assert (state.epoch, state.batch) == (1, 0)


def test_missing_file_is_named(settings: BaseSettings, make_run: MakeRun) -> None:
    with pytest.raises(CheckpointError, match="nowhere.pth does not exist"):
        begin_with(settings, make_run, last_checkpoint="nowhere.pth")


def test_weights_alone_are_no_checkpoint(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(1)}, tmp_path / "weights.pth")
    assert load_checkpoint(tmp_path / "weights.pth") is None
    assert list(read_state_dict(tmp_path / "weights.pth")) == ["weight"]
