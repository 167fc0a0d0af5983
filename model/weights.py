"""Builds the network that a weights file belongs to."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from .loading import check_values, listed, load_weights
from .matting import Backbone, MattingBase, MattingRefine
from .reading import CheckpointError, read_state_dict

NetworkType = Literal["mattingbase", "mattingrefine"]

_TRIED = 64  # side in pixels of the picture on which weights are tested


@dataclass(frozen=True)
class Architecture:
    """The architecture of a state dict; `refine_kernel_size` is None for `mattingbase`."""

    type: NetworkType
    backbone: Backbone
    refine_kernel_size: int | None

    def build(self) -> MattingBase | MattingRefine:
        """Builds the network with random weights in training mode; ValueError for unknown types."""
        if self.type == "mattingbase":
            return MattingBase(self.backbone)
        if self.type == "mattingrefine":
            return MattingRefine(self.backbone, refine_kernel_size=self.refine_kernel_size or 3)
        raise ValueError(f"network type must be mattingbase or mattingrefine, got {self.type!r}")

    def __str__(self) -> str:
        kernel = f" and kernel size {self.refine_kernel_size}" if self.refine_kernel_size else ""
        return f"{self.type} with {self.backbone}{kernel}"


def identify(state: dict[str, Tensor], name: str = "the checkpoint") -> Architecture:
    """Finds the architecture by the tensor names and shapes of a state dict.

    Args:
        state: tensors by name.
        name: name of the state dict in error messages.

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
            f"no MattingBase or MattingRefine was found in {name}: expected names such as "
            "backbone.features.0.0.weight or backbone.layer1.0.conv1.weight, got "
            f"{listed(list(state))}. Use a checkpoint of this method's PyTorch release or of "
            "this project"
        )
    kernel = state.get("refiner.conv1.weight")
    if kernel is None:
        return Architecture("mattingbase", backbone, None)
    if kernel.ndim != 4 or kernel.shape[-1] not in (1, 3):
        raise CheckpointError(
            f"{name}: refiner.conv1.weight must have a kernel of 1 or 3 pixels, got the shape "
            f"{tuple(kernel.shape)}"
        )
    return Architecture("mattingrefine", backbone, kernel.shape[-1])


def load_network(
    path: Path | str,
    *,
    type: NetworkType | None = None,
    backbone: Backbone | None = None,
    refine_kernel_size: int | None = None,
) -> MattingBase | MattingRefine:
    """Builds the network of a checkpoint; the file determines the architecture.

    `type`, `backbone` and `refine_kernel_size` only state what the file must hold. One exception:
    for the type `mattingbase`, a MattingRefine file is accepted and its refiner ignored.

    Args:
        path: see `read_state_dict`.
        type: the expected network type, or None for any.
        backbone: the expected backbone, or None for any.
        refine_kernel_size: the refiner's expected kernel size, or None for any.

    Returns:
        The network on the CPU, in evaluation mode.

    Raises:
        CheckpointError: when the file can't be used or holds another network.
    """
    state = read_state_dict(path)
    found = identify(state, f"checkpoint {path}")
    kernel_size = refine_kernel_size or found.refine_kernel_size
    network = Architecture(type or found.type, backbone or found.backbone, kernel_size).build()
    if not isinstance(network, MattingRefine):
        state = {key: value for key, value in state.items() if not key.startswith("refiner.")}
    load_weights(network, state, f"checkpoint {path} (a {found})")
    return network.eval()


def initialise_from_deeplab(
    network: MattingBase, state: dict[str, Tensor]
) -> tuple[list[str], list[str]]:
    """Initialises encoder and ASPP from DeepLabV3 weights; other tensors keep their values.

    In DeepLabV3, ASPP names begin with `classifier.classifier.0`, and MobileNetV2 features are
    split into `low_level_features` (blocks 0 to 3) and `high_level_features` (from 4 on). The first
    convolution has 3 input channels there and 6 here, so it is always skipped.

    Args:
        network: the network to initialise.
        state: DeepLabV3 tensors by name.

    Returns:
        Names of the network's tensors that were loaded, and of its encoder and ASPP tensors that
        were not.

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
            f"no tensor of the DeepLabV3 weights fits the encoder; expected names and shapes such "
            f"as {listed(wanted)}, got {listed(list(renamed))}. Use DeepLabV3 weights of the same "
            "backbone"
        )
    check_values({key: (renamed[key], own[key].dtype) for key in loaded}, "the DeepLabV3 weights")
    network.load_state_dict({key: renamed[key] for key in loaded}, strict=False)
    return loaded, [key for key in wanted if key not in loaded]


def _from_deeplab_name(key: str) -> str:
    key = key.replace("classifier.classifier.0", "aspp")
    prefix, _, rest = key.rpartition("_level_features.")
    if prefix in ("backbone.low", "backbone.high"):
        return f"backbone.features.{_deeplab_block(prefix, rest)}"
    return key


def _deeplab_block(prefix: str, rest: str) -> str:
    block, _, tail = rest.partition(".")
    later = prefix == "backbone.high" and block.isdecimal()
    return f"{int(block) + 4 if later else block}.{tail}"


@torch.inference_mode()
def find_overflow(network: MattingBase, device: torch.device) -> str | None:
    """Finds the first layer whose output has infinity or NaN, on a small test picture.

    The network's output does not show this: after clamping it can look like an opaque matte.

    Args:
        network: on the device, in evaluation mode.
        device: where to compute, in the precision of the caller's `torch.autocast`.

    Returns:
        The layer's name, or None.
    """
    broken: list[str] = []

    def check(name: str, layer: nn.Module, inputs: object, output: Tensor) -> None:
        if not broken and not bool(output.isfinite().all()):
            broken.append(name)

    layers = [(name, x) for name, x in network.named_modules() if not list(x.children())]
    hooks = [layer.register_forward_hook(partial(check, name)) for name, layer in layers]
    picture = torch.linspace(0, 1, 3 * _TRIED**2, device=device).view(1, 3, _TRIED, _TRIED)
    try:
        network(picture, picture.flip(2))
    finally:
        for hook in hooks:
            hook.remove()
    return broken[0] if broken else None
