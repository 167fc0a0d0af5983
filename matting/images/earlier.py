"""Earlier runs: their output files, completeness and settings."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

from PIL.PngImagePlugin import PngImageFile

from runtime.wording import list_changes

from ..pictures.compose import OutputType
from ..summary import read_summary

# Settings that change no pixel of an output.
_FREE = (
    *("output.dir", "output.types", "on_existing", "overwrite", "config", "print_config"),
    *("compute.num_workers", "compute.device"),
)


def find_outputs(root: Path, pictures: Iterable[Path]) -> set[Path]:
    """Finds output folders (`com`, `pha` ...) beside a summary, below a folder.

    Args:
        root: the folder.
        pictures: the pictures below it; only their folders are checked.
    """
    kinds = set(get_args(OutputType))
    folders = {
        folder
        for parent in {picture.parent for picture in pictures}
        for folder in (parent, *parent.parents)
        if folder.name in kinds and folder != root and folder.is_relative_to(root)
    }
    beside = {folder.parent for folder in folders}
    with_summary = {folder for folder in beside if read_summary(folder / "summary.json")}
    return {folder for folder in folders if folder.parent in with_summary}


def is_whole(path: Path) -> bool:
    """Whether a file is a complete PNG, by its checksums."""
    try:
        if not path.is_file():
            return False
        with PngImageFile(path) as image:
            image.verify()
    except (OSError, SyntaxError, ValueError, EOFError):
        return False
    return True


def compare_runs(
    summary: Path, settings: dict[str, Any], kept: list[str]
) -> tuple[list[dict[str, Any]], list[str]]:
    """Finds kept outputs that were made with other settings.

    Args:
        summary: the summary of the run before, or a missing file.
        settings: settings of this run, in the form of the summary.
        kept: the kept outputs, relative to the summary's folder.

    Returns:
        Other settings with the files made with them, for the new summary (settings are None if no
        summary records them); and notes for the user.
    """
    before = read_summary(summary) or {}
    left, groups, notes = set(kept), [], []
    earlier = [group for group in before.get("kept", []) if isinstance(group, dict)]
    for group in [*earlier, {"settings": before.get("settings"), "files": kept}]:
        files = sorted(left.intersection(group.get("files", [])))
        left -= set(files)
        used = group.get("settings")
        changes = list_changes(used, settings) if isinstance(used, dict) else {}
        changes = {name: both for name, both in changes.items() if name not in _FREE}
        if not files or (used and not changes):
            continue
        groups.append({"settings": used, "files": files})
        if used:
            named = "; ".join(
                f"{name} was {was}, now {now}" for name, (was, now) in changes.items()
            )
            notes.append(
                f"{len(files)} kept outputs were made with other settings: {named}. "
                "-y makes all of them again"
            )
        else:
            notes.append(
                f"{len(files)} outputs were kept, but no summary.json records their settings; "
                "-y makes all of them again"
            )
    return groups, notes
