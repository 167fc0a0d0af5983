"""Checkpoints: the state of a run, and its files."""

import os
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch.amp import GradScaler
from torch.optim import Adam

from model import MattingBase
from model.reading import CheckpointError, read_training_state, shown
from runtime.files import SHIPPED
from runtime.plain_yaml import parse_yaml, write_yaml
from runtime.settings import to_yaml
from runtime.version import VERSION
from storage.errors import StorageError
from storage.files import fetched, list_names, remove, stored
from storage.location import Location

from .fields import check_fields, fit_optimiser, is_count
from .processes import Processes
from .settings import Settings

T = TypeVar("T")

BEST = "best.pth"
_NUMBERED = re.compile(r"epoch-(\d+)-step-(\d+)\.pth")


@dataclass
class State:
    """The state that changes during a run; see `Checkpoint` for its counters."""

    network: MattingBase
    optimiser: Adam
    scaler: GradScaler  # of gradients; disabled unless the precision is float16
    epoch: int
    batch: int = 0
    step: int = 0
    best: float | None = None


@dataclass(frozen=True)
class Checkpoint:
    """State of a run between two steps: state dicts and position.

    The next batch is `batch` of `epoch`, both from 0; `step` counts the steps since the run began.
    """

    network: dict[str, torch.Tensor]
    optimiser: dict[str, Any]
    scaler: dict[str, Any]  # empty if disabled
    name: str  # of the run
    epoch: int
    batch: int
    step: int
    best: float | None  # lowest validation error so far
    random: list[dict[str, torch.Tensor]]  # PyTorch's generators by device, for each process
    settings: str  # as YAML, without absolute paths
    revision: str  # of the program, see `find_revision`


def take_checkpoint(state: State, settings: Settings, processes: Processes) -> Checkpoint:
    """Makes a checkpoint of a state; every process must call it."""
    random = {"cpu": torch.get_rng_state()}
    if processes.device.type == "cuda":
        random["cuda"] = torch.cuda.get_rng_state(processes.device)
    return Checkpoint(
        network=state.network.state_dict(),
        optimiser=state.optimiser.state_dict(),
        scaler=state.scaler.state_dict(),
        name=settings.model.name,
        epoch=state.epoch,
        batch=state.batch,
        step=state.step,
        best=state.best,
        random=processes.gather(random),
        settings=write_yaml(describe(settings)),
        revision=find_revision(),
    )


def restore(
    state: State, checkpoint: Checkpoint, settings: Settings, processes: Processes
) -> list[str]:
    """Restores a state and PyTorch's generators from a checkpoint, except the weights.

    Returns a description of settings that changed since then; the new values apply. Raises
    CheckpointError when the checkpoint's optimiser has other parts of the network.
    """
    try:
        state.optimiser.load_state_dict(fit_optimiser(checkpoint.optimiser, state.optimiser))
        if checkpoint.scaler and state.scaler.is_enabled():  # if not, the precision has changed
            state.scaler.load_state_dict(checkpoint.scaler)
    except (LookupError, TypeError, AttributeError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"the checkpoint's optimiser does not fit the run: {shown(error)}. Perhaps another "
            "part is frozen by a learning rate of 0. To start a new run from these weights, use "
            "another --model-name"
        ) from error
    old = flatten(shorten_paths(parse_yaml(checkpoint.settings, "the checkpoint's settings")))
    new = flatten(describe(settings))
    batch_size = old.get("run.batch_size", settings.run.batch_size)
    if not is_count(batch_size) or not batch_size:
        raise CheckpointError(f"its settings have the batch_size {shown(repr(batch_size))}")
    # Keeps the number of samples used in the epoch, even if steps now have more or fewer.
    before = batch_size * len(checkpoint.random)
    state.batch = checkpoint.batch * before // (settings.run.batch_size * processes.world_size)
    state.epoch, state.step, state.best = checkpoint.epoch, checkpoint.step, checkpoint.best
    notes = [
        f"changed since: {name} {old.get(name)!r} -> {new.get(name)!r}"
        for name in sorted(old | new)
        if old.get(name) != new.get(name) and not name.startswith("log.")
    ]
    if len(checkpoint.random) != processes.world_size:
        notes.append(
            f"{len(checkpoint.random)} processes before, {processes.world_size} now: dropout "
            "gets a new seed, and the order of samples changes"
        )
        return notes
    random = checkpoint.random[processes.rank]
    try:
        torch.set_rng_state(random["cpu"])
        if processes.device.type == "cuda" and "cuda" in random:
            torch.cuda.set_rng_state(random["cuda"], processes.device)
    except (RuntimeError, TypeError) as error:
        raise CheckpointError(
            f"its field random is not a state of generators: {shown(error)}"
        ) from error
    return notes


