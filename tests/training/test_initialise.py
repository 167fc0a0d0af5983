"""Random weights: where training begins."""

import pytest
import torch

from model.refiner import HIDDEN_CHANNELS, Refiner, resize
from training.initialise import prepare_random_refiner


@pytest.mark.parametrize("kernel_size", [3, 1])
def test_a_new_refiner_begins_near_the_coarse_prediction(kernel_size: int) -> None:
    torch.manual_seed(0)
    columns = torch.linspace(-1.5, 1.5, 32).clamp(-0.5, 0.5) + 0.5  # an edge 10 pixels wide
    pha = columns.expand(2, 1, 32, 32)
    fgr = 0.15 * resize(torch.randn(2, 3, 4, 4), 32, 32)
    src, bgr = torch.rand(2, 2, 3, 64, 64)
    hid = torch.rand(2, HIDDEN_CHANNELS, 32, 32)

    def distances(refiner: Refiner) -> tuple[float, float]:
        out_pha, out_fgr, _ = refiner.train()(src, bgr, pha, fgr, torch.ones_like(pha), hid)
        apart = (out_pha - resize(pha, 64, 64)).abs(), (out_fgr - resize(fgr, 64, 64)).abs()
        return apart[0].mean().item(), apart[1].mean().item()

    refiner = Refiner("sampling", 64 * 64, kernel_size=kernel_size)
    before = distances(refiner)
    prepare_random_refiner(refiner)
    after = distances(refiner)
    assert before[0] > 0.3
    assert after[0] < 0.05
    assert after[1] < 0.05 < before[1]
