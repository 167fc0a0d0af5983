"""Packing weights: half the size, the same network."""

import sys
from pathlib import Path

import pytest
import torch

from model import MattingBase, MattingRefine
from model.weights import load_network
from runtime.script import run_script
from training import release


def run(monkeypatch: pytest.MonkeyPatch, *args: object) -> int:
    monkeypatch.setattr(sys, "argv", ["release", *map(str, args)])
    return run_script(release.main)


def save_two(folder: Path) -> tuple[list[dict[str, torch.Tensor]], list[Path]]:
    torch.manual_seed(0)
    states = [MattingRefine("mobilenetv2").state_dict() for _ in range(2)]
    paths = [folder / "a.pth", folder / "b.pth"]
    for state, path in zip(states, paths, strict=True):
        torch.save(state, path)
    return states, paths


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


def test_several_checkpoints_give_their_mean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    states, paths = save_two(tmp_path)
    assert run(monkeypatch, *paths, tmp_path / "mean.safetensors") == 0
    loaded = load_network(tmp_path / "mean.safetensors").state_dict()
    for name, value in loaded.items():
        expected = (states[0][name] + states[1][name]) / 2 if value.is_floating_point() else value
        torch.testing.assert_close(value, expected, rtol=2**-11, atol=6e-8)

    torch.save(MattingRefine("resnet50").state_dict(), paths[0])
    assert run(monkeypatch, *paths, tmp_path / "none.safetensors") == 2
    assert "only checkpoints of one network can be averaged" in capsys.readouterr().err
    assert not (tmp_path / "none.safetensors").exists()


def test_the_refiner_can_be_that_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    states, paths = save_two(tmp_path)
    assert run(monkeypatch, paths[0], tmp_path / "both.safetensors", "--refiner", paths[1]) == 0
    loaded = load_network(tmp_path / "both.safetensors").state_dict()
    for name, value in loaded.items():
        expected = states[name.startswith("refiner.")][name]
        torch.testing.assert_close(value, expected, rtol=2**-11, atol=6e-8)

    for other in (MattingRefine("mobilenetv2", refine_kernel_size=1), MattingBase("mobilenetv2")):
        torch.save(other.state_dict(), paths[1])
        arguments = (paths[0], tmp_path / "none.safetensors", "--refiner", paths[1])
        assert run(monkeypatch, *arguments) == 2
        assert "the refiners differ" in capsys.readouterr().err
        assert not (tmp_path / "none.safetensors").exists()


def test_weights_beyond_float16_are_refused() -> None:
    state = MattingRefine("mobilenetv2").state_dict()
    state["refiner.conv1.weight"].fill_(1e5)
    with pytest.raises(ValueError, match=r"refiner\.conv1\.weight exceeds the range of float16"):
        release.pack(state)


def test_weights_that_no_network_takes_are_not_packed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    state = MattingRefine("mobilenetv2").state_dict()
    state["decoder.bn1.running_var"].neg_()
    torch.save(state, tmp_path / "a\x1b[31m.pth")
    output = tmp_path / "b.safetensors"
    assert run(monkeypatch, tmp_path / "a\x1b[31m.pth", output) == 2
    assert "negative variances in decoder.bn1.running_var" in capsys.readouterr().err
    assert run(monkeypatch, tmp_path / "c\x1b\n.pth", output) == 2
    assert r"c\x1b\n.pth does not exist" in capsys.readouterr().err
    assert not output.exists()
