"""Lists the pictures below a folder, local or in a store, as names."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from media.listing import EXTENSIONS, UNREAD, find_extension
from media.listing import list_names as list_local
from media.pictures import PictureError
from storage.files import check_name, exists, list_names
from storage.location import Location, Url, name_below

from ..shards import SUMMARY, read_shard


@dataclass(frozen=True)
class Frames:
    """The pictures below a folder by POSIX path relative to it: about 100 bytes of memory each."""

    root: Location
    """The folder; of a single picture, the folder that it is in."""
    names: list[str] = field(default_factory=list)
    """Sorted."""
    left_out: dict[str, str] = field(default_factory=dict)
    """The reason that a picture can't be used."""
    summaries: set[str] = field(default_factory=set)
    """In a store: the folders below it that have the summary of a run."""


def list_frames(root: Location, exclude: Sequence[Location] = ()) -> Frames:
    """Finds the pictures below a folder; ignores hidden ones.

    Args:
        root: a folder, or a single picture file of any extension.
        exclude: files and folders to ignore.

    Raises:
        PictureError: when `root` is missing or there is no picture.
        StorageError: when a store can't list it.
    """
    if not isinstance(root, Url):
        found = list_local(root, tuple(path for path in exclude if isinstance(path, Path)))
        return Frames(found.root, found.names, found.left_out)
    if exists(root):
        return Frames(root.parent, [root.name])
    frames = Frames(root)
    ignored = [name_below(o, root) for o in exclude if str(o).startswith(f"{root}/")]
    for entry in list_names(root):
        name, extension = entry.name, find_extension(entry.name)
        if any(name == other or name.startswith(f"{other}/") for other in ignored):
            continue
        folder, _, last = name.rpartition("/")
        if last == SUMMARY or read_shard(last):
            frames.summaries.add(folder)
        elif extension in EXTENSIONS:
            _add(frames, name)
        elif extension in UNREAD and not _is_hidden(name):
            frames.left_out[name] = UNREAD[extension]
    if not frames.names and not frames.left_out:
        raise PictureError(f"{root} does not exist or holds no picture; its names are exact")
    if not frames.names:
        name, reason = next(iter(frames.left_out.items()))
        raise PictureError(f"no picture was found in {root}. Left out: {name}: {reason}")
    frames.names.sort()
    return frames


def _add(frames: Frames, name: str) -> None:
    try:
        check_name(name)
    except ValueError as error:
        frames.left_out[name] = str(error)
    else:
        if not _is_hidden(name):
            frames.names.append(name)


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or "/." in name
