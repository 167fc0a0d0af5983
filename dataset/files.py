"""Files of data sets: local ones, and ones at URLs that are fetched when they are read."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from media import MediaError
from media.listing import EXTENSIONS, UNREAD, list_pictures
from storage.errors import StorageError
from storage.files import check_name, list_names
from storage.location import Location, Url

from . import DatasetError
from .cache import Cache


@dataclass(frozen=True)
class RemoteFile:
    """A listed file at a URL."""

    folder: Url
    relative: str
    """Name below the folder."""
    size: int
    """Bytes."""
    etag: str
    cache: Cache

    @property
    def name(self) -> str:
        """The last part of its name."""
        return PurePosixPath(self.relative).name

    @property
    def suffix(self) -> str:
        """The extension with its dot."""
        return PurePosixPath(self.relative).suffix

    def __str__(self) -> str:
        return str(self.folder / self.relative)


File = Path | RemoteFile


@dataclass(frozen=True)
class Files:
    """The pictures or clips below a folder; see `media.listing.Listing`."""

    pictures: list[File] = field(default_factory=list)
    left_out: dict[File, str] = field(default_factory=dict)


def list_files(root: Location, cache: Cache, extensions: frozenset[str] = EXTENSIONS) -> Files:
    """Lists the pictures below a folder, sorted by name, without hidden ones.

    Raises:
        MediaError: when it can't be listed, or there is no picture.
    """
    if isinstance(root, Path):
        listing = list_pictures(root, extensions=extensions)
        return Files([*listing.pictures], dict(listing.left_out.items()))
    files = Files()
    try:
        for entry in list_names(root):
            suffix = PurePosixPath(entry.name).suffix.lower()
            hidden = any(part.startswith(".") and part.strip(".") for part in entry.name.split("/"))
            if hidden or (suffix not in extensions and suffix not in UNREAD):
                continue
            file = RemoteFile(root, entry.name, entry.size, entry.etag, cache)
            if reason := UNREAD.get(suffix) or _refuse(entry.name):
                files.left_out[file] = reason
            else:
                files.pictures.append(file)
    except StorageError as error:
        raise DatasetError(str(error)) from error
    if not files.pictures:
        raise DatasetError(f"no picture was found below {root}; name a folder of pictures")
    files.pictures.sort(key=str)
    return files


def _refuse(name: str) -> str | None:
    try:
        check_name(name)
    except ValueError as error:
        return str(error)
    return None


@contextmanager
def local(file: File) -> Iterator[Path]:
    """Yields a file of this machine with the content, fetched if need be; stays during the block.

    Raises:
        DatasetError: when it can't be fetched. A MediaError of the block is raised again with the
            file's own name.
    """
    if isinstance(file, Path):
        yield file
        return
    try:
        with file.cache.hold(file.folder / file.relative, file.size, file.etag) as path:
            try:
                yield path
            except MediaError as error:
                raise type(error)(str(error).replace(str(path), str(file))) from error
    except StorageError as error:
        raise DatasetError(str(error)) from error


class FilePaths:
    """Files stored in one `bytes`; 500,000 `Path`s would take 200 MB in every worker."""

    def __init__(self, files: list[File]) -> None:
        remote = (file for file in files if isinstance(file, RemoteFile))
        self._places = list(dict.fromkeys((file.folder, file.cache) for file in remote))
        numbers = {place: number for number, place in enumerate(self._places)}
        names = [
            os.fsencode(file)
            if isinstance(file, Path)
            else os.fsencode(
                f"{numbers[file.folder, file.cache]}\0{file.relative}\0{file.size}\0{file.etag}"
            )
            for file in files
        ]
        self._names = b"".join(names)
        self._ends = np.cumsum([0, *map(len, names)])

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, index: int) -> File:
        if not 0 <= index < len(self):
            raise IndexError(f"index must lie in [0, {len(self)}), got {index}")
        name = os.fsdecode(self._names[self._ends[index] : self._ends[index + 1]])
        if "\0" not in name:  # which no local name has
            return Path(name)
        place, relative, size, etag = name.split("\0")
        folder, cache = self._places[int(place)]
        return RemoteFile(folder, relative, int(size), etag, cache)
