"""Plans a run over folders: pairs of frame and plate, outputs to make, existing outputs."""

import os
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from heapq import merge
from itertools import count
from pathlib import Path
from typing import Any, get_args

from runtime.files import OnExisting
from runtime.wording import listed
from storage.location import Location, Url, check_target

from ..pictures.compose import OutputType
from ..pictures.target import Target
from ..shards import WHOLE, Shard, hash_text
from ..summary import SummaryEntry
from .earlier import find_outputs
from .listing import Frames, list_frames
from .names import Partners, RealPaths, find_alike
from .outputs import Existing, Outputs

_NONE = -1  # instead of a partner's number
_KINDS = len(get_args(OutputType))


@dataclass(frozen=True)
class Job:
    """One frame to matte."""

    name: str
    """The frame's path below the source folder, for messages."""
    src: Location
    bgr: Location
    target: Location | None
    """The file of its new background, if there is one."""
    outputs: dict[OutputType, Location]
    """Files to make, by type, without those to keep."""


@dataclass
class Plan:
    """What a run makes, with notes for the user; about 100 bytes of memory a frame.

    Iterating makes one thing a frame in the order of their names: a job, or the entry of a frame
    whose outputs all exist, or that can't be matted.
    """

    root: Location
    """The source folder."""
    outputs: Outputs
    plates: Partners
    targets: Partners | None
    names: list[str] = field(default_factory=list)
    """The frames of this run or shard."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Files that look like frames, with the reason why they can't be read."""
    shard: dict[str, Any] = field(default_factory=dict)
    """Which part of the frames it is, and of which list of names; empty for all."""
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        # For each frame: numbers of its plate and new background, and bits of the types to keep.
        self._plates, self._targets = array("q"), array("q")
        self._kept = bytearray()

    def __iter__(self) -> Iterator[Job | SummaryEntry]:
        others = ((name, _NONE) for name in sorted(self.left_out))
        places = merge(zip(self.names, count(), strict=False), others)
        for name, place in places:
            yield self._make(name, place)

    def add(self, name: str, plate: int | None, target: int | None) -> None:
        """Adds a frame with the numbers of its partners, None for one that it should have."""
        self.names.append(name)
        self._plates.append(_NONE if plate is None else plate)
        self._targets.append(_NONE if target is None else target)
        self._kept.append(0)

    def check_existing(self, on_existing: OnExisting, inputs: RealPaths) -> None:
        """Decides which outputs to make; ValueError if one may not be replaced or is an input."""
        found, broken = array("q"), array("q")
        existing = Existing(self.outputs.dir, self.outputs.types)
        for place, name in enumerate(self.names):
            if self._is_unmatched(place):
                continue
            for bit, path in enumerate(self.outputs.paths(name).values()):
                if path not in existing:
                    continue
                if path in inputs:
                    raise ValueError(
                        f"output {path} would replace an input of the same name; use another "
                        "--output-dir"
                    )
                found.append(place * _KINDS + bit)
                if on_existing == "skip" and existing.is_whole(path):
                    self._kept[place] |= 1 << bit
                elif on_existing == "skip":
                    broken.append(place * _KINDS + bit)
        if found and on_existing == "error":
            raise ValueError(
                f"{len(found)} of the outputs already exist: {self._list(found)}. Use "
                "--on-existing skip to make only what is missing, or overwrite (-y) to replace them"
            )
        if broken:
            self.notes.append(
                f"made again, because the existing file is not a complete PNG: {self._list(broken)}"
            )

    def count_jobs(self) -> int:
        """Counts the frames to matte."""
        return sum(1 for place in range(len(self.names)) if self._is_job(place))

    def list_folders(self) -> set[Path]:
        """Lists the local folders of the outputs to make."""
        if isinstance(self.outputs.dir, Url):
            return set()
        jobs = (name for place, name in enumerate(self.names) if self._is_job(place))
        above = {name.rpartition("/")[0] for name in jobs}
        root = self.outputs.dir
        return {root / kind / folder for folder in above for kind in self.outputs.types}

    def list_kept(self) -> Iterator[tuple[str, OutputType, Location]]:
        """Yields each output that is kept: its frame, type and file."""
        for place, kept in enumerate(self._kept):
            if kept:
                name = self.names[place]
                for bit, (kind, path) in enumerate(self.outputs.paths(name).items()):
                    if kept >> bit & 1:
                        yield name, kind, path

    def _make(self, name: str, place: int) -> Job | SummaryEntry:
        if place == _NONE:
            return SummaryEntry(name, "failed", self.left_out[name])
        if self._plates[place] == _NONE:
            return SummaryEntry(name, "failed", self.plates.explain(name))
        if self.targets and self._targets[place] == _NONE:
            return SummaryEntry(name, "failed", self.targets.explain(name))
        kept, paths = self._kept[place], self.outputs.paths(name)
        outputs = {kind: p for bit, (kind, p) in enumerate(paths.items()) if not kept >> bit & 1}
        if not outputs:
            return SummaryEntry(name, "skipped")
        target = self.targets.path(self._targets[place]) if self.targets else None
        return Job(name, self.root / name, self.plates.path(self._plates[place]), target, outputs)

    def _is_job(self, place: int) -> bool:
        full = (1 << len(self.outputs.types)) - 1
        return self._kept[place] != full and not self._is_unmatched(place)

    def _is_unmatched(self, place: int) -> bool:
        return _NONE in (self._plates[place], self._targets[place])

    def _list(self, outputs: Sequence[int]) -> str:
        places = (divmod(number, _KINDS) for number in outputs)
        paths = ([*self.outputs.paths(self.names[place]).values()][bit] for place, bit in places)
        return listed(paths, len(outputs))


