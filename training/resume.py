"""Finds the checkpoint that a run continues from, the same one in all processes."""

from pathlib import Path

from model.reading import CheckpointError
from runtime.files import remove_leftovers

from .checkpoint import Checkpoint, load_checkpoint, newest_checkpoint, position
from .processes import Processes
from .settings import BaseModelSettings


def find_checkpoint(
    folder: Path, model: BaseModelSettings, processes: Processes
) -> tuple[Path | None, Checkpoint | None, list[str]]:
    """Finds and reads the file named by `last_checkpoint`; every process must call it.

    `auto` is the newest that any process finds, which may be the only one with it: machines may
    have folders of their own, and after a restart another machine may have the first process. One
    process reads it and sends the content to all, so none continues from an older file.

    Returns:
        The file, or None to start without; its content, or None if only its weights are used; and
        notes.

    Raises:
        CheckpointError: when it can't be read, or a new run's folder has checkpoints.
        OtherProcessError: when the process that reads it fails.
    """
    if processes.is_first:
        remove_leftovers(folder)
    own = newest_checkpoint(folder)
    names = processes.gather(own.name if own else None)
    newest = max(filter(None, names), key=position, default=None)
    named, path, reader = model.last_checkpoint, None, 0
    if named == "auto":
        path, reader = (folder / newest, names.index(newest)) if newest else (None, 0)
    elif named:
        path = Path(named)
    checkpoint = None
    if path is not None:
        file = path
        checkpoint = processes.copy_from(reader, lambda: load_checkpoint(file))
    if checkpoint and checkpoint.name != model.name:
        checkpoint = None  # from another run only the weights are used
    if newest and not checkpoint:
        raise CheckpointError(
            f"{folder} has checkpoints of an earlier run, the newest {newest}. Continue with "
            "--model-last-checkpoint auto, or use another --model-name"
        )
    notes = []
    if named == "auto" and newest and (count := names.count(newest)) < len(names):
        notes.append(
            f"only {count} of {len(names)} processes found {newest} in {folder}; it was sent to "
            "the others. To continue without that machine, name a folder that all machines share"
        )
    return path, checkpoint, notes
