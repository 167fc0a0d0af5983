"""Checks weights and loads them into a network."""

import torch
from torch import Tensor, nn

from .reading import CheckpointError, shown

# An error lists this many tensor names and counts the others.
MAX_NAMES = 8


def load_weights(network: nn.Module, state: dict[str, Tensor], name: str) -> None:
    """Loads a state dict of exactly the network's names and shapes, converting to its types.

    Args:
        network: any module.
        state: tensors by name.
        name: name of the state dict in error messages.

    Raises:
        CheckpointError: when names are missing or unexpected, shapes differ, or `check_values`
            refuses a value. The network is then unchanged.
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
        parts = {"missing": missing, "unexpected": unexpected, "of wrong shape": reshaped}
        found = "; ".join(f"{what}: {listed(names)}" for what, names in parts.items() if names)
        raise CheckpointError(
            f"{name} does not fit the network {type(network).__name__}. {found}. Use the "
            "checkpoint of that network, or leave out --model-type, --model-backbone and "
            "--model-refine-kernel-size: they are read from the file"
        )
    check_values({key: (state[key], own[key].dtype) for key in own}, name)
    network.load_state_dict(state)


def check_values(tensors: dict[str, tuple[Tensor, torch.dtype]], name: str) -> None:
    """Refuses values that no network can compute with, checked after conversion to the wanted type.

    Args:
        tensors: a tensor and the type that it is converted to, by name.
        name: their name in error messages.

    Raises:
        CheckpointError: for values that are not finite, integers instead of floats, and negative
            variances.
    """
    problems = {
        "integers instead of weights in": [
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
                f"{name} holds {what} {listed(keys)}; its training failed, or the file is damaged. "
                "Use an earlier checkpoint"
            )


def listed(names: list[str]) -> str:
    """Lists the first names of tensors and counts the others, for an error message."""
    text = ", ".join(shown(name) for name in names[:MAX_NAMES])
    return text + (f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else "")
