"""The summary of a run, on screen and in summary.json."""

import json
import os
import platform
import sys
import tempfile
import time
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, InstanceOf, TypeAdapter, ValidationError

from runtime.wording import hide_folders, list_folders, replace_folders, to_json, visible
from storage.files import exists, fetched, stored
from storage.location import Location, Url

Status = Literal["done", "skipped", "failed", "not reached"]
# Not `str`, for which pydantic refuses names of files that are no valid Unicode.
Text = InstanceOf[str]

_IMAGES = '  "images": ['  # the line of a summary below which its entries are
_IN_MEMORY = 2**22  # bytes of entries; more of them wait on the disk


@dataclass
class SummaryEntry:
    """The result of one input."""

    name: Text
    status: Status
    reason: Text | None = None
    """Why it failed."""
    outputs: dict[str, Text] = field(default_factory=dict)
    """Written files by type."""
    notes: list[Text] = field(default_factory=list)
    """Notes for the user."""
    details: dict[str, Any] = field(default_factory=dict)
    """Figures for summary.json."""


class _Kept(BaseModel):
    settings: dict[Text, Any] | None = None
    files: list[Text] = []


class _Part(BaseModel):
    frames: int
    names: str


class _Head(BaseModel):
    """What programs read of a summary, besides its images."""

    counts: dict[Status, int]
    finished: str | None = None
    seconds: float = 0
    settings: dict[Text, Any] | None = None
    notes: list[Text] = []
    kept: list[_Kept] = []
    shard: _Part | None = None


_ENTRY = TypeAdapter(SummaryEntry)


class Spool:
    """Entries of a long run, which wait on the disk: 16 bytes of memory each.

    The disk is that of temporary files (`TMPDIR`).
    """

    def __init__(self) -> None:
        self.counts: Counter[Status] = Counter()
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115
        self._names: list[str] = []
        self._starts = array("q")

    def append(self, entry: SummaryEntry) -> None:
        """Adds an entry; OSError if the disk is full."""
        self._names.append(entry.name)
        self._starts.append(self._file.seek(0, os.SEEK_END))
        self._file.write(json.dumps(asdict(entry)).encode() + b"\n")
        self.counts[entry.status] += 1

    def __iter__(self) -> Iterator[SummaryEntry]:
        """Yields the entries in the order of their names."""
        names = self._names
        order: Iterable[int] = range(len(names))
        if any(a > b for a, b in pairwise(names)):
            order = sorted(order, key=names.__getitem__)
        for place in order:
            self._file.seek(self._starts[place])
            yield SummaryEntry(**json.loads(self._file.readline()))


def read_summary(path: Location) -> dict[str, Any] | None:
    """Reads a run's summary without its images; None if it is missing or something else."""
    if isinstance(path, Url):
        if not exists(path):
            return None
        with fetched(path) as local:
            return read_summary(local)
    try:
        if not path.is_file():  # opening a pipe would wait
            return None
        with path.open(encoding="utf-8") as file:
            lines = []
            for line in file:
                if line.startswith(_IMAGES):
                    lines.append(f"{_IMAGES}]}}")
                    break
                lines.append(line)
        content = json.loads("".join(lines))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or content.pop("images", None) is None:
        return None
    try:
        _Head.model_validate(content)
    except ValidationError:
        return None
    return content


def read_entries(path: Path) -> Iterator[SummaryEntry]:
    """Yields the images of a summary, one at a time; OSError or ValueError if that fails."""
    with path.open(encoding="utf-8") as file:
        lines: list[str] = []
        for line in file:
            if line.startswith(_IMAGES):
                break
        for line in file:
            lines.append(line)
            if line.startswith("    }"):
                yield _ENTRY.validate_python(json.loads("".join(lines).rstrip(",\n")))
                lines = []


def is_complete(path: Path) -> bool:
    """Whether a summary has as many images of each status as it says."""
    content = read_summary(path)
    if content is None:
        return False
    try:
        found = Counter(entry.status for entry in read_entries(path))
    except (OSError, ValueError):
        return False
    return found == Counter(content["counts"])


def check_replaceable(path: Location) -> None:
    """Raises ValueError if a summary would replace a file that is not one."""
    there = exists(path) if isinstance(path, Url) else os.path.lexists(path)
    if there and read_summary(path) is None:
        raise ValueError(
            f"{path} is not a summary that this program wrote and would be replaced; move it or "
            "use another --output-dir"
        )


class RunSummary:
    """The results of all inputs of a run, and its settings, device and network."""

    def __init__(
        self, facts: dict[str, Any], entries: "list[SummaryEntry] | Spool | None" = None
    ) -> None:
        self.facts = facts
        self.entries = [] if entries is None else entries
        self.notes: list[str] = []
        self._start = time.perf_counter()

    def count(self, status: Status) -> int:
        """Counts the entries of one status."""
        return self._count()[status]

    def write(self, path: Location, ended: bool = True) -> None:
        """Writes everything as JSON; OSError, or StorageError of a store, if this fails.

        Absolute paths in the settings are reduced to their last part, everywhere in the file.

        Args:
            path: the file to write.
            ended: False before the work, so that the settings are recorded if the run is killed.
        """
        settings = self.facts.get("settings")
        content = {
            "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z") if ended else None,
            "seconds": round(time.perf_counter() - self._start, 3),
            "interrupted": not ended or self.count("not reached") > 0,
            "counts": self._shown(),
            **self.facts,
            "versions": {"python": platform.python_version(), "torch": torch.__version__},
            "notes": self.notes,
        }
        pairs = list_folders(settings)
        entries = self.entries
        if isinstance(entries, list):
            entries = sorted(entries, key=lambda entry: entry.name)
        images = (replace_folders(asdict(entry), pairs) for entry in entries)
        write_summary(path, hide_folders(content, settings), images)

    def tell(self) -> None:
        """Prints the counts and, to stderr, each failure with its reason."""
        seconds = time.perf_counter() - self._start
        rate = self.count("done") / seconds
        print(f"{self.describe_counts()} in {seconds:.1f} s ({rate:.2f} images/s)")
        self.tell_failures()

    def describe_counts(self) -> str:
        """Returns the counts as text."""
        return ", ".join(f"{count} {status}" for status, count in self._shown().items())

    def tell_failures(self) -> None:
        """Prints each failure with its reason to stderr."""
        if self.count("failed"):
            for entry in self.entries:
                if entry.status == "failed":
                    print(visible(f"failed: {entry.name}: {entry.reason}"), file=sys.stderr)

    def _count(self) -> Counter[Status]:
        entries = self.entries
        if isinstance(entries, Spool):
            return entries.counts
        return Counter(entry.status for entry in entries)

    def _shown(self) -> dict[str, int]:
        """The counts; those not reached are named only if there are some."""
        statuses: tuple[Status, ...] = ("done", "skipped", "failed", "not reached")
        counts = self._count()
        return {s: counts[s] for s in statuses if counts[s] or s != "not reached"}


def write_summary(
    path: Location, content: dict[str, Any], images: Iterable[dict[str, Any]]
) -> None:
    """Writes a summary, image by image, whole or not at all.

    Raises:
        OSError, StorageError: when it can't be written.
    """
    with stored(path) as partial, partial.open("wb") as file:
        file.write(to_json(content).removesuffix(b"\n}\n") + f",\n{_IMAGES}".encode())
        between = b""
        for image in images:
            text = to_json(image).rstrip(b"\n").replace(b"\n", b"\n    ")
            file.write(between + b"\n    " + text)
            between = b","
        file.write(b"\n  ]\n}\n" if between else b"]\n}\n")
