"""The predictor: any size, any depth, the network's own values."""

import copy
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from matting.loading import choose_lanes, load_predictor
from matting.predictor import Predictor
from matting.quality import Budget
from matting.settings import ComputeSettings, ModelSettings
from model import MattingBase, MattingRefine
from model.fast import accelerate
from model.weights import CheckpointError, find_overflow
from runtime.device import fast_precision, precision_note, resolve_device

from .conftest import CPU, random_pair


def as_tensor(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255


def test_values_are_the_networks(predictor: Predictor, network: MattingRefine) -> None:
    src, bgr = random_pair(64, 96)
    matte = predictor.predict(src, bgr, Budget(0.5, 800))
    with torch.no_grad():
        wanted = accelerate(network)(as_tensor(src), as_tensor(bgr), 0.5, 800)
    assert np.array_equal(matte.pha, wanted.pha[0, 0].numpy())
    assert np.array_equal(matte.fgr, wanted.fgr[0].permute(1, 2, 0).numpy())
    assert matte.ref.sum() == 800
    assert matte.pha.std() > 0.01


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (61, 90), (130, 33), (64, 64), (7, 300)])
def test_any_size_is_padded_and_cropped_back(predictor: Predictor, size: tuple[int, int]) -> None:
    src, bgr = random_pair(*size)
    matte = predictor.predict(src, bgr, Budget(0.5, size[0] * size[1]))
    assert matte.pha.shape == matte.err.shape == matte.ref.shape == size
    assert matte.fgr.shape == (*size, 3)
    assert matte.fgr.flags.c_contiguous
    assert np.isfinite(matte.fgr).all()


def test_padding_repeats_the_border(predictor: Predictor) -> None:
    """A picture of odd size is that picture with its last row and column repeated."""
    src, bgr = random_pair(62, 91)
    padded = [np.pad(p, ((0, 2), (0, 1), (0, 0)), mode="edge") for p in (src, bgr)]
    budget = Budget(0.25, 2000)
    matte, wanted = predictor.predict(src, bgr, budget), predictor.predict(*padded, budget)
    assert np.array_equal(matte.pha, wanted.pha[:62, :91])


def test_16_bits_hold_what_8_bits_hold(predictor: Predictor) -> None:
    src, bgr = random_pair(32, 48)
    budget = Budget(0.5, 400)
    wide = predictor.predict(src.astype(np.uint16) * 257, bgr.astype(np.uint16) * 257, budget)
    # x * 257 / 65535 and x / 255 are equal but for float32 rounding.
    assert np.abs(wide.pha - predictor.predict(src, bgr, budget).pha).max() < 1e-5


def test_bfloat16_is_close_and_keeps_the_frames_depth(network: MattingRefine) -> None:
    src, bgr = random_pair(64, 96)
    budget = Budget(0.5, 64 * 96)
    exact = Predictor(network, CPU).predict(src, bgr, budget)
    reduced = Predictor(network, CPU, "bfloat16").predict(src, bgr, budget)
    assert not np.array_equal(exact.pha, reduced.pha), "the precision had no effect"
    # bfloat16 has 8 bits of significand; through some 60 layers errors add up to a few percent.
    assert np.abs(exact.pha - reduced.pha).mean() < 0.02
    # Values of the foreground between two 8-bit levels would be lost if pictures were rounded.
    assert len(np.unique(reduced.fgr)) > 1000


