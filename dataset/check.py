"""Checks the data of a training run before it starts, and reports faults.

Example: python -m dataset.check configs/synthetic_base.yaml --quick 100
Exit code: 0 if training would run on the data, 1 if it would fail, 2 for bad settings.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2

from media import MediaError
from runtime.script import run_script
from runtime.settings import REQUIRED, SettingsError, read_section
from runtime.wording import visible

from . import CHECK
from .cache import Cache
from .files import File, list_files
from .inspection import Findings, index_clips, scan_backgrounds, scan_clips, scan_pictures
from .settings import DatasetSettings, SourceSettings
from .sources import find_files

_SMALL = 512  # pixels; the shorter side of the first stage's crops
_NAMED = 10  # names listed in a warning; errors list all


class CheckReport:
    """Prints findings, and counts errors and warnings."""

    def __init__(self) -> None:
        self.errors = self.warnings = 0

    def print_fact(self, name: str, text: str, names: Sequence[str] = ()) -> None:
        """Prints a line of the table, and the names that it concerns."""
        print(visible(f"  {name:<12}{text}"), flush=True)
        for line in names:
            print(visible(f"  {'':<12}  {line}"), flush=True)

    def print_error(self, text: str, names: Sequence[str] = ()) -> None:
        """Prints a fault that would make training fail."""
        self.errors += 1
        self.print_fact("ERROR", text, names)

    def print_left_out(self, left_out: Mapping[File, str]) -> None:
        """Prints files that look like training data but can't be used, if there are any."""
        if left_out:
            names = sorted(f"{path}: {why}" for path, why in left_out.items())
            self.print_error(f"can't be used: {len(names):,}; convert or remove them", names)

    def print_warning(self, text: str, names: Sequence[str] = ()) -> None:
        """Prints a possible fault that would not stop training."""
        self.warnings += 1
        more = [f"and {len(names) - _NAMED} more"] if len(names) > _NAMED else []
        self.print_fact("warning", text, [*names[:_NAMED], *more])

    def conclude(self) -> int:
        """Prints the result and returns the exit code."""
        errors = f"{self.errors or 'no'} error{'s' * (self.errors > 1)}"
        warnings = f"{self.warnings} warning{'s' * (self.warnings != 1)}"
        print(f"\nTraining would {'fail' if self.errors else 'run'}: {errors}, {warnings}.")
        return 1 if self.errors else 0


def main(args: list[str]) -> int:
    """Runs a command line without the program's name; returns the exit code."""
    parser = argparse.ArgumentParser(prog=CHECK, description=__doc__)
    parser.add_argument("config", type=Path, help="settings file of a training run")
    parser.add_argument(
        "--dataset-name", help="data set to check instead of the one that the file names"
    )
    limit = "decode at most N pictures or frames per source"
    parser.add_argument("--quick", type=int, metavar="N", help=limit)
    options = parser.parse_args(args)
    if options.quick is not None and options.quick < 1:
        parser.error(f"--quick must be 1 or more, got {options.quick}")
    return run_script(partial(check, options.config, options.dataset_name, options.quick))


def check(config: Path, name: str | None, quick: int | None) -> int:
    """Checks a data set of a settings file; returns the exit code or raises SettingsError."""
    cv2.setNumThreads(1)  # pictures are decoded in parallel
    settings = read_section(config, "dataset", DatasetSettings)
    if name:
        settings = replace(settings, name=name)
    if settings.name is REQUIRED:
        raise SettingsError(f"{config} has no dataset.name; give --dataset-name")
    split = settings.split()
    print(visible(f"Data set {settings.name} of {config}"))
    if quick:
        print(f"Quick: only {quick} per source are decoded, chosen at random.")
    report = CheckReport()
    for part, sources in (("train", split.train), ("valid", split.valid)):
        for number, source in enumerate(sources, 1):
            times = f", {source.repeat} times per epoch" if source.repeat > 1 else ""
            of = f"{part}, source {number} of {len(sources)}: {source}{times}"
            print(f"\n{visible(of)}", flush=True)
            check_source(report, source, settings.cache, quick)
        if not sources:
            print(f"\n{part}: no source")
    for part in ("train", "valid"):
        check_backgrounds(report, part, settings, quick)
    return report.conclude()


