"""Batches on their way from the loader to a step."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from training.data import Feed, compose, pair_with_others
from training.loop import fit
from training.processes import Processes
from training.run import begin
from training.settings import RunSettings

from .conftest import CPU, MakeRun, make_settings


def test_pairings_lay_each_foreground_over_other_backgrounds_too(
    make_run: MakeRun, tmp_path: Path
) -> None:
    run, _ = make_run(make_settings(tmp_path, batch_size=4))
    batch = next(iter(run.data.loader))
    three = pair_with_others(batch, 3)
    for key in ("fgr", "pha"):
        first, mirrored, second = three[key].split(4)
        assert torch.equal(first, batch[key])
        assert torch.equal(mirrored, batch[key].flip(-1))
        assert torch.equal(second, batch[key])
    own, next_one, second_next = three["bgr"].split(4)
    assert torch.equal(own, batch["bgr"])
    assert all(torch.equal(next_one[i], batch["bgr"][(i + 1) % 4]) for i in range(4))
    assert all(torch.equal(second_next[i], batch["bgr"][(i + 2) % 4]) for i in range(4))
    for name, drawn in batch["disturbance"].items():
        assert isinstance(three["disturbance"][name], type(drawn))
        for values, moved in zip(drawn, three["disturbance"][name], strict=True):
            expected = [values[(i + 2 * shift) % 4] for shift in range(3) for i in range(4)]
            assert torch.equal(moved, torch.stack(expected))
    assert three["name"][:4] == batch["name"]
    assert three["name"][7] == (
        f"{batch['name'][3]}, mirrored, over the background of {batch['name'][0]}"
    )
    assert pair_with_others(batch, 1) is batch


def test_a_run_with_pairings_trains_on_all_of_them(make_run: MakeRun, tmp_path: Path) -> None:
    run, state = make_run(make_settings(tmp_path, batch_size=4, pairings=2, epoch_end=1))
    names, sample = compose(next(iter(run.data.loader)), run.settings.run, CPU)
    assert len(names) == len(sample.src) == len(sample.pha) == 8
    assert not torch.equal(sample.src[:4], sample.src[4:])
    assert fit(run, state)
    assert state.step == 2


@pytest.mark.parametrize("pairings", [0, 3])
def test_pairings_that_a_batch_cannot_make_are_an_error(pairings: int) -> None:
    with pytest.raises(
        ValueError, match=f"from 1 to batch_size.*, got {pairings} with batch_size 2"
    ):
        RunSettings(batch_size=2, epoch_end=1, pairings=pairings)


def test_feed_hands_failures_over_in_their_turn(make_run: MakeRun) -> None:
    run, _ = make_run()
    batches = iter(run.data.loader)

    def two_then_none():
        yield next(batches)
        yield next(batches)
        raise OSError("0007.jpg is gone")

    feed = Feed(two_then_none(), run.settings.run, CPU)
    feed.prepare()
    first = feed.take()
    feed.prepare()
    second = feed.take()
    feed.prepare()  # fails; whoever takes it is told
    with pytest.raises(OSError, match=r"0007\.jpg is gone"):
        feed.take()
    assert first.names != second.names
    assert not torch.equal(first.sample.src, second.sample.src)


@pytest.mark.gpu
def test_composing_ahead_on_cuda_changes_nothing(make_run: MakeRun, tmp_path: Path) -> None:
    device = torch.device("cuda")
    run, state = make_run(make_settings(tmp_path, refine=True, epoch_end=1))
    processes = Processes(0, 1, device)
    state, _ = begin(state.network, run.settings, processes, "float32")
    data = run.data._replace(validation=None)
    run = replace(run, processes=processes, network=state.network, data=data)
    feed = Feed(data.loader, run.settings.run, device)
    run.data.batches.begin(0, 0)
    for batch in run.data.loader:
        feed.prepare()
        ahead, (_, now) = feed.take().sample, compose(batch, run.settings.run, device)
        for ours, theirs in zip(ahead, now, strict=True):
            torch.testing.assert_close(ours, theirs)
    assert fit(run, state)
    assert state.step == 4
