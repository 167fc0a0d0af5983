"""Writing files completely or not at all."""

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

# What to do if outputs exist already.
OnExisting = Literal["skip", "overwrite", "error"]

# The folder of files that ship with the program: weights, demo and configs. In a checkout it is the
# project's root, in an installed wheel the package `matting`.
SHIPPED = Path(__file__).resolve().parents[1]

_IN_USE = ".in_use"  # in a temporary folder: locked while its program runs
_HIDDEN = re.compile(r"\.[0-9a-f]{32}\.partial")


class Partial:
    """A temporary file that gets its final name when it is complete.

    The file is created exclusively, so no existing file or link is followed. It is locked while it
    is written, so `remove_leftovers` can tell it from files that a killed run left. Without locks
    (Windows, some network disks) left-over files stay.

    Args:
        path: the file to write; missing folders are created.
        shown: whether its name shows the final name and extension, for a file that others may open
            before it is complete. Otherwise it is hidden.

    Raises:
        OSError: when it can't be created.
    """

    def __init__(self, path: Path, shown: bool = False) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._final = path
        self._lock: int | None = None
        self._create(shown)
        while not self.path.exists():  # removed as a left-over file before it was locked
            self.close()
            self._create(shown)

    def finish(self) -> None:
        """Renames it to its final name and replaces a file of that name; OSError if that fails."""
        self.path.replace(self._final)
        self.close()

    def remove(self) -> None:
        """Removes it if it still exists."""
        self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Closes it and leaves it for a later run to remove."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _create(self, shown: bool) -> None:
        token, final = uuid4().hex, self._final
        named = f"{final.stem}.{token[:8]}.partial{final.suffix}"
        self.path = final.with_name(named if shown else f".{token}.partial")
        self._lock = file = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
        if not lock_file(file, wait=True):
            self.close()


def remove_leftovers(folder: Path, path: Path | None = None) -> None:
    """Removes unfinished files that killed runs left in a folder, which may be missing.

    Args:
        folder: folder of this run's outputs.
        path: None for hidden files; a file for those named after it (`Partial`).
    """
    pattern = _HIDDEN
    if path is not None:
        stem, suffix = re.escape(path.stem), re.escape(path.suffix)
        pattern = re.compile(rf"{stem}\.[0-9a-f]{{8}}\.partial{suffix}")
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if pattern.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                _remove_unlocked(entry.path)


def _remove_unlocked(path: str) -> None:
    with suppress(OSError):
        file = os.open(path, os.O_RDWR)
        try:
            if lock_file(file):
                os.unlink(path)  # noqa: PTH108 - a name, not a path
        finally:
            os.close(file)


def lock_file(file: int, wait: bool = False, shared: bool = False) -> bool:
    """Locks an open file until it is closed; returns whether that was possible.

    With `shared`, others may lock it so as well.
    """
    if fcntl is None:
        return False
    try:
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        fcntl.flock(file, kind | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yields a temporary name in a file's folder to write to, and renames it at the end.

    Args:
        path: the file to write; missing folders are created, an existing file is replaced.

    Yields:
        The temporary name, of an empty file.

    Raises:
        OSError: when creating or renaming fails; the message names `path`. After this or an error
            in the block, the temporary file is removed and an existing file is unchanged.
    """
    partial = Partial(path)
    try:
        yield partial.path
        partial.finish()
    except BaseException as error:
        partial.remove()
        if isinstance(error, OSError):
            error.filename = str(path)
            del error.filename2  # None would be named as a second file
        raise


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file under a temporary name in its folder and renames it.

    Args:
        path: the file to write; missing folders are created, an existing file is replaced.
        data: content.

    Raises:
        OSError: when this fails; the temporary file is removed.
    """
    with whole(path) as partial:
        partial.write_bytes(data)


@contextmanager
def temporary_folder(prefix: str, folder: Path | None = None) -> Iterator[Path]:
    """Yields a new temporary folder, and removes it at the end.

    Those that killed programs left are removed before, where files can be locked.

    Args:
        prefix: of the names of such folders.
        folder: where to make it; None means the system's place for temporary files.
    """
    parent = Path(tempfile.gettempdir()) if folder is None else folder
    for path in parent.glob(f"{prefix}*"):
        with suppress(OSError):
            # Without a file to lock it is another's, or was made right now.
            file = os.open(path / _IN_USE, os.O_RDWR)
            try:
                if lock_file(file):
                    shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(file)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=parent) as name:
        lock = Partial(Path(name, _IN_USE))  # locked before it has its name
        lock.path.replace(Path(name, _IN_USE))
        try:
            yield Path(name)
        finally:
            lock.close()


def check_writable(folder: Path) -> None:
    """Creates a folder, tests that it is writable, and removes files that killed runs left there.

    Args:
        folder: an output folder.

    Raises:
        ValueError: when it is a file, or is not writable.
    """
    try:
        probe = Partial(folder / "probe")
        try:
            probe.path.write_bytes(b"\0")
        finally:
            probe.remove()
    except OSError as error:
        raise ValueError(
            f"output folder {folder} can't be written: {explain_failure(error)}. Name another "
            "with --output-dir or change its permissions"
        ) from error
    remove_leftovers(folder)


def explain_failure(error: Exception) -> str:
    """Returns why a file can't be read or written, as stated by the system or FFmpeg."""
    reason = getattr(error, "strerror", None) or str(error)
    if isinstance(error, FileExistsError):  # raised by `mkdir` only
        reason = "it exists and is not a folder"
    full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
    return f"the disk is full ({reason})" if full else reason


def explain(error: Exception) -> str:
    """Describes an error for the user: its text, and for unexpected errors its type."""
    if isinstance(error, OSError) and isinstance(error.filename, str):
        return f"{error.filename}: {explain_failure(error)}"
    expected = isinstance(error, ValueError | OSError)
    return explain_failure(error) if expected else f"{type(error).__name__}: {error}"