def plan_jobs(
    src: Location,
    bgr: Location,
    target: Target,
    output_dir: Location,
    types: tuple[OutputType, ...],
    on_existing: OnExisting,
    shard: Shard = WHOLE,
) -> Plan:
    """Finds the frames, their plates and new backgrounds, and the files to make.

    Args:
        src: a picture or a folder.
        bgr: one plate, or a folder of plates paired by relative path and stem.
        target: the new background; a folder is paired like the plates.
        output_dir: outputs are written to `output_dir/TYPE/`, with the folders below `src`.
        types: outputs to make.
        on_existing: what to do if outputs exist.
        shard: the part of the frames to plan. The files' names do not depend on it.

    Returns:
        The plan. Nothing is written.

    Raises:
        PictureError: when a path is missing or has no picture.
        StorageError: when a store can't list a folder.
        ValueError: when an output would replace an input, or exists and `on_existing` is `error`.
    """
    check_target(output_dir)
    _refuse_same_paths(output_dir, src, bgr, target)
    sources, notes = _list_sources(src, bgr, target, output_dir)
    plates = Partners(bgr, "plate")
    targets = Partners(target.location, "target background") if target.location else None
    alike = find_alike(sources.names)
    outputs = Outputs(output_dir, tuple(dict.fromkeys(types)), alike)
    left_out = {name: why for name, why in sources.left_out.items() if shard.holds(name)}
    part = _describe_shard(shard, sources)
    plan = Plan(sources.root, outputs, plates, targets, [], left_out, part, notes)
    for name in sources.names:
        plate, new = plates.find(name), targets.find(name) if targets else 0
        if shard.holds(name):
            plan.add(name, plate, new)
    notes += _describe_partners(plates, targets)
    if alike:
        shown = (sources.root / name for name in sorted(alike))
        notes.append(
            "frames that differ only in their extension keep it in the outputs' names: "
            f"{listed(shown, len(alike))}"
        )
    if isinstance(output_dir, Url) or output_dir.exists():
        read = [(sources.root, sources.names), (plates.root, plates.names)]
        read += [(targets.root, targets.names)] if targets else []
        plan.check_existing(on_existing, RealPaths(read))
    return plan


def _list_sources(
    src: Location, bgr: Location, target: Target, output_dir: Location
) -> tuple[Frames, list[str]]:
    """Lists the frames: pictures of the source folder that are not plates, targets or outputs."""
    others = tuple(path for path in (bgr, target.location, output_dir) if path is not None)
    listing = list_frames(src, others)
    if listing.root != src:
        return listing, []
    earlier = find_outputs(listing)
    if earlier:
        below = tuple(f"{folder}/" for folder in earlier)
        names = [name for name in listing.names if not name.startswith(below)]
        listing = Frames(src, names, listing.left_out)
    inside = [path for path in others if _is_inside(path, src)]
    inside += [src / folder for folder in sorted(earlier)]
    notes = [f"{path} is inside the source folder and is not read as frames" for path in inside]
    if not listing.names:
        raise ValueError(f"{src} has only outputs of an earlier run; name a folder of frames")
    if listing.left_out:
        notes.append(f"left out of the source folder: {_describe(src, listing.left_out)}")
    return listing, notes


def _describe_shard(shard: Shard, sources: Frames) -> dict[str, Any]:
    """Which part it is, and what tells the list of all names from another."""
    if shard.count == 1:
        return {}
    names = (*sources.names, *sources.left_out)
    digest = sum(map(hash_text, names)) % 2**64
    return {"part": str(shard), "frames": len(names), "names": f"{digest:016x}"}


def _describe_partners(plates: Partners, targets: Partners | None) -> Iterator[str]:
    """Notes on partners that can't be used or that match no frame."""
    for partners in filter(None, (plates, targets)):
        if left_out := partners.left_out:
            yield f"left out of the {partners.what}s: {_describe(partners.root, left_out)}"
        if partners is plates and (unused := partners.list_unused()):
            paths = (partners.root / name for name in unused)
            yield f"plates that match no frame: {listed(paths, len(unused))}"


def _describe(root: Location, left_out: dict[str, str]) -> str:
    reasons = (f"{root / name} ({reason})" for name, reason in sorted(left_out.items()))
    return listed(reasons, len(left_out))


def _follow(path: Location) -> Location:
    """`Path.resolve` that raises OSError, instead of another error, for a circular link."""
    return path if isinstance(path, Url) else Path(os.path.realpath(path))


def _is_inside(path: Location, folder: Location) -> bool:
    if isinstance(path, Url) or isinstance(folder, Url):
        return str(path).startswith(f"{folder}/")
    return path.exists() and Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def _refuse_same_paths(output_dir: Location, src: Location, bgr: Location, target: Target) -> None:
    if _follow(src) == _follow(bgr):
        raise ValueError(
            f"--images-src and --images-bgr are the same ({src}); the plate is a picture of the "
            "scene without the subject, captured by the same camera"
        )
    for flag, path in (("images-src", src), ("images-bgr", bgr), ("target-bgr", target.location)):
        if path is None or (isinstance(path, Path) and not path.is_dir()):
            continue
        if _follow(path) == _follow(output_dir):
            raise ValueError(
                f"--output-dir and --{flag} are the same folder ({path}); outputs would mix with "
                f"inputs. Use another, for example --output-dir {output_dir / 'matting'}"
            )
