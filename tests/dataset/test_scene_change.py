"""Steam and sway: small, before one picture alone, and never before the subject."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils.data import default_collate

from dataset.augmentation import (
    UNDISTURBED,
    AugmentationSettings,
    draw_disturbance,
    make_disturbance,
)
from dataset.disturbances.scene import SceneChange, draw_places
from dataset.synthesis import Sample, synthesise

CPU = torch.device("cpu")
SIZE = (120, 160)
PLACES = SceneChange.Drawn(size=0.1, share=0.05, seed=3)


def make(bgr: torch.Tensor, **drawn: float) -> Sample:
    """A grey subject on the left half, before a background (3, H, W) uint8."""
    pha = torch.zeros(1, *SIZE, dtype=torch.uint8)
    pha[..., : SIZE[1] // 2] = 255
    parts = {"fgr": torch.full((3, *SIZE), 128, dtype=torch.uint8), "pha": pha, "bgr": bgr}
    disturbance = make_disturbance(scene_change=PLACES._asdict() | drawn)
    return synthesise(default_collate([parts | {"disturbance": disturbance}]), CPU)


@pytest.mark.parametrize("share", [0.005, 0.03, 0.3])
@pytest.mark.parametrize("size", [0.02, 0.1, 1.0])
def test_places_cover_their_share(share: float, size: float) -> None:
    drawn = PLACES._replace(share=share, size=size)
    places = draw_places(drawn, torch.zeros(3, *SIZE))
    assert places.shape == (1, *SIZE)
    assert places.min() == 0
    assert places.max() <= 1
    assert (places > 0).float().mean().item() == pytest.approx(share, abs=2 / places.numel())
    assert torch.equal(places, draw_places(drawn, torch.ones(1, *SIZE)))
    assert not torch.equal(places, draw_places(drawn._replace(seed=4), torch.zeros(3, *SIZE)))


def test_places_have_their_size() -> None:
    runs = []
    for size in (0.03, 0.12):
        drawn = PLACES._replace(size=size)
        changed = (draw_places(drawn, torch.zeros(1, 600, 800))[0] > 0).float()
        starts = (changed[:, 1:] > changed[:, :-1]).sum()
        runs.append((changed.sum() / starts).item() / 800)
    assert runs[0] == pytest.approx(0.03 / 2, rel=0.5)  # a place is about half a cell wide
    assert runs[1] == pytest.approx(4 * runs[0], rel=0.35)


@pytest.mark.parametrize("on_plate", [0, 1])
def test_steam_hides_places_of_one_picture(on_plate: int) -> None:
    dark = torch.full((3, *SIZE), 51, dtype=torch.uint8)
    result = make(dark, opacity=0.5, grey=0.8, on_plate=on_plate)
    expected = 0.2 + (0.8 - 0.2) * 0.5 * draw_places(PLACES, dark.float())
    still = torch.full_like(expected, 0.2)
    assert torch.allclose(result.bgr[0], expected if on_plate else still, atol=1e-6)
    src, left = result.src[0], SIZE[1] // 2
    assert torch.allclose(src[..., :left], torch.full((), 128 / 255), atol=1e-6)
    assert torch.allclose(src[..., left:], (still if on_plate else expected)[..., left:], atol=1e-6)
    assert expected[..., left:].max() > 0.3  # the test could not fail without it


def test_sway_moves_places_of_the_plate() -> None:
    columns = torch.arange(SIZE[1], dtype=torch.float32).expand(3, *SIZE) / 255
    ramp = (columns * 255).to(torch.uint8)
    result = make(ramp, shift_x=0.025)  # 4 px to the right, so that less is seen
    places = draw_places(PLACES, columns)
    expected = (columns * 255 - 4 * places).clamp(min=0) / 255
    assert torch.allclose(result.bgr[0], expected.expand(3, -1, -1), atol=0.1 / 255)
    assert torch.equal(result.src[0, :, :, SIZE[1] // 2 :], columns[..., SIZE[1] // 2 :])


def test_nothing_drawn_is_nothing_changed() -> None:
    noise = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, *SIZE), np.uint8))
    still = make(noise, **UNDISTURBED["scene_change"]._asdict())
    assert torch.equal(still.bgr[0], noise.float() / 255)
    assert all(torch.equal(a, b) for a, b in zip(still, make(noise), strict=True))


def test_a_sample_has_steam_or_sway() -> None:
    change = replace(AugmentationSettings().scene_change, probability=0.5)
    settings = replace(AugmentationSettings(), scene_change=change)
    drawn = [
        draw_disturbance(np.random.default_rng(n), settings)["scene_change"] for n in range(1000)
    ]
    steam, sway, frame = (
        np.array([getattr(values, name) != getattr(SceneChange.Drawn(), name) for values in drawn])
        for name in ("opacity", "shift_x", "on_plate")
    )
    assert not (steam & sway).any()
    assert steam.mean() == pytest.approx(0.25, abs=0.05)
    assert sway.mean() == pytest.approx(0.25, abs=0.05)
    assert frame[steam].mean() == pytest.approx(0.5, abs=0.1)
    assert not frame[~steam].any()


@pytest.mark.gpu
def test_on_a_gpu_as_on_the_processor() -> None:
    picture = torch.rand(3, *SIZE, generator=torch.Generator().manual_seed(0))
    drawn = PLACES._replace(shift_x=0.01, shift_y=-0.02)
    there = picture.cuda()
    SceneChange.sway(drawn, picture)
    SceneChange.sway(drawn, there)
    # OpenCV takes positions to 1/32 of a pixel.
    assert torch.allclose(picture, there.cpu(), atol=2 / 32)
