"""Check the data of a training run before it starts, and say what is wrong with it.

Example: python -m dataset.check configs/synthetic_base.yaml --quick 100
Exits 0 when training would run on the data, 1 when it would fail, 2 for bad settings.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from io import TextIOWrapper
from pathlib import Path

import cv2

from media import MediaError
from media.pictures import PictureError, list_pictures
from runtime.settings import REQUIRED, SettingsError, read_section

from .inspection import Findings
from .scanning import index_clips, scan_backgrounds, scan_clips, scan_pictures
from .settings import DatasetSettings, SourceSettings
from .sources import find_files

_SMALL = 512  # pixels; the shorter side of the first stage's crops
_NAMED = 10  # names in a warning; errors name all


class Report:
    """What is printed, and how many errors and warnings that holds."""

    def __init__(self) -> None:
        self.errors = 0
        self.warnings = 0

    def title(self, text: str) -> None:
        """Begins a source."""
        print(f"\n{text}", flush=True)

    def fact(self, name: str, text: str) -> None:
        """Prints a line of the table."""
        print(f"  {name:<12}{text}", flush=True)

    def error(self, text: str, names: Sequence[str] = ()) -> None:
        """Prints what training would fail on."""
        self.errors += 1
        self._print("ERROR", text, names)

    def warn(self, text: str, names: Sequence[str] = ()) -> None:
        """Prints what training would run with, but perhaps should not."""
        self.warnings += 1
        more = [f"and {len(names) - _NAMED} more"] if len(names) > _NAMED else []
        self._print("warning", text, [*names[:_NAMED], *more])

    def _print(self, kind: str, text: str, names: Sequence[str]) -> None:
        self.fact(kind, text)
        for name in names:
            print(f"  {'':<12}  {name}", flush=True)


def main(args: list[str]) -> int:
    """Runs the check.

    Args:
        args: the command line without the program's name.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(prog="python -m dataset.check", description=__doc__)
    parser.add_argument("config", type=Path, help="settings file of a training run")
    parser.add_argument("--dataset-name", help="data set to check instead of the file's own")
    parser.add_argument(
        "--quick", type=int, metavar="N", help="decode no more than N pictures or frames a source"
    )
    options = parser.parse_args(args)
    if options.quick is not None and options.quick < 1:
        parser.error(f"--quick must be 1 or more, got {options.quick}")
    cv2.setNumThreads(1)  # pictures are decoded side by side
    try:
        settings = read_section(options.config, "dataset", DatasetSettings)
        if options.dataset_name:
            settings = replace(settings, name=options.dataset_name)
        if settings.name is REQUIRED:
            raise SettingsError(f"{options.config} has no dataset.name; give --dataset-name")
        splits = {"train": settings.split().train, "valid": settings.split().valid}
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"Data set {settings.name} of {options.config}")
    if options.quick:
        print(f"Quick: {options.quick} of each source are decoded, chosen at random; not all.")
    report = Report()
    for split, sources in splits.items():
        for number, source in enumerate(sources, 1):
            times = f", {source.repeat} times an epoch" if source.repeat > 1 else ""
            report.title(f"{split}, source {number} of {len(sources)}: {source}{times}")
            check_source(report, source, options.quick)
        if not sources:
            report.title(f"{split}: no source")
    for split, folders in (
        ("train", settings.train_backgrounds),
        ("valid", settings.valid_backgrounds),
    ):
        check_backgrounds(report, split, folders, options.quick)
    return conclude(report)


def conclude(report: Report) -> int:
    """Prints the result and returns the exit code."""
    warnings = f"{report.warnings} warning{'s' * (report.warnings != 1)}"
    if report.errors:
        errors = f"{report.errors} error{'s' * (report.errors != 1)}"
        print(f"\nTraining would fail: {errors}, {warnings}.")
        return 1
    print(f"\nTraining would run: no error, {warnings}.")
    return 0


