"""Finds the checkpoint that a run continues from, the same one in all processes."""

from functools import partial
from pathlib import Path

from model.reading import CheckpointError
from runtime.files import remove_leftovers
from storage.location import Location, parse_location

from .checkpoint import Checkpoint, load_checkpoint, newest_checkpoint, position
from .processes import Processes
from .settings import BaseModelSettings


def find_checkpoint(
    folder: Location, model: BaseModelSettings, processes: Processes
) -> tuple[Location | None, Checkpoint | None, list[str]]:
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
    if processes.is_first and isinstance(folder, Path):
        remove_leftovers(folder)
    own = newest_checkpoint(folder)
    names = processes.gather(own.name if own else None)
    newest = max(filter(None, names), key=position, default=None)
    named, path, checkpoint, reader = model.last_checkpoint, None, None, 0
    if named and named != "auto":
        path = parse_location(named)
    elif named and newest:
        path, reader = folder / newest, names.index(newest)
    if path is not None:
        try:
            checkpoint = processes.copy_from(reader, partial(load_checkpoint, path))
        except CheckpointError as error:
            if named != "auto":
                raise
            raise CheckpointError(
                f"{error} If it is damaged, remove this file: auto then takes the one before"
            ) from error
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
            "the others. To continue without that machine, give a --checkpoint-dir that all "
            "machines share: a folder of a network disk, or a URL"
        )
    return path, checkpoint, notes
