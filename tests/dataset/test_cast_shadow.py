"""Shadows as factors: by value, where they lie, and what is drawn."""

import numpy as np
import pytest
import torch
from torch.utils.data import default_collate

from dataset.augmentation import UNDISTURBED, make_disturbance
from dataset.disturbances.light import CastShadow, find_feet
from dataset.synthesis import Sample, synthesise

SIZE = (200, 240)
SUBJECT = (slice(40, 140), slice(60, 120))  # rows and columns


def make(seed: int = 0, subject: tuple[slice, slice] = SUBJECT, **drawn: float) -> Sample:
    pha = torch.zeros(1, *SIZE, dtype=torch.uint8)
    pha[(0, *subject)] = 255
    bgr = torch.from_numpy(np.random.default_rng(seed).integers(60, 256, (3, *SIZE), np.uint8))
    parts = {"fgr": torch.zeros_like(bgr), "pha": pha, "bgr": bgr}
    parts["disturbance"] = make_disturbance(cast_shadow=drawn)
    return synthesise(default_collate([parts]), torch.device("cpu"))


def factor(sample: Sample) -> torch.Tensor:
    """(3, H, W), the light that is left; 0 on the subject, which is black."""
    return sample.src[0] / sample.bgr[0]


def test_it_multiplies_the_scene_and_keeps_its_texture() -> None:
    left = factor(make(light=0.4, shift_x=0.35))
    core = left[:, 60:120, 160:190]  # the matte, 84 pixels to the right
    assert torch.allclose(core, torch.full_like(core, 0.4), atol=1e-5)
    outside = left[:, :, 225:]
    assert torch.allclose(outside, torch.ones_like(outside), atol=1e-5)


def test_red_and_blue_darken_by_their_own_factors() -> None:
    red, green, blue = factor(make(light=0.5, red=1.05, blue=0.95, shift_x=0.35))[:, 90, 170]
    assert torch.allclose(torch.stack((red, green, blue)), torch.tensor([0.475, 0.5, 0.525]))


@pytest.mark.parametrize(("sharpness", "width"), [(1, 20), (4, 5), (10, 2)])
def test_edges_are_as_sharp_as_drawn(sharpness: float, width: int) -> None:
    row = factor(make(light=0.5, shift_x=0.35, sharpness=sharpness))[1, 90, 190:225]
    between = ((row > 0.51) & (row < 0.99)).sum().item()
    # A box of a quarter of the size, interpolated: two pixels more or less.
    assert abs(between - 0.96 * width) <= 3


def test_a_second_light_casts_a_second_shadow() -> None:
    drawn = {"light": 0.5, "shift_x": 0.35, "second": 0.6, "second_x": -0.25}
    left = factor(make(**drawn))[1]
    assert left[90, 170].item() == pytest.approx(0.5)
    assert left[90, 20].item() == pytest.approx(0.6, abs=0.01)


def test_contact_is_at_the_feet_and_only_of_a_subject_that_ends_in_the_picture() -> None:
    left = factor(make(contact=0.3))[1]
    assert left[143, 90] < 0.5
    assert left[60, 55] > 0.99  # beside the head
    cut = factor(make(contact=0.3, subject=(slice(40, 200), slice(60, 120))))[1]
    assert torch.allclose(cut[:, 130:], torch.ones_like(cut[:, 130:]))
    assert not find_feet(torch.zeros(1, 8, 8)).any()


def test_ambient_shade_is_strongest_in_gaps() -> None:
    pha = torch.zeros(1, *SIZE)
    pha[0, 40:180, 60:90] = pha[0, 40:180, 96:126] = 1  # two legs
    scene, out = torch.ones(3, *SIZE), torch.empty(3, *SIZE)
    drawn = UNDISTURBED["cast_shadow"]._replace(ambient=0.6)
    shaded = CastShadow.apply(drawn, scene, pha, out)
    assert shaded[0, 100, 93] < 0.75
    assert shaded[0, 100, 93] < shaded[0, 100, 54] < 1
    assert shaded[0, 100, 200] == pytest.approx(1)


def test_what_is_drawn_lies_in_its_bounds() -> None:
    rng = np.random.default_rng(0)
    many = np.array([CastShadow(probability=1.0).draw(rng) for _ in range(2000)])
    columns = dict(zip(CastShadow.Drawn._fields, many.T, strict=True))
    for name, (low, high) in {
        **{"light": (0.3, 0.95), "red": (0.95, 1.05), "blue": (0.95, 1.05), "shear": (-25, 25)},
        **{"rotation": (-10, 10), "shift_x": (-0.3, 0.3), "second_y": (-0.3, 0.3)},
        **{"scale": (0.5, 1.5), "sharpness": (1, 10)},
    }.items():
        values = columns[name]
        assert low <= values.min() < low + 0.02 * (high - low), name
        assert high >= values.max() > high - 0.02 * (high - low), name
    for name, share in {"second": 0.25, "contact": 0.5, "ambient": 0.5}.items():
        # Three standard deviations of a share of 2,000.
        assert (columns[name] < 1).mean() == pytest.approx(share, abs=3 * 0.5 / 2000**0.5)
