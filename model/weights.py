"""Reading, checking and loading weights. Every file is treated as untrusted."""

import pickle
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeGuard

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from .matting import Backbone, MattingBase, MattingRefine

NetworkType = Literal["mattingbase", "mattingrefine"]

# The largest published checkpoint is 0.25 GB; more than this is not a matting network.
MAX_BYTES = 1 << 30
# How many tensor names an error lists before it only counts.
MAX_NAMES = 8


class CheckpointError(ValueError):
    """A weights file that can't be used; the message says why and what to do."""


@dataclass(frozen=True)
class Architecture:
    """What a state dict tells about its network; `mattingbase` has no refiner's kernel size."""

    type: NetworkType
    backbone: Backbone
    refine_kernel_size: int | None

    def build(self) -> MattingBase | MattingRefine:
        """Builds the network with random weights, in training mode; ValueError for what is none."""
        if self.type == "mattingbase":
            return MattingBase(self.backbone)
        if self.type == "mattingrefine":
            return MattingRefine(self.backbone, refine_kernel_size=self.refine_kernel_size or 3)
        raise ValueError(f"network type must be mattingbase or mattingrefine, got {self.type!r}")

    def __str__(self) -> str:
        kernel = f" and kernel size {self.refine_kernel_size}" if self.refine_kernel_size else ""
        return f"{self.type} with {self.backbone}{kernel}"


def read_state_dict(path: Path | str) -> dict[str, Tensor]:
    """Reads tensors by name onto the CPU, without running anything that the file contains.

    Args:
        path: a `.safetensors` file, or a PyTorch file (`.pth`, `.pt`) that holds a state dict or
            a checkpoint of this project's training, of which the network is taken.

    Returns:
        Tensors by name.

    Raises:
        CheckpointError: when the file is missing, too large, damaged, holds code or is not a
            state dict.
    """
    state = _read_file(Path(path))
    if _is_training_state(state):
        state = state["network"]
    if not isinstance(state, dict) or not state or not all(_is_entry(*i) for i in state.items()):
        raise CheckpointError(
            f"checkpoint {path} is not a state dict (names mapped to tensors); save "
            "model.state_dict() and nothing else"
        )
    return state


def read_training_state(path: Path | str) -> dict[str, Any] | None:
    """Reads a checkpoint of this project's training, without running anything in it.

    Returns:
        Tensors, numbers, strings, lists and dicts by name; None if the file holds weights alone.

    Raises:
        CheckpointError: as `read_state_dict`.
    """
    state = _read_file(Path(path))
    return state if _is_training_state(state) else None


