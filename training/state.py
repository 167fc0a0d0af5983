"""The state of a run: where it begins, what a checkpoint keeps of it, and how it comes back."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from torch.amp import GradScaler
from torch.optim import Adam

from model import MattingBase, MattingRefine
from model.weights import (
    CheckpointError,
    identify,
    initialise_from_deeplab,
    load_weights,
    read_state_dict,
)
from runtime.device import Precision
from runtime.settings import to_yaml

from .checkpoint import Checkpoint, find_revision, load_checkpoint, newest_checkpoint
from .initialise import prepare_random_refiner, prepare_random_weights
from .optimiser import make_optimiser
from .processes import Processes
from .settings import BaseModelSettings, BaseSettings, RefineSettings

Settings = BaseSettings | RefineSettings


@dataclass
class State:
    """What changes while a run goes on.

    Attributes:
        network: in training.
        optimiser: of its parameters.
        scaler: of gradients; does nothing unless the precision is float16.
        epoch: the epoch that is being trained, from 0.
        batch: the next batch in it, from 0.
        step: optimiser steps done.
        best: lowest validation error so far, or None.
    """

    network: MattingBase
    optimiser: Adam
    scaler: GradScaler
    epoch: int
    batch: int = 0
    step: int = 0
    best: float | None = None

    def to_checkpoint(self, settings: Settings, processes: Processes) -> Checkpoint:
        """Takes a picture of the state; every process must call it."""
        return Checkpoint(
            network=self.network.state_dict(),
            optimiser=self.optimiser.state_dict(),
            scaler=self.scaler.state_dict(),
            name=settings.model.name,
            epoch=self.epoch,
            batch=self.batch,
            step=self.step,
            best=self.best,
            random=processes.gather(_random_state(processes.device)),
            settings=to_yaml(settings),
            revision=find_revision(),
        )


def begin(
    network: MattingBase, settings: Settings, processes: Processes, precision: Precision
) -> tuple[State, list[str]]:
    """Makes the state of a run that begins, or goes on.

    Args:
        network: as built; weights are loaded into it.
        settings: of the run.
        processes: of the run.
        precision: of the convolutions; float16 needs the gradients scaled.

    Returns:
        The state, and what was done, in words.

    Raises:
        CheckpointError: when a file does not fit, or a new run would mix its checkpoints with an
            earlier one's.
    """
    model = settings.model
    folder = settings.run.checkpoint_dir / model.name
    newest = newest_checkpoint(folder)
    path: Path | None = Path(model.last_checkpoint) if model.last_checkpoint else None
    if model.last_checkpoint == "auto":
        path = newest
    checkpoint = load_checkpoint(path) if path else None
    resumed = checkpoint is not None and checkpoint.name == model.name
    if newest and not resumed:
        raise CheckpointError(
            f"{folder} holds checkpoints of an earlier run, the newest {newest.name}. Go on with "
            "--model-last-checkpoint auto, or choose another --model-name"
        )
    notes = [] if resumed else _initialise(network, model, path)
    if resumed and checkpoint:
        load_weights(network, checkpoint.network, f"checkpoint {path}")
    network.to(processes.device)
    state = State(
        network,
        make_optimiser(network, settings.learning_rates),
        GradScaler(processes.device.type, enabled=precision == "float16"),
        settings.run.epoch_start,
    )
    if resumed and checkpoint:
        notes = [f"going on from {path}: epoch {checkpoint.epoch}, step {checkpoint.step}"]
        notes += _restore(state, checkpoint, settings, processes)
    return state, notes


def _initialise(network: MattingBase, model: BaseModelSettings, path: Path | None) -> list[str]:
    source = path or model.initial_checkpoint
    if source:
        weights = read_state_dict(source)
        found = identify(weights)
        own = network.state_dict()
        new = [key for key in own if key.startswith("refiner.")]
        if found.type == "mattingbase" and isinstance(network, MattingRefine):
            prepare_random_refiner(network.refiner)  # changes what `own` refers to
            weights = {**{key: own[key] for key in new}, **weights}
            added = "; its refiner is new, with random weights"
        else:
            new, added = [], ""
            if found.type == "mattingrefine" and not any(k.startswith("refiner.") for k in own):
                weights = {k: v for k, v in weights.items() if not k.startswith("refiner.")}
                added = "; its refiner is left out"
        load_weights(network, weights, f"checkpoint {source} (a {found})")
        return [f"weights of {source} (a {found}){added}; optimiser and step are new"]
    if model.pretrain_initialization:
        weights = read_state_dict(model.pretrain_initialization)
        loaded, left = initialise_from_deeplab(network, weights)
        return [
            f"encoder and ASPP from {model.pretrain_initialization}: {len(loaded)} tensors; new: "
            f"{', '.join(left) or 'none'}, and the rest of the network"
        ]
    prepare_random_weights(network)
    return ["random weights"]


def _restore(
    state: State, checkpoint: Checkpoint, settings: Settings, processes: Processes
) -> list[str]:
    rates = {group["name"]: group["full_lr"] for group in state.optimiser.param_groups}
    try:
        state.optimiser.load_state_dict(checkpoint.optimiser)
        if checkpoint.scaler and state.scaler.is_enabled():  # else the precision has changed
            state.scaler.load_state_dict(checkpoint.scaler)
    except (ValueError, KeyError, RuntimeError) as error:
        raise CheckpointError(
            f"the checkpoint's optimiser does not fit the run: {error}. Another part may have been "
            "frozen by a learning rate of 0; to begin anew from its weights choose another "
            "--model-name"
        ) from error
    for group in state.optimiser.param_groups:
        group["full_lr"] = rates[group["name"]]  # those of the settings, which may have changed
    flat = flatten(yaml.safe_load(checkpoint.settings))
    before = int(flat.get("run.batch_size", settings.run.batch_size)) * len(checkpoint.random)
    # As many samples of the epoch are done, whatever the size of a step.
    state.batch = checkpoint.batch * before // (settings.run.batch_size * processes.world_size)
    state.epoch = checkpoint.epoch
    state.step, state.best = checkpoint.step, checkpoint.best
    notes = [
        f"changed since: {name} {old!r} -> {new!r}"
        for name, old, new in _changes(checkpoint.settings, to_yaml(settings))
    ]
    if len(checkpoint.random) == processes.world_size:
        _set_random_state(checkpoint.random[processes.rank], processes.device)
    else:
        notes.append(
            f"{len(checkpoint.random)} processes before, {processes.world_size} now: dropout is "
            "seeded anew, and the order of samples changes"
        )
    return notes


def _changes(before: str, after: str) -> list[tuple[str, Any, Any]]:
    old, new = (flatten(yaml.safe_load(text)) for text in (before, after))
    return [
        (name, old.get(name), new.get(name))
        for name in sorted(old | new)
        if old.get(name) != new.get(name) and not name.startswith("log.")
    ]


def flatten(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Turns nested dicts into one, whose names are joined by dots."""
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _random_state(device: torch.device) -> dict[str, torch.Tensor]:
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def _set_random_state(states: Mapping[str, torch.Tensor], device: torch.device) -> None:
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)