def check_source(report: Report, source: SourceSettings, quick: int | None) -> None:
    """Checks a source of foregrounds.

    Args:
        report: prints what is found.
        source: the source.
        quick: how many pictures or frames to decode; None for all.
    """
    if source.synthetic:
        report.fact("drawn", f"{source.synthetic:,} foregrounds an epoch; no files")
        return
    try:
        found = find_files(source)
    except MediaError as error:
        report.error(str(error))
        return
    if found.unpaired:
        report.error(
            f"files without partner: {len(found.unpaired):,}; remove them or add their partners",
            [f"{path}: {why}" for path, why in found.unpaired.items()],
        )
    if found.kind == "clips":
        indexed, failed = index_clips(found.pairs)
        frames = sum(len(index) for _, (index, _) in indexed)
        report.fact("clips", f"{len(found.pairs):,} pairs, {frames:,} frames")
        findings = scan_clips(indexed, quick)
        if failed:
            report.error(f"pairs of clips that can't be used: {len(failed):,}", failed)
    else:
        unit = "RGBA files" if found.kind == "rgba" else "pairs"
        report.fact("pictures", f"{len(found.pairs):,} {unit}")
        findings = scan_pictures(found, quick)
    describe(report, findings)
    describe_alpha(report, findings)


def describe(report: Report, findings: Findings) -> None:
    """Prints what pictures of all kinds have: how many, how large, which are unreadable."""
    report.fact("decoded", f"{findings.checked:,}")
    if findings.unreadable:
        report.error(f"unreadable: {len(findings.unreadable):,}", sorted(findings.unreadable))
    if not findings.checked:
        return
    areas = sorted(findings.sizes, key=lambda size: size[0] * size[1])
    common, times = findings.sizes.most_common(1)[0]
    smallest, largest, usual = (f"{w} x {h}" for h, w in (areas[0], areas[-1], common))
    report.fact(
        "sizes", f"smallest {smallest}, largest {largest}, most common {usual} ({times:,} times)"
    )


def describe_alpha(report: Report, findings: Findings) -> None:
    """Prints what only foregrounds have."""
    if not findings.checked:
        return
    empty = len(findings.empty)
    report.fact(
        "alpha",
        f"{findings.alpha_min} to {findings.alpha_max}; "
        f"{empty:,} empty ({empty / findings.checked:.1%})",
    )
    if findings.alpha_max == 0:
        report.warn("every alpha is empty: there is nothing to learn")
    elif empty:
        report.warn(
            f"alphas that are zero everywhere, usual only in clips: {empty:,}", findings.empty
        )
    if findings.never_opaque:
        report.warn(
            f"alphas that never reach 255: {len(findings.never_opaque):,}", findings.never_opaque
        )
    if findings.coloured:
        report.warn(
            f"alphas that are not grey, of which luma is taken: {len(findings.coloured):,}",
            findings.coloured,
        )
    if findings.premultiplied:
        report.warn(
            f"premultiplied by alpha, it seems: {len(findings.premultiplied):,} of the "
            f"{findings.judged:,} foregrounds with soft edges to judge by; straight colours are "
            "wanted, lest edges turn dark",
            findings.premultiplied,
        )


def check_backgrounds(
    report: Report, split: str, folders: tuple[Path, ...], quick: int | None
) -> None:
    """Checks the photographs of a split.

    Args:
        report: prints what is found.
        split: its name.
        folders: where they are; none means drawn ones.
        quick: how many to decode; None for all.
    """
    where = ", ".join(map(os.fspath, folders)) or "none given; they are drawn"
    report.title(f"{split}, backgrounds: {where}")
    if not folders:
        return
    try:
        paths = [path for folder in folders for path in list_pictures(folder)]
    except PictureError as error:
        report.error(str(error))
        return
    report.fact("pictures", f"{len(paths):,}")
    findings = scan_backgrounds(paths, quick)
    describe(report, findings)
    small = sum(times for size, times in findings.sizes.items() if min(size) < _SMALL)
    if small:
        report.warn(f"shorter side below {_SMALL} pixels, to be enlarged: {small:,}")


if __name__ == "__main__":
    if isinstance(sys.stdout, TextIOWrapper):
        # A file name that the terminal can't show must not end the check.
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(main(sys.argv[1:]))
