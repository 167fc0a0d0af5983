"""What happened in a live run: told at once, kept for the summary."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from media.writing import write_png

from ..report import Entry
from .camera import CameraFacts, Lock
from .keys import KEYS
from .outputs import Recorder
from .plate import TakenPlate


class Journal:
    """Tells what happens, and keeps plates and snapshots as files.

    Args:
        folder: for the files.
        save_plates: whether plates are kept.

    Attributes:
        notes: what a user should know, in words.
        outputs: written files by kind and number.
        facts: what became of the camera's locks and of the last plate, for the file.
        failures: what could not be done, in words.
    """

    def __init__(self, folder: Path, save_plates: bool) -> None:
        self.notes: list[str] = []
        self.outputs: dict[str, str] = {}
        self.failures: list[str] = []
        self.facts: dict[str, Any] = {}
        self._folder = folder
        self._save_plates = save_plates

    def take_plate(self, plate: TakenPlate) -> None:
        """Tells of a plate and keeps it; see `Listener`."""
        print(f"plate: mean of {plate.frames} frames")
        self.facts["plate"] = {"frames": plate.frames, "moved": round(plate.moved, 5)}
        for note in plate.notes:
            self.note(note)
        if self._save_plates:
            self._keep("plate", plate.pixels)

    def take_snapshot(self, picture: np.ndarray) -> None:
        """Keeps a snapshot; see `Listener`."""
        self._keep("snapshot", picture)

    def take_locks(self, locks: tuple[Lock, ...]) -> None:
        """Tells what is locked and what is not; see `Listener`."""
        self.facts["locks"] = {lock.name: lock.locked for lock in locks}
        held = [lock.name for lock in locks if lock.locked]
        if held:
            print(f"locked: {', '.join(held)}")
        for lock in locks:
            if not lock.locked:
                self.note(
                    f"{lock.name} could not be locked: {lock.reason}; switch its automatic off in "
                    "the camera's own program"
                )

    def note(self, text: str) -> None:
        """Tells and keeps a note; see `Listener`."""
        print(f"note: {text}")
        self.notes.append(text)

    def entry(self, name: str, speed: Mapping[str, Any], recorder: Recorder | None) -> Entry:
        """Gives the account of the run.

        Args:
            name: of the camera.
            speed: see `tell_speed`.
            recorder: finished, or None.

        Returns:
            The entry for the report.
        """
        entry = Entry(name, "failed" if self.failures else "done", outputs=dict(self.outputs))
        entry.reason = "; ".join(self.failures) or None
        entry.details = {"speed": dict(speed), **self.facts}
        if recorder is not None:
            entry.details["recorded_frames"] = recorder.frames
            if recorder.file is not None:
                entry.outputs["recording"] = str(recorder.file)
        return entry

    def _keep(self, kind: str, picture: np.ndarray) -> None:
        path = free_path(self._folder, f"{kind}-{time.strftime('%Y%m%d-%H%M%S')}")
        try:
            write_png(path, picture)
        except OSError as error:  # the show goes on
            self.failures.append(f"{path} can't be written: {error}")
            print(f"note: {self.failures[-1]}")
            return
        self.outputs[path.stem] = path.name
        print(f"{kind}: {path}")


def describe_camera(facts: CameraFacts) -> dict[str, Any]:
    """The facts of a camera, for the file.

    Args:
        facts: of the camera.

    Returns:
        Values that JSON holds.
    """
    return {
        "name": facts.name,
        "width": facts.width,
        "height": facts.height,
        "frames_per_second": round(float(facts.rate), 3),
        "live": facts.live,
    }


def tell_start(facts: CameraFacts, targets: Sequence[str], where: str) -> None:
    """Prints what the camera gives and which keys do what.

    Args:
        facts: of the camera.
        targets: new backgrounds by number.
        where: to type keys, in words.
    """
    print(f"{facts.name}: {facts.width} x {facts.height}, {float(facts.rate):g} frames/s")
    numbered = ", ".join(f"{number} {name}" for number, name in enumerate(targets, 1))
    print(f"new backgrounds: {numbered}")
    by_action: dict[str, list[str]] = {}
    for key, action in KEYS.items():
        by_action.setdefault(action, []).append(key)
    told = ", ".join(f"{'/'.join(keys)} {action}" for action, keys in by_action.items())
    print(f"keys ({where}): {told}")


def tell_speed(speed: Mapping[str, Any]) -> str:
    """Writes the numbers of a run for a reader.

    Args:
        speed: what `Meter.describe` gives, and `captured` and `dropped`.

    Returns:
        A line.
    """
    counts = f"{speed['captured']} captured, {speed['frames']} shown, {speed['dropped']} dropped"
    if speed["frames_per_second"] is None:
        return counts
    return (
        f"{counts}; {speed['frames_per_second']:.2f} frames/s; latency p50 "
        f"{speed['latency_p50_ms']:.0f} ms, p95 {speed['latency_p95_ms']:.0f} ms"
    )


def free_path(folder: Path, stem: str) -> Path:
    """Finds a name for a picture that no file has.

    Args:
        folder: where.
        stem: that it should have; `-2` and so on are added where it is taken.

    Returns:
        The path.
    """
    path, number = folder / f"{stem}.png", 1
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}.png"
    return path