def check_source(
    report: CheckReport, source: SourceSettings, cache: Cache, quick: int | None
) -> None:
    """Checks a source of foregrounds; decodes `quick` of its pictures or frames, or all."""
    if source.synthetic:
        report.print_fact("drawn", f"{source.synthetic:,} foregrounds per epoch; no files")
        return
    try:
        found = find_files(source, cache)
    except MediaError as error:
        report.print_error(str(error))
        return
    report.print_left_out(found.left_out)
    if found.unpaired:
        report.print_error(
            f"files without a partner: {len(found.unpaired):,}; remove them or add their partners",
            [f"{path}: {why}" for path, why in found.unpaired.items()],
        )
    if found.kind == "clips":
        indexed, failed = index_clips(found.pairs)
        frames = sum(len(index) for _, (index, _) in indexed)
        report.print_fact("clips", f"{len(found.pairs):,} pairs, {frames:,} frames")
        findings = scan_clips(indexed, quick)
        if failed:
            report.print_error(f"pairs of clips that can't be used: {len(failed):,}", failed)
    else:
        unit = "RGBA files" if found.kind == "rgba" else "pairs"
        report.print_fact("pictures", f"{len(found.pairs):,} {unit}")
        findings = scan_pictures(found, quick)
    print_findings(report, findings)


def print_findings(report: CheckReport, findings: Findings) -> None:
    """Prints findings: number of pictures, unreadable ones, sizes and alphas."""
    report.print_fact("decoded", f"{findings.checked:,}")
    if findings.unreadable:
        report.print_error(f"unreadable: {len(findings.unreadable):,}", sorted(findings.unreadable))
    if not findings.checked:
        return
    areas = sorted(findings.sizes, key=lambda size: size[0] * size[1])
    common, times = findings.sizes.most_common(1)[0]
    smallest, largest, usual = (f"{w} x {h}" for h, w in (areas[0], areas[-1], common))
    sizes = f"smallest {smallest}, largest {largest}, most common {usual} ({times:,} times)"
    report.print_fact("sizes", sizes)
    if findings.alpha is None:
        return
    (low, high), empty = findings.alpha, findings.empty
    share = f"{len(empty):,} empty ({len(empty) / findings.checked:.1%})"
    report.print_fact("alpha", f"{low} to {high}; {share}")
    if high == 0:
        report.print_warning("every alpha is empty, so there is nothing to learn")
        empty = []
    for names, text in (
        (empty, "alphas that are zero everywhere, which is usual only in clips: {:,}"),
        (findings.never_opaque, "alphas that never reach 255: {:,}"),
        (findings.coloured, "alphas that are not grey, of which luma is used: {:,}"),
        (
            findings.premultiplied,
            f"apparently premultiplied by alpha: {{:,}} of the {findings.judged:,} foregrounds "
            "with enough soft edge to tell; use straight colours, or edges turn dark",
        ),
    ):
        if names:
            report.print_warning(text.format(len(names)), names)


def check_backgrounds(
    report: CheckReport, split: str, settings: DatasetSettings, quick: int | None
) -> None:
    """Checks the photographs of a split; decodes `quick` of them, or all."""
    train = split == "train"
    folders = settings.train_backgrounds if train else settings.valid_backgrounds
    where = ", ".join(map(str, folders)) or "none given; they are drawn"
    print(f"\n{split}, backgrounds: {visible(where)}", flush=True)
    if not folders:
        return
    try:
        listings = [list_files(folder, settings.cache) for folder in folders]
    except MediaError as error:
        report.print_error(str(error))
        return
    for listing in listings:
        report.print_left_out(listing.left_out)
    paths = [path for listing in listings for path in listing.pictures]
    report.print_fact("pictures", f"{len(paths):,}")
    findings = scan_backgrounds(paths, quick)
    print_findings(report, findings)
    small = sum(times for size, times in findings.sizes.items() if min(size) < _SMALL)
    if small:
        report.print_warning(f"shorter side below {_SMALL} pixels, enlarged in training: {small:,}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
