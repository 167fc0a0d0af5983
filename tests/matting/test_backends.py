"""The backends against PyTorch."""

import importlib.util

import numpy as np
import pytest
import torch

from matting.backends import check_backend, measure_parity
from matting.predictor import Predictor
from matting.quality import Budget
from model import MattingBase, MattingRefine
from model.fast import FastMatting

CPU = torch.device("cpu")


def build() -> MattingRefine:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = MattingRefine("mobilenetv2").eval()
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_var.data.uniform_(0.5, 1.5)
    network.decoder.conv4.bias.data[0] = 0.5
    network.refiner.conv4.bias.data[0] = 0.5
    return network


def backends() -> list:
    packages = {"onnxruntime": ("onnxruntime", "onnx"), "openvino": ("openvino",)}
    return [
        pytest.param(
            name,
            marks=pytest.mark.skipif(
                any(importlib.util.find_spec(p) is None for p in needed),
                reason=f"{' and '.join(needed)} not installed (the extra `dev`)",
            ),
        )
        for name, needed in packages.items()
    ]


@pytest.mark.parametrize("backend", backends())
def test_predicts_what_pytorch_predicts_at_every_size(backend: str) -> None:
    network = build()
    predictor = Predictor(network, CPU, "float32", backend)
    plain = Predictor(network, CPU)
    generator = np.random.default_rng(0)
    results = []
    # Larger, smaller, larger again: a request of another size must not disturb one made before.
    for height, width in ((96, 128), (50, 70), (96, 128)):
        src, bgr = generator.integers(0, 256, (2, height, width, 3), dtype=np.uint8)
        budget = Budget(0.5, height * width)  # all cells, so that rounding selects none
        matte, expected = predictor.predict(src, bgr, budget), plain.predict(src, bgr, budget)
        # Rounding of float32 in another order.
        assert np.abs(matte.pha - expected.pha).max() < 1e-4
        assert np.abs(matte.fgr - expected.fgr).max() < 1e-4
        assert matte.pha.std() > 1e-3
        results.append((matte.pha.copy(), matte.pha))
    for copied, kept in results:
        assert np.array_equal(copied, kept), "a later frame overwrote an earlier result"
    assert predictor.parity is not None
    assert 0 <= predictor.parity < 1e-4


def test_parity_sees_a_difference() -> None:
    network, other = build(), build()
    other.decoder.conv4.bias.data[0] += 0.125
    assert measure_parity(FastMatting(network), FastMatting(other)) == pytest.approx(
        0.125, abs=1e-5
    )
    assert measure_parity(FastMatting(network), FastMatting(network)) == 0


def test_pytorch_has_no_parity_to_report() -> None:
    assert Predictor(build(), CPU).parity is None


@pytest.mark.parametrize(
    ("backend", "network", "device", "precision", "message"),
    [
        ("openvino", "refine", "cuda", "float32", "runs on the CPU, got device cuda"),
        ("openvino", "base", "cpu", "float32", "needs a mattingrefine"),
        ("onnxruntime", "refine", "cpu", "bfloat16", "computes in float32, got bfloat16"),
        ("openvino", "refine", "cpu", "float16", "computes in float32 or bfloat16, got float16"),
    ],
)
def test_names_what_a_backend_cannot_do(
    backend: str,
    network: str,
    device: str,
    precision: str,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    built = (MattingRefine if network == "refine" else MattingBase)("mobilenetv2")
    with pytest.raises(ValueError, match=message):
        check_backend(backend, built, torch.device(device), precision)


def test_names_the_package_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="needs onnxruntime and onnx; run `pip install"):
        check_backend("onnxruntime", build(), CPU, "float32")
