"""The account of a video run: what was read, made and how fast, for the screen and the file."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from media.frames import VideoInfo

from ..report import Entry
from .outputs import Outputs
from .plate import PlateFeed
from .session import Progress
from .smoothing import AlphaSmoother

# Settings that may differ between a run and the one that continues it.
_FREE = {"overwrite", "resume", "config", "print_config", "compute"}


def describe_source(info: VideoInfo) -> dict[str, Any]:
    """The facts of a source, for the file.

    Args:
        info: of its frames.

    Returns:
        Values that JSON holds; fractions as text.
    """
    return {
        "width": info.width,
        "height": info.height,
        "frames_per_second": str(info.rate),
        "time_base": str(info.time_base),
        "bits": info.bits,
        "pixel_aspect": str(info.pixel_aspect),
        "matrix": info.colour.matrix,
        "primaries": info.colour.primaries,
        "transfer": info.colour.transfer,
        "audio_streams": len(info.audio),
    }


def describe_speed(progress: Progress, seconds: float) -> dict[str, Any]:
    """How fast a run was.

    Args:
        progress: of the run.
        seconds: from the first frame read to the last written.

    Returns:
        Frames, frames a second, and the fraction of the time in which each share of the way was at
        work. The shares overlap, so they may add up to more than 1.
    """
    shares = {name: round(spent / seconds, 3) for name, spent in progress.seconds.items()}
    return {
        "frames": progress.done,
        "kept_frames": progress.kept,
        "seconds": round(seconds, 3),
        "frames_per_second": round(progress.done / seconds, 3),
        "shares": shares,
    }


def tell_speed(details: Mapping[str, Any]) -> str:
    """Writes the numbers of an entry for a reader.

    Args:
        details: of `describe_speed` under `speed`, and of `describe_steadiness`.

    Returns:
        Some lines.
    """
    speed = details["speed"]
    shares = ", ".join(f"{name} {share:.0%}" for name, share in speed["shares"].items())
    kept = f", {speed['kept_frames']} were there" if speed["kept_frames"] else ""
    lines = [
        f"{speed['frames']} frames in {speed['seconds']:.1f} s "
        f"({speed['frames_per_second']:.2f} frames/s{kept}); at work: {shares}"
    ]
    if flicker := details.get("dtssd_still"):
        lines.append(
            f"flicker (dtSSD where the picture stands still) {flicker['before']:.3f} before, "
            f"{flicker['after']:.3f} after smoothing"
        )
    for name in ("alignment", "exposure"):
        if done := details.get(name):
            counts = ", ".join(f"{count} {what}" for what, count in done["frames"].items())
            lines.append(f"plate {name}: {counts}")
    return "\n".join(lines)


def describe_steadiness(smoother: AlphaSmoother | None, plates: PlateFeed) -> dict[str, Any]:
    """What smoothing, alignment and matching did.

    Args:
        smoother: of alpha, or None.
        plates: of the frames.

    Returns:
        Numbers for the file.
    """
    numbers: dict[str, Any] = {}
    if smoother is not None:
        numbers["dtssd_still"] = smoother.flicker()
    for name, tracker in (("alignment", plates.tracker), ("exposure", plates.exposure)):
        if tracker is not None:
            numbers[name] = {"frames": dict(tracker.counts), "reasons": dict(tracker.reasons)}
    return numbers


def describe_run(name: str, progress: Progress, outputs: Outputs, folder: Path) -> Entry:
    """Gives the account of a run.

    Args:
        name: of the source.
        progress: of the run.
        outputs: finished or abandoned.
        folder: what their paths are given from.

    Returns:
        The entry for the report.
    """
    entry = Entry(name, "done")
    if progress.error is not None:
        entry.status = "failed"
        known = isinstance(progress.error, (ValueError, OSError))
        kind = "" if known else f"{type(progress.error).__name__}: "
        entry.reason = f"{kind}{progress.error}"
    elif not progress.ended:
        entry.status = "not reached"
    for kind, path in outputs.files.items():
        entry.outputs[kind] = path.relative_to(folder).as_posix()
    entry.notes = [note for writer in outputs.writers.values() for note in writer.notes]
    if progress.stopped:
        entry.notes.append("the new background ended, and with it the outputs (--target-loop stop)")
    return entry


def refuse_other_run(summary: Path, settings: Mapping[str, Any]) -> None:
    """Refuses to continue a run that was asked for something else.

    Args:
        summary: of that run; there is none when it was killed.
        settings: of this run, as JSON holds them.

    Raises:
        ValueError: when settings that change the pictures differ; names them.
    """
    if not summary.exists():
        return
    before = json.loads(summary.read_text(encoding="utf-8")).get("settings", {})
    changed = [
        key
        for key, value in settings.items()
        if key not in _FREE and key in before and before[key] != value
    ]
    if changed:
        raise ValueError(
            f"--resume continues the run of {summary}, which had other settings: "
            f"{', '.join(changed)}. Use the same ones, another --output-dir, or -y to begin again"
        )
