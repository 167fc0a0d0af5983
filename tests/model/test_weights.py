"""Reading and loading weights: what fits, and what is refused and how."""

import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from model import MattingBase, MattingRefine
from model.weights import (
    Architecture,
    CheckpointError,
    identify,
    initialise_from_deeplab,
    load_network,
    load_weights,
    read_state_dict,
)

PUBLISHED_NAMES = [
    "backbone.features.0.0.weight",
    "backbone.features.0.1.running_mean",
    "backbone.features.17.conv.3.weight",
    "aspp.convs.0.0.weight",
    "aspp.convs.4.1.weight",
    "aspp.project.0.weight",
    *[f"decoder.conv{i}.weight" for i in (1, 2, 3, 4)],
    *[f"decoder.bn{i}.running_var" for i in (1, 2, 3)],
    "decoder.conv4.bias",
    *[f"refiner.conv{i}.weight" for i in (1, 2, 3, 4)],
    *[f"refiner.bn{i}.num_batches_tracked" for i in (1, 2, 3)],
    "refiner.conv4.bias",
]


class RunsCode:
    """Unpickling this creates a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return MattingRefine("mobilenetv2").state_dict()


def test_state_dict_names_are_the_published_ones(state: dict) -> None:
    assert [name for name in PUBLISHED_NAMES if name not in state] == []
    assert len(state) == 382
    for without_bias in ("decoder.conv1", "decoder.conv3", "refiner.conv1", "refiner.conv3"):
        assert f"{without_bias}.bias" not in state


@pytest.mark.parametrize("backbone", ["mobilenetv2", "resnet50", "resnet101"])
@pytest.mark.parametrize(("type", "kernel"), [("mattingbase", None), ("mattingrefine", 1)])
def test_architecture_is_read_from_the_names(backbone: str, type: str, kernel: int | None) -> None:
    with torch.device("meta"):
        network = Architecture(type, backbone, kernel).build()
    assert identify(network.state_dict()) == Architecture(type, backbone, kernel)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("type", ["mattingbase", "mattingrefine"])
def test_files_rebuild_their_network(tmp_path: Path, suffix: str, type: str) -> None:
    wanted = Architecture(type, "mobilenetv2", 1).build().state_dict()
    path = tmp_path / f"weights{suffix}"
    save_file(wanted, path) if suffix == ".safetensors" else torch.save(wanted, path)
    network = load_network(path)
    assert not network.training
    assert isinstance(network, MattingRefine) == (type == "mattingrefine")
    got = network.state_dict()
    assert all(torch.equal(got[name], wanted[name]) for name in wanted)


def test_half_precision_file_becomes_float32(tmp_path: Path, state: dict) -> None:
    save_file(
        {k: v.half() if v.is_floating_point() else v for k, v in state.items()},
        tmp_path / "h.safetensors",
    )
    network = load_network(tmp_path / "h.safetensors")
    name = "decoder.conv1.weight"
    assert network.state_dict()[name].dtype == torch.float32
    assert torch.equal(network.state_dict()[name], state[name].half().float())


def test_coarse_network_of_a_refine_file(tmp_path: Path, state: dict) -> None:
    torch.save(state, tmp_path / "w.pth")
    network = load_network(tmp_path / "w.pth", type="mattingbase")
    assert type(network) is MattingBase
    assert torch.equal(network.decoder.conv1.weight, state["decoder.conv1.weight"])


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"backbone": "resnet50"}, "missing: backbone.conv1.weight.*unexpected: backbone.features"),
        (
            {"refine_kernel_size": 1},
            r"refiner.conv1.weight \(24, 42, 3, 3\) instead of \(24, 42, 1",
        ),
    ],
)
def test_another_network_than_the_file_holds_is_refused(
    tmp_path: Path, state: dict, wanted: dict, message: str
) -> None:
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=message) as error:
        load_network(tmp_path / "w.pth", **wanted)
    assert "mattingrefine with mobilenetv2 and kernel size 3" in str(error.value)
    assert "leave out" in str(error.value)


def test_base_file_for_the_refine_network_is_refused(tmp_path: Path) -> None:
    torch.save(MattingBase("mobilenetv2").state_dict(), tmp_path / "base.pth")
    with pytest.raises(CheckpointError, match="missing: refiner.conv1.weight"):
        load_network(tmp_path / "base.pth", type="mattingrefine")


def test_a_refused_state_dict_leaves_the_network_unchanged(state: dict) -> None:
    network = MattingRefine("mobilenetv2")
    before = network.decoder.conv4.bias.clone()
    state["decoder.conv4.bias"] = torch.full((37,), float("nan"))
    with pytest.raises(CheckpointError, match="not finite in decoder.conv4.bias"):
        load_weights(network, state, "w.pth")
    del state["refiner.conv4.bias"]
    state["surprise"] = torch.zeros(1)
    with pytest.raises(CheckpointError, match="missing: refiner.conv4.bias; unexpected: surprise"):
        load_weights(network, state, "w.pth")
    assert torch.equal(network.decoder.conv4.bias, before)


def test_pickles_that_would_run_code_are_refused(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    torch.save({"weight": RunsCode(trap)}, tmp_path / "zip.pth")
    (tmp_path / "raw.pth").write_bytes(pickle.dumps(RunsCode(trap), protocol=2))
    for name in ("zip.pth", "raw.pth"):
        with pytest.raises(CheckpointError, match="could run code.*mkdir"):
            read_state_dict(tmp_path / name)
    assert not trap.exists()


def test_damaged_and_foreign_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "junk.pth").write_bytes(b"hello")
    (tmp_path / "empty.pth").write_bytes(b"")
    (tmp_path / "junk.safetensors").write_bytes(b"\xff" * 20)
    torch.save({"model": {"weight": torch.zeros(1)}}, tmp_path / "nested.pth")
    torch.save({"weight": torch.zeros(1)}, tmp_path / "other.pth")
    for name, message in {
        "missing.pth": "does not exist",
        "junk.pth": "damaged or not a weights file",
        "empty.pth": "damaged or not a weights file",
        "junk.safetensors": "damaged or not a weights file",
        "nested.pth": "not a state dict",
        "other.pth": "no MattingBase or MattingRefine",
    }.items():
        with pytest.raises(CheckpointError, match=message):
            load_network(tmp_path / name)


@pytest.mark.slow
def test_a_file_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pth"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("archive/data/0", "w", force_zip64=True) as entry,
    ):
        for _ in range(1025):
            entry.write(bytes(1 << 20))
    assert path.stat().st_size < 4 << 20
    with pytest.raises(CheckpointError, match="has 1025 MiB; the limit is 1024 MiB"):
        read_state_dict(path)


def to_deeplab_names(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The layout that method.md states, from a network's own state dict."""
    renamed = {}
    for name, value in state.items():
        part, _, rest = name.partition(".")
        if part == "aspp":
            renamed[f"classifier.classifier.0.{rest}"] = value
        elif rest.startswith("features."):
            block, _, tail = rest.removeprefix("features.").partition(".")
            half = ("low", block) if int(block) < 4 else ("high", str(int(block) - 4))
            renamed[f"backbone.{half[0]}_level_features.{half[1]}.{tail}"] = value
        elif part == "backbone":
            renamed[name] = value
    return renamed


