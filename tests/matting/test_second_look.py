"""Pictures seen a second time."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from matting.predictor import Predictor
from matting.quality import Budget
from matting.second_look import Look, look_twice
from model import MattingBase

from .conftest import CPU, random_pair


def test_looks_count_by_how_sure_they_are(predictor: Predictor) -> None:
    pair = random_pair(64, 96)
    first = predictor.predict(*pair, Budget(0.25, 800))
    other = predictor.predict(*np.ascontiguousarray(pair[:, :, ::-1]), Budget(0.5, 800))
    found = predictor.predict(*pair, Budget(0.25, 800, second_look=True))
    sureness = [1 / (first.err + 0.03), 1 / (other.err[:, ::-1] + 0.03)]
    for name in ("pha", "fgr", "err"):
        one, two = getattr(first, name), getattr(other, name)[:, ::-1]
        assert np.abs(one - two).max() > 0.01, "or a single look would pass as well"
        weights = [sure[..., None] if name == "fgr" else sure for sure in sureness]
        wanted = (weights[0] * one + weights[1] * two) / (weights[0] + weights[1])
        np.testing.assert_allclose(getattr(found, name), wanted, atol=1e-5)
    assert np.array_equal(found.ref, first.ref | other.ref[:, ::-1])


def test_second_look_is_larger_where_the_scale_ends() -> None:
    src, bgr = functional.interpolate(torch.rand(2, 3, 5, 8), (40, 60), mode="bilinear")[:, None]
    seen: list[tuple[Tensor, Tensor, Budget]] = []

    def compute(src: Tensor, bgr: Tensor, budget: Budget) -> Look:
        """A matte that grows from left to right, and a foreground 0.1 brighter than the frame."""
        seen.append((src, bgr, budget))
        ramp = torch.linspace(0, 1, src.shape[3]).expand(1, 1, *src.shape[2:])
        ramp = ramp.flip(-1) if len(seen) == 3 else ramp
        refined = torch.zeros_like(ramp)
        refined[..., : src.shape[3] // 2] = 1
        return ramp, (src + 0.1).clamp(0, 1), 1 - ramp, refined

    pha, fgr, err, ref = look_twice(src, bgr, Budget(0.375, 800), compute)
    assert [tuple(picture.shape[2:]) for picture, _, _ in seen] == [(40, 60), (40, 60), (60, 92)]
    assert seen[2][2] == Budget(0.5, 1800), "1.5 times as large, with as large a part refined"
    for picture, large in ((src, seen[2][0]), (seen[1][1], seen[2][1])):
        small = functional.interpolate(large.flip(-1), (40, 60), mode="area")
        assert (small - picture).abs().mean() < 0.02 < (small.flip(-1) - picture).abs().mean()
    # What both say is what comes out, at the picture's size.
    assert torch.allclose(pha[0, 0], torch.linspace(0, 1, 60).expand(40, 60), atol=0.01)
    assert torch.allclose(err, 1 - pha, atol=1e-5)
    assert ref.bool().all(), "one half by each look"
    inside = (src < 0.6) & (src > 0.1)
    assert (fgr - src - 0.1)[inside].abs().max() < 0.03, "no detail of the frame is lost"


@pytest.mark.parametrize("scale", [0.2, 0.5])
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (61, 90), (130, 33)])
@pytest.mark.parametrize("refines", [True, False])
def test_any_size_comes_back(
    predictor: Predictor, size: tuple[int, int], scale: float, refines: bool
) -> None:
    used = predictor if refines else Predictor(MattingBase("mobilenetv2"), CPU)
    budget = Budget(scale, size[0] * size[1], second_look=True)
    matte = used.predict(*random_pair(*size), budget)
    assert matte.pha.shape == matte.err.shape == matte.ref.shape == size
    assert matte.fgr.shape == (*size, 3)
    assert refines or not matte.ref.any()


def test_prepared_plates_are_seen_twice_as_well(predictor: Predictor) -> None:
    src, bgr = random_pair(61, 90)
    budget = Budget(0.5, 800, second_look=True)
    found = predictor.predict(src, predictor.prepare(bgr), budget)
    assert np.array_equal(found.pha, predictor.predict(src, bgr, budget).pha)


def test_what_is_solid_stays_so() -> None:
    """A part seen large is taken for background; the first look has it solid, and a faint edge."""
    src, bgr = torch.rand(2, 1, 3, 80, 160)
    edge = torch.ones(1, 1, 80, 160)
    edge[..., 60:] = 0

    def compute(src: Tensor, bgr: Tensor, budget: Budget) -> Look:
        pha = edge if budget.backbone_scale == 0.25 else torch.full_like(edge, 0.5)
        same = torch.zeros_like(edge)
        return pha, src, same, same

    pha = look_twice(src, bgr, Budget(0.25, 800), compute)[0]
    # Eight coarse pixels, of four pixels each, to either side of the edge, and a ramp.
    assert (pha[..., :24] == 1).all()
    assert (pha[..., 96:] == 0).all()
    assert torch.allclose(pha[..., 36:60], torch.tensor(0.75), atol=1e-5)
    assert torch.allclose(pha[..., 60:84], torch.tensor(0.25), atol=1e-5)


def test_both_looks_see_the_plate_in_the_light_of_the_frame() -> None:
    bgr = functional.interpolate(torch.rand(1, 3, 40, 80), (320, 640))
    src = bgr.clone()
    src[..., :320] *= 0.6
    seen: list[Tensor] = []

    def compute(src: Tensor, bgr: Tensor, budget: Budget) -> Look:
        seen.append(bgr)
        nothing = torch.zeros_like(src[:, :1])
        return nothing, src, nothing, nothing

    look_twice(src, bgr, Budget(0.25, 800), compute)
    captured, first, second = seen
    assert torch.equal(captured, bgr)
    assert torch.equal(second, first.flip(-1))
    assert (first - src)[..., :240].abs().mean() < 0.2 * (bgr - src)[..., :240].abs().mean()
