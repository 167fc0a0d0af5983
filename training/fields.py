"""Checks of a checkpoint's fields, which come from an untrusted file."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.optim import Adam

from model.reading import is_plain, shown
from runtime.plain_yaml import MAX_INTEGER, parse_yaml


def is_count(value: object) -> bool:
    """Whether a value is an integer from 0 that fits all computations."""
    return type(value) is int and 0 <= value <= MAX_INTEGER


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < math.inf


def _is_settings(value: object) -> bool:
    try:
        return isinstance(value, str) and isinstance(parse_yaml(value, ""), dict)
    except ValueError:
        return False


def _are_generators(value: object) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(
            isinstance(states, dict) and "cpu" in states and all(map(is_plain, states.values()))
            for states in value
        )
    )


# For each field of a checkpoint, a description of valid values, and the check.
_COUNT = ("an integer of 0 or more", is_count)
_TEXT = ("a text", lambda value: isinstance(value, str))
_FIELDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    **{"epoch": _COUNT, "batch": _COUNT, "step": _COUNT, "name": _TEXT, "revision": _TEXT},
    "optimiser": ("a state of Adam", lambda value: isinstance(value, dict)),
    "scaler": (
        "numbers by name",
        lambda value: isinstance(value, dict) and all(map(_is_number, value.values())),
    ),
    "best": ("a number or None", lambda value: value is None or _is_number(value)),
    "random": ("a list of generators' states", _are_generators),
    "settings": ("settings as YAML", _is_settings),
}


def check_fields(fields: Mapping[str, Any]) -> None:
    """Raises ValueError with the name of the first invalid field."""
    for name, (wanted, is_right) in _FIELDS.items():
        value = fields[name]
        if not is_right(value):
            got = repr(value) if isinstance(value, (str, int, float)) else type(value).__name__
            raise ValueError(f"{name} must be {wanted}, got {shown(got)}")


def fit_optimiser(found: dict[str, Any], optimiser: Adam) -> dict[str, Any]:
    """Checks the moments in a state dict, and puts them into an optimiser's groups.

    Returns the optimiser's state dict. Raises ValueError, TypeError, AttributeError or LookupError
    if they do not fit.
    """
    own = optimiser.state_dict()
    names, wanted = ([g["name"] for g in groups["param_groups"]] for groups in (found, own))
    if names != wanted:
        raise ValueError(f"it has the parts {', '.join(map(str, names))}, not {', '.join(wanted)}")
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    for number, moments in found["state"].items():
        shapes = {"exp_avg": parameters[number].shape, "exp_avg_sq": parameters[number].shape}
        for name, shape in {"step": torch.Size(), **shapes}.items():
            value = moments[name]
            if not is_plain(value) or value.shape != shape or not value.isfinite().all():
                raise ValueError(f"{name} of parameter {number} has another shape or is not finite")
            if name != "exp_avg" and (value < 0).any():
                raise ValueError(f"{name} of parameter {number} is negative")
    return own | {"state": found["state"]}
