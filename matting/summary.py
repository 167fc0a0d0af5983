"""The summary of a run, on screen and in summary.json."""

import json
import os
import platform
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

from runtime.files import write_whole
from runtime.wording import hide_folders, to_json, visible

Status = Literal["done", "skipped", "failed", "not reached"]


@dataclass
class SummaryEntry:
    """The result of one input."""

    name: str
    status: Status
    reason: str | None = None
    """Why it failed."""
    outputs: dict[str, str] = field(default_factory=dict)
    """Written files by type."""
    notes: list[str] = field(default_factory=list)
    """Notes for the user."""
    details: dict[str, Any] = field(default_factory=dict)
    """Figures for summary.json."""


def read_summary(path: Path) -> dict[str, Any] | None:
    """Reads a run's summary; None if there is none or the file is something else."""
    try:
        if not path.is_file():  # opening a pipe would wait
            return None
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    ours = isinstance(content, dict) and {"counts", "images"} <= content.keys()
    return content if ours else None


def check_replaceable(path: Path) -> None:
    """Raises ValueError if a summary would replace a file that is not one."""
    if os.path.lexists(path) and read_summary(path) is None:
        raise ValueError(
            f"{path} is not a summary that this program wrote and would be replaced; move it or "
            "use another --output-dir"
        )


class RunSummary:
    """The results of all inputs of a run, and its settings, device and network."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self.facts = facts
        self.entries: list[SummaryEntry] = []
        self.notes: list[str] = []
        self._start = time.perf_counter()

    def count(self, status: Status) -> int:
        """Counts the entries of one status."""
        return sum(entry.status == status for entry in self.entries)

    def write(self, path: Path, ended: bool = True) -> None:
        """Writes everything as JSON; OSError if this fails.

        Absolute paths in the settings are reduced to their last part, everywhere in the file.

        Args:
            path: the file to write.
            ended: False before the work, so that the settings are recorded if the run is killed.
        """
        content = {
            "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z") if ended else None,
            "seconds": round(time.perf_counter() - self._start, 3),
            "interrupted": not ended or self.count("not reached") > 0,
            "counts": self._counts(),
            **self.facts,
            "versions": {"python": platform.python_version(), "torch": torch.__version__},
            "notes": self.notes,
            "images": [asdict(entry) for entry in sorted(self.entries, key=lambda e: e.name)],
        }
        write_whole(path, to_json(hide_folders(content, self.facts.get("settings"))))

    def tell(self) -> None:
        """Prints the counts and, to stderr, each failure with its reason."""
        seconds = time.perf_counter() - self._start
        counts = ", ".join(f"{count} {status}" for status, count in self._counts().items())
        print(f"{counts} in {seconds:.1f} s ({self.count('done') / seconds:.2f} images/s)")
        for entry in self.entries:
            if entry.status == "failed":
                print(visible(f"failed: {entry.name}: {entry.reason}"), file=sys.stderr)

    def _counts(self) -> dict[str, int]:
        statuses: tuple[Status, ...] = ("done", "skipped", "failed", "not reached")
        counts = {status: self.count(status) for status in statuses}
        return {s: n for s, n in counts.items() if n or s != "not reached"}
