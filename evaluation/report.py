"""The account of an evaluation: on screen, as CSV and as JSON."""

import csv
import io
import json
import platform
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from runtime.files import OnExisting, write_whole

from .measure import REGIONS, Result, average
from .metrics import METRICS

FILES = ("evaluation.csv", "evaluation.json", "evaluation.html")


@dataclass
class Report:
    """What came out of an evaluation.

    Attributes:
        results: of the images that were measured.
        failed: names of what was not, with the reason.
        notes: what a user should know, in words.
        unknown: how the unknown region was found, in words.
        sequences: whether folders are clips.
        settings: of the run, as plain values.
    """

    unknown: str
    sequences: bool = False
    settings: dict[str, Any] = field(default_factory=dict)
    results: list[Result] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def to_text(self) -> str:
        """Formats the means over the images, with every number's scale."""
        means = average(self.results)
        head = f"{'':18}" + "".join(f"{title:>16}" for title in REGIONS.values())
        lines = [f"{head}  scale"]
        for name in means["frame"]:
            values = "".join(f"{format_number(means[region][name]):>16}" for region in REGIONS)
            lines.append(f"{METRICS[name].label:18}{values}  {METRICS[name].scale}")
        lines.append(f"means over {len(self.results)} images; unknown region: {self.unknown}")
        return "\n".join(lines)

    def to_csv(self) -> bytes:
        """Makes a table of a row an image, in the order of the results; empty is not defined."""
        names = list(average(self.results)["frame"])
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        columns = [f"{name}{suffix}" for suffix in ("", "_unknown") for name in names]
        writer.writerow(["image", "width", "height", "unknown_pixels", *columns])
        for result in self.results:
            values = [result.values[region].get(name) for region in REGIONS for name in names]
            row = [result.name, result.width, result.height, result.unknown]
            writer.writerow([*row, *("" if value is None else f"{value:.9g}" for value in values)])
        return text.getvalue().encode(errors="backslashreplace")

    def to_json(self) -> bytes:
        """Makes a summary: means, their scales, clips, failures, settings and every image."""
        content = {
            "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "counts": {"evaluated": len(self.results), "failed": len(self.failed)},
            "means": average(self.results),
            "scales": {name: METRICS[name].scale for name in average(self.results)["frame"]},
            "unknown_region": self.unknown,
            "clips": self._clips() if self.sequences else None,
            "failed": self.failed,
            "notes": self.notes,
            "settings": self.settings,
            "versions": {"python": platform.python_version(), "numpy": np.__version__},
            "images": [asdict(result) for result in self.results],
        }
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        return text.encode(errors="backslashreplace")

    def _clips(self) -> dict[str, Any]:
        clips: dict[str, list[Result]] = {}
        for result in self.results:
            clips.setdefault(str(PurePosixPath(result.name).parent), []).append(result)
        return {name: average(frames) for name, frames in clips.items()}


def sort_worst_first(results: list[Result], metric: str) -> list[Result]:
    """Sorts by a metric over the frame.

    Args:
        results: of the images.
        metric: a key of `METRICS`.

    Returns:
        The largest error first; what has none last.
    """

    def key(result: Result) -> float:
        value = result.values["frame"].get(metric)
        return 1.0 if value is None else -value

    return sorted(results, key=key)


def plan_outputs(folder: Path, on_existing: OnExisting) -> list[Path]:
    """Decides which of the output files to write.

    Args:
        folder: where they go.
        on_existing: what to do about those that are there.

    Returns:
        Those to write; nothing has been written.

    Raises:
        ValueError: when one exists and `on_existing` is `error`, or the folder is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"output folder {folder} is a file; name another with --output-dir")
    paths = [folder / name for name in FILES]
    existing = [path for path in paths if path.exists()]
    if existing and on_existing == "error":
        raise ValueError(
            f"{len(existing)} of the outputs exist already: {', '.join(map(str, existing))}. Use "
            "--on-existing skip to make only what is missing, or overwrite (-y) to replace them"
        )
    return [path for path in paths if path not in existing or on_existing == "overwrite"]


def write_outputs(paths: list[Path], contents: dict[str, bytes]) -> None:
    """Writes the files that were planned.

    Args:
        paths: as `plan_outputs` gives them.
        contents: by file name.

    Raises:
        OSError: when a file can't be written; those before it are whole.
    """
    for path in paths:
        write_whole(path, contents[path.name])


def format_number(value: float | None) -> str:
    """Five digits of a metric, or a dash where it has no value."""
    return "-" if value is None else f"{value:.5g}"
