"""Frames and plates by value, each sample for itself, and JPEG against Pillow."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F
from torch.utils.data import default_collate

from dataset.augmentation import AugmentationSettings, draw_disturbance, make_disturbance
from dataset.disturbances.recording import DarkNoise, Jpeg, Noise, compress
from dataset.synthesis import Sample, synthesise
from dataset.synthetic import draw_background

CPU = torch.device("cpu")
ADDITIONS = (
    *("exposure", "white_balance", "dark_noise", "defocus", "jpeg", "zoom", "scene_change"),
    "cast_shadow",
    "low_light",
)
EVERYTHING = replace(
    AugmentationSettings(),
    **{
        name: replace(getattr(AugmentationSettings(), name), probability=0.5)
        for name in (*ADDITIONS, "shadow", "plate_position", "noise")
    },
)


def sample(seed: int = 0, size: tuple[int, int] = (40, 56), **disturbance: dict) -> dict:
    rng = np.random.default_rng(seed)
    smooth = torch.from_numpy(draw_background(rng, *size)).permute(2, 0, 1).contiguous()
    pha = torch.zeros(1, *size, dtype=torch.uint8)
    pha[:, 10:30, 10:30] = 255
    pha[:, 30:34, 10:30] = 100
    fgr = torch.from_numpy(rng.integers(0, 256, (3, *size), np.uint8))
    drawn = make_disturbance(**disturbance)
    return {"fgr": fgr, "pha": pha, "bgr": smooth, "disturbance": drawn, "name": str(seed)}


def make(**disturbance: dict) -> Sample:
    return synthesise(default_collate([sample(**disturbance)]), CPU)


def even(value: float, size: tuple[int, int] = (40, 56), **disturbance: dict) -> Sample:
    """Over a background of one grey."""
    batch = default_collate([sample(size=size, **disturbance)])
    batch["bgr"] = torch.full_like(batch["bgr"], round(value * 255))
    return synthesise(batch, CPU)


def test_undisturbed_is_the_composite() -> None:
    source, result = sample(), make()
    fgr, pha, bgr = (source[name].double() / 255 for name in ("fgr", "pha", "bgr"))
    assert torch.allclose(result.src[0].double(), fgr * pha + bgr * (1 - pha), atol=1e-6)
    assert torch.allclose(result.bgr[0].double(), bgr, atol=1e-6)
    assert torch.allclose(result.fgr[0].double(), fgr, atol=1e-6)
    assert torch.allclose(result.pha[0].double(), pha, atol=1e-6)
    assert {tensor.dtype for tensor in result} == {torch.float32}
    assert not any(tensor.requires_grad for tensor in result)


def test_batches_do_not_matter() -> None:
    samples = []
    for seed in range(12):
        drawn = draw_disturbance(np.random.default_rng(seed), EVERYTHING)
        samples.append(sample(seed) | {"disturbance": drawn})
    torch.manual_seed(0)
    whole = synthesise(default_collate(samples), CPU)
    state = torch.random.get_rng_state()
    for i, one in enumerate(samples):
        alone = synthesise(default_collate([one]), CPU)
        assert all(torch.equal(a[i], b[0]) for a, b in zip(whole, alone, strict=True))
    assert torch.equal(torch.random.get_rng_state(), state)  # nobody's random numbers are used
    for tensor in whole:
        assert tensor.min() >= 0
        assert tensor.max() <= 1


def test_plate_disturbances_touch_the_plate_only() -> None:
    still = make()
    for name, values in (
        *(("plate_position", {"rotation": 1.0}), ("plate_position", {"shift_x": 0.05})),
        *(("plate_colour", {"brightness": 0.1}), ("plate_colour", {"contrast": 1.1})),
        *(("plate_colour", {"saturation": 0.5}), ("plate_colour", {"hue": 0.1})),
        *(("exposure", {"stops": 0.5}), ("white_balance", {"red": 1.1})),
        *(("defocus", {"radius": 2.0}), ("noise", {"bgr": 0.02}), ("jpeg", {"bgr": 40})),
    ):
        moved = make(**{name: values})
        assert not torch.equal(moved.bgr, still.bgr), name
        for part in ("src", "fgr", "pha"):
            assert torch.equal(getattr(moved, part), getattr(still, part)), name
    for name, values in (
        *(("noise", {"src": 0.02}), ("jpeg", {"src": 40}), ("shadow", {"strength": 0.2})),
        *(("cast_shadow", {"light": 0.5}), ("cast_shadow", {"ambient": 0.7})),
    ):
        moved = make(**{name: values})
        assert not torch.equal(moved.src, still.src), name
        for part in ("bgr", "fgr", "pha"):
            assert torch.equal(getattr(moved, part), getattr(still, part)), name


def test_low_light_is_one_factor_on_everything_but_alpha() -> None:
    still, dark = make(), make(low_light={"light": 0.25})
    for part in ("src", "bgr", "fgr"):
        # Of the 24 bits of float32 the composite loses a few.
        assert torch.allclose(getattr(dark, part), 0.25 * getattr(still, part), atol=1e-6), part
    assert torch.equal(dark.pha, still.pha)


def test_shadow_is_the_moved_blurred_matte() -> None:
    size = (200, 240)
    drawn = {"strength": 0.3, "blur": 21, "shift_x": 0.1, "shift_y": 0.2}
    batch = default_collate([sample(size=size, shadow=drawn)])
    batch["pha"][:] = 0
    batch["pha"][:, :, 40:100, 60:120] = 255
    batch["bgr"][:] = 255
    result = synthesise(batch, CPU)
    # 24 pixels to the right and 40 down, and a box of 21 pixels; exact but for the reduced size.
    matte = torch.zeros(1, 1, *size)
    matte[..., 80:140, 84:144] = 1
    expected = 1 - 0.3 * F.avg_pool2d(matte, 21, 1, 10)
    shown = batch["pha"][0, 0] == 0
    difference = (result.src[0, :, shown] - expected[0, 0][shown]).abs()
    assert difference.max() < 0.02
    assert difference.mean() < 0.001
    assert result.bgr.min() == 1


def test_shadow_turns_about_the_middle_and_grows() -> None:
    batch = default_collate(
        [sample(size=(200, 200), shadow={"strength": 0.2, "blur": 20, "scale": 1.5})]
    )
    batch["pha"][:] = 0
    batch["pha"][:, :, 60:140, 60:140] = 255
    batch["bgr"][:] = 255
    src = synthesise(batch, CPU).src[0, 0]
    dark = (1 - src) > 0.1  # half of the strength: the edge of the grown square
    assert abs(dark[100, :60].sum() - 20) <= 1
    assert abs(dark[:60, 100].sum() - 20) <= 1


def test_plate_moves_by_value_and_shows_its_reflection() -> None:
    batch = default_collate(
        [sample(size=(50, 100), plate_position={"shift_x": 0.02, "shift_y": -0.04})]
    )
    bgr = batch["bgr"][0].float() / 255
    moved = synthesise(batch, CPU).bgr[0]
    # 2 to the right, 2 up.
    assert torch.allclose(moved[:, :48, 2:], bgr[:, 2:, :98], atol=1e-4)
    assert torch.allclose(moved[:, :48, 1], bgr[:, 2:, 0], atol=1e-4)
    turned = make(plate_position={"rotation": 90.0}).bgr[0]
    expected = (sample()["bgr"].float() / 255)[:, :, 8:48].rot90(-1, (1, 2))
    assert torch.allclose(turned[:, :, 8:48], expected, atol=1e-4)  # clockwise as seen


def test_colours_of_the_plate_by_value() -> None:
    assert even(0.4, plate_colour={"brightness": 0.1}).bgr.mean() == pytest.approx(0.5, abs=1e-6)
    both = even(
        0.4, plate_colour={"brightness": 0.1, "contrast": 1.1, "hue": 0.1, "saturation": 0.5}
    )
    assert both.bgr.mean() == pytest.approx((0.4 + 0.1) * 1.1, abs=1e-6)  # greys keep their colour
    stop = even(0.4, exposure={"stops": -1.0}).bgr.mean()
    assert stop**2.2 == pytest.approx(0.4**2.2 / 2, rel=1e-4)  # half the light
    warm = even(0.4, white_balance={"red": 1.1, "blue": 0.9}).bgr[0].mean((1, 2))
    assert warm.tolist() == pytest.approx([0.44, 0.4, 0.36], abs=1e-6)
    assert even(0.8, exposure={"stops": 1.0}).bgr.max() == 1  # clamped


def test_noise_is_independent_and_as_strong_as_drawn() -> None:
    result = even(0.6, (256, 256), noise={"src": 0.02, "bgr": 0.03, "seed": 7})
    shown = result.pha[0, 0] == 0
    src, bgr = (picture[0][:, shown] - 0.6 for picture in (result.src, result.bgr))
    assert src.std().item() == pytest.approx(0.02, rel=0.02)
    assert bgr.std().item() == pytest.approx(0.03, rel=0.02)
    assert abs(src.mean().item()) < 2e-4
    assert abs(torch.corrcoef(torch.stack((src.flatten(), bgr.flatten())))[0, 1]) < 0.01
    channels = torch.corrcoef(src) - torch.eye(3)
    assert channels.abs().max() < 0.02
    other = even(0.6, (256, 256), noise={"src": 0.02, "seed": 8})
    assert not torch.equal(other.src, result.src)


def test_noise_of_large_pictures_is_normal_and_unrelated() -> None:
    # Larger than the table of normal numbers; tolerances are four standard errors of a million.
    side = 1024
    result = even(0.5, (side, side), noise={"src": 0.03, "bgr": 0.03, "seed": 3})
    again = even(0.5, (side, side), noise={"src": 0.03, "bgr": 0.03, "seed": 3})
    assert all(torch.equal(one, other) for one, other in zip(result, again, strict=True))
    level = round(0.5 * 255) / 255
    noise = (result.bgr[0].double() - level) / 0.03
    assert noise.mean().abs() < 4e-3
    assert noise.std().item() == pytest.approx(1, abs=3e-3)
    assert (noise**3).mean().abs() < 4e-3 * 15**0.5
    assert (noise**4).mean().item() == pytest.approx(3, abs=4e-3 * 96**0.5)
    for sigmas, share in ((1, 0.3173), (2, 0.0455), (3, 0.0027), (4, 6.3e-5)):
        error = 4e-3 * share**0.5
        assert (noise.abs() > sigmas).double().mean().item() == pytest.approx(share, abs=error)
    src = (result.src[0].double() - level) / 0.03
    shown = result.pha[0, 0] == 0
    assert (src * noise)[:, shown].mean().abs() < 4e-3
    assert (noise[0] * noise[1]).mean().abs() < 4e-3
    # Numbers come again, but at no distance more than a part of them, and never close by.
    spectrum = torch.fft.rfft2(noise, s=(2 * side, 2 * side))
    for one, other in ((0, 0), (0, 1), (1, 2), (2, 0)):
        product = spectrum[one] * spectrum[other].conj()
        alike = torch.fft.irfft2(product, s=(2 * side, 2 * side)) / side**2
        if one == other:
            assert alike[0, 0].item() == pytest.approx(1, abs=0.01)
            alike[0, 0] = 0
        assert alike.abs().max() < 0.15
        assert alike[:32, :32].abs().max() < 8e-3


def test_plate_moves_as_grid_sample_moves_it() -> None:
    size = (150, 210)
    drawn = {"rotation": 0.8, "shift_x": 0.01, "shift_y": -0.007}
    batch = default_collate([sample(size=size, plate_position=drawn)])
    turn = np.deg2rad(-0.8)
    y, x = (
        torch.arange(side, dtype=torch.float64) + 0.5 - side / 2 - moved * side
        for side, moved in zip(size, (-0.007, 0.01), strict=True)
    )
    across = np.cos(turn) * x - np.sin(turn) * y[:, None]
    down = np.sin(turn) * x + np.cos(turn) * y[:, None]
    grid = torch.stack((across * 2 / size[1], down * 2 / size[0]), -1)[None]
    expected = F.grid_sample(
        batch["bgr"].double() / 255, grid, padding_mode="reflection", align_corners=False
    )
    # OpenCV computes places in float32: about 1e-5 px here, and colours change by less than 1 a px.
    assert torch.allclose(synthesise(batch, CPU).bgr.double(), expected, atol=1e-4)


def test_dark_noise_grows_with_darkness() -> None:
    sigmas = [
        even(v, (128, 128), dark_noise={"sigma": 0.02}).bgr.std().item() for v in (0.2, 0.5, 0.8)
    ]
    expected = [
        0.02 * (0.2 + 0.8 * (0.1 / (0.1 + round(v * 255) / 255)) ** 1.2) for v in (0.2, 0.5, 0.8)
    ]
    assert sigmas == pytest.approx(expected, rel=0.03)
    assert sigmas[0] > sigmas[1] > sigmas[2]
    added = even(0.5, (128, 128), dark_noise={"sigma": 0.02}, noise={"bgr": 0.03}).bgr.std().item()
    assert added == pytest.approx((expected[1] ** 2 + 0.03**2) ** 0.5, rel=0.03)


def test_defocus_spreads_a_point_over_a_disc() -> None:
    batch = default_collate([sample(size=(41, 41), defocus={"radius": 3.0})])
    batch["bgr"][:] = 0
    batch["bgr"][:, :, 20, 20] = 255
    disc = synthesise(batch, CPU).bgr[0, 0]
    assert disc.sum().item() == pytest.approx(1, abs=1e-5)
    assert disc[20, 20].item() == pytest.approx(1 / (np.pi * 9), rel=0.05)
    assert disc[20, 24] == disc[16, 20] == 0
    assert even(0.5, defocus={"radius": 3.0}).bgr.std() < 1e-6  # edges stay


def test_zoom_enlarges_one_part_of_everything() -> None:
    noise = {"src": 0.02}
    still = make(noise=noise)
    zoomed = make(noise=noise, zoom={"factor": 2.0, "x": 1.0, "y": 0.25})
    for before, after in zip(still, zoomed, strict=True):
        part = before[:, :, 5:25, 28:]
        assert torch.equal(after, F.interpolate(part, (40, 56), mode="bicubic").clamp(0, 1))
    corner = make(noise=noise, zoom={"factor": 2.0, "x": 0.0, "y": 1.0})
    assert corner.pha[0, 0, 0, 30] == still.pha[0, 0, 20, 15] == 1
    assert (
        make(zoom={"factor": 3.0}).src.shape == still.src.shape
    )  # 40 and 56 are no multiples of 3


@pytest.mark.parametrize("quality", [10, 50, 90])
@pytest.mark.parametrize("size", [(64, 96), (37, 50)])
def test_jpeg_is_what_libjpeg_does(quality: int, size: tuple[int, int]) -> None:
    pixels = draw_background(np.random.default_rng(3), 128, 128)[: size[0], : size[1]]
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality, subsampling="4:2:0")
    expected = np.asarray(Image.open(stream)).astype(float)
    picture = torch.from_numpy(pixels.astype(np.float32) / 255).permute(2, 0, 1)
    ours = compress(picture[None], [quality])[0].permute(1, 2, 0).numpy() * 255
    # Coefficients at a rounding's edge fall either way, by the chroma's filter and the arithmetic.
    assert np.abs(ours - expected).mean() < 0.35 * np.abs(pixels - expected).mean() + 0.3


@pytest.mark.parametrize("quality", [1, 40, 95, 100])
def test_jpeg_on_a_processor_is_libjpegs(quality: int) -> None:
    still = make().src[0]
    stream = io.BytesIO()
    pixels = (still * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality, subsampling="4:2:0")
    expected = torch.from_numpy(np.asarray(Image.open(stream)).astype(np.float32)) / 255
    both = make(jpeg={"src": quality, "bgr": 50})
    assert torch.equal(both.src[0], expected.permute(2, 0, 1))
    assert torch.equal(both.bgr, make(jpeg={"bgr": 50}).bgr)  # each with a quality of its own


def test_jpeg_of_several_pictures_is_that_of_each() -> None:
    pictures = torch.rand(3, 3, 20, 36, generator=torch.Generator().manual_seed(0))
    qualities = [20, 95, 60]
    each = [compress(pictures[i : i + 1], qualities[i : i + 1]) for i in range(3)]
    assert torch.allclose(compress(pictures, qualities), torch.cat(each), atol=1e-6)


def test_wrong_input() -> None:
    with pytest.raises(ValueError, match="3 pictures need as many qualities, got 2"):
        compress(torch.zeros(3, 3, 8, 8), [90, 90])
    with pytest.raises(ValueError, match="quality of a JPEG must be from 1 to 100, got 0"):
        compress(torch.zeros(1, 3, 8, 8), [0])
    batch = default_collate([sample()])
    del batch["disturbance"]["jpeg"]
    with pytest.raises(ValueError, match="jpeg are missing or unknown"):
        synthesise(batch, CPU)


@pytest.mark.gpu
def test_on_a_gpu_as_on_the_processor() -> None:
    samples = []
    for seed in range(8):
        drawn = draw_disturbance(np.random.default_rng(seed), EVERYTHING)
        drawn |= {"noise": Noise.Drawn(), "dark_noise": DarkNoise.Drawn(), "jpeg": Jpeg.Drawn()}
        samples.append(sample(seed) | {"disturbance": drawn})
    batch = default_collate(samples)
    here, there = synthesise(batch, CPU), synthesise(batch, torch.device("cuda"))
    for a, b in zip(here, there, strict=True):
        assert torch.allclose(a, b.cpu(), atol=2e-3)  # grid_sample and TF32 round otherwise
