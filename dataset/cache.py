"""A folder of files of data sets at URLs, of bounded size, shared by the processes of a machine."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from runtime.files import Partial, explain, lock_file, remove_leftovers
from storage.errors import StorageError
from storage.files import open_store
from storage.location import Url

_KEPT = 0.9  # of the limit, after files were removed to make room
_PATIENCE = 60.0  # seconds to wait for room while all files are in use
_COUNTER = "used"  # file with the sum of the files' bytes


@dataclass(frozen=True)
class Cache:
    """Fetches files into a folder, and removes the least recently used ones.

    A file appears under its name when it is complete, and is locked while it is read. Where files
    can't be locked (Windows, some network disks), a file may be removed before it is opened.
    """

    folder: Path = Path("cache")
    limit: int = 50 * 10**9
    """Bytes."""

    @contextmanager
    def hold(self, url: Url, size: int, etag: str) -> Iterator[Path]:
        """Yields a local file with the content of a listed one, which stays during the block.

        Raises:
            StorageError: when it can't be fetched, was replaced since it was listed, there is no
                room for it, or the folder can't be written.
        """
        name = sha256(f"{url}\0{size}\0{etag}".encode("utf-8", "surrogateescape")).hexdigest()[:40]
        path = self.folder / name[:2] / f"{name}{url.local_suffix}"
        end = time.monotonic() + _PATIENCE
        try:
            while (file := _open_locked(path)) is None:
                if time.monotonic() > end:
                    raise self._too_small(url, size)
                self._fetch(url, size, path)
        except OSError as error:
            raise StorageError(
                f"{url}: the cache {self.folder} can't be used: {explain(error)}. Name another "
                "folder with --dataset-cache-dir, or free its disk"
            ) from error
        try:
            with suppress(OSError):
                os.utime(path)  # the time of its last use
            yield path
        finally:
            os.close(file)

    def _fetch(self, url: Url, size: int, path: Path) -> None:
        def check(found: int) -> None:
            if found != size:
                raise StorageError(
                    f"{url}: it was replaced since it was listed: {found:,} bytes, then {size:,}; "
                    "start again for the new one"
                )

        partial = self._reserve(url, size, path)
        try:
            with partial.path.open("r+b", buffering=0) as file:
                open_store(url).get(url, file, check)
                check(partial.path.stat().st_size)
                os.fsync(file)  # before it has its name: the machine may lose power
            partial.finish()
        except BaseException:
            with self._counter() as counter:
                partial.remove()
                counter.write(counter.read() - size)
            raise

    def _reserve(self, url: Url, size: int, path: Path) -> Partial:
        """Makes a new file of full size; first makes room, or waits until others are not in use."""
        end = time.monotonic() + _PATIENCE
        while size <= self.limit:
            with self._counter() as counter:
                used = counter.read()
                if used < 0 or used + size > self.limit:
                    used = self._remove_oldest(self.limit - size)
                if used + size <= self.limit:
                    partial = Partial(path)
                    os.truncate(partial.path, size)  # as other processes should count it
                    counter.write(used + size)
                    return partial
                counter.write(used)
            if time.monotonic() > end:
                break
            time.sleep(0.2)
        raise self._too_small(url, size)

    def _too_small(self, url: Url, size: int) -> StorageError:
        return StorageError(
            f"{url}: the cache {self.folder} has no room for its {size / 1e9:.3g} GB beside the "
            f"files in use; it may hold {self.limit / 1e9:g} GB. Raise --dataset-cache-gb"
        )

    def _remove_oldest(self, most: int) -> int:
        """Removes files unless the sum is at most `most` bytes; returns the sum."""
        found = []
        for folder in self.folder.iterdir():
            if folder.is_dir():
                remove_leftovers(folder)
                with os.scandir(folder) as entries:
                    for entry in entries:
                        with suppress(FileNotFoundError):
                            state = entry.stat()
                            found.append((state.st_mtime_ns, state.st_size, entry.path))
        total = sum(size for _, size, _ in found)
        if total <= most:
            return total
        for _, size, path in sorted(found):
            if total <= _KEPT * most:
                break
            if not Path(path).name.startswith(".") and _remove_unused(path):
                total -= size
        return total

    @contextmanager
    def _counter(self) -> Iterator["_Counter"]:
        self.folder.mkdir(parents=True, exist_ok=True)
        file = os.open(self.folder / _COUNTER, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            lock_file(file, wait=True)
            yield _Counter(file)
        finally:
            os.close(file)


@dataclass(frozen=True)
class _Counter:
    """The sum of the files' bytes, in an open and locked file."""

    file: int

    def read(self) -> int:
        """-1 if it is not known."""
        os.lseek(self.file, 0, os.SEEK_SET)
        text = os.read(self.file, 32)
        return int(text) if text.isdigit() else -1

    def write(self, used: int) -> None:
        os.lseek(self.file, 0, os.SEEK_SET)
        os.truncate(self.file, 0)
        os.write(self.file, b"%d" % max(0, used))


def _open_locked(path: Path) -> int | None:
    """Opens a file and keeps it from being removed; None if there is none."""
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    lock_file(file, wait=True, shared=True)
    if os.fstat(file).st_nlink:
        return file
    os.close(file)  # removed before it was locked
    return None


def _remove_unused(path: str) -> bool:
    """Removes a file unless a process reads it; returns whether it is gone."""
    with suppress(OSError):
        if os.name == "nt":  # which refuses to remove an open file
            os.unlink(path)  # noqa: PTH108 - a name, not a path
            return True
        file = os.open(path, os.O_RDONLY)
        try:
            if lock_file(file):
                os.unlink(path)  # noqa: PTH108
                return True
        finally:
            os.close(file)
    return False
