"""The loop: what it logs, keeps, judges and refuses."""

import errno
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dataset.synthesis import synthesise
from model import matting
from model.fast import network as fast
from training.checkpoint import State, load_checkpoint, newest_checkpoint
from training.data import open_data
from training.log import Log
from training.loop import fit
from training.metrics import evaluate, measure
from training.processes import NonFiniteLossError, Processes
from training.run import Run, check_batch_norm
from training.settings import BaseSettings, LearningRates, RefineModelSettings

from .conftest import CPU, MakeRun, make_settings, train_step

PARTS = ("backbone", "aspp", "decoder", "refiner")


def folder_of(settings: BaseSettings) -> Path:
    return settings.run.checkpoint_dir / settings.model.name


def test_the_loss_falls_on_one_batch(make_run: MakeRun) -> None:
    run, state = make_run()
    batch = next(iter(run.data.loader))
    losses = [train_step(run, state, batch)["total"] for _ in range(12)]
    assert losses[-1] < 0.7 * losses[0]


def test_a_run_logs_and_keeps_what_it_should(make_run: MakeRun, settings: BaseSettings) -> None:
    with Log(settings.log.dir / "run", 0, 8) as log:
        run, state = make_run(settings, log=log)
        assert fit(run, state)
    assert (state.epoch, state.batch, state.step) == (2, 0, 8)
    names = {path.name for path in folder_of(settings).iterdir()}
    assert names == {"best.pth", "epoch-1-step-4.pth", "epoch-2-step-8.pth"}
    best = load_checkpoint(folder_of(settings) / "best.pth")
    assert best is not None
    assert best.best == state.best

    events = EventAccumulator(str(settings.log.dir / "run"))
    events.Reload()
    scalars = set(events.Tags()["scalars"])
    for name in ("pha_l1", "pha_sobel", "fgr_l1", "err_mse", "total"):
        assert f"loss/{name}" in scalars
    assert {f"learning_rate/{part}" for part in ("backbone", "aspp", "decoder")} <= scalars
    assert {f"valid/{name}" for name in ("mad", "mse", "grad", "loss_pha_l1")} <= scalars
    assert [e.step for e in events.Scalars("loss/total")] == list(range(1, 9))
    total = events.Scalars("loss/total")[-1].value
    parts = [events.Scalars(f"loss/{n}")[-1].value for n in ("pha_l1", "pha_sobel", "fgr_l1")]
    assert total == pytest.approx(sum(parts) + events.Scalars("loss/err_mse")[-1].value, rel=1e-5)
    share = events.Scalars("speed/data_wait_share")[-1].value
    assert 0 < share < 1
    pictures = set(events.Tags()["images"])
    shown = ("src", "bgr", "true_pha", "pred_pha", "pred_fgr", "composite", "true_err", "pred_err")
    assert {f"{group}/{name}" for group in ("train", "valid") for name in shown} <= pictures


@pytest.mark.slow
def test_refined_cells_are_shown(make_run: MakeRun, tmp_path: Path) -> None:
    settings = make_settings(tmp_path, refine=True)
    with Log(settings.log.dir / "run", 0, 8) as log:
        run, state = make_run(settings, log=log)
        fit(run, state)
    events = EventAccumulator(str(settings.log.dir / "run"))
    events.Reload()
    assert {"valid/refined", "valid/pred_pha_sm"} <= set(events.Tags()["images"])
    assert {"valid/mad_coarse", "valid/grad_coarse"} <= set(events.Tags()["scalars"])


def test_validation_does_not_change_with_time_or_batches(
    make_run: MakeRun, settings: BaseSettings
) -> None:
    run, state = make_run(settings)
    judge = lambda run: evaluate(  # noqa: E731
        state.network, run.loss, run.data.validation, "float32", run.processes
    )[0]
    first = judge(run)
    torch.rand(7)  # the state of the generator must not matter
    assert judge(run) == first
    one_by_one = replace(settings, validation=replace(settings.validation, batch_size=1))
    other, _ = make_run(replace(one_by_one, model=replace(settings.model, name="other")))
    assert judge(other) == pytest.approx(first, rel=1e-4)


