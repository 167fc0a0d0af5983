"""Folders of clips: each clip is a run of its own in a folder of its own."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dataset.pairing import pair_by_stem
from media.clips import CLIP_EXTENSIONS
from media.listing import list_names, list_pictures
from media.pictures import PictureError
from runtime.files import explain
from runtime.settings import to_plain
from runtime.wording import hide_folders, listed, visible

from ..shards import SUMMARY
from ..summary import SummaryEntry, read_entries, read_summary
from .plate import MEDIAN
from .report import refuse_other_run


@dataclass(frozen=True)
class Clip:
    """A clip of a folder."""

    name: str
    """Its path below the folder."""
    src: Path
    bgr: str | None
    """Its plate, see `VideoSettings.bgr`."""
    folder: Path
    """Where its outputs go,"""
    place: str = ""
    """and the same below the folder of all outputs."""
    reason: str | None = None
    """Why it can't be matted."""


def holds_clips(folder: Path) -> bool:
    """Whether a folder holds clips, and is not a sequence of pictures."""
    if not folder.is_dir():
        return False
    try:
        list_pictures(folder, subfolders=False)
    except PictureError:
        try:
            return bool(list_names(folder, extensions=CLIP_EXTENSIONS).names)
        except PictureError:
            return False
    return False


def list_clips(src: Path, bgr: str | None, output_dir: Path) -> list[Clip]:
    """Lists the clips below a folder, each with its plate and output folder, by name.

    Args:
        src: the folder.
        bgr: a plate for all, or a folder of plates paired by relative path and stem.
        output_dir: each clip gets the folder of its relative path and stem below it.

    Raises:
        PictureError: when there is no clip, or no plate in a folder of plates.
    """
    plates = Path(bgr) if bgr is not None and bgr != MEDIAN and Path(bgr).is_dir() else None
    found = list_names(src, (output_dir, Path(bgr or output_dir)), CLIP_EXTENSIONS)
    files = [src / name for name in found.names]
    plate_of, reasons = dict.fromkeys(files, bgr), {}
    if plates is not None:
        pairing = pair_by_stem(files, src, list_pictures(plates).pictures, plates)
        plate_of = {file: str(plate) for file, plate in pairing.matched.items()}
        reasons = pairing.unmatched
    stems = {file: file.relative_to(src).with_suffix("") for file in files}
    count = Counter(str(stem).casefold() for stem in stems.values())
    clips = [
        Clip(name, src / name, None, output_dir, reason=reason)
        for name, reason in found.left_out.items()
    ]
    for name, file in zip(found.names, files, strict=True):
        alone = count[str(stems[file]).casefold()] == 1  # as file systems see it
        place = stems[file].as_posix() if alone else name
        reason = f"no plate: {reasons[file]}" if file in reasons else None
        clips.append(Clip(name, file, plate_of.get(file), output_dir / place, place, reason))
    return sorted(clips, key=lambda clip: clip.name)


def refuse_made(clips: list[Clip]) -> None:
    """Raises ValueError if the folder of a clip's outputs holds something."""
    there = [
        c.folder for c in clips if not c.reason and c.folder.is_dir() and any(c.folder.iterdir())
    ]
    if there:
        raise ValueError(
            f"the outputs of {len(there)} clips already exist: {listed(there)}. Use --resume to "
            "make only what is missing, -y to replace them, or another --output-dir"
        )


def matte_clips(
    clips: list[Clip], settings_of: Callable[[Clip], Any], matte: Callable[[Any], int]
) -> Iterator[SummaryEntry]:
    """Mattes clips one after the other, and yields the result of each.

    Args:
        clips: see `list_clips`.
        settings_of: makes the settings of the run over a clip, those of `inference_video.py`.
        matte: runs with such settings, and returns the exit code.
    """
    stopped = False
    for clip in clips:
        if stopped:
            yield SummaryEntry(clip.name, "not reached")
            continue
        entry = SummaryEntry(clip.name, "failed", clip.reason)
        try:
            if clip.reason is None:
                entry = _matte(clip, settings_of(clip), matte)
        except (ValueError, OSError) as error:
            entry.reason = explain(error)
            print(visible(f"failed: {clip.name}: {entry.reason}"))
        except KeyboardInterrupt:
            entry.status = "not reached"
        stopped = entry.status == "not reached"
        yield entry


def _matte(clip: Clip, settings: Any, matte: Callable[[Any], int]) -> SummaryEntry:
    """Mattes a clip unless it is done; ValueError or OSError if that can't begin."""
    summary = clip.folder / SUMMARY
    if settings.resume:
        before = read_summary(summary)
        if before is not None:
            plain = to_plain(settings)
            refuse_other_run(summary, before, hide_folders(plain, plain), {})
            if before["counts"].get("done"):
                return SummaryEntry(clip.name, "skipped")
        if settings.output.format == "video":  # what a run has not finished is made again
            settings = replace(settings, resume=False, overwrite=before is not None)
    print(visible(f"{clip.name}:"))
    matte(settings)
    made = next(read_entries(summary))
    made.name = clip.name
    made.outputs = {kind: f"{clip.place}/{file}" for kind, file in made.outputs.items()}
    return made
