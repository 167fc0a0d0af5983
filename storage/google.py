"""Files in Google Cloud Storage."""

import mimetypes
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from .errors import StorageError
from .location import Url
from .persistence import persist
from .store import Check, Entry, limit_times, open_filesystem, sized


class GoogleCloud:
    """See `Store`."""

    def __init__(self) -> None:
        # The core class: that of "gs" asks another service for the kind of each bucket.
        self._files = open_filesystem("gs", requests_timeout=limit_times())

    def list_pages(self, folder: Url, start: str) -> Iterator[list[Entry]]:
        """See `Store`."""
        above = f"{folder.key}/" if folder.key else ""
        fields = "items(name,size,etag,updated),nextPageToken"
        asked = {"prefix": above + start, "fields": fields}
        while True:
            page = _in_bucket(folder, partial(self._ask, "GET", "b/{}/o", folder.place, **asked))
            yield [
                Entry(
                    found["name"].removeprefix(above),
                    int(found["size"]),
                    found["etag"],
                    datetime.fromisoformat(found["updated"]).timestamp(),
                )
                for found in page.get("items", [])
            ]
            if "nextPageToken" not in page:
                return
            asked["pageToken"] = page["nextPageToken"]

    def _ask(self, method: str, path: str, *names: str, **asked: str) -> Any:
        return self._files.call(method, path, *names, json_out=True, **asked)

    def get(self, url: Url, file: BinaryIO, check: Check) -> None:
        """See `Store`."""
        # In one request, so that it is one version of the file.
        whole = {"concurrency": 1, "callback": sized(check)}
        persist(url, lambda: self._files.get_file(_bare(url), file.name, **whole))

    def put(self, url: Url, path: Path) -> None:
        """See `Store`."""
        kind = mimetypes.guess_type(url.name)[0] or "application/octet-stream"
        _in_bucket(url, lambda: self._files.put_file(str(path), _bare(url), content_type=kind))

    def find(self, url: Url) -> None:
        """See `Store`."""
        self._ask("GET", "b/{}/o/{}", url.place, url.key, fields="size")

    def remove(self, url: Url) -> None:
        """See `Store`."""
        self._files.call("DELETE", "b/{}/o/{}", url.place, url.key)


def _in_bucket(url: Url, ask: Callable[[], Any]) -> Any:
    """`persist` for what fails as missing only if there is no bucket; Google has no code for it."""
    try:
        return persist(url, ask)
    except StorageError as error:
        if error.code == "404":
            raise StorageError(
                f"{url}: there is no bucket {url.place}", code="NoSuchBucket"
            ) from error
        raise


def _bare(url: Url) -> str:
    return f"{url.place}/{url.key}"
