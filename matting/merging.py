"""Add up the summaries of all shards of a run, and list what is missing.

Example: matting merge-summaries --output-dir out
"""

import sys
from pathlib import Path
from typing import Any

from runtime.settings import REQUIRED, parse_settings, settings_group, to_yaml
from runtime.wording import listed, visible
from storage.location import AnyLocation, Location, OptionalLocation

from .images.earlier import fetch_summaries, find_changes, find_outputs
from .images.listing import list_frames
from .shards import SUMMARY, Shard, read_shard
from .summary import (
    RunSummary,
    Spool,
    SummaryEntry,
    check_replaceable,
    is_complete,
    read_entries,
    read_summary,
)

# What a summary says of its own run, and not of all.
_OWN = {"finished", "seconds", "interrupted", "counts", "versions", "notes", "shard", "kept"}
Parts = dict[Shard, dict[str, Any]]


@settings_group()
class Settings:
    """All settings of the program."""

    output_dir: AnyLocation = REQUIRED
    """The output folder of the shards, or its URL, which holds summary-I-of-N.json. summary.json is
    written there."""
    images_src: OptionalLocation = None
    """The frames (a folder or its URL), to list by name those that no shard reports."""
    exclude: tuple[AnyLocation, ...] = ()
    """Plates and new backgrounds inside --images-src, which are no frames."""
    config: Path | None = None
    """YAML file of settings. Flags on the command line override it."""
    print_config: bool = False
    """Print the resolved settings as YAML and exit."""


def main() -> int:
    """Runs the program; returns the exit code of the whole: 0 only if everything was done."""
    settings = parse_settings(Settings, __doc__, sys.argv[1:])
    if settings.print_config:
        print(to_yaml(settings), end="")
        return 0
    return merge_summaries(settings)


def merge_summaries(settings: Settings) -> int:
    """Writes the summary of all shards, says what is missing, and returns the exit code."""
    with fetch_summaries(settings.output_dir) as folder:
        return _merge(settings, folder)


def _merge(settings: Settings, folder: Path) -> int:
    place = settings.output_dir
    parts, damaged = read_parts(folder, place)
    check_replaceable(place / SUMMARY)
    if settings.images_src is not None and any("video" in _settings(p) for p in parts.values()):
        raise ValueError(
            "--images-src lists frames of matting images, and these summaries are of matting "
            "video; leave it out"
        )
    problems = find_problems(parts)
    if damaged:
        problems.append(
            f"{len(damaged)} summaries are damaged or of another program: {listed(damaged)}; move "
            "them elsewhere and run their shards again with --on-existing skip"
        )
    if settings.images_src is None and (problem := compare_lists(parts)):
        problems.append(problem)
    report = RunSummary(add_facts(parts), Spool())
    report.notes += dict.fromkeys(n for part in parts.values() for n in part.get("notes", []))
    for shard in parts:
        for entry in read_entries(folder / shard.summary):
            report.entries.append(entry)
    if settings.images_src is not None:
        missing = list_missing(settings, report)
        for name in missing:
            report.entries.append(SummaryEntry(name, "not reached", "no shard reports it"))
        if missing:
            problems.append(f"{len(missing)} frames that no shard reports: {listed(missing)}")
    report.notes += problems
    report.facts["interrupted"] = bool(problems) or report.count("not reached") > 0
    report.write(place / SUMMARY)
    print(f"{len(parts)} of {next(iter(parts)).count} shards: {report.describe_counts()}")
    report.tell_failures()
    for problem in problems:
        print(visible(f"missing: {problem}"), file=sys.stderr)
    print(visible(f"summary of all shards: {place / SUMMARY}"))
    whole = not (report.facts["interrupted"] or report.count("failed"))
    return 0 if whole else 1


def read_parts(folder: Path, place: Location) -> tuple[Parts, list[str]]:
    """Reads the summaries of shards, without their images, in the order of their numbers.

    Args:
        folder: where they are on this machine.
        place: where they come from, for messages.

    Returns:
        The summaries, and the names of those that can't be read as far as they should go.

    Raises:
        ValueError: when there is none, or some are of runs with another number of shards.
    """
    found = ((read_shard(path.name), path) for path in sorted(folder.glob("summary-*-of-*.json")))
    read = {
        shard: read_summary(path) if is_complete(path) else None for shard, path in found if shard
    }
    parts = {shard: part for shard, part in read.items() if part is not None}
    if not parts:
        raise ValueError(
            f"{place} has no summary-I-of-N.json that can be read; name the --output-dir of runs "
            "with --shard I/N"
        )
    counts = sorted({shard.count for shard in parts})
    if len(counts) > 1:
        raise ValueError(
            f"{place} has summaries of runs with {', '.join(map(str, counts))} shards; move "
            "those of all runs but one elsewhere"
        )
    damaged = [s.summary for s, part in read.items() if part is None and s.count == counts[0]]
    return dict(sorted(parts.items(), key=lambda item: item[0].index)), damaged


def find_problems(parts: Parts) -> list[str]:
    """Says which shards are missing, unfinished, or not of the same run."""
    problems = []
    count = next(iter(parts)).count
    if absent := count - len(parts):
        others = (part for part in (Shard(i, count) for i in range(count)) if part not in parts)
        problems.append(f"{absent} shards have no summary: {listed(others, absent)}")
    if open_ := [shard for shard, part in parts.items() if not part.get("finished")]:
        problems.append(f"{len(open_)} shards have not finished: {listed(open_)}")
    first, base = next((shard, _settings(part)) for shard, part in parts.items())
    for shard, part in parts.items():
        if changes := find_changes(base, _settings(part)):
            named = "; ".join(f"{name} {a} and {b}" for name, (a, b) in changes.items())
            problems.append(f"shards {first} and {shard} had other settings: {named}")
    return problems


def _settings(part: dict[str, Any]) -> dict[str, Any]:
    return part.get("settings") or {}


def compare_lists(parts: Parts) -> str | None:
    """Says whether the shards listed other frames, some of which may be in none of them."""
    lists = [part.get("shard") or {} for part in parts.values()]
    if len({part.get("names") for part in lists}) < 2:
        return None
    frames = sorted({part.get("frames", 0) for part in lists})
    return (
        f"the source changed between the shards, which listed {' and '.join(map(str, frames))} "
        "frames; run all of them again with --on-existing skip, or name --images-src here"
    )


def add_facts(parts: Parts) -> dict[str, Any]:
    """Adds up what the summaries say besides their images and notes."""
    first = next(iter(parts.values()))
    facts = {name: value for name, value in first.items() if name not in _OWN}
    facts["seconds"] = round(sum(part.get("seconds", 0) for part in parts.values()), 3)
    facts["kept"] = [group for part in parts.values() for group in part.get("kept", [])]
    facts["shards"] = [
        {
            "shard": str(shard),
            "finished": part.get("finished"),
            "seconds": part.get("seconds"),
            "device": part.get("device"),
            "counts": part["counts"],
        }
        for shard, part in parts.items()
    ]
    return facts


def list_missing(settings: Settings, report: RunSummary) -> list[str]:
    """Lists the frames of the source, and files that look like frames, that no shard reports."""
    src = settings.images_src
    assert src is not None  # noqa: S101 - the caller has checked
    listing = list_frames(src, (settings.output_dir, *settings.exclude))
    names = set(listing.names) | listing.left_out.keys()
    if earlier := tuple(f"{folder}/" for folder in find_outputs(listing)):
        names = {name for name in names if not name.startswith(earlier)}
    return sorted(names.difference(entry.name for entry in report.entries))
