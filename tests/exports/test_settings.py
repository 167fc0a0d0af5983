"""What an export is asked for."""

import re

import pytest
import torch

from exports.network import Mode
from exports.settings import NetworkSettings, parse_size
from exports.write import Order
from matting.exported.card import Format
from matting.quality import HD, UHD_4K
from runtime.device import Precision


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("HD", (1080, 1920)),
        ("hd", (1080, 1920)),
        ("4K", (2160, 3840)),
        ("1280x720", (720, 1280)),
        ("dynamic", None),
    ],
)
def test_sizes_are_read(text: str, size: tuple[int, int] | None) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "8K", "1280", "1280x", "1280*720", "-4x8", "1280x720x3"])
def test_other_sizes_are_refused(text: str) -> None:
    wanted = f"size must be HD, 4K, dynamic or such as 1280x720, got {text!r}"
    with pytest.raises(ValueError, match=re.escape(wanted)):
        parse_size(text)


@pytest.mark.parametrize("text", ["1278x720", "60x64", "64x60", "8196x64"])
def test_sides_are_limited(text: str) -> None:
    with pytest.raises(ValueError, match=f"multiples of 4 from 64 to 8192, got {text}"):
        parse_size(text)


def test_the_work_is_that_of_quality_auto() -> None:
    for size, preset in (((1080, 1920), HD), ((2160, 3840), UHD_4K), (None, HD)):
        budget = NetworkSettings().choose_budget(size)
        assert budget.backbone_scale == preset.backbone_scale
        assert budget.refine_sample_pixels == preset.refine_sample_pixels
        assert budget.corrects_alpha
        assert not budget.second_look
    chosen = NetworkSettings(backbone_scale=0.5, refine_sample_pixels=7, corrects_alpha=False)
    budget = chosen.choose_budget((64, 64))
    assert (budget.backbone_scale, budget.refine_sample_pixels) == (0.5, 7)
    assert not budget.corrects_alpha


@pytest.mark.parametrize(
    ("size", "mode", "precision", "format", "name"),
    [
        ((1080, 1920), "blocks", "float32", "onnx", "hd-blocks-float32.onnx"),
        ((720, 1280), "full", "float16", "onnx", "1280x720-full-float16.onnx"),
        (None, "coarse", "float32", "openvino", "dynamic-coarse-float32.xml"),
    ],
)
def test_files_are_named_by_size_mode_and_precision(
    size: tuple[int, int] | None, mode: Mode, precision: Precision, format: Format, name: str
) -> None:
    assert Order(NetworkSettings(), size, mode, precision).name(format) == name


def test_what_a_format_lacks_is_refused() -> None:
    network = NetworkSettings()
    with pytest.raises(ValueError, match="written in float32, got --precision float16"):
        Order(network, (64, 64), "blocks", "float16").check("torchscript")
    with pytest.raises(ValueError, match="torchscript has a fixed size; give --size HD"):
        Order(network, None, "blocks", "float32").check("torchscript")


@pytest.mark.parametrize(
    ("height", "width"),
    [(480, 640), (540, 960), (1080, 1920), (2160, 3840), (64, 64), (1000, 1000)],
)
def test_dynamic_sizes_get_the_work_of_quality_auto(height: int, width: int) -> None:
    network = Order(NetworkSettings(), None, "blocks", "float32").plain.module.network
    expected = NetworkSettings().choose_budget((height, width))
    wanted = expected.coarse_size(height, width)
    coarse = network.reduce(torch.zeros(1, 3, height, width), 0).shape[2:]
    for side, other in zip(coarse, wanted, strict=True):
        assert other <= side <= 1.05 * other  # equal at 16:9; the area is at most 9% larger
    blocks = -(-height // 16) * -(-width // 16)
    count = network.refiner.count_blocks(height, width)
    assert abs(count - min(blocks, expected.refine_sample_pixels // 160)) <= 1  # rounding
