"""Texture that decides about alpha whose edges are known better."""

import torch

from model.correction import settle_inside

from .test_correction import SIZE, hole, scene

SMALL = SIZE[0] // 2, SIZE[1] // 2


def test_a_hole_is_filled_inside() -> None:
    frame, plate, pha = hole(torch.tensor(0.54))
    after = settle_inside(frame, plate, pha, SMALL)
    assert after[..., 22:26, 30:34].min() > 0.95
    assert torch.equal(after[..., :8, :], pha[..., :8, :])


def test_a_shadow_is_emptied_inside_and_not_at_its_edge() -> None:
    frame, plate, pha = scene(texture=0.15)
    frame[..., 12:36, 16:48] *= 0.5
    after = settle_inside(frame, plate, pha, SMALL)
    assert after[..., 21:27, 27:37].max() < 0.001
    assert after[..., 12, 16:48].min() > 0.5


def test_what_texture_does_not_decide_stays() -> None:
    frame, plate, pha = scene(texture=0.004)
    frame[..., 12:36, 16:48] *= 0.5
    assert torch.equal(settle_inside(frame, plate, pha, SMALL), pha)