def _is_training_state(state: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(state, dict) and isinstance(state.get("network"), dict) and "format" in state


def _read_file(path: Path) -> object:
    if not path.is_file():
        raise CheckpointError(f"checkpoint {path} does not exist or is not a file")
    _check_size(path, path.stat().st_size)
    try:
        return load_file(path) if path.suffix == ".safetensors" else _read_torch_file(path)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"checkpoint {path} is refused: it holds Python objects other than tensors, which "
            f"could run code when opened. Save the state dict alone "
            "(torch.save(model.state_dict(), ...)) or convert it to safetensors. "
            f"({_refused_global(error)})"
        ) from error
    except (SafetensorError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(
            f"checkpoint {path} can't be read; it is damaged or not a weights file. "
            f"({_first(error)})"
        ) from error


def identify(state: dict[str, Tensor]) -> Architecture:
    """Reads the architecture off the published names and the shapes of a state dict.

    Raises:
        CheckpointError: when the names are not those of a matting network.
    """
    backbone: Backbone
    if "backbone.features.0.0.weight" in state:
        backbone = "mobilenetv2"
    elif "backbone.layer3.22.conv1.weight" in state:
        backbone = "resnet101"
    elif "backbone.layer3.5.conv1.weight" in state:
        backbone = "resnet50"
    else:
        raise CheckpointError(
            "no MattingBase or MattingRefine was found in the checkpoint: expected names such as "
            "backbone.features.0.0.weight or backbone.layer1.0.conv1.weight, got "
            f"{_listed(list(state))}. Use a checkpoint of this method's PyTorch release or of "
            "this project"
        )
    kernel = state.get("refiner.conv1.weight")
    if kernel is None:
        return Architecture("mattingbase", backbone, None)
    return Architecture("mattingrefine", backbone, kernel.shape[-1])


def load_weights(network: nn.Module, state: dict[str, Tensor], name: str) -> None:
    """Loads a state dict of exactly the network's names and shapes, converting to its types.

    Args:
        network: any module.
        state: tensors by name.
        name: what to call the state dict in an error.

    Raises:
        CheckpointError: when names are missing or unexpected, shapes differ, or a value is not
            finite. The network is then unchanged.
    """
    own = network.state_dict()
    missing = [key for key in own if key not in state]
    unexpected = [key for key in state if key not in own]
    reshaped = [
        f"{key} {tuple(state[key].shape)} instead of {tuple(own[key].shape)}"
        for key in own
        if key in state and own[key].shape != state[key].shape
    ]
    if missing or unexpected or reshaped:
        parts = {"missing": missing, "unexpected": unexpected, "of another shape": reshaped}
        found = "; ".join(f"{what}: {_listed(names)}" for what, names in parts.items() if names)
        raise CheckpointError(
            f"{name} does not fit the network {type(network).__name__}. {found}. Use the "
            "checkpoint of that network, or leave out --model-type, --model-backbone and "
            "--model-refine-kernel-size: they are read from the file"
        )
    broken = [key for key, value in state.items() if not value.isfinite().all()]
    if broken:
        raise CheckpointError(f"{name} holds values that are not finite in {_listed(broken)}")
    network.load_state_dict(state)


def load_network(
    path: Path | str,
    *,
    type: NetworkType | None = None,
    backbone: Backbone | None = None,
    refine_kernel_size: int | None = None,
) -> MattingBase | MattingRefine:
    """Rebuilds the network of a checkpoint; what it is made of is read from the file.

    The other arguments only state what the file is expected to hold. One exception: a
    MattingRefine file also serves the type `mattingbase`, without its refiner.

    Args:
        path: see `read_state_dict`.
        type: the network type wanted, or None for the file's.
        backbone: the backbone wanted, or None for the file's.
        refine_kernel_size: the refiner's kernel size wanted, or None for the file's.

    Returns:
        The network on the CPU, in evaluation mode.

    Raises:
        CheckpointError: when the file can't be used or is of another network.
    """
    state = read_state_dict(path)
    found = identify(state)
    kernel_size = refine_kernel_size or found.refine_kernel_size
    network = Architecture(type or found.type, backbone or found.backbone, kernel_size).build()
    if not isinstance(network, MattingRefine):
        state = {key: value for key, value in state.items() if not key.startswith("refiner.")}
    load_weights(network, state, f"checkpoint {path} (a {found})")
    return network.eval()


def initialise_from_deeplab(
    network: MattingBase, state: dict[str, Tensor]
) -> tuple[list[str], list[str]]:
    """Initialises encoder and ASPP from DeepLabV3 weights; what does not fit keeps its values.

    The source's ASPP names begin `classifier.classifier.0`; its MobileNetV2 features are split in
    `low_level_features` (blocks 0 to 3) and `high_level_features` (from 4 on). The first
    convolution takes 3 channels there and 6 here, so it is always skipped.

    Args:
        network: the network to initialise.
        state: DeepLabV3 tensors by name.

    Returns:
        The network's names that were loaded, and its encoder and ASPP names that were not.

    Raises:
        CheckpointError: when none of the encoder's tensors fits.

    Source: the paper, training; names of the DeepLabV3Plus-Pytorch checkpoints.
    """
    renamed = {_from_deeplab_name(key): value for key, value in state.items()}
    own = network.state_dict()
    wanted = [key for key in own if key.startswith(("backbone.", "aspp."))]
    loaded = [key for key in wanted if key in renamed and renamed[key].shape == own[key].shape]
    if not any(key.startswith("backbone.") for key in loaded):
        raise CheckpointError(
            f"no tensor of the DeepLabV3 weights fits the encoder; wanted names and shapes like "
            f"{_listed(wanted)}, got {_listed(list(renamed))}. Use DeepLabV3 weights of the same "
            "backbone"
        )
    network.load_state_dict({key: renamed[key] for key in loaded}, strict=False)
    return loaded, [key for key in wanted if key not in loaded]


def _read_torch_file(path: Path) -> object:
    if zipfile.is_zipfile(path):
        # A compressed entry could unpack to far more than the file's size.
        with zipfile.ZipFile(path) as archive:
            _check_size(path, sum(entry.file_size for entry in archive.infolist()))
    return torch.load(path, map_location="cpu", weights_only=True)


def _check_size(path: Path, size: int) -> None:
    if size > MAX_BYTES:
        raise CheckpointError(
            f"checkpoint {path} holds {size / 2**20:.0f} MiB; at most {MAX_BYTES >> 20} MiB is read"
        )


def _is_entry(key: object, value: object) -> bool:
    return isinstance(key, str) and isinstance(value, Tensor)


def _from_deeplab_name(key: str) -> str:
    key = key.replace("classifier.classifier.0", "aspp")
    prefix, _, rest = key.rpartition("_level_features.")
    if prefix in ("backbone.low", "backbone.high"):
        return f"backbone.features.{_deeplab_block(prefix, rest)}"
    return key


def _deeplab_block(prefix: str, rest: str) -> str:
    block, _, tail = rest.partition(".")
    return f"{int(block) + (4 if prefix == 'backbone.high' else 0)}.{tail}"


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:MAX_NAMES])
    return shown + (f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else "")


def _first(error: Exception) -> str:
    return str(error).strip().split("\n")[0] or type(error).__name__


def _refused_global(error: pickle.UnpicklingError) -> str:
    # PyTorch's own message goes on to advise loading the file unsafely.
    found = re.search(r"GLOBAL (\S+)", str(error))
    return f"found {found.group(1)}" if found else "not a plain state dict"
