"""The account of a run: on screen and in summary.json."""

import json
import platform
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

from runtime.files import write_whole

Status = Literal["done", "skipped", "failed", "not reached"]


@dataclass
class SummaryEntry:
    """What became of one input."""

    name: str
    status: Status
    reason: str | None = None
    """Why it failed, in words."""
    outputs: dict[str, str] = field(default_factory=dict)
    """Written files by type."""
    notes: list[str] = field(default_factory=list)
    """What a user should know, in words."""
    details: dict[str, Any] = field(default_factory=dict)
    """Numbers, for the file alone."""


def check_replaceable(path: Path) -> None:
    """Raises ValueError where a summary would replace a file that is none."""
    if not path.exists():
        return
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        content = None
    if not isinstance(content, dict) or not {"counts", "images"} <= content.keys():
        raise ValueError(
            f"{path} is not a summary that this program wrote and would be replaced; move it or "
            "use another --output-dir"
        )


class RunSummary:
    """What became of all inputs of a run, and facts of the run: settings, device, network."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self.facts = facts
        self.entries: list[SummaryEntry] = []
        self.notes: list[str] = []
        self._start = time.perf_counter()

    def count(self, status: Status) -> int:
        """Counts the entries of one status."""
        return sum(entry.status == status for entry in self.entries)

    def write(self, path: Path) -> None:
        """Writes everything as JSON; OSError when that fails."""
        content = {
            "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "seconds": round(time.perf_counter() - self._start, 3),
            "interrupted": self.count("not reached") > 0,
            "counts": self._counts(),
            **self.facts,
            "versions": {"python": platform.python_version(), "torch": torch.__version__},
            "notes": self.notes,
            "images": [asdict(entry) for entry in sorted(self.entries, key=lambda e: e.name)],
        }
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        # File names need not be text; what is not becomes an escape, which JSON knows.
        write_whole(path, text.encode(errors="backslashreplace"))

    def tell(self) -> None:
        """Prints the counts, and what failed and why (to stderr)."""
        seconds = time.perf_counter() - self._start
        counts = ", ".join(f"{count} {status}" for status, count in self._counts().items())
        print(f"{counts} in {seconds:.1f} s ({self.count('done') / seconds:.2f} images/s)")
        for entry in self.entries:
            if entry.status == "failed":
                print(f"failed: {entry.name}: {entry.reason}", file=sys.stderr)

    def _counts(self) -> dict[str, int]:
        statuses: tuple[Status, ...] = ("done", "skipped", "failed", "not reached")
        counts = {status: self.count(status) for status in statuses}
        return {s: n for s, n in counts.items() if n or s != "not reached"}
