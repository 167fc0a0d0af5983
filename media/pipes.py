"""Pipes that can be interrupted while they wait for another program's output."""

import io
import os
import select
import sys
from typing import BinaryIO

from runtime.script import interrupted

_PATIENCE = 0.2  # seconds between checks for an interrupt


class InterruptedRead(Exception):  # noqa: N818 - not an error
    """The user interrupted a wait for data.

    FFmpeg's callbacks pass this on, but not a KeyboardInterrupt.
    """


class Pipe(io.RawIOBase):
    """Reads the bytes of a pipe once; raises InterruptedRead if a wait is interrupted."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def readable(self) -> bool:
        """Returns True."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Reads available data, at most `size` bytes; waits for at least one byte or the end."""
        try:
            # On Windows, `select` supports sockets only.
            while os.name == "posix" and not select.select([self._file], [], [], _PATIENCE)[0]:
                if interrupted():
                    raise InterruptedRead
            return os.read(self._file.fileno(), size)
        except KeyboardInterrupt as error:
            raise InterruptedRead from error

    def close(self) -> None:
        """Closes the pipe, unless it is standard input."""
        if self._file is not getattr(sys.stdin, "buffer", None):
            self._file.close()
        super().close()
