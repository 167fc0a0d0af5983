"""A step of the optimiser against plain PyTorch code, written out here."""

from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dataset.synthesis import synthesise
from training.settings import BaseSettings, ScheduleSettings

from .conftest import CPU, MakeRun, make_settings, train_step


def sobel(pha: Tensor) -> Tensor:
    """Magnitude of the normalised Sobel gradient, edges continued; 1e-6 as kornia has it."""
    across = pha.new_tensor([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 8
    padded = F.pad(pha, (1, 1, 1, 1), mode="replicate")
    slopes = F.conv2d(padded, torch.stack([across, across.T])[:, None])
    return (slopes.square().sum(1, keepdim=True) + 1e-6).sqrt()


def alpha_and_foreground(pha: Tensor, fgr: Tensor, true_pha: Tensor, true_fgr: Tensor) -> Tensor:
    shown = (true_pha > 0).float()
    return (
        (pha - true_pha).abs().mean()
        + (sobel(pha) - sobel(true_pha)).abs().mean()
        + ((fgr - true_fgr) * shown).abs().mean()
    )


def plain_loss(network: nn.Module, refine: bool, src: Tensor, bgr: Tensor, *true: Tensor) -> Tensor:
    out = network(src, bgr)
    if not refine:
        err = (out.err - (out.pha - true[0]).abs().detach()).square().mean()
        return alpha_and_foreground(out.pha, out.fgr, *true) + err
    small = [F.interpolate(x, out.pha_sm.shape[2:], mode="bilinear") for x in true]
    err = (out.err_sm - (out.pha_sm - small[0]).abs().detach()).square().mean()
    coarse = alpha_and_foreground(out.pha_sm, out.fgr_sm, *small)
    return alpha_and_foreground(out.pha, out.fgr, *true) + coarse + err


@pytest.mark.parametrize(
    ("refine", "corrects_alpha"),
    [(False, False), (True, False), (True, True)],
    ids=["stage 1", "stage 2", "stage 2 corrected"],
)
def test_step_equals_plain_pytorch(
    make_run: MakeRun, tmp_path: Path, refine: bool, corrects_alpha: bool
) -> None:
    settings = make_settings(tmp_path, refine)
    if corrects_alpha:
        settings = replace(settings, model=replace(settings.model, corrects_alpha=True))
    run, state = make_run(settings)
    batch = next(iter(run.data.loader))
    plain = deepcopy(state.network).train()
    before = deepcopy(state.network.state_dict())
    assert getattr(plain, "corrects_alpha", False) == corrects_alpha

    torch.manual_seed(7)
    terms = train_step(run, state, batch)

    if not refine:
        plain.predicts_hidden = True  # what stage 1 leaves out must not matter
    parts = [("backbone", 1e-3), ("aspp", 2e-3), ("decoder", 3e-3), ("refiner", 4e-3)]
    groups = [
        {"params": list(getattr(plain, name).parameters()), "lr": rate}
        for name, rate in parts
        if hasattr(plain, name)
    ]
    optimiser = torch.optim.Adam(groups)
    src, bgr, pha, fgr = synthesise(batch, CPU)
    torch.manual_seed(7)  # the same dropout
    total = plain_loss(plain, refine, src, bgr, pha, fgr)
    total.backward()
    optimiser.step()

    assert terms["total"] == pytest.approx(total.item(), rel=1e-5)
    # Adam's first step is the rate times about the gradient's sign, so a gradient that is all
    # rounding may come out the other way: the gradients are compared, and parameters where the
    # gradient is more than that.
    for (name, ours), (_, theirs) in zip(
        state.network.named_parameters(), plain.named_parameters(), strict=True
    ):
        scale = theirs.grad.abs().max()
        assert (ours.grad - theirs.grad).abs().max() <= 1e-4 * scale + 1e-8, name
        sure = theirs.grad.abs() > 1e-3 * scale + 1e-7
        assert torch.allclose(ours[sure], theirs[sure], rtol=0, atol=1e-5), name
    changed = [k for k, v in state.network.state_dict().items() if not torch.equal(v, before[k])]
    assert len(changed) > 0.95 * len(before)


def test_schedule_by_hand() -> None:
    def rate(step: int, settings: ScheduleSettings) -> float:
        return 2.0 * settings.factor_of_step(step, total_steps=110)

    assert rate(50, ScheduleSettings()) == 2.0
    cosine = ScheduleSettings("cosine", warm_up=10)
    assert rate(0, cosine) == pytest.approx(0.2)
    assert rate(9, cosine) == pytest.approx(2.0)
    assert rate(10, cosine) == pytest.approx(2.0)
    assert rate(60, cosine) == pytest.approx(2 * (0.01 + 0.99 / 2))
    assert rate(110, cosine) == pytest.approx(0.02)


def test_clipping_bounds_the_gradient(make_run: MakeRun, settings: BaseSettings) -> None:
    run, state = make_run(replace(settings, schedule=ScheduleSettings(clip_norm=1e-3)))
    train_step(run, state, next(iter(run.data.loader)))
    norms = [p.grad.norm() for p in state.network.parameters()]
    assert torch.stack(norms).norm().item() == pytest.approx(1e-3, rel=1e-3)
