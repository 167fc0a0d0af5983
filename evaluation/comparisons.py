"""Plans an evaluation: settings, pairs of files, and files that are left out."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from dataset.pairing import pair_by_stem
from media.listing import Listing, list_pictures
from runtime.settings import REQUIRED, settings_group
from runtime.wording import listed


@settings_group("")
class ComparedFolders:
    """What to compare: the results of any program and the ground truth.

    Files are paired by relative path and stem. Any format, 8 or 16 bits.
    """

    pred_pha: Path = REQUIRED
    """Predicted alphas: a folder or one file; grey, or RGBA, of which the alpha channel is used."""
    true_pha: Path = REQUIRED
    """True alphas."""
    pred_fgr: Path | None = None
    """Predicted foregrounds, not premultiplied, for foreground MSE."""
    true_fgr: Path | None = None
    """True foregrounds, not premultiplied."""
    trimap: Path | None = None
    """Trimaps (about 128 of 255 means unknown). If not given, the unknown region is derived from
    the true alpha; see --unknown-radius."""
    src: Path | None = None
    """Frames, for the pictures on the HTML page."""

    def __post_init__(self) -> None:
        if (self.pred_fgr is None) != (self.true_fgr is None):
            given, missing = "--pred-fgr", "--true-fgr"
            if self.pred_fgr is None:
                given, missing = missing, given
            raise ValueError(
                f"{given} was given without {missing}; the foreground's MSE needs both"
            )


@dataclass(frozen=True)
class Comparison:
    """The files of one image."""

    name: str  # the true alpha's path below its folder, for messages
    pred_pha: Path
    true_pha: Path
    pred_fgr: Path | None = None
    true_fgr: Path | None = None
    trimap: Path | None = None
    src: Path | None = None
    before: tuple[Path, Path] | None = None  # predicted and true alpha of the frame before


@dataclass(frozen=True)
class ComparisonPlan:
    """The images of an evaluation, and files that can't be compared."""

    comparisons: list[Comparison] = field(default_factory=list)  # in natural order
    failed: dict[str, str] = field(default_factory=dict)  # files that can't be compared, and why
    notes: list[str] = field(default_factory=list)  # warnings for the user


def plan_comparisons(folders: ComparedFolders, sequences: bool) -> ComparisonPlan:
    """Finds the files and pairs them.

    Args:
        folders: the folders of the files.
        sequences: whether the pictures of a folder are consecutive frames.

    Returns:
        The plan. These count as failed: true alphas without a prediction, predictions without a
        true alpha, and images without a trimap or foreground if there is a folder of them.

    Raises:
        PictureError: when a path is missing or has no picture.
        ValueError: when predictions and truth are the same.
    """
    root = folders.true_pha
    if os.path.realpath(folders.pred_pha) == os.path.realpath(root):
        raise ValueError(
            f"--pred-pha and --true-pha are the same ({root}); name the folder of predicted "
            "alphas and the folder of true alphas"
        )
    plan = ComparisonPlan()
    listing = list_pictures(root, exclude=(folders.pred_pha,))
    _enter_left_out(listing, "--true-pha", plan, fails=True)
    truths = sorted(listing.pictures, key=natural_key)
    names = {
        path: path.name if path == root else path.relative_to(root).as_posix() for path in truths
    }
    kinds = ("pred_pha", "pred_fgr", "true_fgr", "trimap", "src")
    partners = {kind: _find_partners(kind, folders, names, plan) for kind in kinds}
    predictions = partners["pred_pha"]
    last: dict[Path, Path] = {}  # by folder, the true alpha of the frame before
    for truth, name in names.items():
        previous = last.get(truth.parent) if sequences else None
        last[truth.parent] = truth
        if name in plan.failed:
            continue
        before = None
        if previous in predictions:
            before = (predictions[previous], previous)
        elif previous is not None:
            plan.notes.append(f"{name}: no dtSSD, because the frame before has no prediction")
        files = {kind: found[truth] for kind, found in partners.items() if truth in found}
        plan.comparisons.append(Comparison(name=name, true_pha=truth, before=before, **files))
    return plan


def natural_key(path: Path) -> list[list[tuple[int, int, str]]]:
    """Sort key: by folder and then in natural order, 2 before 10."""
    return [
        [(0, int(run), run) if run.isdecimal() else (1, 0, run) for run in re.split(r"(\d+)", part)]
        for part in path.parts
    ]


def _find_partners(
    kind: str, folders: ComparedFolders, names: dict[Path, str], plan: ComparisonPlan
) -> dict[Path, Path]:
    """Finds the file of one kind for each true alpha; adds missing and unused ones to the plan."""
    root, true_root = getattr(folders, kind), folders.true_pha
    if root is None:
        return {}
    if root.is_file() and true_root.is_file():
        return {true_root: root}
    predicted, flag = kind == "pred_pha", f"--{kind.replace('_', '-')}"
    listing = list_pictures(root, exclude=(true_root,) if predicted else ())
    _enter_left_out(listing, flag, plan, fails=predicted)
    pairing = pair_by_stem(list(names), true_root, listing.pictures, root)
    if kind != "src":
        for truth, reason in pairing.unmatched.items():
            plan.failed.setdefault(
                names[truth], f"{'no prediction' if predicted else flag}: {reason}"
            )
    elif pairing.unmatched:
        missing = [names[truth] for truth in pairing.unmatched]
        plan.notes.append(f"shown without a frame: {listed(missing)}")
    if predicted:
        for path in pairing.unused:
            plan.failed[str(path)] = f"no true alpha with this path and stem in {true_root}"
    elif pairing.unused:
        plan.notes.append(f"unused files of {flag}: {listed(pairing.unused)}")
    return pairing.matched


def _enter_left_out(listing: Listing, flag: str, plan: ComparisonPlan, fails: bool) -> None:
    """Adds files that look like pictures but can't be used, as failed if `fails`, else as notes."""
    if fails:
        plan.failed.update({str(path): why for path, why in sorted(listing.left_out.items())})
    if listing.left_out:
        plan.notes.append(f"unusable files of {flag}: {listed(sorted(listing.left_out))}")
