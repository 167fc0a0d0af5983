"""Plans a run over folders: pairs of frame and plate, outputs to make, existing outputs."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from dataset.pairing import pair_by_stem, stem_key
from media.listing import Listing, list_pictures
from runtime.files import OnExisting
from runtime.wording import listed

from ..pictures.compose import OutputType
from ..pictures.target import Target
from .earlier import find_outputs, is_whole


@dataclass(frozen=True)
class Job:
    """One frame to matte."""

    name: str
    """The frame's path below the source folder, for messages."""
    src: Path
    bgr: Path
    target: Path | None
    """The file of its new background, if there is one."""
    outputs: dict[OutputType, Path]
    """Files to make, by type, without those to keep."""


@dataclass(frozen=True)
class Plan:
    """The jobs of a run, with notes for the user."""

    jobs: list[Job] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    """Names of frames whose outputs all exist."""
    failed: dict[str, str] = field(default_factory=dict)
    """Names of frames, or files that look like frames, that can't be matted, with the reason."""
    kept: dict[Path, OutputType] = field(default_factory=dict)
    """Existing outputs that are kept."""
    notes: list[str] = field(default_factory=list)


def plan_jobs(
    src: Path,
    bgr: Path,
    target: Target,
    output_dir: Path,
    types: tuple[OutputType, ...],
    on_existing: OnExisting,
) -> Plan:
    """Finds the frames, their plates and new backgrounds, and the files to make.

    Args:
        src: a picture or a folder.
        bgr: one plate, or a folder of plates paired by relative path and stem.
        target: the new background; a folder is paired like the plates.
        output_dir: outputs are written to `output_dir/TYPE/`, with the folders below `src`.
        types: outputs to make.
        on_existing: what to do if outputs exist.

    Returns:
        The plan. Nothing is written.

    Raises:
        PictureError: when a path is missing or has no picture.
        ValueError: when an output would replace an input, or exists and `on_existing` is `error`.
    """
    plan = Plan()
    _refuse_same_paths(output_dir, src, bgr, target)
    root = src if src.is_dir() else src.parent
    sources = _list_sources(src, bgr, target, output_dir, plan)
    names = {source: source.relative_to(root).as_posix() for source in sources}
    plates = _partners(names, root, bgr, "plate", plan)
    targets = _partners(names, root, target.path, "target background", plan)
    stems = _output_stems(names, plan.notes)

    read = (*sources, *plates.values(), *targets.values())
    inputs = cache(lambda: set(map(os.path.realpath, read)))  # slow and rarely needed
    existing: list[Path] = []
    for source, name in names.items():
        if name in plan.failed:
            continue
        outputs = {
            kind: output_dir / kind / f"{stems[source]}.png" for kind in dict.fromkeys(types)
        }
        there = _find_existing(outputs, inputs) if output_dir.exists() else {}
        existing += there.values()
        if on_existing == "skip":
            kept = {kind: path for kind, path in there.items() if is_whole(path)}
            plan.kept.update({path: kind for kind, path in kept.items()})
            outputs = {kind: path for kind, path in outputs.items() if kind not in kept}
        if outputs:
            job = Job(name, source, plates[source], targets.get(source), outputs)
            plan.jobs.append(job)
        else:
            plan.skipped.append(name)
    _tell_of_existing(existing, on_existing, plan)
    return plan


def _find_existing(
    outputs: dict[OutputType, Path], inputs: Callable[[], set[str]]
) -> dict[OutputType, Path]:
    """Finds existing outputs; ValueError if one is an input, by its real path."""
    there = {kind: path for kind, path in outputs.items() if os.path.lexists(path)}
    for path in there.values():
        if os.path.realpath(path) in inputs():
            raise ValueError(
                f"output {path} would replace an input of the same name; use another --output-dir"
            )
    return there


