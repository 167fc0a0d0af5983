"""Events of a live run: prints them at once and keeps them for the summary."""

import sys
import time
from array import array
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from media.pictures import write_png
from runtime.files import explain_failure
from runtime.wording import visible

from ..plate.prepare import Preparation
from ..summary import RunSummary, SummaryEntry
from .camera import CameraFacts, Locks
from .capture import Capture
from .controls import ACTIONS
from .outputs import Outputs
from .plate import TakenPlate

_RECENT = 30  # pictures
_CHECKED = ("alignment", "exposure", "capture")  # reports of a check, in the summary


class Meter:
    """Counts pictures and their latency, from the arrival of a picture to its display."""

    def __init__(self) -> None:
        self.frames = 0
        self._latencies = array("d")
        self._recent: deque[tuple[float, float]] = deque(maxlen=_RECENT)
        self._active = 0.0  # seconds between consecutive pictures
        self._pairs = 0

    def add(self, captured: float, shown: float) -> None:
        """Counts a picture by its times of arrival and of the last output, in seconds."""
        if self._recent:
            self._active += shown - self._recent[-1][1]
            self._pairs += 1
        self.frames += 1
        self._latencies.append(shown - captured)
        self._recent.append((captured, shown))

    def cut(self) -> None:
        """Marks a gap before the next picture, which is not counted."""
        self._recent.clear()

    @property
    def text(self) -> str:
        """Latency and frames per second of the last pictures, for the screen."""
        if len(self._recent) < 2:
            return ""
        latency = sum(shown - captured for captured, shown in self._recent) / len(self._recent)
        span = self._recent[-1][1] - self._recent[0][1]
        rate = (len(self._recent) - 1) / max(span, 1e-9)
        return f"{1000 * latency:.0f} ms  {rate:.1f} frames/s"

    def describe(self) -> dict[str, Any]:
        """Frames, frames/s without gaps, percentiles of the latency in ms; None where unknown."""
        p50 = p95 = None
        if self.frames:
            p50, p95 = np.round(1000 * np.percentile(self._latencies, (50, 95)), 2).tolist()
        rate = round(self._pairs / self._active, 3) if self._active else None
        numbers = {"frames": self.frames, "frames_per_second": rate}
        return {**numbers, "latency_p50_ms": p50, "latency_p95_ms": p95}


class Journal:
    """Prints and records events of the camera `name`, and saves pictures in `folder`."""

    def __init__(self, report: RunSummary, name: str, folder: Path, save_plates: bool) -> None:
        self.entry = SummaryEntry(name, "done")  # the run's entry
        report.entries.append(self.entry)
        self._report = report
        self._folder = folder
        self._save_plates = save_plates

    def take_plate(self, plate: TakenPlate) -> None:
        """Records that a plate was taken."""
        print(f"plate: mean of {plate.frames} frames")
        self.entry.details["plate"] = {"frames": plate.frames, "moved": round(plate.moved, 5)}
        for name in _CHECKED:
            self.entry.details.pop(name, None)  # those of the previous plate
        self.note(*plate.notes)
        if self._save_plates:
            self.keep("plate", plate.pixels)

    def take_preparation(self, preparation: Preparation) -> None:
        """Records a preparation: the last check, and the first corrections applied."""
        self.note(*preparation.notes)
        details = self.entry.details
        if preparation.capture is None and "capture" in details:
            return
        for name in _CHECKED:
            if not (details.get(name) or {}).get("applied"):
                report = getattr(preparation, name)
                details[name] = asdict(report) if report else None

    def take_locks(self, locks: Locks) -> None:
        """Records which controls of the camera were locked."""
        self.entry.details["locks"] = {name: reason is None for name, reason in locks.items()}
        if held := [name for name, reason in locks.items() if reason is None]:
            print(visible(f"locked: {', '.join(held)}"))
        advice = "turn its automatic mode off in the camera's program"
        for name, reason in locks.items():
            if reason is not None:
                self.note(f"{name} could not be locked: {reason}; {advice}")

    def note(self, *texts: str) -> None:
        """Records and prints notes for the user."""
        for text in texts:
            print(visible(f"note: {text}"))
            self._report.notes.append(text)

    def fail(self, reason: str) -> None:
        """Records and prints a failure."""
        self.entry.status = "failed"
        self.entry.reason = f"{self.entry.reason}; {reason}" if self.entry.reason else reason

    @contextmanager
    def catch_failures(self) -> Iterator[None]:
        """Records errors of a camera, an output or a plate that does not fit, and continues."""
        try:
            yield
        except (ValueError, OSError) as error:
            self.fail(str(error))

    def conclude(self, capture: Capture, meter: Meter, outputs: Outputs, summary: Path) -> int:
        """Prints and writes the results after everything is closed; returns the exit code."""
        counts = {"captured": capture.captured, "dropped": capture.dropped}
        speed = self.entry.details["speed"] = meter.describe() | counts
        if outputs.recorded is not None:
            self.entry.details["recorded_frames"] = outputs.recorded
        if outputs.file is not None:
            self.entry.outputs["recording"] = str(outputs.file)
        line = "{captured} captured, {frames} shown, {dropped} dropped"
        if speed["frames_per_second"] is not None:
            line += "; {frames_per_second:.2f} frames/s"
            line += "; latency p50 {latency_p50_ms:.0f} ms, p95 {latency_p95_ms:.0f} ms"
        print(line.format(**speed))
        for kind, name in self.entry.outputs.items():
            print(visible(f"{kind}: {name}"))
        try:
            self._report.write(summary)
        except OSError as error:
            text = f"{summary} can't be written: {explain_failure(error)}"
            print(visible(f"error: {text}"), file=sys.stderr)
            return 1
        if self.entry.reason is not None:
            print(visible(f"failed: {self.entry.reason}"), file=sys.stderr)
        return 0 if self.entry.status == "done" else 1

    def keep(self, kind: str, picture: np.ndarray) -> None:
        """Writes a plate or snapshot: (H, W, 3), or (H, W, 4) with straight alpha; uint8."""
        stem = f"{kind}-{time.strftime('%Y%m%d-%H%M%S')}"
        names = (stem if number == 1 else f"{stem}-{number}" for number in count(1))
        path = next(path for name in names if not (path := self._folder / f"{name}.png").exists())
        try:
            write_png(path, picture)
        except OSError as error:  # the run continues
            text = f"{path} can't be written: {explain_failure(error)}"
            self.fail(text)
            print(visible(f"note: {text}"))
            return
        self.entry.outputs[path.stem] = path.name
        print(visible(f"{kind}: {path}"))


def print_start(facts: CameraFacts, targets: Sequence[str], where: str) -> None:
    """Prints the camera's size and rate, the new backgrounds, the keys and where to type them."""
    size = f"{facts.width} x {facts.height}"
    print(visible(f"{facts.name}: {size}, {float(facts.rate):g} frames/s"))
    numbered = ", ".join(f"{number} {name}" for number, name in enumerate(targets, 1))
    print(visible(f"new backgrounds: {numbered}"))
    keyed = ", ".join(f"{'/'.join(keys)} {action}" for action, keys in ACTIONS.items())
    print(f"keys ({where}): {keyed}")
