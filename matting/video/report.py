"""The report of a video run: inputs, outputs and speed, for the screen and summary.json."""

from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from media.frames import VideoInfo
from media.listing import list_pictures
from media.pictures import PictureError
from runtime.files import explain
from runtime.wording import listed

from ..summary import RunSummary, SummaryEntry, read_summary
from .run import VideoRun

# Settings that may differ between a run and its continuation.
_FREE = {"overwrite", "resume", "config", "print_config", "compute", "shard"}
_ENDS = 4096  # bytes at the beginning and at the end of a file that are compared


def describe_source(info: VideoInfo) -> dict[str, Any]:
    """The properties of a source for JSON, with fractions as strings."""
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


def describe_work(run: VideoRun, seconds: float) -> dict[str, Any]:
    """Speed of a run and figures of islands, smoothing and the plate, for summary.json."""
    progress, matter = run.progress, run.matter
    # They overlap, so their sum may exceed 1.
    shares = {name: round(spent / seconds, 3) for name, spent in progress.seconds.items()}
    speed = {
        "frames": progress.done,
        "kept_frames": progress.kept,
        "seconds": round(seconds, 3),
        "frames_per_second": round(progress.done / seconds, 3),
        "shares": shares,
    }
    smoothing = {"dtssd_still": matter.smoother.flicker()} if matter.smoother else {}
    islands = {"islands": matter.tracker.describe()} if matter.tracker else {}
    return {"speed": speed, **islands, **smoothing, **matter.plates.describe()}


def format_work(details: Mapping[str, Any]) -> str:
    """Formats the figures of `describe_work` in several lines."""
    speed = details["speed"]
    shares = ", ".join(f"{name} {share:.0%}" for name, share in speed["shares"].items())
    kept = f", {speed['kept_frames']} existed already" if speed["kept_frames"] else ""
    rate = f"{speed['frames_per_second']:.2f} frames/s{kept}"
    lines = [f"{speed['frames']} frames in {speed['seconds']:.1f} s ({rate}); at work: {shares}"]
    if islands := details.get("islands"):
        lines.append(f"islands emptied in {islands['emptied']} of {islands['frames']} frames")
    if flicker := details.get("dtssd_still"):
        lines.append(
            f"flicker (dtSSD where the picture is still) {flicker['before']:.3f} before, "
            f"{flicker['after']:.3f} after smoothing"
        )
    for name in ("alignment", "exposure"):
        if done := details.get(name):
            counts = ", ".join(f"{count} {what}" for what, count in done["frames"].items())
            cost = f"{done['ms_per_fit']:.0f} ms per frame in {done['fits']} frames"
            lines.append(f"plate {name}: {counts}; {cost}")
    return "\n".join(lines)


def describe_run(name: str, run: VideoRun, seconds: float, folder: Path) -> SummaryEntry:
    """Makes the entry of a source for the report; paths of outputs are relative to `folder`."""
    progress, outputs = run.progress, run.outputs
    entry = SummaryEntry(name, "done", details=describe_work(run, seconds))
    if progress.error is not None:
        entry.status = "failed"
        entry.reason = explain(progress.error)
    elif not progress.ended:
        entry.status = "not reached"
    for kind, path in outputs.files.items():
        entry.outputs[kind] = path.relative_to(folder).as_posix()
    entry.notes = [note for writer in outputs.writers.values() for note in writer.notes]
    if progress.stopped:
        entry.notes.append("outputs ended with the new background (--target-loop stop)")
    return entry


def begin_summary(report: RunSummary, name: str, summary: Path) -> int:
    """Writes the summary of a run before its first output, in case the run is killed.

    Returns the start of this run, or of the run that it continues: later pictures belong to it.
    In nanoseconds, by the clock of the disk. OSError if the summary can't be written.
    """
    report.entries = [SummaryEntry(name, "not reached")]
    report.write(summary)
    since: int = report.facts.setdefault("since_ns", summary.stat().st_mtime_ns)
    report.write(summary)
    return since


def read_run(summary: Path, paths: Mapping[Any, Path]) -> dict[str, Any]:
    """Reads the summary of the run to continue; returns an empty dict for one without outputs.

    Raises ValueError if there are outputs but no summary.
    """
    if (content := read_summary(summary)) is not None:
        return content
    made = [path for path in paths.values() if path.is_dir() and any(path.iterdir())]
    if made:
        raise ValueError(
            f"--resume can't find the settings of {listed(made)}, because there is no "
            f"{summary}. Use another --output-dir, or -y to start again"
        )
    return {}


def read_inputs(named: Mapping[str, Path]) -> dict[str, str]:
    """Identifies input files and folders by content, so that replaced ones are noticed.

    Compares size, beginning and end of the files, so a copy counts as the same. Leaves out inputs
    that can't be read, are missing, or are not files (such as a pipe).
    """
    told = {}
    for flag, path in named.items():
        digest = sha256()
        with suppress(OSError, PictureError):
            folder = path.is_dir()
            files = list_pictures(path, subfolders=False).pictures if folder else [path]
            for file in filter(Path.is_file, sorted(files)):
                size = file.stat().st_size
                digest.update(f"{file.name if folder else ''}/{size}/".encode())
                with file.open("rb") as opened:
                    digest.update(opened.read(_ENDS))
                    opened.seek(max(0, size - _ENDS))
                    digest.update(opened.read(_ENDS))
                told[flag] = digest.hexdigest()
    return told


def refuse_other_run(
    summary: Path, run: Mapping[str, Any], settings: Mapping[str, Any], inputs: Mapping[str, str]
) -> None:
    """Raises ValueError if the run to continue (`read_run`) had other settings or inputs."""
    before, files = run.get("settings", {}), run.get("inputs", {})
    changed = [
        key
        for key, value in settings.items()
        if key not in _FREE and key in before and before[key] != value
    ]
    changed += [
        f"the file of {flag}" for flag in inputs if files.get(flag) not in (None, inputs[flag])
    ]
    if changed:
        raise ValueError(
            f"--resume continues the run of {summary}, which had other settings: "
            f"{', '.join(changed)}. Use the same ones, another --output-dir, or -y to start again"
        )