def save_checkpoint(folder: Location, checkpoint: Checkpoint, keep: int) -> Location:
    """Writes a numbered checkpoint in the folder of a run, and keeps the newest `keep` of them.

    Raises CheckpointError when it can't be written; earlier ones are then unchanged.
    """
    path = folder / f"epoch-{checkpoint.epoch}-step-{checkpoint.step}.pth"
    _write(path, checkpoint)
    for old in _numbered(folder)[:-keep]:
        remove(folder / old)
    return path


def save_best(folder: Location, checkpoint: Checkpoint) -> Location:
    """Writes the checkpoint of the lowest validation error; errors as `save_checkpoint`."""
    _write(folder / BEST, checkpoint)
    return folder / BEST


def _write(path: Location, checkpoint: Checkpoint) -> None:
    try:
        with stored(path) as partial:
            torch.save({"format": 1, **asdict(checkpoint)}, partial)
            with partial.open("rb+") as file:  # before it is renamed: the machine may lose power
                os.fsync(file)
    except (OSError, RuntimeError, StorageError) as error:  # PyTorch's writer raises RuntimeError
        kept, advice = "", "When the store answers again, continue"
        if isinstance(path, Path):
            advice = "Free disk space and continue"
            if newest := newest_checkpoint(path.parent):
                kept = f"; the last complete one is {newest}"
        raise CheckpointError(
            f"checkpoint {path} can't be written: {error}{kept}. {advice} with "
            "--model-last-checkpoint auto"
        ) from error


def load_checkpoint(path: Location) -> Checkpoint | None:
    """Reads a checkpoint, or None for a file of weights only; executes no code of the file.

    Raises CheckpointError when the file is missing, damaged or of another format.
    """
    content = read_at(path, read_training_state)
    if content is None:
        return None
    if (version := content.pop("format")) != 1:
        if is_count(version) and version > 1:
            raise CheckpointError(
                f"checkpoint {path} was written by a newer version of this program"
            )
        raise CheckpointError(f"checkpoint {path}: format must be 1, got {shown(repr(version))}")
    try:
        checkpoint = Checkpoint(**content)
    except TypeError as error:
        raise CheckpointError(f"checkpoint {path} is not complete: {shown(error)}") from error
    try:
        check_fields(vars(checkpoint))
    except ValueError as error:
        raise CheckpointError(f"checkpoint {path}: {error}") from error
    return checkpoint


def read_at(location: Location, read: Callable[[Path], T]) -> T:
    """Reads a weights file, at a URL too; its errors name the location."""
    with fetched(location) as path:
        try:
            return read(path)
        except CheckpointError as error:
            raise CheckpointError(str(error).replace(str(path), str(location))) from error


def describe(settings: Settings) -> dict[str, Any]:
    """Converts settings to plain values for a checkpoint, without absolute paths."""
    described = shorten_paths(parse_yaml(to_yaml(settings), "the settings"))
    assert isinstance(described, dict)  # noqa: S101 - they were a dataclass
    return described


def shorten_paths(plain: Any) -> Any:
    """Makes absolute paths relative to the current folder, or keeps only their last part."""
    if isinstance(plain, dict):
        return {key: shorten_paths(value) for key, value in plain.items()}
    if isinstance(plain, list):
        return [shorten_paths(value) for value in plain]
    path = Path(plain) if isinstance(plain, str) else None
    if path is None or not path.is_absolute():
        return plain
    if path.is_relative_to(Path.cwd()):
        return str(path.relative_to(Path.cwd()))
    # The last part of a home folder is a user's name.
    return f"…/{path.name}" if path != Path.home() else "…"


def newest_checkpoint(folder: Location) -> Location | None:
    """Finds the numbered checkpoint with the most steps in a run's folder, if there is one.

    Raises StorageError when a store can't list the folder.
    """
    name = next(reversed(_numbered(folder)), None)
    return folder / name if name else None


def find_revision() -> str:
    """Finds the program's commit, with `-dirty` if files were changed; else its version."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    if not (SHIPPED / ".git").exists():  # installed, perhaps inside another repository
        return VERSION
    try:  # the command is constant
        return subprocess.check_output(  # noqa: S603
            command, cwd=SHIPPED, stderr=subprocess.DEVNULL, text=True
        ).strip()
    except (OSError, subprocess.CalledProcessError):
        return VERSION


def _numbered(folder: Location) -> list[str]:
    """The names of the numbered checkpoints of a folder, which may be missing, by step."""
    if isinstance(folder, Path):
        names = [path.name for path in folder.glob("epoch-*")]
    else:
        names = [entry.name for entry in list_names(folder)]
    return sorted(filter(_NUMBERED.fullmatch, names), key=position)


def position(name: str) -> tuple[int, int]:
    """The step and epoch in the name of a numbered checkpoint; the newest has the highest."""
    if not (match := _NUMBERED.fullmatch(name)):
        raise ValueError(f"{name} is not the name of a numbered checkpoint")
    return int(match[2]), int(match[1])


def flatten(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flattens nested dicts into one, with names joined by dots."""
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        name = f"{prefix}{key}"
        flat |= flatten(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return flat