@pytest.mark.parametrize("backbone", ["mobilenetv2", "resnet50"])
def test_deeplab_initialisation(backbone: str) -> None:
    source = MattingBase(backbone).state_dict()
    first = "backbone.features.0.0.weight" if backbone == "mobilenetv2" else "backbone.conv1.weight"
    foreign = to_deeplab_names(source)
    foreign_first = {"mobilenetv2": "backbone.low_level_features.0.0.weight"}.get(backbone, first)
    foreign[foreign_first] = foreign[foreign_first][:, :3]
    foreign["classifier.classifier.3.weight"] = torch.zeros(21, 256, 1, 1)
    network = MattingBase(backbone)
    before = network.state_dict()[first].clone()
    decoder = network.decoder.conv1.weight.clone()

    loaded, skipped = initialise_from_deeplab(network, foreign)

    assert skipped == [first]
    got = network.state_dict()
    assert all(torch.equal(got[name], source[name]) for name in loaded)
    assert len(loaded) == sum(name.startswith(("backbone.", "aspp.")) for name in source) - 1
    assert torch.equal(got[first], before)
    assert torch.equal(network.decoder.conv1.weight, decoder)


def test_deeplab_weights_of_another_backbone_are_refused() -> None:
    foreign = to_deeplab_names(MattingBase("resnet50").state_dict())
    with pytest.raises(CheckpointError, match="same backbone"):
        initialise_from_deeplab(MattingBase("mobilenetv2"), foreign)
