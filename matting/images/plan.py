"""Planning a run over folders: what belongs together, what is made and what is there already."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from dataset.pairing import pair_by_stem
from media.listing import list_pictures
from runtime.files import OnExisting
from runtime.wording import listed

from ..pictures.compose import OutputType
from ..pictures.target import Target


@dataclass(frozen=True)
class Job:
    """One frame to matte."""

    name: str
    """The frame's path below the source folder, for messages."""
    src: Path
    bgr: Path
    target: Path | None
    """The file of its new background, if it has one."""
    outputs: dict[OutputType, Path]
    """Files to make, by type; those that may be kept are left out."""


@dataclass(frozen=True)
class Plan:
    """What a run will do, and what a user should know before, in words."""

    jobs: list[Job] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    """Names of frames whose outputs are all there."""
    failed: dict[str, str] = field(default_factory=dict)
    """Names of frames that can't be matted, with the reason."""
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
        output_dir: where outputs go: `output_dir/TYPE/` and then as below `src`.
        types: outputs to make.
        on_existing: what to do about outputs that are there.

    Returns:
        The plan. Nothing has been written.

    Raises:
        PictureError: when a path is missing or holds no picture.
        ValueError: when an output would replace an input, or exists and `on_existing` is `error`.
    """
    plan = Plan()
    _refuse_same_paths(output_dir, src, bgr, target)
    sources = _list_sources(src, bgr, target, output_dir, plan.notes)
    root = src if src.is_dir() else src.parent
    names = {source: source.relative_to(root).as_posix() for source in sources}
    plates = _partners(names, root, bgr, "plate", plan)
    targets = _partners(names, root, target.path, "target background", plan)
    stems = _output_stems(names, plan.notes)
    inputs = {path.resolve() for path in (*sources, *plates.values(), *targets.values())}
    existing: list[Path] = []
    for source, name in names.items():
        if name in plan.failed:
            continue
        outputs = {
            kind: output_dir / kind / f"{stems[source]}.png" for kind in dict.fromkeys(types)
        }
        _refuse_inputs(outputs, inputs)
        there = [kind for kind, path in outputs.items() if path.exists()]
        existing += [outputs[kind] for kind in there]
        if on_existing == "skip":
            outputs = {kind: path for kind, path in outputs.items() if kind not in there}
        if outputs:
            job = Job(name, source, plates[source], targets.get(source), outputs)
            plan.jobs.append(job)
        else:
            plan.skipped.append(name)
    if existing and on_existing == "error":
        raise ValueError(
            f"{len(existing)} of the outputs exist already: {listed(existing)}. Use "
            "--on-existing skip to make only what is missing, or overwrite (-y) to replace them"
        )
    return plan


def _list_sources(
    src: Path, bgr: Path, target: Target, output_dir: Path, notes: list[str]
) -> list[Path]:
    """The frames: pictures of the source folder that are not plates, targets or outputs."""
    others = tuple(path for path in (bgr, target.path, output_dir) if path is not None)
    sources = list_pictures(src, exclude=others)
    if src.is_dir():
        inside = [p for p in others if p.exists() and p.resolve().is_relative_to(src.resolve())]
        notes += [
            f"{path} lies in the source folder and is not taken for frames" for path in inside
        ]
    return sources


def _partners(
    names: dict[Path, str], root: Path, partner: Path | None, what: str, plan: Plan
) -> dict[Path, Path]:
    """Partner file of each source; sources without one are entered as failed."""
    if partner is None:
        return {}
    if partner.is_file():
        return dict.fromkeys(names, partner)
    pairing = pair_by_stem(list(names), root, list_pictures(partner), partner)
    for source, reason in pairing.unmatched.items():
        plan.failed.setdefault(names[source], f"no {what}: {reason}")
    if pairing.unused and what == "plate":
        plan.notes.append(f"plates that match no frame: {listed(pairing.unused)}")
    return pairing.matched


def _output_stems(names: dict[Path, str], notes: list[str]) -> dict[Path, str]:
    """Path of each source's outputs below a type's folder, without the outputs' extension."""
    stems = {source: Path(name).with_suffix("").as_posix() for source, name in names.items()}
    whole: list[Path] = []
    while True:
        # Case is folded because many file systems do.
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


def _refuse_same_paths(output_dir: Path, src: Path, bgr: Path, target: Target) -> None:
    if src.resolve() == bgr.resolve():
        raise ValueError(
            f"--images-src and --images-bgr are the same ({src}); the plate is a picture of the "
            "scene without the subject, captured by the same camera"
        )
    for flag, path in (("images-src", src), ("images-bgr", bgr), ("target-bgr", target.path)):
        if path is not None and path.is_dir() and path.resolve() == output_dir.resolve():
            raise ValueError(
                f"--output-dir and --{flag} are the same folder ({path}); outputs would mix with "
                f"inputs. Use another, for example --output-dir {output_dir / 'matting'}"
            )


def _refuse_inputs(outputs: dict[OutputType, Path], inputs: set[Path]) -> None:
    for path in outputs.values():
        if path.resolve() in inputs:
            raise ValueError(
                f"output {path} would replace an input of the same name; use another --output-dir"
            )
