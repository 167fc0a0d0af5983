"""Packing weights: half the size, the same network."""

import sys
from pathlib import Path

import pytest
import torch

from model import MattingRefine
from model.weights import load_network
from training import release


def run(monkeypatch: pytest.MonkeyPatch, *args: object) -> int:
    monkeypatch.setattr(sys, "argv", ["release", *map(str, args)])
    return release.main()


def test_packed_weights_are_the_same_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    torch.manual_seed(0)
    network = MattingRefine("mobilenetv2").eval()
    network.backbone.features[0][1].running_var.fill_(1e6)  # beyond float16
    torch.save(network.state_dict(), tmp_path / "a.pth")
    packed = tmp_path / "a.safetensors"
    assert run(monkeypatch, tmp_path / "a.pth", packed) == 0
    assert "sha256" in capsys.readouterr().out
    assert packed.stat().st_size < 0.55 * (tmp_path / "a.pth").stat().st_size
    loaded = load_network(packed)
    for name, value in network.state_dict().items():
        # float16 keeps 11 bits, and nothing below 6e-8.
        torch.testing.assert_close(loaded.state_dict()[name], value, rtol=2**-11, atol=6e-8)
    assert run(monkeypatch, tmp_path / "a.pth", packed) == 2
    assert "exists; move it" in capsys.readouterr().err
    assert run(monkeypatch, tmp_path / "a.pth", tmp_path / "a.pt") == 2


def test_weights_beyond_float16_are_refused() -> None:
    state = MattingRefine("mobilenetv2").state_dict()
    state["refiner.conv1.weight"].fill_(1e5)
    with pytest.raises(ValueError, match=r"refiner\.conv1\.weight leaves the range of float16"):
        release.pack(state)
