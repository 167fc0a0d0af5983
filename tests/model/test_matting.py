"""The networks' own contracts: shapes, ranges, errors and values where there is no reference."""

import pytest
import torch

from model import BaseOutput, MattingBase, MattingRefine, RefineOutput
from model.encoders import MobileNetV2Encoder, ResNetEncoder
from model.weights import Architecture


@pytest.fixture
def model() -> MattingRefine:
    torch.manual_seed(0)
    return MattingRefine("mobilenetv2", 0.25, "sampling", 80_000).eval()


def pair(height: int = 64, width: int = 96, batch: int = 1) -> torch.Tensor:
    return torch.rand(2, batch, 3, height, width, generator=torch.Generator().manual_seed(1))


def test_outputs_are_named_in_the_published_order() -> None:
    assert BaseOutput._fields == ("pha", "fgr", "err", "hid")
    assert RefineOutput._fields == ("pha", "fgr", "pha_sm", "fgr_sm", "err_sm", "ref_sm")


@torch.no_grad()
def test_shapes_and_ranges(model: MattingRefine) -> None:
    output = model(*pair(64, 96, batch=2))
    shapes = {name: tuple(tensor.shape) for name, tensor in output._asdict().items()}
    assert shapes == {
        "pha": (2, 1, 64, 96),
        "fgr": (2, 3, 64, 96),
        "pha_sm": (2, 1, 16, 24),
        "fgr_sm": (2, 3, 16, 24),
        "err_sm": (2, 1, 16, 24),
        "ref_sm": (2, 1, 16, 24),
    }
    for name, tensor in output._asdict().items():
        assert tensor.min() >= 0, name
        assert tensor.max() <= 1, name


