"""How an export is compared with PyTorch."""

import numpy as np
import pytest
import torch

from exports.network import ExportedNetwork, Graph
from exports.parity import Expected, compare, predict_demo
from exports.write import find_worst
from matting.exported.card import Parity
from matting.quality import HD, Budget, resolve_budget
from model import BaseOutput, MattingBase, MattingRefine

BUDGET = Budget(0.25, 160 * 9, corrects_alpha=True)


@pytest.fixture(scope="module")
def network() -> ExportedNetwork:
    torch.manual_seed(0)
    return ExportedNetwork(MattingRefine("mobilenetv2"), "blocks", BUDGET)


def test_differences_are_measured(network: ExportedNetwork) -> None:
    expected = predict_demo(network, (64, 96))
    assert [frame.name for frame in expected] == ["coat", "lawn", "portrait", "walk"]
    first = expected[0]

    def run(src: np.ndarray, bgr: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        frame = next(x for x in expected if np.array_equal(x.src, src))
        pha, fgr = frame.pha.copy(), frame.fgr.copy()
        if frame is first:
            pha[..., 0, 0] += 0.5
        return pha, fgr

    parity = Parity("test", 1e-4, compare(run, expected))
    assert parity.frames[0].size == (64, 96)
    assert parity.frames[0].pha.largest == pytest.approx(0.5)
    assert parity.frames[0].pha.mean == pytest.approx(0.5 / (64 * 96))
    # One pixel is less than a hundredth of them.
    assert parity.frames[0].pha.most == 0
    assert parity.frames[1].pha.largest == 0
    assert find_worst(parity, "float32") == (parity.frames[0], pytest.approx(0.5))
    assert find_worst(parity, "float16")[1] == 0


def test_a_frame_without_a_subject_is_compared_by_alpha_alone() -> None:
    src = np.zeros((1, 3, 64, 96), np.float32)
    empty = Expected("empty", src, src, src[:, :1], src)
    for alpha in (0, 0.25):
        (frame,) = compare(lambda src, bgr, a=alpha: (src[:, :1] + a, src + 1), [empty])
        assert frame.pha.largest == alpha
        assert frame.fgr.largest == 0


def test_another_shape_or_nan_is_an_error(network: ExportedNetwork) -> None:
    expected = predict_demo(network, (64, 96))
    for pha in (expected[0].pha[..., 1:], np.full_like(expected[0].pha, np.nan)):
        with pytest.raises(ValueError, match=r"expected finite numbers of shape \(1, 1, 64, 96\)"):
            compare(lambda src, bgr, pha=pha: (pha, expected[0].fgr), expected)


def test_a_dynamic_export_is_compared_at_several_sizes(network: ExportedNetwork) -> None:
    sizes = {frame.src.shape[2:] for frame in predict_demo(network, None)}
    assert sizes == {(480, 640), (500, 332), (1080, 1920)}


@torch.no_grad()
def test_mode_coarse_enlarges_the_coarse_prediction() -> None:
    torch.manual_seed(0)
    base = MattingBase("mobilenetv2")
    refine = MattingRefine("mobilenetv2")
    refine.load_state_dict(base.state_dict(), strict=False)
    plain = Budget(0.25, 160 * 9)
    src, bgr = torch.rand(2, 1, 3, 96, 128)
    of_base, of_refine = (ExportedNetwork(x, "coarse", plain)(src, bgr) for x in (base, refine))
    assert of_base[0].std() > 0
    for first, second in zip(of_base, of_refine, strict=True):
        # The foreground of one is clamped before it is enlarged.
        assert first.shape == second.shape
    assert torch.equal(of_base[0], of_refine[0])
    with pytest.raises(ValueError, match="a mattingbase has no refiner for mode full"):
        ExportedNetwork(base, "full", plain)


@pytest.mark.parametrize(("height", "width"), [(64, 96), (480, 640), (2160, 3840)])
def test_mode_coarse_of_a_mattingbase_follows_the_size_of_the_frame(
    height: int, width: int
) -> None:
    sizes = []

    class Sized(MattingBase):
        def forward(self, src: torch.Tensor, bgr: torch.Tensor) -> BaseOutput:
            sizes.append(tuple(src.shape[2:]))
            return BaseOutput(src[:, :1], src, src[:, :1], src)

    network = ExportedNetwork(Sized("mobilenetv2"), "coarse", HD, sized=True)
    network(*torch.zeros(2, 1, 3, height, width))
    expected = resolve_budget(height, width, "auto").coarse_size(height, width)
    assert sizes == [expected]


@pytest.mark.slow
@torch.no_grad()
def test_a_dynamic_network_without_blocks_is_exported() -> None:
    module = ExportedNetwork(MattingRefine("mobilenetv2"), "coarse", BUDGET)
    program = Graph(module, None, BUDGET).program.module()
    src, bgr = torch.rand(2, 1, 3, 96, 128)
    for found, wanted in zip(program(src, bgr), module(src, bgr), strict=True):
        assert torch.equal(found, wanted)
