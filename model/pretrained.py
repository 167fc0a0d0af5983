"""A network as a folder: weights in `model.safetensors`, arguments in `config.json`."""

import inspect
import json
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

from safetensors.torch import save
from torch import nn

from .loading import load_weights
from .reading import WEIGHTS, CheckpointError, read_state_dict, shown

try:
    from huggingface_hub import PyTorchModelHubMixin
except ImportError:
    _Hub: Any = type("_Hub", (), {})
else:
    _Hub = PyTorchModelHubMixin

CONFIG = "config.json"
_MAX_CONFIG = 1 << 16  # bytes


class Pretrained(_Hub, nn.Module):
    """A network that can be saved as a folder and built from one.

    If the package `huggingface_hub` is installed, the networks are also `PyTorchModelHubMixin`s:
    they have `push_to_hub`, and `from_pretrained` takes names of the Hub. Code and pickles are
    never loaded.
    """

    def arguments(self) -> dict[str, Any]:
        """The arguments that build the network with its present settings."""
        raise NotImplementedError

    def save_pretrained(self, folder: str | Path, **ignored: Any) -> None:
        """Writes the two files of the network, both or neither.

        Args:
            folder: created if missing; files of the same names are replaced.
            ignored: arguments of `push_to_hub` for a model card, which is not written.

        Raises:
            OSError: when that fails; existing files stay unchanged.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        state = {
            name: value.detach().cpu().contiguous() for name, value in self.state_dict().items()
        }
        config = {"network": type(self).__name__, **self.arguments()}
        text = json.dumps(config, indent=2) + "\n"
        _write({folder / WEIGHTS: save(state), folder / CONFIG: text.encode()})

    @classmethod
    def from_pretrained(cls, folder: str | Path, **download: Any) -> Self:
        """Builds a network from a folder.

        Args:
            folder: written by `save_pretrained`; or, with the package `huggingface_hub`, the name
                of a repository of the Hub with such files.
            download: arguments of `huggingface_hub.snapshot_download` for a repository, such as
                `revision`, `token`, `cache_dir` and `local_files_only`.

        Returns:
            The network on the CPU, in evaluation mode.

        Raises:
            CheckpointError: when the files are missing, damaged, or of another network.
            ValueError: for arguments out of range.
        """
        path = _find(folder, download)
        arguments = _read_config(path / CONFIG)
        _check_arguments(cls, arguments, path / CONFIG)
        network = cls(**arguments)
        load_weights(network, read_state_dict(path / WEIGHTS), str(path / WEIGHTS))
        return network.eval()


def _find(folder: str | Path, download: dict[str, Any]) -> Path:
    """Returns the folder, or the folder to which the Hub's repository was downloaded."""
    path = Path(folder)
    if path.is_dir():
        return path
    hint = "give a folder written by save_pretrained"
    if path.exists() or not isinstance(folder, str):
        raise CheckpointError(f"{path} is not a folder; {hint}")
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise CheckpointError(
            f"{path} is not a folder; {hint}, or install huggingface_hub to use names of the Hub"
        ) from None
    try:
        return Path(snapshot_download(folder, allow_patterns=[WEIGHTS, CONFIG], **download))
    except (OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise CheckpointError(f"{path} is not a folder, and not a repository: {reason}") from error


def _read_config(path: Path) -> dict[str, Any]:
    """Reads the arguments of a network, and its class name under `network`."""
    if not path.is_file():
        raise CheckpointError(f"{path} is missing; save_pretrained writes it beside {WEIGHTS}")
    if path.stat().st_size > _MAX_CONFIG:
        raise CheckpointError(
            f"{path} is larger than {_MAX_CONFIG} bytes, so it is not a network's config"
        )
    try:
        text = path.read_text(encoding="utf-8-sig")  # Windows' editors may begin it with a mark
        config = json.loads(text, object_pairs_hook=_take_pairs)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is not JSON of settings: {shown(error)}") from None
    if not isinstance(config, dict):
        raise CheckpointError(f"{path} must hold an object, got a {type(config).__name__}")
    return config


def _take_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON, whose keys must differ."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice} stands in it twice")
    return found


def _check_arguments(kind: type[Pretrained], config: dict[str, Any], path: Path) -> None:
    """Removes the network's name from a config; raises unless the rest are its arguments."""
    if (name := config.pop("network", None)) != kind.__name__:
        raise CheckpointError(
            f"{path}: 'network' must be {kind.__name__}, got {shown(name)}; call "
            "from_pretrained of that class"
        )
    known = dict(list(inspect.signature(kind.__init__).parameters.items())[1:])
    for key, value in config.items():
        if key not in known:
            raise CheckpointError(
                f"{path}: unknown key {shown(key)}; {kind.__name__} has {', '.join(known)}"
            )
        default = known[key].default
        wanted = str if default is inspect.Parameter.empty else type(default)
        number = wanted is float and type(value) is int
        if type(value) is not wanted and not number:
            raise CheckpointError(
                f"{path}: {key} must be of type {wanted.__name__}, got {shown(json.dumps(value))}"
            )
    for key, parameter in known.items():
        if parameter.default is inspect.Parameter.empty and key not in config:
            raise CheckpointError(f"{path}: the key {key} is missing")


def _write(files: dict[Path, bytes]) -> None:
    """Writes all files under temporary names, then renames them."""
    token = uuid4().hex
    partials = {path: path.with_name(f".{path.name}.{token}") for path in files}
    try:
        for path, content in files.items():
            with partials[path].open("xb") as file:
                file.write(content)
        for path, partial in partials.items():
            partial.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        for partial in partials.values():
            partial.unlink(missing_ok=True)
