"""Checkpoints: everything that a run needs to go on as if it had not stopped."""

import re
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from model.weights import CheckpointError, read_training_state
from runtime.files import whole

BEST = "best.pth"
_NUMBERED = re.compile(r"epoch-(\d+)-step-(\d+)\.pth")


@dataclass(frozen=True)
class Checkpoint:
    """State of a run between two steps.

    Attributes:
        network: state dict of the network, by published names.
        optimiser: state dict of the optimiser.
        scaler: state dict of the gradient scaler; empty where none is used.
        name: of the run.
        epoch: the epoch that is being trained, from 0.
        batch: the next batch in it, from 0.
        step: optimiser steps done since the run began.
        best: lowest validation error so far, or None.
        random: of each process, the states of PyTorch's generators by device.
        settings: the run's settings as YAML.
        revision: the program's git revision, or "unknown".
    """

    network: dict[str, torch.Tensor]
    optimiser: dict[str, Any]
    scaler: dict[str, Any]
    name: str
    epoch: int
    batch: int
    step: int
    best: float | None
    random: list[dict[str, torch.Tensor]]
    settings: str
    revision: str


def save_checkpoint(folder: Path, checkpoint: Checkpoint, keep: int) -> Path:
    """Writes a numbered checkpoint and removes the oldest numbered ones.

    Args:
        folder: of the run; made if missing.
        checkpoint: what to write.
        keep: numbered checkpoints that stay, 1 or more.

    Returns:
        The file.

    Raises:
        CheckpointError: when it can't be written; the earlier ones are then as they were.
    """
    path = folder / f"epoch-{checkpoint.epoch}-step-{checkpoint.step}.pth"
    _write(path, checkpoint)
    for old in _numbered(folder)[:-keep]:
        old.unlink()
    return path


def save_best(folder: Path, checkpoint: Checkpoint) -> Path:
    """Writes the checkpoint of the lowest validation error, replacing the one before.

    Args:
        folder: of the run; made if missing.
        checkpoint: what to write.

    Returns:
        The file.

    Raises:
        CheckpointError: when it can't be written; the one before is then as it was.
    """
    _write(folder / BEST, checkpoint)
    return folder / BEST


def _write(path: Path, checkpoint: Checkpoint) -> None:
    try:
        with whole(path) as partial:
            torch.save({"format": 1, **asdict(checkpoint)}, partial)
    except (OSError, RuntimeError) as error:  # PyTorch's writer raises RuntimeError
        newest = newest_checkpoint(path.parent)
        kept = f"; the last one that is whole is {newest}" if newest else ""
        raise CheckpointError(
            f"checkpoint {path} can't be written: {error}{kept}. Make room and go on with "
            "--model-last-checkpoint auto"
        ) from error


def load_checkpoint(path: Path) -> Checkpoint | None:
    """Reads a checkpoint; nothing in it is executed.

    Args:
        path: a file of `save_checkpoint`, or of weights alone.

    Returns:
        The checkpoint, or None for a file that holds only weights.

    Raises:
        CheckpointError: when the file is missing, damaged or of another format.
    """
    content = read_training_state(path)
    if content is None:
        return None
    if content.pop("format") != 1:
        raise CheckpointError(f"checkpoint {path} was written by a newer version of this program")
    try:
        return Checkpoint(**content)
    except TypeError as error:
        raise CheckpointError(f"checkpoint {path} is not complete: {error}") from error


def newest_checkpoint(folder: Path) -> Path | None:
    """Finds the numbered checkpoint of the most steps.

    Args:
        folder: of a run; may be missing.

    Returns:
        The file, or None when there is none.
    """
    found = _numbered(folder)
    return found[-1] if found else None


def find_revision() -> str:
    """Tells the git revision of the program.

    Returns:
        The commit, with `-dirty` behind it when files were changed; "unknown" outside of a clone.
    """
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        found = subprocess.run(  # noqa: S603 - no part of the command comes from outside
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()


def _numbered(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    matches = [(path, _NUMBERED.fullmatch(path.name)) for path in folder.iterdir()]
    steps = {path: (int(match[2]), int(match[1])) for path, match in matches if match}
    return sorted(steps, key=lambda path: steps[path])
