"""Loading weights into a network, once they are known to be of use."""

import torch
from torch import Tensor, nn

from .reading import CheckpointError, shown

# How many tensor names an error lists before it only counts.
MAX_NAMES = 8


def load_weights(network: nn.Module, state: dict[str, Tensor], name: str) -> None:
    """Loads a state dict of exactly the network's names and shapes, converting to its types.

    Args:
        network: any module.
        state: tensors by name.
        name: what to call the state dict in an error.

    Raises:
        CheckpointError: when names are missing or unexpected, shapes differ, or a value is of no
            use, see `check_values`. The network is then unchanged.
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
        found = "; ".join(f"{what}: {listed(names)}" for what, names in parts.items() if names)
        raise CheckpointError(
            f"{name} does not fit the network {type(network).__name__}. {found}. Use the "
            "checkpoint of that network, or leave out --model-type, --model-backbone and "
            "--model-refine-kernel-size: they are read from the file"
        )
    check_values({key: (state[key], own[key].dtype) for key in own}, name)
    network.load_state_dict(state)


def check_values(tensors: dict[str, tuple[Tensor, torch.dtype]], name: str) -> None:
    """Refuses values that no network can compute with, once they are of the type wanted.

    Args:
        tensors: a tensor and the type that it is converted to, by name.
        name: what to call them in an error.

    Raises:
        CheckpointError: for values that are not finite, integers where fractions are wanted, and
            negative variances.
    """
    problems = {
        "whole numbers instead of weights in": [
            key
            for key, (value, dtype) in tensors.items()
            if dtype.is_floating_point > value.is_floating_point()
        ],
        "values that are not finite in": [
            key for key, (value, dtype) in tensors.items() if not value.to(dtype).isfinite().all()
        ],
        "negative variances in": [
            key
            for key, (value, _) in tensors.items()
            if key.endswith("running_var") and (value < 0).any()
        ],
    }
    for what, keys in problems.items():
        if keys:
            raise CheckpointError(
                f"{name} holds {what} {listed(keys)}; it comes from a training that failed, or is "
                "damaged. Take an earlier checkpoint"
            )


def listed(names: list[str]) -> str:
    """The first of many names of tensors, for an error."""
    text = ", ".join(shown(name) for name in names[:MAX_NAMES])
    return text + (f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else "")
