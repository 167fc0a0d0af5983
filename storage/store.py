"""What each kind of store can do, and how fsspec is opened for it."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from .errors import StorageError
from .location import Url

CONNECT_TIMEOUT, READ_TIMEOUT = 10.0, 30.0  # seconds without a sign of the store

Check = Callable[[int], None]  # raises if a download has too many bytes


@dataclass(frozen=True)
class Entry:
    """A file in a listing."""

    name: str
    """Relative to the folder listed, with slashes."""
    size: int
    """Bytes."""
    etag: str
    """Changes with the content."""
    modified: float
    """Seconds since 1970."""


class Store(Protocol):
    """What all stores can do.

    `find` and `remove` raise fsspec's errors, the others StorageError.
    """

    def list_pages(self, folder: Url, start: str) -> Iterator[list[Entry]]:
        """Yields files below a folder whose names begin with `start`, up to 1000 at a time."""
        ...

    def get(self, url: Url, file: BinaryIO, check: Check) -> None:
        """Writes a file's content into an empty local one; calls `check` with its size before."""
        ...

    def put(self, url: Url, path: Path) -> None:
        """Uploads a local file; it appears whole or not at all."""
        ...

    def find(self, url: Url) -> None:
        """Raises FileNotFoundError unless there is such a file."""
        ...

    def remove(self, url: Url) -> None:
        """Removes a file."""
        ...


def open_filesystem(scheme: str, **options: Any) -> Any:
    """Opens a file system of fsspec; StorageError without the packages that it needs."""
    try:
        import fsspec

        kind = fsspec.get_filesystem_class(scheme)
        if scheme == "gs":
            import gcsfs.core

            kind = gcsfs.core.GCSFileSystem
            logging.getLogger("gcsfs").setLevel(logging.CRITICAL)  # it logs what `persist` tells
        return kind(skip_instance_cache=True, use_listings_cache=False, **options)
    except ImportError as error:
        raise StorageError(
            f"{scheme}:// needs more packages ({error}): pip install 'background-matting[cloud]'"
        ) from error


def limit_times() -> Any:
    """Limits of aiohttp: none for the whole of a long download."""
    try:
        from aiohttp import ClientTimeout
    except ImportError:
        return None  # opening the file system says what is missing
    return ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT, sock_read=READ_TIMEOUT)


def sized(check: Check) -> Any:
    """A callback of fsspec that passes a download's size on."""
    from fsspec.callbacks import Callback

    class Sized(Callback):
        def set_size(self, size: int | None) -> None:
            check(size or 0)

    return Sized()