def test_validation_samples_are_not_those_of_training(make_run: MakeRun) -> None:
    run, _ = make_run()
    seen = [batch["pha"].float().mean((1, 2, 3)) for batch in run.data.loader]
    judged = [batch["pha"].float().mean((1, 2, 3)) for batch in run.data.validation]
    assert not set(torch.cat(seen).tolist()) & set(torch.cat(judged).tolist())


def test_measured_means_are_over_samples(make_run: MakeRun, settings: BaseSettings) -> None:
    """Three samples in batches of two: the last one counts as much as the others."""
    run, state = make_run(settings)
    metrics, _ = evaluate(state.network, run.loss, run.data.validation, "float32", run.processes)
    values = []
    state.network.eval()
    for batch in run.data.validation:
        sample = synthesise(batch, torch.device("cpu"))
        with torch.no_grad():
            values.append(measure(state.network(sample.src, sample.bgr), sample.pha)["mad"])
    assert metrics["mad"] == pytest.approx(torch.cat(values).mean().item(), rel=1e-6)


def test_a_loss_that_is_not_finite_stops_after_saving(make_run: MakeRun) -> None:
    run, state = make_run()

    def explode(*args: torch.Tensor) -> dict[str, torch.Tensor]:
        terms = run.loss(*args)
        if state.step == 3:
            terms["pha_l1"] = terms["pha_l1"] * float("nan")
        return terms

    broken = replace(run, loss=explode)
    with pytest.raises(NonFiniteLossError, match="nan at step 3, epoch 0, batch 3") as caught:
        fit(broken, state)
    assert "synthetic" in str(caught.value), "the samples are not named"
    assert "step-3.pth" in str(caught.value)
    checkpoint = load_checkpoint(newest_checkpoint(folder_of(run.settings)))
    assert checkpoint is not None
    assert checkpoint.step == 3
    assert all(value.isfinite().all() for value in checkpoint.network.values())


def test_failing_data_end_the_run_after_saving(make_run: MakeRun) -> None:
    run, state = make_run()
    draw = run.data.loader.dataset.__class__.__getitem__
    drawn = []

    class Broken(run.data.loader.dataset.__class__):
        def __getitem__(self, request):
            drawn.append(request)
            if len(drawn) > 2 * run.settings.run.batch_size:  # in the third batch
                raise ValueError("0007.jpg can't be read")
            return draw(self, request)

    run.data.loader.dataset.__class__ = Broken
    with pytest.raises(ValueError, match="0007.jpg can't be read"):
        fit(run, state)
    newest = newest_checkpoint(folder_of(run.settings))
    assert newest is not None
    assert newest.name == "epoch-0-step-2.pth"


def make_frozen(
    make_run: MakeRun, folder: Path, learning: set[str], first_error: float
) -> tuple[Run, State]:
    rates = LearningRates(**{part: 1e-3 * (part in learning) for part in PARTS})
    run, state = make_run(replace(make_settings(folder, refine=True), learning_rates=rates))
    with torch.no_grad():  # so that there are cells to refine, or none
        state.network.decoder.conv4.bias[4] = first_error
    return run, state


def test_frozen_base_without_a_cell_to_refine_changes_nothing(
    make_run: MakeRun, tmp_path: Path
) -> None:
    run, state = make_frozen(make_run, tmp_path, {"refiner"}, first_error=-9.0)
    before = {name: value.clone() for name, value in state.network.state_dict().items()}
    terms = train_step(run, state, next(iter(run.data.loader)))
    assert terms["total"] > 0
    assert all(torch.equal(v, before[k]) for k, v in state.network.state_dict().items())


@pytest.mark.parametrize("learning", [{"refiner"}, {"decoder", "refiner"}])
def test_frozen_parts_stay_as_they_were(
    make_run: MakeRun, tmp_path: Path, learning: set[str]
) -> None:
    run, state = make_frozen(make_run, tmp_path, learning, first_error=0.5)
    network = state.network
    assert {group["name"] for group in state.optimiser.param_groups} == learning
    before = {name: value.clone() for name, value in network.state_dict().items()}
    train_step(run, state, next(iter(run.data.loader)))
    changed = {k for k, v in network.state_dict().items() if not torch.equal(v, before[k])}
    assert {name.split(".")[0] for name in changed} == learning
    assert len(changed) > 10