def test_coarse_network_applies_its_residual_to_the_full_frame() -> None:
    torch.manual_seed(0)
    base = MattingBase("mobilenetv2").eval()
    with torch.no_grad():
        base.decoder.conv4.weight.zero_()
        base.decoder.conv4.bias.zero_()
        base.decoder.conv4.bias[:5] = torch.tensor([0.75, 0.1, 0.0, -0.1, 0.25])
    src = random_pair(60, 90)[0] // 2 + 64
    matte = Predictor(base, CPU).predict(src, src, Budget(0.25, 0))
    # 1e-5: the residual is recovered as (residual + src) - src.
    assert np.abs(matte.pha - 0.75).max() < 1e-5
    assert np.abs(matte.err - 0.25).max() < 1e-5
    assert np.abs(matte.fgr - (src / 255 + [0.1, 0.0, -0.1])).max() < 1e-5
    assert not matte.ref.any()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_threads_share_a_predictor(network: MattingRefine, precision: str) -> None:
    """Each with its own budget, more of them than lanes: nobody gets another's."""
    predictor = Predictor(network, CPU, precision, lanes=2)
    pairs = [random_pair(64, 96) for _ in range(12)]
    budgets = [Budget(scale, pixels) for scale in (0.25, 0.5) for pixels in (160, 480, 1600)] * 2
    alone = Predictor(network, CPU, precision)
    wanted = [alone.predict(*pair, budget) for pair, budget in zip(pairs, budgets, strict=True)]
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda pair, budget: predictor.predict(*pair, budget), pairs, budgets))
    for budget, one, other in zip(budgets, got, wanted, strict=True):
        assert one.ref.sum() == budget.refine_sample_pixels
        assert np.abs(one.pha - other.pha).max() < 1e-5


@pytest.mark.parametrize(("backend", "lanes"), [("pytorch", 0), ("openvino", 2)])
def test_impossible_lanes_are_refused(
    network: MattingRefine, monkeypatch: pytest.MonkeyPatch, backend: str, lanes: int
) -> None:
    monkeypatch.setattr("matting.predictor.check_backend", lambda *_: None)
    with pytest.raises(ValueError, match=f"got {lanes} with {backend}"):
        Predictor(network, CPU, backend=backend, lanes=lanes)


def test_two_pictures_at_a_time_on_a_cpu_and_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert choose_lanes(CPU, ComputeSettings()) == 2
    assert choose_lanes(CPU, ComputeSettings(num_workers=0)) == 1
    assert choose_lanes(CPU, ComputeSettings(backend="openvino")) == 1
    assert choose_lanes(torch.device("mps"), ComputeSettings()) == 1
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert choose_lanes(CPU, ComputeSettings()) == 1
    assert choose_lanes(torch.device("cuda"), ComputeSettings()) == 2


def test_wrong_pictures_are_refused(predictor: Predictor) -> None:
    src, bgr = random_pair(32, 48)
    with pytest.raises(ValueError, match="agree in size"):
        predictor.predict(src, bgr[:16], Budget(0.5, 0))
    with pytest.raises(ValueError, match="uint8 or uint16, got float64"):
        predictor.predict(src / 255, bgr / 255, Budget(0.5, 0))


def test_scale_that_leaves_nothing_is_refused(predictor: Predictor) -> None:
    src, bgr = random_pair(40, 400)
    with pytest.raises(
        ValueError, match=r"scale 0.01 leaves 4 x 0 pixels of a picture of 400 x 40"
    ):
        predictor.predict(src, bgr, Budget(0.01, 0))


def test_absent_devices_are_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert resolve_device("auto") == CPU
    with pytest.raises(ValueError, match="device cuda is not available.*available: cpu"):
        resolve_device("cuda")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert resolve_device("auto").type == "mps"


@pytest.mark.parametrize("supported", [True, False])
def test_emulated_precision_is_told(monkeypatch: pytest.MonkeyPatch, supported: bool) -> None:
    operators = type(
        "Operators", (), {"_is_mkldnn_bf16_supported": staticmethod(lambda: supported)}
    )
    monkeypatch.setattr(operators, "_is_mkldnn_fp16_supported", lambda: True, raising=False)
    monkeypatch.setattr(torch.ops, "mkldnn", operators)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    note = precision_note(CPU, "bfloat16")
    assert note is None if supported else "no bfloat16 arithmetic" in note
    assert precision_note(CPU, "float32") is None
    assert precision_note(torch.device("cuda"), "bfloat16") is None


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-3), ("float16", 0.02)])
def test_cuda_agrees_with_the_cpu(network: MattingRefine, precision: str, tolerance: float) -> None:
    src, bgr = random_pair(128, 192)
    budget = Budget(0.5, 128 * 192)
    wanted = Predictor(network, CPU).predict(src, bgr, budget)
    predictor = Predictor(network, torch.device("cuda"), precision, lanes=2)
    plate = predictor.prepare(bgr)
    # As it is, captured and replayed; two threads with a stream each.
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda _: predictor.predict(src, plate, budget), range(8)))
    network.to(CPU)
    for got in results:
        assert np.abs(got.pha - wanted.pha).mean() < tolerance