@pytest.mark.parametrize(
    ("encoder", "widths"),
    [
        (ResNetEncoder("resnet50"), (2048, 512, 256, 64, 6)),
        (ResNetEncoder("resnet101"), (2048, 512, 256, 64, 6)),
        (MobileNetV2Encoder(), (320, 32, 24, 16, 6)),
    ],
)
@torch.no_grad()
def test_encoders_publish_their_widths(encoder: torch.nn.Module, widths: tuple[int, ...]) -> None:
    features = encoder.eval()(torch.rand(1, 6, 64, 96))
    assert encoder.out_channels == widths
    assert tuple(f.shape[1] for f in features) == widths
    assert [64 // f.shape[2] for f in features] == [16, 8, 4, 2, 1]


@torch.no_grad()
def test_more_pixels_than_the_frame_has_refine_every_cell(model: MattingRefine) -> None:
    """The reference fails here. Refining all cells must equal the mode that refines everything."""
    model.refiner.prevent_oversampling = False
    sampled = model(*pair(32, 48))
    assert sampled.ref_sm.eq(1).all()
    model.refiner.mode = "full"
    everything = model(*pair(32, 48))
    # 1e-5: the same arithmetic in another order.
    assert (sampled.pha - everything.pha).abs().max() <= 1e-5
    assert (sampled.fgr - everything.fgr).abs().max() <= 1e-5


@torch.no_grad()
def test_no_pixels_leave_the_coarse_output_resized(model: MattingRefine) -> None:
    model.refiner.sample_pixels = 0
    output = model(*pair())
    assert output.ref_sm.eq(0).all()
    resized = torch.nn.functional.interpolate(output.pha_sm, (64, 96), mode="bilinear")
    # Rounding.
    torch.testing.assert_close(output.pha, resized.clamp(0, 1), rtol=0, atol=1e-6)


def test_selection_by_hand(model: MattingRefine) -> None:
    err = torch.tensor([[0.9, 0.0, 0.3], [0.2, 0.5, 0.0]])[None, None]
    select = model.refiner.select
    model.refiner.sample_pixels = 2 * 16 + 15  # a started cell does not count
    assert select(err).tolist() == [[[[1, 0, 0], [0, 1, 0]]]]
    model.refiner.sample_pixels = 6 * 16
    assert select(err).tolist() == [[[[1, 0, 1], [1, 1, 0]]]], "cells of error 0 are left out"
    model.refiner.prevent_oversampling = False
    assert select(err).eq(1).all()
    model.refiner.mode, model.refiner.threshold = "thresholding", 0.3
    assert select(err).tolist() == [[[[1, 0, 0], [0, 1, 0]]]], "the threshold itself is below"


def test_each_frame_of_a_batch_has_its_own_budget(model: MattingRefine) -> None:
    err = torch.tensor([[[[0.1, 0.2]]], [[[0.8, 0.9]]]])
    model.refiner.sample_pixels = 16
    assert model.refiner.select(err).tolist() == [[[[0, 1]]], [[[0, 1]]]]


def test_gradients_reach_every_part(model: MattingRefine) -> None:
    model.train()
    # A predicted error everywhere, so that cells are refined.
    torch.nn.init.constant_(model.decoder.conv4.bias, 0.5)
    output = model(*pair(64, 96, batch=2))
    (output.pha.mean() + output.fgr.mean() + output.err_sm.mean()).backward()
    silent = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"backbone": "vgg"}, "backbone must be one of .*'vgg'"),
        ({"backbone_scale": 0.6}, "at most 0.5, got 0.6"),
        ({"backbone_scale": 0.0}, "above 0"),
        ({"refine_mode": "all"}, "refine mode must be one of .*'all'"),
        ({"refine_sample_pixels": -1}, "0 or more, got -1"),
        ({"refine_threshold": 1.5}, r"\[0, 1\], got 1.5"),
        ({"refine_kernel_size": 5}, "1 or 3, got 5"),
    ],
)
def test_wrong_settings_are_refused(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MattingRefine(**({"backbone": "mobilenetv2"} | change))


def test_unknown_networks_are_refused() -> None:
    with pytest.raises(ValueError, match="mattingbase or mattingrefine, got 'mattinganything'"):
        Architecture("mattinganything", "mobilenetv2", 3).build()


def test_wrong_values_on_a_built_model_are_refused(model: MattingRefine) -> None:
    with pytest.raises(ValueError, match="at most 0.5"):
        model.backbone_scale = 1
    with pytest.raises(ValueError, match="refine mode"):
        model.refiner.mode = "everything"
    assert (model.backbone_scale, model.refiner.mode) == (0.25, "sampling")


def test_wrong_inputs_are_refused(model: MattingRefine) -> None:
    src, bgr = pair(64, 96)
    with pytest.raises(ValueError, match=r"same size.*\(1, 3, 64, 96\) and \(1, 3, 64, 48\)"):
        model(src, bgr[..., ::2])
    with pytest.raises(ValueError, match="divisible by 4, got 61 x 90; pad .* to 64 x 92"):
        model(src[..., :61, :90], bgr[..., :61, :90])
    with pytest.raises(ValueError, match=r"\(B, 3, H, W\)"):
        MattingBase("mobilenetv2")(src[0], bgr[0])


def test_published_constructor_arguments() -> None:
    model = MattingRefine(
        backbone="mobilenetv2",
        backbone_scale=0.25,
        refine_mode="sampling",
        refine_sample_pixels=80_000,
        refine_threshold=0.7,
        refine_kernel_size=1,
        refine_prevent_oversampling=False,
        refine_patch_crop_method="roi_align",
        refine_patch_replace_method="scatter_element",
    )
    assert model.refiner.threshold == 0.7
    assert model.refiner.crop_method == "roi_align"
    assert isinstance(Architecture("mattingbase", "mobilenetv2", None).build(), MattingBase)


@pytest.mark.parametrize("replace_method", ["scatter_nd", "scatter_element"])
@pytest.mark.parametrize("crop_method", ["unfold", "roi_align", "gather"])
@torch.no_grad()
def test_patch_methods_agree(model: MattingRefine, crop_method: str, replace_method: str) -> None:
    model.refiner.sample_pixels = 800
    wanted = model(*pair(batch=2))
    model.refiner.crop_method, model.refiner.replace_method = crop_method, replace_method
    got = model(*pair(batch=2))
    # roi_align interpolates at pixel centres: exact but for the rounding of its weights.
    assert (got.pha - wanted.pha).abs().max() <= 1e-5
    assert (got.fgr - wanted.fgr).abs().max() <= 1e-5
