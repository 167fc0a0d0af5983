"""The report of a run over photographs: begun before the work, kept up, told and written."""

import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tqdm import tqdm

from runtime.files import check_writable, explain_failure, remove_leftovers
from runtime.settings import to_plain
from runtime.wording import hide_folders, visible
from storage.errors import StorageError
from storage.location import name_below

from ..summary import RunSummary, Spool, SummaryEntry, check_replaceable
from .earlier import compare_runs
from .plan import Plan
from .settings import Settings


def check_place(settings: Settings) -> None:
    """Makes a local output folder, before anything is said; ValueError if a run can't write there.

    Of a store only the summary's name is looked at; the first summary tries the rest.
    """
    check_replaceable(settings.output.dir / settings.find_shard().summary)
    if isinstance(settings.output.dir, Path):
        check_writable(settings.output.dir)


class Report:
    """What a run says on the screen and in its summary.

    Args:
        settings: of the run.
        plan: of the run.
        facts: what is known of network and device, for the summary.
        notes: further notes for the user.
    """

    def __init__(
        self, settings: Settings, plan: Plan, facts: dict[str, Any], notes: Iterable[str]
    ) -> None:
        self._settings, self._plan = settings, plan
        self._made: set[str] = set()
        folder, shard, plain = settings.output.dir, settings.find_shard(), to_plain(settings)
        self._path = folder / shard.summary
        for inner in plan.list_folders():
            remove_leftovers(inner)
        kept = ((name, name_below(path, folder)) for name, _, path in plan.list_kept())
        earlier, earlier_notes = compare_runs(folder, shard, hide_folders(plain, plain), kept)
        self.facts: dict[str, Any] = {**facts, "settings": plain, "kept": earlier}
        if plan.shard:
            self.facts["shard"] = plan.shard
        self._summary = RunSummary(self.facts, Spool())
        for note in [*plan.notes, *earlier_notes, *notes]:
            self._summary.notes.append(note)
            print(visible(f"note: {note}"))
        with suppress(OSError):  # the final write reports the error
            self._summary.write(self._path, ended=False)

    def follow(self, done: Iterable[tuple[SummaryEntry, bool]]) -> None:
        """Records results as they come, and shows progress and notes.

        Args:
            done: each result, and whether it is of a job.
        """
        with tqdm(total=self._plan.count_jobs(), unit="image", disable=None) as progress:
            for entry, is_job in done:
                for note in entry.notes:
                    progress.write(visible(f"note: {entry.name}: {note}"))
                progress.update(is_job)
                self._summary.entries.append(entry)
                self._made.update(entry.outputs)

    def end(self) -> int:
        """Prints counts and failures and writes the summary; returns the run's exit code."""
        settings, summary = self._settings, self._summary
        summary.tell()
        try:
            summary.write(self._path)
        except (OSError, StorageError) as error:
            text = f"{self._path} can't be written: {explain_failure(error)}"
            print(visible(f"error: {text}"), file=sys.stderr)
            return 1
        there = self._made | {kind for _, kind, _ in self._plan.list_kept()}
        if types := [kind for kind in dict.fromkeys(settings.output.types) if kind in there]:
            print(visible(f"results are in {settings.output.dir}: {', '.join(types)}"))
        if summary.count("not reached"):
            hint = "" if settings.overwrite else "; --on-existing skip makes only missing outputs"
            print(f"interrupted{hint}", file=sys.stderr)
            return 130
        return 1 if summary.count("failed") else 0