def _tell_of_existing(existing: list[Path], on_existing: OnExisting, plan: Plan) -> None:
    if existing and on_existing == "error":
        raise ValueError(
            f"{len(existing)} of the outputs already exist: {listed(existing)}. Use "
            "--on-existing skip to make only what is missing, or overwrite (-y) to replace them"
        )
    broken = [path for path in existing if path not in plan.kept]
    if broken and on_existing == "skip":
        plan.notes.append(
            f"made again, because the existing file is not a complete PNG: {listed(broken)}"
        )


def _list_sources(src: Path, bgr: Path, target: Target, output_dir: Path, plan: Plan) -> list[Path]:
    """Lists the frames: pictures of the source folder that are not plates, targets or outputs."""
    others = tuple(path for path in (bgr, target.path, output_dir) if path is not None)
    listing = list_pictures(src, exclude=others)
    if not src.is_dir():
        return listing.pictures
    earlier = find_outputs(src, listing.pictures)
    sources = [path for path in listing.pictures if not earlier.intersection(path.parents)]
    inside = [p for p in others if p.exists() and _follow(p).is_relative_to(_follow(src))]
    inside += sorted(earlier)
    plan.notes.extend(
        f"{path} is inside the source folder and is not read as frames" for path in inside
    )
    if not sources:
        raise ValueError(f"{src} has only outputs of an earlier run; name a folder of frames")
    for path, reason in listing.left_out.items():
        plan.failed[path.relative_to(src).as_posix()] = reason
    if plan.failed:
        plan.notes.append(f"left out of the source folder: {listed(list(_describe(listing)))}")
    return sources


def _describe(listing: Listing) -> Iterator[str]:
    return (f"{path} ({reason})" for path, reason in sorted(listing.left_out.items()))


def _partners(
    names: dict[Path, str], root: Path, partner: Path | None, what: str, plan: Plan
) -> dict[Path, Path]:
    """Finds the partner file of each source; adds sources without one to the failed."""
    if partner is None:
        return {}
    listing = list_pictures(partner)
    if partner.is_file():
        return dict.fromkeys(names, partner)
    pairing = pair_by_stem(list(names), root, listing.pictures, partner)
    others = {stem_key(path, partner): path for path in listing.left_out}
    for source, reason in pairing.unmatched.items():
        if other := others.get(stem_key(source, root)):
            reason += f", but {other.name}: {listing.left_out[other]}"
        plan.failed.setdefault(names[source], f"no {what}: {reason}")
    if listing.left_out:
        plan.notes.append(f"left out of the {what}s: {listed(list(_describe(listing)))}")
    if pairing.unused and what == "plate":
        plan.notes.append(f"plates that match no frame: {listed(pairing.unused)}")
    return pairing.matched


def _output_stems(names: dict[Path, str], notes: list[str]) -> dict[Path, str]:
    """Returns the path of each source's outputs below a type's folder, without extension."""
    stems = {source: Path(name).with_suffix("").as_posix() for source, name in names.items()}
    whole: list[Path] = []
    while True:
        # Ignores case, because many file systems do.
        count = Counter(stem.casefold() for stem in stems.values())
        alike = [s for s in names if count[stems[s].casefold()] > 1 and s not in whole]
        if not alike:
            break
        whole += alike
        stems.update({source: names[source] for source in alike})
    if whole:
        notes.append(
            "frames that differ only in their extension keep it in the outputs' names: "
            f"{listed(whole)}"
        )
    return stems


def _follow(path: Path) -> Path:
    """`Path.resolve` that raises OSError, instead of another error, for a circular link."""
    return Path(os.path.realpath(path))


def _refuse_same_paths(output_dir: Path, src: Path, bgr: Path, target: Target) -> None:
    if _follow(src) == _follow(bgr):
        raise ValueError(
            f"--images-src and --images-bgr are the same ({src}); the plate is a picture of the "
            "scene without the subject, captured by the same camera"
        )
    for flag, path in (("images-src", src), ("images-bgr", bgr), ("target-bgr", target.path)):
        if path is not None and path.is_dir() and _follow(path) == _follow(output_dir):
            raise ValueError(
                f"--output-dir and --{flag} are the same folder ({path}); outputs would mix with "
                f"inputs. Use another, for example --output-dir {output_dir / 'matting'}"
            )
