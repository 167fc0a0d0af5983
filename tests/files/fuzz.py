"""Mutating files, and reading them where a crash, a hang or too much memory is found out."""

import faulthandler
import os
import random
import resource
import signal
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path

SECONDS = 30  # for one file
MEMORY = 3 * 2**30  # bytes, above what the process has already

# What a field of four bytes means to those who believe it.
_FIELDS = [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\1", b"\1\0\0\0"]


def mutate(data: bytes, chance: random.Random) -> bytes:
    """Damages a file: bits, bytes, fields, pieces cut, doubled, moved or taken from its end."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        # Heads say sizes and kinds, so half of the damage is there.
        end = max(1, len(changed) if chance.random() < 0.5 else min(len(changed), 256))
        at, kind = chance.randrange(end), chance.randrange(7)
        length = chance.choice((1, 2, 4, 16, 256))
        if kind == 0 and changed:
            changed[at] ^= 1 << chance.randrange(8)
        elif kind == 1 and changed:
            changed[at] = chance.randrange(256)
        elif kind == 2:
            changed[at : at + 4] = chance.choice(_FIELDS)
        elif kind == 3:
            del changed[at:]
        elif kind == 4:
            del changed[at : at + length]
        elif kind == 5:
            changed[at:at] = changed[at : at + length]
        else:
            changed[at : at + length] = chance.randbytes(length)
    return bytes(changed)


def run_all(
    work: Callable[[Path], object], files: Iterable[Path], expected: tuple[type[Exception], ...]
) -> dict[str, str]:
    """Does something with each file, in a process that may use `MEMORY` more and `SECONDS` each.

    Returns what went wrong, by the file's name: an exception that is not expected, a hang, a
    crash. A process that has ended is followed by another one, for the files that are left.
    """
    wrong: dict[str, str] = {}
    left = list(files)
    while left:
        reading, writing = os.pipe()
        if child := os.fork():
            os.close(writing)
            with os.fdopen(reading) as lines:
                said = [line.rstrip("\n").split("\t") for line in lines]
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            done = [name for name, _ in said]
            wrong |= {name: text for name, text in said if text}
            left = left[len(done) :]
            if left and code != 0:
                hung = "took over 30 s" if code == -signal.SIGALRM else f"ended by {code}"
                wrong[left.pop(0).name] = hung
            continue
        os.close(reading)
        code = 1
        try:
            _work(work, left, expected, writing)
            code = 0
        finally:
            os._exit(code)
    return wrong


def _work(
    work: Callable[[Path], object],
    files: list[Path],
    expected: tuple[type[Exception], ...],
    writing: int,
) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * os.sysconf("SC_PAGE_SIZE") + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    faulthandler.disable()  # a crash is told by the exit code
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())  # decoders complain there
    for path in files:
        text = ""
        signal.alarm(SECONDS)
        try:
            work(path)
        except expected:
            pass
        except BaseException:
            text = traceback.format_exc(limit=-3).replace("\n", " | ").replace("\t", " ")
        signal.alarm(0)
        os.write(writing, f"{path.name}\t{text}\n".encode(errors="replace"))
