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

# Settings that may differ between a run and the one that continues it.
_FREE = {"overwrite", "resume", "config", "print_config", "compute"}
_ENDS = 4096  # bytes of a file's beginning, and of its end, that are compared


def describe_source(info: VideoInfo) -> dict[str, Any]:
    """The facts of a source as JSON holds them; fractions as text."""
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
    """How fast a run was, and what smoothing, checks, alignment and matching did, for the file."""
    progress, matter = run.progress, run.matter
    # They overlap, so that they may add up to more than 1.
    shares = {name: round(spent / seconds, 3) for name, spent in progress.seconds.items()}
    speed = {
        "frames": progress.done,
        "kept_frames": progress.kept,
        "seconds": round(seconds, 3),
        "frames_per_second": round(progress.done / seconds, 3),
        "shares": shares,
    }
    smoothing = {"dtssd_still": matter.smoother.flicker()} if matter.smoother else {}
    return {"speed": speed, **smoothing, **matter.plates.describe()}


def format_work(details: Mapping[str, Any]) -> str:
    """The numbers of `describe_work` for a reader, in some lines."""
    speed = details["speed"]
    shares = ", ".join(f"{name} {share:.0%}" for name, share in speed["shares"].items())
    kept = f", {speed['kept_frames']} were there" if speed["kept_frames"] else ""
    rate = f"{speed['frames_per_second']:.2f} frames/s{kept}"
    lines = [f"{speed['frames']} frames in {speed['seconds']:.1f} s ({rate}); at work: {shares}"]
    if flicker := details.get("dtssd_still"):
        lines.append(
            f"flicker (dtSSD where the picture stands still) {flicker['before']:.3f} before, "
            f"{flicker['after']:.3f} after smoothing"
        )
    for name in ("alignment", "exposure"):
        if done := details.get(name):
            counts = ", ".join(f"{count} {what}" for what, count in done["frames"].items())
            cost = f"{done['ms_per_fit']:.0f} ms a frame in {done['fits']} frames"
            lines.append(f"plate {name}: {counts}; {cost}")
    return "\n".join(lines)


def describe_run(name: str, run: VideoRun, seconds: float, folder: Path) -> SummaryEntry:
    """The entry of a source for the report; outputs are named from `folder`."""
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
        entry.notes.append("the new background ended, and with it the outputs (--target-loop stop)")
    return entry


def begin_summary(report: RunSummary, name: str, summary: Path) -> int:
    """Writes the summary of a run before its first output, in case the run is killed.

    Returns the time from which on pictures are those of the run, or of one that it continues:
    nanoseconds, by the clock of the disk. OSError when it can't be written.
    """
    report.entries = [SummaryEntry(name, "not reached")]
    report.write(summary)
    since: int = report.facts.setdefault("since_ns", summary.stat().st_mtime_ns)
    report.write(summary)
    return since


def read_run(summary: Path, paths: Mapping[Any, Path]) -> dict[str, Any]:
    """Reads what the summary of a run to be continued says; nothing for one that made nothing.

    Raises ValueError where there are outputs and no summary.
    """
    if (content := read_summary(summary)) is not None:
        return content
    made = [path for path in paths.values() if path.is_dir() and any(path.iterdir())]
    if made:
        raise ValueError(
            f"--resume can't tell with which settings {listed(made)} was made, as there is no "
            f"{summary}. Use another --output-dir, or -y to begin again"
        )
    return {}


def read_inputs(named: Mapping[str, Path]) -> dict[str, str]:
    """Identifies input files and folders by content, so that replaced ones are noticed.

    By the size, beginning and end of its pictures, as one that was copied is the same. Without what
    can't be read, is no file (as a pipe) or not there.
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
    """Raises ValueError where the run to be continued (`read_run`) had other settings or inputs."""
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
            f"{', '.join(changed)}. Use the same ones, another --output-dir, or -y to begin again"
        )
