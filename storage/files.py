"""Reads, writes and lists files, local or in a store."""

import atexit
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from os import getpid
from pathlib import Path
from uuid import uuid4

from runtime.files import temporary_folder, whole

from .errors import StorageError
from .google import GoogleCloud
from .location import Location, Url
from .persistence import persist
from .s3 import S3
from .store import Entry, Store
from .web import Web

_KINDS: dict[str, type[Store]] = {"s3": S3, "gs": GoogleCloud, "https": Web, "http": Web}
_KEPT_FREE = 2**28  # bytes of disk that a download leaves free


def list_names(folder: Location, start: str = "") -> Iterator[Entry]:
    """Yields the files below a folder; of a store as they are listed, a page in memory at a time.

    Args:
        folder: a local folder, a bucket or a part of its names.
        start: what the relative names begin with.

    Objects that stand for folders (names that end with a slash) are left out. A store's names are
    as it has them: they may have empty parts, `..`, or characters that no file system takes; see
    `check_name`.

    Raises:
        StorageError: when a store can't list it.
        OSError: when a local folder can't be listed.
    """
    if isinstance(folder, Url):
        for page in open_store(folder).list_pages(folder, start):
            yield from (entry for entry in page if entry.name and not entry.name.endswith("/"))
        return
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name, found = path.relative_to(folder).as_posix(), path.stat()
        if name.startswith(start):
            yield Entry(name, found.st_size, str(found.st_mtime_ns), found.st_mtime)


def check_name(name: str) -> None:
    """Raises ValueError for a relative name from a store that is not safe as that of a file.

    Such as `../x`, which is outside of the folder, `a//b` and `./a`, which mean another name's
    file, and names with a character of code 0.
    """
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts) or "\0" in name:
        raise ValueError(
            "its name can't be that of a file: a part between slashes is empty, . or .., or it has "
            "a character of code 0; rename it"
        )


def exists(location: Location) -> bool:
    """Whether there is such a file; StorageError if the store does not tell."""
    if not isinstance(location, Url):
        return location.is_file()
    if not location.key and location.scheme in ("s3", "gs"):
        return False  # a whole bucket
    try:
        persist(location, lambda: open_store(location).find(location))
    except StorageError as error:
        if error.code in ("NoSuchKey", "404"):
            return False
        raise
    return True


def remove(location: Location) -> None:
    """Removes a file; a missing one is no error."""
    if not isinstance(location, Url):
        location.unlink(missing_ok=True)
        return
    try:
        persist(location, lambda: open_store(location).remove(location))
    except StorageError as error:
        if error.code not in ("NoSuchKey", "404"):
            raise


def check_space(url: Url, size: int) -> None:
    """Raises StorageError if the disk of temporary files has no room for a number of bytes."""
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free - _KEPT_FREE
    if size > free:
        raise StorageError(
            f"{url}: it has {size / 2**30:.2f} GiB, and {max(0, free) / 2**30:.2f} GiB are free in "
            f"{folder}; set TMPDIR to a folder on a larger disk"
        )


@contextmanager
def fetched(location: Location) -> Iterator[Path]:
    """Yields a file of this machine with a location's content, all of one version.

    Yields:
        The path itself if it is local, or a temporary file, removed at the end, with the same
        extension.

    Raises:
        StorageError: when it can't be fetched, was replaced meanwhile, or is larger than the free
            disk; the message names the location.
    """
    if not isinstance(location, Url):
        yield location
        return

    def check(size: int) -> None:
        check_space(location, size)

    path = _name_temporary(location)
    try:
        with path.open("wb", buffering=0) as file:
            open_store(location).get(location, file, check)
        yield path
    finally:
        path.unlink(missing_ok=True)


def store(path: Path, url: Url) -> None:
    """Stores a local file; it appears whole or not at all. StorageError if that fails."""
    open_store(url).put(url, path)


@contextmanager
def stored(location: Location) -> Iterator[Path]:
    """Yields a name to write to; at the end its content appears under the location's, all at once.

    After an error in the block, or while storing, what was there before is unchanged.

    Yields:
        A temporary name, possibly without the extension.

    Raises:
        StorageError: when it can't be stored; the message names the location.
        OSError: for a local file, as `runtime.files.whole`.
    """
    if not isinstance(location, Url):
        with whole(location) as path:
            yield path
        return
    path = _name_temporary(location)
    try:
        yield path
        store(path, location)
    finally:
        path.unlink(missing_ok=True)


def _name_temporary(url: Url) -> Path:
    return _temporary(getpid()) / f"{uuid4().hex}{url.local_suffix}"


@cache
def _temporary(process: int) -> Path:
    """This process's folder of temporary files; those of killed ones are removed."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(temporary_folder("matting-storage-"))


def open_store(url: Url) -> Store:
    """Returns the store of a URL, connected once for each process.

    Raises:
        StorageError: without the packages that it needs.
    """
    return _connect(_KINDS[url.scheme], getpid())  # a fork can't use its parent's connections


@cache
def _connect(kind: type[Store], process: int) -> Store:
    return kind()
