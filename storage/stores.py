"""One class for each kind of store, on fsspec: pages of names, downloads, whole uploads."""

import logging
import mimetypes
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from .errors import StorageError
from .location import Url, check_target
from .persistence import persist

PART = 32 * 2**20  # bytes of an upload that is sent in one piece, or of each of its parts
_MOST_PARTS = 10_000  # S3's limit
CONNECT_TIMEOUT, READ_TIMEOUT = 10.0, 30.0  # seconds without a sign of the store
_AT_ONCE = 50  # connections

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


class _S3:
    def __init__(self) -> None:
        # `persist` asks again: with a note, a limit in seconds, and until an interrupt.
        config = {
            "retries": {"mode": "standard", "total_max_attempts": 1},
            "connect_timeout": CONNECT_TIMEOUT,
            "read_timeout": READ_TIMEOUT,
            "max_pool_connections": _AT_ONCE,
        }
        self._files = _open_filesystem("s3", config_kwargs=config)
        self._files.retries = 1

    def list_pages(self, folder: Url, start: str) -> Iterator[list[Entry]]:
        above = f"{folder.key}/" if folder.key else ""
        asked = {"Bucket": folder.place, "Prefix": above + start}
        while True:
            page = persist(folder, partial(self._files.call_s3, "list_objects_v2", **asked))
            yield [
                Entry(
                    found["Key"].removeprefix(above),
                    found["Size"],
                    found["ETag"],
                    found["LastModified"].timestamp(),
                )
                for found in page.get("Contents", [])
            ]
            if not page.get("IsTruncated"):
                return
            asked["ContinuationToken"] = page["NextContinuationToken"]

    def get(self, url: Url, file: BinaryIO, check: Check) -> None:
        from fsspec.asyn import sync

        named: dict[str, str] = {"Bucket": url.place, "Key": url.key}
        etag, length = "", -1

        def ask() -> None:
            nonlocal etag, length
            have = file.tell()
            if have == length:
                return
            rest = {"Range": f"bytes={have}-", "IfMatch": etag} if have else {}
            answer = self._files.call_s3("get_object", **named, **rest)
            if not have:
                etag, length = answer["ETag"], answer["ContentLength"]
                check(length)
            sync(self._files.loop, _pump, answer["Body"], file)
            if file.tell() != length:
                raise ConnectionError("the connection ended early")

        persist(url, ask)

    def put(self, url: Url, path: Path) -> None:
        kind = mimetypes.guess_type(url.name)[0] or "application/octet-stream"
        target = {"Bucket": url.place, "Key": url.key}
        if path.stat().st_size > PART:
            persist(url, lambda: self._put_in_parts(url, path, {**target, "ContentType": kind}))
            return
        sent = {**target, "Body": path.read_bytes(), "ContentType": kind}
        persist(url, lambda: self._files.call_s3("put_object", **sent))

    def _put_in_parts(self, url: Url, path: Path, begin: dict[str, Any]) -> None:
        created = self._files.call_s3("create_multipart_upload", **begin)
        upload = {"Bucket": url.place, "Key": url.key, "UploadId": created["UploadId"]}
        try:
            done = {
                **upload,
                "MultipartUpload": {"Parts": list(self._put_parts(url, path, upload))},
            }
            persist(url, lambda: self._files.call_s3("complete_multipart_upload", **done))
        except BaseException as error:
            with suppress(Exception):  # the error that led here is told, and parts are no file
                self._files.call_s3("abort_multipart_upload", **upload)
            if isinstance(error, StorageError) and error.code == "NoSuchUpload":
                # Its answer was lost, or the store removed the parts: all of it once more.
                raise ConnectionError("the upload is gone") from error
            raise

    def _put_parts(self, url: Url, path: Path, upload: dict[str, Any]) -> Iterator[dict[str, Any]]:
        length = max(PART, -(-path.stat().st_size // _MOST_PARTS))
        with path.open("rb") as file:
            for number in count(1):
                if not (content := file.read(length)):
                    return
                part = {**upload, "PartNumber": number, "Body": content}
                answer = persist(url, partial(self._files.call_s3, "upload_part", **part))
                yield {"PartNumber": number, "ETag": answer["ETag"]}

    def find(self, url: Url) -> None:
        self._files.call_s3("head_object", Bucket=url.place, Key=url.key)

    def remove(self, url: Url) -> None:
        self._files.call_s3("delete_object", Bucket=url.place, Key=url.key)


class _GoogleCloud:
    def __init__(self) -> None:
        self._files = _open_filesystem("gs", timeout=_limit_times())

    def list_pages(self, folder: Url, start: str) -> Iterator[list[Entry]]:
        above = f"{folder.key}/" if folder.key else ""
        fields = "items(name,size,etag,updated),nextPageToken"
        asked = {"prefix": above + start, "fields": fields}
        while True:
            page = persist(folder, partial(self._ask, "GET", "b/{}/o", folder.place, **asked))
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
        # In one request, so that it is one version of the file.
        whole = {"concurrency": 1, "callback": _sized(check)}
        persist(url, lambda: self._files.get_file(_bare(url), file.name, **whole))

    def put(self, url: Url, path: Path) -> None:
        kind = mimetypes.guess_type(url.name)[0] or "application/octet-stream"
        persist(url, lambda: self._files.put_file(str(path), _bare(url), content_type=kind))

    def find(self, url: Url) -> None:
        self._ask("GET", "b/{}/o/{}", url.place, url.key, fields="size")

    def remove(self, url: Url) -> None:
        self._files.call("DELETE", "b/{}/o/{}", url.place, url.key)


class _Web:
    def __init__(self) -> None:
        client = {"timeout": _limit_times(), "trust_env": True}
        self._files = _open_filesystem("https", encoded=True, client_kwargs=client)

    def list_pages(self, folder: Url, start: str) -> Iterator[list[Entry]]:
        raise StorageError(
            f"{folder}: a web server has no list of its files; name one file, or a folder of s3:// "
            "or gs://"
        )

    def get(self, url: Url, file: BinaryIO, check: Check) -> None:
        whole = {"callback": _sized(check)}
        persist(url, lambda: self._files.get_file(url.address, file.name, **whole))

    def put(self, url: Url, path: Path) -> None:
        check_target(url)

    def find(self, url: Url) -> None:
        try:
            self._files.info(url.address)
        except FileNotFoundError as error:  # for all kinds of answers
            raise error.__cause__ or error from None

    def remove(self, url: Url) -> None:
        check_target(url)


_KINDS: dict[str, type[Store]] = {"s3": _S3, "gs": _GoogleCloud, "https": _Web, "http": _Web}


def open_store(url: Url) -> Store:
    """Returns the store of a URL, connected once for each process.

    Raises:
        StorageError: without the packages that it needs.
    """
    return _open(_KINDS[url.scheme], os.getpid())  # a fork can't use its parent's connections


@cache
def _open(kind: type[Store], process: int) -> Store:
    return kind()


def _open_filesystem(scheme: str, **options: Any) -> Any:
    try:
        import fsspec

        logging.getLogger("gcsfs").setLevel(logging.CRITICAL)  # it logs what `persist` tells
        return fsspec.filesystem(
            scheme, skip_instance_cache=True, use_listings_cache=False, **options
        )
    except ImportError as error:
        raise StorageError(
            f"{scheme}:// needs more packages ({error}): pip install 'background-matting[cloud]'"
        ) from error


def _limit_times() -> Any:
    """Limits of aiohttp: none for the whole of a long download."""
    try:
        from aiohttp import ClientTimeout
    except ImportError:
        return None  # opening the file system says what is missing
    return ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT, sock_read=READ_TIMEOUT)


def _bare(url: Url) -> str:
    return f"{url.place}/{url.key}"


def _sized(check: Check) -> Any:
    """A callback of fsspec that passes a download's size on."""
    from fsspec.callbacks import Callback

    class Sized(Callback):
        def set_size(self, size: int | None) -> None:
            check(size or 0)

    return Sized()


async def _pump(body: Any, file: BinaryIO) -> None:
    """Writes an answer's body to a file."""
    try:
        while part := await body.read(2**20):
            file.write(part)
    finally:
        body.close()