def spoil(network: MattingRefine, value: float) -> MattingRefine:
    """A network one of whose layers has a value for all weights."""
    spoilt = copy.deepcopy(network).eval()
    with torch.no_grad():
        spoilt.backbone.features[0][0].weight[:] = value
    return spoilt


@pytest.mark.parametrize(
    ("precision", "advice"), [("float32", "use others"), ("bfloat16", "--precision float32")]
)
def test_no_prediction_that_is_not_finite_gets_out(
    network: MattingRefine, precision: str, advice: str
) -> None:
    spoilt = spoil(network, float("nan"))
    with pytest.raises(ValueError, match=f"not finite .NaN or infinity.: alpha.*{advice}"):
        Predictor(spoilt, CPU, precision).predict(*random_pair(32, 48), Budget(0.5, 400))


def test_a_precision_is_lowered_only_where_none_is_asked_for(
    network: MattingRefine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("matting.predictor.fast_precision", lambda device: "bfloat16")
    budget = Budget(0.5, 400)
    fast = replace(budget, lowers_precision=True)
    pair = random_pair(32, 48)
    chosen, lower = Predictor(network, CPU), Predictor(network, CPU, "bfloat16")
    asked = Predictor(network, CPU, "float32")
    plain, rounded = (x.predict(*pair, budget).pha for x in (asked, lower))
    assert not np.array_equal(plain, rounded)
    np.testing.assert_array_equal(chosen.predict(*pair, budget).pha, plain)
    np.testing.assert_array_equal(chosen.predict(*pair, fast).pha, rounded)
    np.testing.assert_array_equal(asked.predict(*pair, fast).pha, plain)


@pytest.mark.parametrize(
    ("has", "wanted"),
    [({"amx_bf16"}, "bfloat16"), ({"avx512_bf16"}, "bfloat16"), ({"avx512_f"}, "float32")],
)
def test_the_fastest_precision_is_what_the_processor_multiplies_in(
    has: set[str], wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("amx_bf16", "avx512_bf16", "avx512_f")
    capabilities = {name: name in has for name in names}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    monkeypatch.setattr("runtime.device.precision_note", lambda *_: None)
    assert fast_precision(CPU) == wanted
    assert fast_precision(torch.device("cuda")) == "float16"
    assert fast_precision(torch.device("mps")) == "float32"


def test_mattes_and_plates_that_are_held_stay_as_they_are(network: MattingRefine) -> None:
    predictor, budget = Predictor(network, CPU), Budget(0.5, 400, corrects_alpha=True)
    pairs = [random_pair(45, 70) for _ in range(3)]
    plate = predictor.prepare(pairs[0][1])
    before = plate.tensor.clone()
    first = predictor.predict(pairs[0][0], plate, budget)
    held = [part.copy() for part in vars(first).values()]
    for src, bgr in pairs[1:]:
        predictor.predict(src, bgr, budget)
    assert torch.equal(plate.tensor, before)
    for part, copied in zip(vars(first).values(), held, strict=True):
        np.testing.assert_array_equal(part, copied)


def test_weights_by_which_a_layer_overflows_are_refused_on_loading(
    network: MattingRefine, tmp_path: Path
) -> None:
    spoilt = spoil(network, 3e38)
    torch.save(spoilt.state_dict(), tmp_path / "a.pth")
    with pytest.raises(
        CheckpointError, match=r"a\.pth: .*its layer backbone\.features\.0\.0\. .*use others"
    ):
        load_predictor(ModelSettings(checkpoint=tmp_path / "a.pth"), ComputeSettings(device="cpu"))
    network = copy.deepcopy(network).eval()
    assert find_overflow(network, CPU) is None
    assert not any(module._forward_hooks for module in network.modules())
