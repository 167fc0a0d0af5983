"""Plates in other light than their frames, drawn here: what light is found around a subject."""

import pytest
import torch
from torch import Tensor

from matting.relighting import relight

SIZE = 240, 320
SUBJECT = ..., slice(60, 240), slice(120, 200)


def draw_plate() -> Tensor:
    """Coloured patches of 8 x 8 pixels, from a quarter to three quarters of white."""
    patches = torch.rand(1, 3, 30, 40, generator=torch.Generator().manual_seed(0))
    return 0.25 + 0.5 * patches.repeat_interleave(8, 2).repeat_interleave(8, 3)


def draw_depth() -> Tensor:
    """A soft spot of shade over the middle, (1, 1, H, W), from 0 to 1."""
    y, x = (torch.linspace(-2, 2, side) for side in SIZE)
    return torch.exp(-y[:, None].square() - x.square())[None, None]


def put_subject(background: Tensor) -> tuple[Tensor, Tensor]:
    """A frame, and its alpha."""
    frame, pha = background.clone(), torch.zeros(1, 1, *SIZE)
    frame[SUBJECT], pha[SUBJECT] = 0.9, 1
    return frame, pha


def error(plate: Tensor, background: Tensor) -> float:
    return (plate - background).abs().mean().item()


@pytest.mark.parametrize("kind", ["factor", "offset", "both"])
def test_shade_is_found_around_and_behind_a_subject(kind: str) -> None:
    plate, depth = draw_plate(), draw_depth()
    background = plate * (1 - 0.6 * depth) if kind != "offset" else plate - 0.2 * depth
    if kind == "both":  # a reflection at one side
        background[..., 260:] = plate[..., 260:] + 0.1
    frame, pha = put_subject(background)
    lit = relight(frame, plate, pha)
    shown = pha == 0
    assert error(lit * shown, background * shown) < 0.15 * error(plate * shown, background * shown)
    hidden = pha > 0
    assert error(lit * hidden, background * hidden) < 0.5 * error(
        plate * hidden, background * hidden
    )


def test_a_plate_in_the_same_light_stays() -> None:
    plate = draw_plate()
    noise = torch.rand(plate.shape, generator=torch.Generator().manual_seed(1)) - 0.5
    frame, pha = put_subject(plate + 0.02 * noise)
    assert torch.equal(relight(frame, plate, pha), plate)


def test_where_no_background_shows_the_plate_stays() -> None:
    plate = draw_plate()
    assert torch.equal(relight(0.5 * plate, plate, torch.ones(1, 1, *SIZE)), plate)


def test_the_subject_is_no_light() -> None:
    """Nor is what alpha is unsure of, and the pixels beside it."""
    plate = draw_plate()
    frame, pha = put_subject(plate)
    pha[SUBJECT] = 0.1
    assert torch.equal(relight(frame, plate, pha), plate)


def test_the_result_is_a_picture() -> None:
    plate = draw_plate()
    lit = relight((plate - 0.6).clamp(0, 1), plate, torch.zeros(1, 1, *SIZE))
    assert lit.min() >= 0
    assert lit.max() <= 1
    assert not torch.equal(lit, plate)


@pytest.mark.parametrize("size", [(1, 1), (4, 4), (36, 600), (1000, 700)])
def test_any_size_and_number(size: tuple[int, int]) -> None:
    src, bgr = torch.rand(2, 2, 3, *size)
    lit = relight(src, bgr, torch.zeros(2, 1, *size))
    assert lit.shape == bgr.shape
    assert lit.isfinite().all()
    single = relight(src[1:], bgr[1:], torch.zeros(1, 1, *size))
    assert torch.allclose(lit[1:], single, atol=1e-5)
