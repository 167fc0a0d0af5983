"""Earlier runs: their output files, completeness and settings."""

import json
import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, get_args

from PIL.PngImagePlugin import PngImageFile

from runtime.wording import list_changes
from storage.files import fetched, list_names
from storage.location import Location

from ..pictures.compose import OutputType
from ..shards import SUMMARY, WHOLE, Shard, read_shard
from ..summary import read_summary
from .listing import Frames

_KINDS = frozenset(get_args(OutputType))
# Settings that change no pixel of an output.
_FREE = (
    *("output.dir", "output.types", "on_existing", "overwrite", "config", "print_config"),
    *("compute.num_workers", "compute.device", "shard", "resume"),
)


def find_outputs(frames: Frames) -> set[str]:
    """Finds output folders (`com`, `pha` ...) beside a summary, below a folder.

    Args:
        frames: the pictures below the folder; only their folders are checked.

    Returns:
        The output folders, relative to that folder.
    """
    folders = {name.rpartition("/")[0] for name in frames.names}
    found = {
        folder
        for inner in folders
        for folder in (inner, *(above.as_posix() for above in PurePosixPath(inner).parents))
        if folder.rpartition("/")[2] in _KINDS
    }
    beside = {folder.rpartition("/")[0] for folder in found}
    if isinstance(frames.root, Path):
        root = frames.root
        with_summary = {folder for folder in beside if next(_find_summaries(root / folder), None)}
    else:
        with_summary = beside & frames.summaries
    return {folder for folder in found if folder.rpartition("/")[0] in with_summary}


def is_whole(path: Path) -> bool:
    """Whether a file is a complete PNG, by its checksums."""
    try:
        if not path.is_file():
            return False
        with PngImageFile(path) as image:
            image.verify()
    except (OSError, SyntaxError, ValueError, EOFError):
        return False
    return True


def find_changes(before: Any, settings: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Lists the settings that change an output's pixels, with their values before and now."""
    changes = list_changes(before, settings)
    return {
        name: both
        for name, both in changes.items()
        if name not in _FREE and not name.startswith("cluster.")
    }


def compare_runs(
    folder: Location, shard: Shard, settings: dict[str, Any], kept: Iterable[tuple[str, str]]
) -> tuple[list[dict[str, Any]], list[str]]:
    """Finds kept outputs that were made with other settings.

    Args:
        folder: the output folder, with the summaries of runs before.
        shard: the part of this run.
        settings: settings of this run, in the form of the summary.
        kept: the kept outputs: names of the frame and, relative to the folder, of the file.

    Returns:
        Other settings with the files made with them, for the new summary (settings are None if no
        summary records them); and notes for the user.
    """
    with fetch_summaries(folder, (shard.summary, SUMMARY)) as local:
        runs = _read_runs(local, shard)
    groups: dict[str, list[str]] = defaultdict(list)
    same = {run.text for run in runs if run.settings and not find_changes(run.settings, settings)}
    for name, file in kept:
        run = next((run for run in runs if run.shard.holds(name)), None)
        text = run.files.get(file, run.text) if run else _UNKNOWN
        if text not in same:
            groups[text].append(file)
    told: list[dict[str, Any]] = []
    notes: list[str] = []
    for text, files in groups.items():
        used = json.loads(text)
        if not isinstance(used, dict):
            told.append({"settings": None, "files": sorted(files)})
            notes.append(
                f"{len(files)} outputs were kept, but no summary.json records their settings; "
                "-y makes all of them again"
            )
        elif changes := find_changes(used, settings):
            told.append({"settings": used, "files": sorted(files)})
            named = "; ".join(
                f"{name} was {was}, now {now}" for name, (was, now) in changes.items()
            )
            notes.append(
                f"{len(files)} kept outputs were made with other settings: {named}. "
                "-y makes all of them again"
            )
    return told, notes


@dataclass(frozen=True)
class _Run:
    """What a summary says of the settings of outputs; settings are compared as JSON."""

    shard: Shard
    settings: dict[str, Any] | None
    text: str
    files: dict[str, str]
    """The settings of files that were not made with those of the run."""


_UNKNOWN = json.dumps(None)


@contextmanager
def fetch_summaries(folder: Location, wanted: Collection[str] = ()) -> Iterator[Path]:
    """Yields a local folder with the summaries of an output folder, and their times.

    Args:
        folder: is yielded itself if it is local.
        wanted: names of files; if none of them exists, or none is given, all are fetched.
    """
    if isinstance(folder, Path):
        yield folder
        return
    found = [
        entry
        for entry in list_names(folder, "summary")
        if entry.name == SUMMARY or read_shard(entry.name)
    ]
    with tempfile.TemporaryDirectory() as local:
        for entry in [entry for entry in found if entry.name in wanted] or found:
            with fetched(folder / entry.name) as path:
                copy = Path(shutil.copy(path, Path(local, entry.name)))
            os.utime(copy, (entry.modified, entry.modified))
        yield Path(local)


def _read_runs(folder: Path, shard: Shard) -> list[_Run]:
    """Reads the newest of the summaries that cover a shard; if there is none, all that there are.

    The newest comes first.
    """
    covering = {folder / name for name in (shard.summary, SUMMARY) if (folder / name).is_file()}
    runs = []
    paths = covering or set(_find_summaries(folder))
    for path in sorted(paths, key=lambda path: path.stat().st_mtime_ns, reverse=True):
        content = read_summary(path) or {}
        settings = content.get("settings")
        files = {
            file: json.dumps(group.get("settings"), sort_keys=True)
            for group in content.get("kept", [])
            if isinstance(group, dict)
            for file in group.get("files", [])
        }
        text = json.dumps(settings, sort_keys=True)
        of = read_shard(path.name) or WHOLE
        runs.append(_Run(of, settings if isinstance(settings, dict) else None, text, files))
    return runs


def _find_summaries(folder: Path) -> Iterator[Path]:
    """Finds the summaries of runs and of shards in a folder."""
    for path in (folder / SUMMARY, *sorted(folder.glob("summary-*-of-*.json"))):
        if (path.name == SUMMARY or read_shard(path.name)) and read_summary(path) is not None:
            yield path