def test_every_step_draws_its_scale_and_validation_does_not(
    make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings(tmp_path, refine=True)
    model = replace(settings.model, backbone_scale=0.2, backbone_scale_largest=0.5)
    run, state = make_run(replace(settings, model=model))
    scales: dict[bool, list[float]] = {True: [], False: []}

    reduce = matting.reduce

    def spy(picture: torch.Tensor, scale: float) -> torch.Tensor:
        scales[state.network.training].append(scale)
        return reduce(picture, scale)

    monkeypatch.setattr(matting, "reduce", spy)
    heights = []  # of the coarse input of validation, which a CPU reduces in another way
    resize_fast = fast.resize

    def spy_height(picture: torch.Tensor, height: int, width: int) -> torch.Tensor:
        if picture.shape[1] == 3:
            heights.append(height / picture.shape[2])
        return resize_fast(picture, height, width)

    monkeypatch.setattr(fast, "resize", spy_height)
    assert fit(run, state)
    draws = [model.draw_arguments(settings.run.seed, step) for step in range(state.step)]
    expected = [draw["backbone_scale"] for draw in draws]
    assert scales[True] == [scale for scale in expected for _ in ("src", "bgr")]
    assert set(expected) <= {0.2, 0.35, 0.5}
    assert len(set(expected)) > 1
    assert scales[False] == []
    assert set(heights) == {int(64 * 0.2) / 64}


def test_a_scale_that_is_not_between_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least backbone_scale, 0.25, and at most 0.5, got 0.2"):
        RefineModelSettings(name="run", backbone_scale_largest=0.2)


def test_a_printed_name_moves_no_terminal(capsys: pytest.CaptureFixture) -> None:
    with Log(None, 0, 1) as log:
        log._speaks = True  # as of the first process
        log.print("finished: \x1b[31ma\nb")
    assert capsys.readouterr().out == "finished: \\x1b[31ma\\nb\n"


def test_a_full_disk_for_the_log_ends_the_log_and_not_the_run(
    make_run: MakeRun, settings: BaseSettings, capsys: pytest.CaptureFixture
) -> None:
    def fill(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with Log(settings.log.dir / "run", 0, 8) as log:
        run, state = make_run(settings, log=log)
        log._writer._get_file_writer().event_writer._async_writer._writer.write = fill
        assert fit(run, state)
    said = capsys.readouterr()
    assert (
        said.out.count("the log can't be written; the run continues without it: [Errno 28] No") == 1
    )
    assert "Traceback" not in said.err
    assert newest_checkpoint(folder_of(settings)).name == "epoch-2-step-8.pth"


def test_backgrounds_smaller_than_the_largest_crop_are_counted(tmp_path: Path) -> None:
    for number, size in enumerate([(95, 300), (96, 96), (64, 64), (200, 100)]):
        Image.new("RGB", size).save(tmp_path / f"{number}.png")
    (tmp_path / "4.png").write_bytes(b"damaged")
    settings = make_settings(tmp_path)  # crops of 64 to 96 pixels
    data = replace(settings.dataset, train_backgrounds=(tmp_path,))
    notes = open_data(replace(settings, dataset=data), Processes(0, 1, CPU)).notes
    assert len(notes) == 1
    assert notes[0].startswith("2 of 4 train_backgrounds that were checked (of 5) are shorter")
    assert "--crop-largest" in notes[0]
    assert open_data(settings, Processes(0, 1, CPU)).notes == []


@pytest.mark.parametrize(
    ("run", "refused"),
    [({}, True), ({"freeze_batch_norm": True}, False), ({"batch_size": 2}, False)],
)
def test_steps_of_one_sample_are_refused_where_batch_norm_learns(
    tmp_path: Path, run: dict, refused: bool
) -> None:
    settings = make_settings(tmp_path, **{"batch_size": 1} | run)
    expected = pytest.raises(ValueError, match="--batch-size must be at least 2.*--freeze-batch-n")
    with expected if refused else nullcontext():
        check_batch_norm(settings, Processes(0, 1, CPU))
    frozen = replace(settings, learning_rates=replace(settings.learning_rates, aspp=0.0))
    check_batch_norm(frozen, Processes(0, 1, CPU))
