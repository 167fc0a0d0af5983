"""Compares a frame with its captured plate and says what is wrong with the capture.

Works on the two pictures at a small size. A false alarm on a good capture is worse than a missed
fault, so doubtful faults are not reported. Source: ours; `docs/capture.md` has measurements.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import cv2
import numpy as np

from .align import AlignmentReport
from .comparison import (
    AlignmentVerdict,
    average_channels,
    extract_detail,
    find_differences,
    judge_motion,
    largest_channel,
    measure_seen_again,
    refine,
    warp,
)
from .exposure import ExposureReport

MOVED = 0.0006  # fraction of the diagonal, 1.3 pixels at HD; above, alignment is tried
SEEN_AGAIN = 0.3  # of the picture; below, alignment is tried too
SAME_SCENE = 0.02  # of the picture; unrelated pictures reach 0.002, a subject over 3/4 leaves 0.18
ASIDE = 0.1  # of the picture; below, the plate is not aligned, with or without a subject

NOTHING = 0.001  # of the picture; if less differs, the frame has no subject
BALANCE_CHANGE = 0.04  # of red or blue relative to green; less is not reported
IN_BOTH = 0.3  # of an outline in the plate means a subject there; good captures reach 0.2
SWAPPED = 0.45  # of all outlines in the plate, at least, and
SWAPPED_FRAME = 0.15  # in the frame, at most; in good captures it is the opposite

GREY = 4.0  # largest difference of channels; colour JPEGs have up to this
MIN_AREA = 0.004  # of the picture; smaller areas are not judged
OUTLINE_SIGMA_PX = 2.5  # for averaging colours on both sides of an outline
BORDER_PX = 3  # areas are cut at the picture's edge, which is not an outline
MIN_OUTLINE_PX = 20  # with less, the area is undecided
ALONG_SIGMA_PX = 6.0  # for averaging along an outline
OWNED = 0.7  # of the colour change, to assign the outline to one picture


class Problem(StrEnum):
    """Faults of a capture."""

    OTHER_SCENE = "not the same scene"
    MOVED = "camera moved"
    EXPOSURE = "exposure changed"
    WHITE_BALANCE = "white balance changed"
    SUBJECT = "subject in the plate"
    SWAPPED = "plate and frame swapped"
    NO_DIFFERENCE = "no difference"


class CaptureVerdict(StrEnum):
    """Whether a prepared plate can be used."""

    GOOD = "good"
    MENDED = "mended"  # by alignment or exposure
    EMPTY = "empty"  # the frame shows only the plate
    FAULTY = "faulty"


@dataclass(frozen=True)
class CaptureReport:
    """Findings about one frame and its plate; empty for a good capture."""

    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()  # one sentence each: finding, correction, advice
    seen_again: float | None = None  # fraction of the picture where frame and used plate agree
    differing: float | None = None  # fraction of the picture, without specks
    outline_in_frame: float | None = None  # fraction of differing areas' outlines
    outline_in_plate: float | None = None
    verdict: CaptureVerdict = CaptureVerdict.GOOD


def needs_alignment(src: np.ndarray, bgr: np.ndarray) -> bool:
    """Whether to try alignment, which has its own safeguards; takes about 10 ms.

    Both are results of `reduce_colours`, the plate preferably at the frame's exposure.
    """
    return measure_seen_again(src, bgr) < SEEN_AGAIN or measure_shift(src, bgr) >= MOVED


def measure_shift(src: np.ndarray, bgr: np.ndarray) -> float:
    """Largest displacement of a corner as a fraction of the diagonal; finds small ones only."""
    frame, plate = (extract_detail(average_channels(picture)) for picture in (src, bgr))
    transform = refine(frame, plate, np.eye(3))
    shift, _ = judge_motion(transform, warp(plate, transform)[1])
    return shift / float(np.hypot(*src.shape[:2]))


def check_capture(
    src: np.ndarray,
    bgr: np.ndarray,
    alignment: AlignmentReport | None,
    exposure: ExposureReport | None,
) -> CaptureReport:
    """Reports what is wrong between a frame and its plate after preparation.

    Both are results of `reduce_colours`, the plate after preparation. `alignment` is None if the
    plate was aligned already, `exposure` if matching was not tried.
    """
    seen_again = measure_seen_again(src, bgr)
    if seen_again < SAME_SCENE and alignment is not None and not alignment.applied:
        verdict, note = CaptureVerdict.FAULTY, _OTHER_SCENE.format(seen_again)
        return CaptureReport((Problem.OTHER_SCENE,), (note,), seen_again, verdict=verdict)
    differing = find_differences(src, bgr)
    areas = [] if _is_grey(src) else judge_areas(src, bgr, differing)
    whole = max(sum(area.size for area in areas), 1e-9)
    in_frame = float(sum(area.size * area.in_frame for area in areas) / whole)
    in_plate = float(sum(area.size * area.in_plate for area in areas) / whole)
    found = _judge_alignment(alignment, seen_again) | _judge_exposure(exposure)
    verdict = CaptureVerdict.MENDED if found else CaptureVerdict.GOOD
    if Problem.MOVED in found and alignment is not None and not alignment.applied:
        verdict = CaptureVerdict.FAULTY
    if in_plate >= SWAPPED and in_frame <= SWAPPED_FRAME:
        found[Problem.SWAPPED], verdict = _SWAPPED, CaptureVerdict.FAULTY
    elif doubled := sum(area.size for area in areas if area.in_plate >= IN_BOTH):
        found[Problem.SUBJECT], verdict = _SUBJECT.format(doubled), CaptureVerdict.FAULTY
    elif differing.mean() < NOTHING:
        found[Problem.NO_DIFFERENCE], verdict = _NO_DIFFERENCE, CaptureVerdict.EMPTY
    problems, notes, share = tuple(found), tuple(found.values()), float(differing.mean())
    return CaptureReport(problems, notes, seen_again, share, in_frame, in_plate, verdict)


def _is_grey(picture: np.ndarray) -> bool:
    """Whether a reduced picture is grey.

    In grey, plate and subject often have equal brightness somewhere. Differing areas end there, and
    such outlines would be assigned to the plate.
    """
    return bool((largest_channel(picture) - picture.min(axis=2)).max() <= GREY)


def _judge_alignment(alignment: AlignmentReport | None, seen_again: float) -> dict[Problem, str]:
    if alignment is None:
        return {}
    if alignment.applied:
        shift = f"up to {alignment.largest_shift_px:.1f} pixels"
        return {Problem.MOVED: f"the camera moved by {shift}; the plate is aligned"}
    if seen_again >= ASIDE or alignment.verdict is AlignmentVerdict.ALREADY_FITS:
        return {}
    note = f"the plate is not aligned to the frame and can't be aligned: {alignment.reason}"
    return {Problem.MOVED: note}


def _judge_exposure(exposure: ExposureReport | None) -> dict[Problem, str]:
    if exposure is None or not exposure.applied or not exposure.balance or exposure.stops is None:
        return {}
    red, blue = exposure.balance
    if max(abs(red - 1), abs(blue - 1)) >= BALANCE_CHANGE:
        balance = f"red {red - 1:+.0%}, blue {blue - 1:+.0%} against green"
        note = f"the white balance changed from plate to frame: {balance}, {exposure.stops:+.2f} "
        return {Problem.WHITE_BALANCE: f"{note}stops; the plate is matched"}
    note = f"the frame's exposure differs from the plate's by {exposure.stops:+.2f} stops"
    return {Problem.EXPOSURE: f"{note}; the plate is matched"}


_OTHER_SCENE = (
    "frame and plate don't show the same scene: {:.1%} of the plate is seen in the frame. The "
    "plate is a photo of the frame's real scene without the subject. It is not the replacement "
    "background; that is --target-bgr"
)
_SUBJECT = (
    "the plate has a subject in it: somebody or something that moved covers part of {:.1%} of the "
    "plate, and will be taken for foreground. Capture the plate without anybody in the picture"
)
_SWAPPED = (
    "plate and frame seem to be swapped: the subject is in the plate, not in the frame. "
    "--images-src takes the frames with the subject, --images-bgr the plate without"
)
_NO_DIFFERENCE = (
    "the frame shows only the plate: it has no subject, or the plate shows the subject too"
)


class Area(NamedTuple):
    """A connected area where frame and plate differ, in fractions; the rest is undecided."""

    size: float  # of the picture
    in_frame: float  # of its outline, due to a subject in the frame; 0 for short outlines
    in_plate: float  # of its outline, due to a subject in the plate


def judge_areas(src: np.ndarray, bgr: np.ndarray, differing: np.ndarray) -> list[Area]:
    """Finds which picture has a subject, for each larger area that differs; largest first.

    Colours change across the outline of a subject in the picture that shows it; in the other one
    the scene continues. Background subtraction detects ghosts in the same way.
    """
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(differing.astype(np.uint8))
    sizes = statistics[1:, cv2.CC_STAT_AREA] / differing.size
    return [
        Area(float(sizes[label - 1]), *_judge_outline(src, bgr, labels == label))
        for label in sorted(range(1, count), key=lambda label: -sizes[label - 1])
        if sizes[label - 1] >= MIN_AREA
    ]


def _judge_outline(src: np.ndarray, bgr: np.ndarray, area: np.ndarray) -> tuple[float, float]:
    """Fractions of an area's outline that are in the frame and in the plate."""
    inside = area.astype(np.float32)
    seen = np.zeros_like(area)
    middle = (slice(BORDER_PX, -BORDER_PX), slice(BORDER_PX, -BORDER_PX))
    seen[middle] = (area & (cv2.erode(inside, np.ones((3, 3))) == 0))[middle]
    if seen.sum() < MIN_OUTLINE_PX:
        return 0.0, 0.0
    frame, plate = (_measure_step(picture, inside, seen) for picture in (src, bgr))
    share = frame / np.maximum(frame + plate, 1e-6)
    return float((share > OWNED).mean()), float((share < 1 - OWNED).mean())


def _measure_step(picture: np.ndarray, inside: np.ndarray, outline: np.ndarray) -> np.ndarray:
    """Colour change across an outline at each of its pixels, averaged along it; (N,)."""

    def average(values: np.ndarray, sigma: float) -> np.ndarray:
        return cv2.GaussianBlur(values, (0, 0), sigma)[outline]

    sides = [
        average(picture * part[..., None], OUTLINE_SIGMA_PX)
        / (average(part, OUTLINE_SIGMA_PX)[:, None] + 1e-4)
        for part in (inside, 1 - inside)
    ]
    step = np.zeros(outline.shape, np.float32)
    step[outline] = np.abs(sides[0] - sides[1]).mean(axis=1)
    return average(step, ALONG_SIGMA_PX)
