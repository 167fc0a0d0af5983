"""A network as a folder: the same again, and what is refused."""

import errno
import json
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import pytest
import torch
from huggingface_hub import PyTorchModelHubMixin

from matting import Matting
from matting.settings import DEFAULT_CHECKPOINT
from model import MattingBase, MattingRefine
from model.pretrained import CONFIG, WEIGHTS
from model.reading import read_state_dict
from model.weights import CheckpointError, load_network

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "new" / "network"
    network = load_network(DEFAULT_CHECKPOINT)
    network.backbone_scale, network.corrects_alpha = 0.5, True
    network.refiner.mode = "full"
    network.save_pretrained(folder)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy whose files a test may change."""
    for path in saved.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def change(folder: Path, **values: object) -> None:
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(config | values))


def test_gives_the_same_network_again(saved: Path) -> None:
    assert sorted(path.name for path in saved.iterdir()) == [CONFIG, WEIGHTS]
    network = MattingRefine.from_pretrained(saved)
    assert isinstance(network, PyTorchModelHubMixin)
    assert not network.training
    assert (network.backbone_scale, network.refiner.mode, network.corrects_alpha) == (
        0.5,
        "full",
        True,
    )
    shipped = load_network(DEFAULT_CHECKPOINT).state_dict()
    for name, value in network.state_dict().items():
        assert torch.equal(value, shipped[name]), name


@pytest.mark.parametrize("backbone", ["mobilenetv2", "resnet50"])
def test_saves_coarse_networks_and_replaces_what_is_there(tmp_path: Path, backbone: str) -> None:
    MattingBase("mobilenetv2").save_pretrained(tmp_path)
    network = MattingBase(backbone).eval()
    network.save_pretrained(tmp_path)
    src, bgr = torch.rand(2, 1, 3, 32, 32)
    again = MattingBase.from_pretrained(str(tmp_path))
    assert torch.equal(network(src, bgr).pha, again(src, bgr).pha)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"backbone": "vgg"}, "backbone must be one of"),
        ({"backbone": 3}, "backbone must be of type str, got 3"),
        ({"backbone_scale": 0}, "above 0"),
        ({"backbone_scale": "0.5"}, 'backbone_scale must be of type float, got "0.5"'),
        ({"backbone_scale": float("nan")}, "above 0"),
        ({"corrects_alpha": 1}, "corrects_alpha must be of type bool, got 1"),
        ({"refine_sample_pixels": True}, "refine_sample_pixels must be of type int, got true"),
        ({"refine_kernel_size": 1}, "does not fit the network"),
        ({"refine_moed": "full"}, "unknown key refine_moed"),
        ({"network": "MattingBase"}, "must be MattingRefine, got MattingBase"),
        ({"network": ["a"]}, "must be MattingRefine"),
    ],
)
def test_refuses_arguments_that_are_not_the_networks(
    folder: Path, values: dict, message: str
) -> None:
    change(folder, **values)
    with pytest.raises(ValueError, match=message):
        MattingRefine.from_pretrained(folder)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (CONFIG, None, "config.json is missing"),
        (WEIGHTS, None, WEIGHTS),
        (CONFIG, b"{", "is not JSON"),
        (CONFIG, b"\xff\xfe", "is not JSON"),
        (CONFIG, b"[" * 20_000, "is not JSON"),
        (CONFIG, b'{"backbone": "resnet50", "backbone": "mobilenetv2"}', "key backbone .* twice"),
        (CONFIG, b"[]", "must hold an object, got a list"),
        (CONFIG, b" " * 70_000, "larger than"),
        (CONFIG, b'{"network": "MattingRefine"}', "the key backbone is missing"),
        (WEIGHTS, b"\x80\x02cos\nsystem\n", WEIGHTS),
    ],
)
def test_refuses_files_that_are_not_those_of_a_network(
    folder: Path, name: str, content: bytes | None, message: str
) -> None:
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        MattingRefine.from_pretrained(folder)


def test_a_config_may_begin_as_windows_writes_it(folder: Path) -> None:
    (folder / CONFIG).write_bytes(b"\xef\xbb\xbf" + (folder / CONFIG).read_bytes())
    assert MattingRefine.from_pretrained(folder).backbone_scale == 0.5


def test_a_failed_save_leaves_what_was_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    opened, network = Path.open, MattingBase("mobilenetv2")

    class Full:
        """A disk that is full after the weights."""

        def __enter__(self) -> "Full":
            return self

        def __exit__(self, *error: object) -> None: ...

        def write(self, content: bytes) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    def open_some(path: Path, *args: str) -> object:
        return Full() if CONFIG in path.name else opened(path, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", open_some)
        with pytest.raises(OSError, match="No space left") as caught:
            network.save_pretrained(folder)
    assert caught.value.filename == str(folder / CONFIG)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_name_that_is_nowhere_is_an_error_of_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def download(name: str, **flags: object) -> str:
        raise FileNotFoundError("404\nmany more lines")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(
        CheckpointError, match="^my-netwrok is not a folder, and not a repository: 404$"
    ):
        MattingRefine.from_pretrained("my-netwrok")


def test_a_name_is_looked_for_on_the_hub(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}

    def download(name: str, **flags: object) -> str:
        asked.update(flags, name=name)
        return str(saved)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert MattingRefine.from_pretrained("someone/matting", revision="v1").backbone_scale == 0.5
    assert asked == {
        "name": "someone/matting",
        "revision": "v1",
        "allow_patterns": [WEIGHTS, CONFIG],
    }


@pytest.mark.slow
def test_a_folder_is_all_that_is_taken_without_the_package(saved: Path) -> None:
    program = f"""
import sys
sys.modules["huggingface_hub"] = None
from model import MattingRefine
print(MattingRefine.from_pretrained({str(saved)!r}).backbone_scale)
try:
    MattingRefine.from_pretrained("someone/matting")
except ValueError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    scale, message = done.stdout.splitlines()
    assert scale == "0.5"
    assert "someone/matting is not a folder" in message
    assert "install huggingface_hub" in message


def test_the_programs_take_a_folder_as_well(saved: Path, tmp_path: Path) -> None:
    assert Matting.load(saved, device="cpu").predictor is not None
    assert read_state_dict(saved).keys() == read_state_dict(saved / WEIGHTS).keys()
    with pytest.raises(CheckpointError, match="is a folder without model.safetensors"):
        Matting.load(tmp_path)
