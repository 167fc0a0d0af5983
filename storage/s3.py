"""Files in S3, and in servers that answer like it."""

import mimetypes
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

from . import store
from .errors import StorageError, explain_answer
from .location import Url
from .persistence import persist
from .store import Check, Entry

PART = 32 * 2**20  # bytes of an upload that is sent in one piece, or of each of its parts
_MOST_PARTS = 10_000  # S3's limit
_AT_ONCE = 50  # connections


class S3:
    """See `Store`."""

    def __init__(self) -> None:
        # `persist` asks again: with a note, a limit in seconds, and until an interrupt.
        config = {
            "retries": {"mode": "standard", "total_max_attempts": 1},
            "connect_timeout": store.CONNECT_TIMEOUT,
            "read_timeout": store.READ_TIMEOUT,
            "max_pool_connections": _AT_ONCE,
        }
        self._files = store.open_filesystem("s3", config_kwargs=config)
        self._files.retries = 1

    def list_pages(self, folder: Url, start: str) -> Iterator[list[Entry]]:
        """See `Store`."""
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
        """See `Store`."""
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
        """See `Store`."""
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
        """See `Store`; by its first byte, because errors of HEAD have no code."""
        named = {"Bucket": url.place, "Key": url.key, "Range": "bytes=0-0"}
        try:
            self._files.call_s3("get_object", **named)["Body"].close()
        except OSError as error:
            if explain_answer(error, url).code != "InvalidRange":  # that of an empty file
                raise

    def remove(self, url: Url) -> None:
        """See `Store`."""
        self._files.call_s3("delete_object", Bucket=url.place, Key=url.key)


async def _pump(body: Any, file: BinaryIO) -> None:
    """Writes an answer's body to a file."""
    try:
        while part := await body.read(2**20):
            file.write(part)
    finally:
        body.close()
