"""Writing files: each appears whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal
from uuid import uuid4

# What to do about outputs that are there already.
OnExisting = Literal["skip", "overwrite", "error"]


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Gives a temporary name in a file's folder, to be written under, and renames it at the end.

    Args:
        path: where; missing folders are made, an existing file is replaced.

    Yields:
        The temporary name. It must exist when the block ends.

    Raises:
        OSError: when renaming fails; then, or when the block fails, the temporary file is removed
            and an existing file stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{uuid4().hex}.partial")
    try:
        yield partial
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file under a temporary name in its folder and renames it.

    Args:
        path: where; missing folders are made, an existing file is replaced.
        data: content.

    Raises:
        OSError: when that fails; the temporary file is removed then.
    """
    with whole(path) as partial:
        partial.write_bytes(data)


def check_writable(folder: Path) -> None:
    """Makes a folder and tries to write in it.

    Args:
        folder: an output folder.

    Raises:
        ValueError: when it is a file, or nothing can be written there.
    """
    try:
        probe = folder / f".{uuid4().hex}.partial"
        write_whole(probe, b"")
        probe.unlink()
    except OSError as error:
        raise ValueError(
            f"output folder {folder} can't be written: {error.strerror or error}. Name another "
            "with --output-dir or change its permissions"
        ) from error
