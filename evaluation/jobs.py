"""Planning an evaluation: which files belong together, and what can't be compared."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from dataset.pairing import pair_by_stem
from media.pictures import list_pictures
from runtime.wording import listed

from .settings import InputSettings


@dataclass(frozen=True)
class Job:
    """One image to compare.

    Attributes:
        name: the true alpha's path below its folder, for messages.
        pred_pha: predicted alpha.
        true_pha: true alpha.
        pred_fgr: predicted foreground, or None.
        true_fgr: true foreground, or None.
        trimap: its trimap, or None.
        src: its frame, or None.
        before: predicted and true alpha of the frame before, or None.
    """

    name: str
    pred_pha: Path
    true_pha: Path
    pred_fgr: Path | None = None
    true_fgr: Path | None = None
    trimap: Path | None = None
    src: Path | None = None
    before: tuple[Path, Path] | None = None


@dataclass(frozen=True)
class Plan:
    """What an evaluation will do.

    Attributes:
        jobs: images to compare, in natural order.
        failed: names of what can't be compared, with the reason.
        notes: what a user should know before, in words.
    """

    jobs: list[Job] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def plan_jobs(inputs: InputSettings, sequences: bool) -> Plan:
    """Finds the files and what belongs together.

    Args:
        inputs: the folders.
        sequences: whether the pictures of a folder are frames that follow each other.

    Returns:
        The plan. True alphas without prediction and predictions without true alpha are entered as
        failed, as are images without a trimap or foreground where there is a folder of them.

    Raises:
        PictureError: when a path is missing or holds no picture.
        ValueError: when predictions and truth are the same.
    """
    pred_root, true_root = inputs.pred_pha, inputs.true_pha
    if pred_root.resolve() == true_root.resolve():
        raise ValueError(
            f"--pred-pha and --true-pha are the same ({true_root}); name the folder of predicted "
            "alphas and that of the true ones"
        )
    plan = Plan()
    truths = sorted(list_pictures(true_root, exclude=(pred_root,)), key=natural_key)
    predictions = list_pictures(pred_root, exclude=(true_root,))
    names = {path: _name(path, true_root) for path in truths}
    matched = _match_predictions(names, true_root, predictions, pred_root, plan)
    partners = {
        kind: _partners(kind, names, true_root, getattr(inputs, kind), plan)
        for kind in ("pred_fgr", "true_fgr", "trimap", "src")
    }
    before = _frames_before(truths) if sequences else {}
    for truth, name in names.items():
        if name in plan.failed:
            continue
        previous = before.get(truth)
        others = {kind: found[truth] for kind, found in partners.items() if truth in found}
        job = Job(
            name,
            matched[truth],
            truth,
            **others,
            before=(matched[previous], previous) if previous in matched else None,
        )
        if previous is not None and job.before is None:
            plan.notes.append(f"{name}: no dtSSD, because the frame before has no prediction")
        plan.jobs.append(job)
    return plan


def natural_key(path: Path) -> list[list[tuple[int, int, str]]]:
    """Sorts paths by folder and then as people count: 2 before 10."""
    return [
        [(0, int(run), run) if run.isdecimal() else (1, 0, run) for run in re.split(r"(\d+)", part)]
        for part in path.parts
    ]


def _match_predictions(
    names: dict[Path, str], true_root: Path, predictions: list[Path], pred_root: Path, plan: Plan
) -> dict[Path, Path]:
    """Prediction of each true alpha; what has no partner is entered as failed."""
    if true_root.is_file() and pred_root.is_file():
        return {true_root: pred_root}
    pairing = pair_by_stem(list(names), true_root, predictions, pred_root)
    for truth, reason in pairing.unmatched.items():
        plan.failed[names[truth]] = f"no prediction: {reason}"
    for path in pairing.unused:
        plan.failed[str(path)] = f"no true alpha of this path and stem in {true_root}"
    return pairing.matched


def _partners(
    kind: str, names: dict[Path, str], true_root: Path, root: Path | None, plan: Plan
) -> dict[Path, Path]:
    """File of another kind of each true alpha. Only frames may be missing."""
    if root is None:
        return {}
    if root.is_file() and true_root.is_file():
        return {true_root: root}
    flag = f"--{kind.replace('_', '-')}"
    pairing = pair_by_stem(list(names), true_root, list_pictures(root), root)
    for truth, reason in pairing.unmatched.items():
        if kind != "src":
            plan.failed.setdefault(names[truth], f"{flag}: {reason}")
    if kind == "src" and pairing.unmatched:
        missing = [names[truth] for truth in pairing.unmatched]
        plan.notes.append(f"shown without a frame: {listed(missing)}")
    if pairing.unused:
        plan.notes.append(f"not needed of {flag}: {listed(pairing.unused)}")
    return pairing.matched


def _frames_before(truths: list[Path]) -> dict[Path, Path]:
    """The frame before each, in its folder; `truths` are in natural order."""
    last: dict[Path, Path] = {}
    before: dict[Path, Path] = {}
    for truth in truths:
        if truth.parent in last:
            before[truth] = last[truth.parent]
        last[truth.parent] = truth
    return before


def _name(path: Path, root: Path) -> str:
    return path.name if path == root else path.relative_to(root).as_posix()
