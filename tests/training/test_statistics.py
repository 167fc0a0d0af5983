"""Running statistics that are counted anew at the end of a run, or alone."""

from pathlib import Path

import pytest
import torch
from torch import nn

from dataset.synthesis import synthesise
from training.checkpoint import State, load_checkpoint
from training.loop import fit, recount_statistics
from training.processes import Processes
from training.run import Run
from training.statistics import check_statistics, counted_statistics

from .conftest import CPU, MakeRun, make_settings, train_step

ALONE = Processes(0, 1, CPU)


class Twice(Processes):
    """Two processes that have counted the same."""

    def total(self, values: torch.Tensor) -> torch.Tensor:
        return values * 2


def make_network() -> nn.Sequential:
    torch.manual_seed(0)
    first = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5))
    return nn.Sequential(first, nn.Sequential(nn.Conv2d(4, 2, 1), nn.BatchNorm2d(2)))


def make_batches() -> list[torch.Tensor]:
    return [torch.randn(4, 3, 8, 8) * (i + 1) + i for i in range(5)]


@pytest.mark.parametrize("processes", [ALONE, Twice(0, 2, CPU)])
def test_the_statistics_are_those_of_all_values(processes: Processes) -> None:
    network, batches = make_network(), make_batches()
    network[0][1].running_mean.fill_(99)
    with torch.no_grad():
        with counted_statistics(network, processes):
            for batch in batches:
                network(batch)
        values = network[0][0](torch.cat(batches)).double().transpose(0, 1).flatten(1)
        found = network[0][1]
        assert torch.allclose(found.running_mean.double(), values.mean(1), rtol=1e-4)
        # A batch's variance is unbiased: 144 values, so 1/143 apart at most.
        assert torch.allclose(found.running_var.double(), values.var(1), rtol=1e-2)
        # The second layer sees what the first normalises by its batch, with nothing dropped out.
        inside = [
            network[1][0](nn.functional.batch_norm(network[0][0](x), None, None, training=True))
            for x in batches
        ]
        expected = torch.cat(inside).transpose(0, 1).flatten(1)
        assert torch.allclose(network[1][1].running_mean, expected.mean(1), atol=1e-5)
    assert not any(module.training for module in network.modules())
    assert [m.momentum for m in network.modules() if isinstance(m, nn.BatchNorm2d)] == [0.1, 0.1]


def test_frozen_parts_and_layers_that_nothing_reaches_keep_theirs() -> None:
    network = make_network()
    network[0].requires_grad_(False)
    network[1].append(nn.BatchNorm2d(2))  # reached by no batch
    before = [b.clone() for part in (network[0], network[1][2]) for b in part.buffers()]
    with counted_statistics(network, ALONE):
        network[1][:2](network[0](torch.randn(2, 3, 8, 8)))
    after = [b for part in (network[0], network[1][2]) for b in part.buffers()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert network[1][1].running_mean.abs().min() > 0


def test_a_failure_leaves_no_strange_momentum() -> None:
    network = make_network()
    with pytest.raises(RuntimeError), counted_statistics(network, ALONE):
        network(torch.randn(2, 9, 8, 8))
    assert network[0][1].momentum == 0.1


def split(state: State) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Weights, and running statistics."""
    weights = {name: p.detach() for name, p in state.network.named_parameters()}
    return weights, {n: b for n, b in state.network.named_buffers() if "running" in n}


@pytest.mark.slow
def test_a_run_ends_with_statistics_of_its_last_weights(make_run: MakeRun, tmp_path: Path) -> None:
    def run_once(name: str, samples: int) -> tuple[Run, State]:
        settings = make_settings(tmp_path / name, True, epoch_end=1, batch_norm_samples=samples)
        run, state = make_run(settings)
        assert fit(run, state)
        return run, state

    (_, plain), (run, counted) = run_once("plain", 0), run_once("counted", 8)
    weights, statistics = split(plain)
    weights_counted, statistics_counted = split(counted)
    assert all(torch.equal(weights[name], weights_counted[name]) for name in weights)
    assert not any(torch.equal(statistics[n], statistics_counted[n]) for n in statistics)

    kept = load_checkpoint(tmp_path / "counted" / "checkpoint" / "run" / "epoch-1-step-4.pth")
    assert all(torch.equal(kept.network[n], statistics_counted[n]) for n in statistics)
    recount_statistics(run, counted)  # the same samples again
    again = split(counted)[1]
    assert all(torch.allclose(again[n], statistics_counted[n], rtol=1e-4) for n in statistics)


@pytest.mark.slow
def test_they_are_those_of_the_epoch_after_the_last(make_run: MakeRun, tmp_path: Path) -> None:
    run, state = make_run(make_settings(tmp_path, epoch_end=1, batch_norm_samples=8))
    assert fit(run, state)
    convolution, layer, _ = state.network.backbone.features[0].children()
    run.data.batches.begin(1, 0)
    with torch.no_grad():
        means = [
            convolution(torch.cat((sample.src, sample.bgr), 1)).mean((0, 2, 3))
            for sample in (synthesise(batch, CPU) for batch in run.data.loader)
        ]
    assert len(means) == 4
    assert torch.allclose(layer.running_mean, torch.stack(means).mean(0), rtol=1e-3, atol=1e-5)


def test_statistics_alone(make_run: MakeRun, tmp_path: Path) -> None:
    settings = make_settings(tmp_path, epoch_end=0, batch_norm_samples=4)
    run, state = make_run(settings)
    weights = {name: value.clone() for name, value in split(state)[0].items()}
    statistics = {name: value.clone() for name, value in split(state)[1].items()}
    assert fit(run, state)
    assert state.step == 0
    assert all(torch.equal(value, split(state)[0][name]) for name, value in weights.items())
    assert not any(torch.equal(value, split(state)[1][n]) for n, value in statistics.items())
    best = load_checkpoint(tmp_path / "checkpoint" / "run" / "best.pth")
    assert best.step == 0


def test_more_samples_than_an_epoch_has_take_all_of_it(make_run: MakeRun, tmp_path: Path) -> None:
    settings = make_settings(tmp_path, batch_norm_samples=10_000)
    run, state = make_run(settings)
    recount_statistics(run, state)
    assert all(torch.isfinite(value).all() for value in split(state)[1].values())


def test_frozen_statistics_stay_and_the_weights_learn(make_run: MakeRun, tmp_path: Path) -> None:
    run, state = make_run(make_settings(tmp_path, refine=True, freeze_batch_norm=True))
    for layer in state.network.modules():
        if isinstance(layer, nn.BatchNorm2d):  # statistics that one batch does not have
            layer.running_mean.normal_(0, 0.1)
            layer.running_var.uniform_(1, 2)
    batch = next(iter(run.data.loader))
    before = {name: value.clone() for name, value in state.network.state_dict().items()}
    train_step(run, state, batch)
    weights, statistics = split(state)
    assert all(torch.equal(value, before[name]) for name, value in statistics.items())
    learned = [name for name, value in weights.items() if not torch.equal(value, before[name])]
    assert {"backbone", "aspp", "decoder", "refiner"} == {name.split(".")[0] for name in learned}
    assert any("bn" in name for name in learned)  # scale and offset are weights
    dropout = [m for m in state.network.modules() if isinstance(m, nn.Dropout)]
    assert dropout
    assert all(module.training for module in dropout)


def test_statistics_that_were_never_counted_can_t_be_frozen() -> None:
    network = make_network()
    with pytest.raises(ValueError, match="freeze_batch_norm needs .* but 0.1 has none yet"):
        check_statistics(network)
    network.train()(torch.randn(2, 3, 8, 8))
    check_statistics(network)
