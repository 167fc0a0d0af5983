"""Correction of alpha by the compositing equation, on pictures that are composed here."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from model import RefineOutput
from model.correction import correct_alpha
from model.fast import accelerate
from model.texture import compare_texture

from .fast.test_network import build
from .test_equality import largest_differences, random_pair

SIZE = 48, 64


def compose(light: float = 1.0, noise: float = 0.0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A frame, its plate, and the true alpha and foreground: a subject of thin lines.

    The plate is plain and nearly grey, so that its texture and colour prove nothing.
    """
    generator = torch.Generator().manual_seed(0)
    plate = torch.tensor((0.7, 0.65, 0.6)).view(1, 3, 1, 1).repeat(1, 1, *SIZE)
    fgr = torch.tensor((0.1, 0.05, 0.3)).view(1, 3, 1, 1).expand(1, 3, *SIZE)
    pha = torch.rand(1, 1, *SIZE, generator=generator)
    pha[..., :12], pha[..., -12:] = 0, 1
    src = pha * fgr + (1 - pha) * light * plate
    src = src + noise * torch.randn(src.shape, generator=generator)
    return src, plate, pha, fgr


def predicted(pha: Tensor, fgr: Tensor, err: float, refined: float = 1.0) -> RefineOutput:
    height, width = pha.shape[2:]
    err_sm = pha.new_full((1, 1, height // 2, width // 2), err)
    ref_sm = pha.new_full((1, 1, height // 4, width // 4), refined)
    small = F.avg_pool2d(pha, 2), F.avg_pool2d(fgr, 2)
    return RefineOutput(pha.clone(), fgr.clone(), *small, err_sm, ref_sm)


def correct(src: Tensor, bgr: Tensor, output: RefineOutput) -> RefineOutput:
    small = (F.interpolate(x, output.pha_sm.shape[2:], mode="bilinear") for x in (src, bgr))
    return correct_alpha(src, bgr, *small, output)


def error(pha: Tensor, true: Tensor) -> float:
    return (pha - true).abs().mean().item()


def wrong(pha: Tensor) -> Tensor:
    """A blurred alpha, as a network predicts lines that are too thin for it."""
    return F.avg_pool2d(F.pad(pha, (1,) * 4, mode="replicate"), 3, stride=1)


@pytest.mark.parametrize("light", [1.0, 0.75])
def test_alpha_comes_nearer_to_the_truth(light: float) -> None:
    src, plate, pha, fgr = compose(light)
    before = wrong(pha)
    after = correct(src, plate, predicted(before, fgr, err=0.3)).pha
    assert error(before, pha) > 0.1
    assert error(after, pha) < 0.25 * error(before, pha)


def test_noise_is_not_taken_for_alpha() -> None:
    src, plate, pha, fgr = compose(noise=0.03)
    sure = correct(src, plate, predicted(pha, fgr, err=0.01)).pha
    assert error(sure, pha) < 0.002, "the right alpha stays"
    before = wrong(pha)
    after = correct(src, plate, predicted(before, fgr, err=0.3)).pha
    assert error(after, pha) < 0.5 * error(before, pha)


def test_a_steep_plate_counts_less() -> None:
    """Its place is known to a pixel or so only: where it is steep, it may differ from the frame."""
    src, plate, pha, fgr = compose()
    stripes = 0.3 * (torch.arange(SIZE[1]) % 2)
    outputs = predicted(wrong(pha), fgr, err=0.1)
    even, steep = (
        (correct(src + change, plate + change, outputs._replace(pha=outputs.pha.clone())).pha)
        for change in (stripes.mean(), stripes)
    )
    assert (steep - outputs.pha).abs().mean() < 0.7 * (even - outputs.pha).abs().mean()


@pytest.mark.parametrize(("err", "refined"), [(0.0, 1.0), (0.3, 0.0)])
def test_what_is_sure_or_not_refined_stays(err: float, refined: float) -> None:
    src, plate, pha, fgr = compose()
    output = predicted(wrong(pha), fgr, err, refined)
    before = output.pha.clone()
    assert torch.equal(correct(src, plate, output).pha, before)


def test_the_same_colours_say_nothing() -> None:
    _, plate, pha, _ = compose()
    output = predicted(wrong(pha), plate, err=0.3)
    before = output.pha.clone()
    assert error(correct(plate, plate, output).pha, before) < 0.01


def test_alpha_and_foreground_learn() -> None:
    src, plate, pha, fgr = compose()
    begin_pha, begin_fgr = wrong(pha).requires_grad_(), (fgr + 0.2).requires_grad_()
    output = predicted(pha, fgr, err=0.3)
    output = output._replace(pha=begin_pha.clamp(0, 1), fgr=begin_fgr.clamp(0, 1))
    (correct(src, plate, output).pha - pha).abs().mean().backward()
    for begin in (begin_pha, begin_fgr):
        assert begin.grad is not None
        assert begin.grad.isfinite().all()
        assert begin.grad[..., 16:-16].abs().mean() > 0


def scene(texture: float, noise: float = 0.004) -> tuple[Tensor, Tensor, Tensor]:
    """A plate with texture, its frame without a subject, and an alpha of 0.6 in the middle."""
    generator = torch.Generator().manual_seed(1)
    plate = 0.5 + texture * torch.randn(1, 3, *SIZE, generator=generator)[:, :1].expand(
        -1, 3, -1, -1
    )
    plate = F.avg_pool2d(F.pad(plate, (1,) * 4, mode="replicate"), 3, stride=1)
    frame = plate + noise * torch.randn(plate.shape, generator=generator)
    pha = torch.zeros(1, 1, *SIZE)
    pha[..., 12:36, 16:48] = 0.6
    return frame, plate, pha


MIDDLE = (..., slice(18, 30), slice(24, 40))


@pytest.mark.parametrize("factor", [0.35, 0.5, 0.7, 0.9])
def test_a_shadow_on_texture_is_no_subject(factor: float) -> None:
    frame, plate, pha = scene(texture=0.15)
    frame[..., 12:36, 16:48] *= factor
    after = correct(frame, plate, predicted(pha, frame, err=0.0)).pha
    assert after[MIDDLE].mean() < 0.05


@pytest.mark.parametrize("factor", [0.35, 0.5, 0.7])
def test_a_sharp_shadow_is_no_subject_up_to_its_edge(factor: float) -> None:
    frame, plate, pha = scene(texture=0.15)
    frame[..., 12:36, 16:48] *= factor
    after = correct(frame, plate, predicted(pha, frame, err=0.0)).pha
    assert after[..., 15:33, 19:45].mean() < 0.05  # one and a half coarse pixels from the edge


def test_cloth_beside_a_shadow_of_its_factor_stays() -> None:
    frame, plate, pha = scene(texture=0.15)
    frame[..., 12:36, 16:30] *= 0.5
    generator = torch.Generator().manual_seed(2)
    frame[..., 12:36, 30:48] = 0.25 + 0.004 * torch.randn(1, 3, 24, 18, generator=generator)
    after = correct(frame, plate, predicted(pha, frame, err=0.0)).pha
    assert after[..., 18:30, 22:30].mean() < 0.05
    assert after[..., 18:30, 36:44].min() > 0.59


@pytest.mark.parametrize("difference", [-0.15, -0.04, 0.04])
def test_where_the_texture_is_gone_the_subject_stays(difference: float) -> None:
    frame, plate, pha = scene(texture=0.15)
    generator = torch.Generator().manual_seed(2)
    cloth = 0.5 + difference + 0.004 * torch.randn(1, 3, 24, 32, generator=generator)
    frame[..., 12:36, 16:48] = cloth
    after = correct(frame, plate, predicted(pha, frame, err=0.0)).pha
    assert after[MIDDLE].min() > 0.59


def hole(cloth: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """A frame with cloth before a textured plate, its plate, and an alpha with a hole in it."""
    frame, plate, pha = scene(texture=0.15)
    box = (..., slice(8, 40), slice(8, 56))
    frame[box] = cloth.expand_as(frame)[box]
    pha[:] = 0
    pha[box] = 1
    pha[..., 20:28, 28:36] = 0.2
    return frame, plate, pha


HOLE = (..., slice(20, 28), slice(28, 36))


@pytest.mark.parametrize("difference", [-0.15, -0.04, 0.04])
def test_a_hole_where_the_texture_is_gone_is_filled(difference: float) -> None:
    generator = torch.Generator().manual_seed(2)
    cloth = 0.5 + difference + 0.004 * torch.randn(1, 3, *SIZE, generator=generator)
    frame, plate, pha = hole(cloth)
    after = correct(frame, plate, predicted(pha, frame, err=0.0)).pha
    assert after[HOLE].min() > 0.95
    assert after[..., :4, :].max() == 0


@pytest.mark.parametrize("similar", [-0.25, 0.25])
def test_cloth_of_a_texture_like_the_plates_is_filled(similar: float) -> None:
    plate = scene(texture=0.15)[1]
    frame, plate, pha = hole(0.75 + similar * (plate - 0.5))
    assert correct(frame, plate, predicted(pha, frame, err=0.0)).pha[HOLE].min() > 0.9


def test_nothing_is_solved_amid_what_the_texture_decides() -> None:
    frame, plate, pha = hole(torch.tensor(0.54))
    white = torch.ones_like(frame)  # alpha of 0.1 would explain the frame
    assert correct(frame, plate, predicted(pha, white, err=0.3)).pha[HOLE].min() > 0.95
    frame, plate, pha = scene(texture=0.15)
    frame[..., 12:36, 16:48] *= 0.5
    after = correct(frame, plate, predicted(pha, torch.zeros_like(frame), err=0.3)).pha
    assert after[..., 22:26, 28:36].max() < 0.001


@pytest.mark.parametrize(("cloth", "most"), [(0.3, 0.12), (0.5, 0.03), (0.8, 0.12)])
def test_a_gap_through_which_the_plate_shows_stays(cloth: float, most: float) -> None:
    frame, plate, pha = scene(texture=0.15)
    gap = (..., slice(18, 30), slice(26, 38))
    seen = frame[gap].clone()
    pha[:] = 0
    box = (..., slice(4, 44), slice(4, 60))
    frame[box], pha[box] = cloth, 1
    frame[gap], pha[gap] = seen, 0
    after = correct(frame, plate, predicted(pha, frame, err=0.0)).pha
    assert after[gap].mean() < most  # its corners are blurred by the window


@pytest.mark.parametrize("tint", [(1.0, 0.7, 1.0), (1.2, 1.0, 1.0)])
def test_another_colour_is_a_subject(tint: tuple[float, ...]) -> None:
    frame, plate, pha = scene(texture=0.15)
    frame[..., 12:36, 16:48] *= torch.tensor(tint).view(3, 1, 1)
    after = correct(frame, plate, predicted(pha, frame, err=0.0)).pha
    assert after[MIDDLE].min() > 0.59


def test_a_plain_plate_proves_nothing() -> None:
    frame, plate, pha = scene(texture=0.004)
    frame[..., 12:36, 16:48] *= 0.5
    after = correct(frame, plate, predicted(pha, frame, err=0.0)).pha
    assert after[MIDDLE].mean() > 0.55


def coloured(factor: float | Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """A plain green plate and its frame, darker by a factor, with an alpha of 0.6 in the middle."""
    _, _, pha = scene(texture=0.0)
    plate = torch.tensor((0.15, 0.6, 0.4)).view(1, 3, 1, 1).repeat(1, 1, *SIZE)
    return plate * factor, plate, pha


def test_a_soft_shadow_keeps_a_strong_colour() -> None:
    light = torch.linspace(0.5, 0.8, SIZE[1]).expand(SIZE)
    frame, plate, pha = coloured(light)
    assert correct(frame, plate, predicted(pha, frame, err=0.0)).pha[MIDDLE].max() < 0.01


def test_dark_lines_on_a_strong_colour_stay() -> None:
    light = 1 - 0.4 * (torch.arange(SIZE[1]) % 8 < 2).float().expand(SIZE)
    frame, plate, pha = coloured(light)
    after = correct(frame, plate, predicted(pha, frame, err=0.0)).pha
    assert after[MIDDLE].min() > 0.59


def test_sure_cloth_in_a_strong_colour_stays() -> None:
    frame, plate, pha = coloured(0.6)
    pha[pha > 0] = 0.95
    after = correct(frame, plate, predicted(pha, frame, err=0.0)).pha
    assert after[MIDDLE].min() > 0.94


def test_a_plate_that_does_not_fit_proves_nothing() -> None:
    frame, plate, pha = scene(texture=0.15)
    frame[..., 12:36, 16:48] *= 0.5
    after = correct(frame, plate.flip(-1), predicted(pha, frame, err=0.0)).pha
    assert after[MIDDLE].mean() > 0.55


@pytest.mark.parametrize("mode", ["sampling", "full"])
@torch.no_grad()
def test_the_network_corrects_by_either_path(mode: str) -> None:
    network = build()
    network.refiner.mode = mode
    network.refiner.sample_pixels = 96 * 128 // 4
    src, bgr = random_pair(2, (96, 128)).double()
    plain = network(src, bgr)
    wanted = correct(src, bgr, plain._replace(pha=plain.pha.clone()))
    assert (wanted.pha - plain.pha).abs().max() > 0.01
    network.corrects_alpha = True
    for predict in (network, accelerate(network)):
        assert max(largest_differences(predict(src, bgr), wanted).values()) < 1e-9
        uncorrected = predict(src, bgr, corrects_alpha=False)
        assert max(largest_differences(uncorrected, plain).values()) < 1e-9


def test_weak_texture_on_a_bright_plate_loses_few_digits() -> None:
    generator = torch.Generator().manual_seed(0)
    plate = 0.9 + 0.005 * torch.randn(1, 3, 40, 60, generator=generator)
    plate[..., 30:] -= 0.8
    frame = plate * 0.9 + 0.002 * torch.randn(1, 3, 40, 60, generator=generator)
    pha = torch.zeros(1, 1, 40, 60)
    pha[..., 10:30, 20:40] = 0.5
    single = compare_texture(frame, plate, pha)
    double = compare_texture(frame.double(), plate.double(), pha.double())
    assert double[0].std() > 0.01
    for found, wanted in zip(single, double, strict=True):
        # Differences of squares would be wrong by 1e-7 of 0.2, where the variance is 2.5e-5.
        assert (found - wanted).abs().max() < 5e-5
