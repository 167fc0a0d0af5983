"""Files on web servers, to read only."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from .errors import StorageError
from .location import Url, check_target
from .persistence import persist
from .store import Check, Entry, limit_times, open_filesystem, sized


class Web:
    """See `Store`."""

    def __init__(self) -> None:
        client = {"timeout": limit_times(), "trust_env": True}
        self._files = open_filesystem("https", encoded=True, client_kwargs=client)

    def list_pages(self, folder: Url, start: str) -> Iterator[list[Entry]]:
        """See `Store`."""
        raise StorageError(
            f"{folder} does not exist, or is a folder, and a web server has no list of its files; "
            "name one file, or a folder of s3:// or gs://"
        )

    def get(self, url: Url, file: BinaryIO, check: Check) -> None:
        """See `Store`."""
        whole = {"callback": sized(check)}
        persist(url, lambda: self._files.get_file(url.address, file.name, **whole))

    def put(self, url: Url, path: Path) -> None:
        """See `Store`."""
        check_target(url)

    def find(self, url: Url) -> None:
        """See `Store`."""
        try:
            self._files.info(url.address)
        except FileNotFoundError as error:  # for all kinds of answers
            raise error.__cause__ or error from None

    def remove(self, url: Url) -> None:
        """See `Store`."""
        check_target(url)
