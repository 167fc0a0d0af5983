"""Compares a frame with its captured plate and says what is wrong with the capture.

Works on the two pictures at a small size. A false alarm on a good capture is worse than a missed
fault, so doubtful faults are not reported. Source: ours; `docs/capture.md` has what was measured.
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
    judge_motion,
    largest_channel,
    measure_seen_again,
    refine,
    warp,
)
from .exposure import ExposureReport

MOVED = 0.0006  # fraction of the diagonal, 1.3 pixels of HD; then alignment is tried
SEEN_AGAIN = 0.3  # of the picture; with less, alignment is tried as well
SAME_SCENE = 0.02  # of the picture; unrelated pictures reach 0.002, a subject over 3/4 leaves 0.18
ASIDE = 0.1  # of the picture; with less the plate does not lie on the frame, subject or not

NOTHING = 0.001  # of the picture; with less different, nothing stands in the frame
BALANCE_CHANGE = 0.04  # of red or blue against green; less is not called white balance
IN_BOTH = 0.3  # of an outline the plate's: somebody stands there. Good captures reach 0.2, once
SWAPPED = 0.45  # of all outlines the plate's, and
SWAPPED_FRAME = 0.15  # the frame's, at most; good captures have the two the other way round

GREY = 4.0  # levels between channels, at most; JPEGs in colour leave so many
DIFFERENCE = 14.0  # grey levels, any channel, of smoothed pictures
DIFFERENCE_SIGMA_PX = 1.5
OPENING_PX, CLOSING_PX = 3, 7  # specks are dropped, and gaps closed
MIN_AREA = 0.004  # of the picture; smaller areas are not judged
OUTLINE_SIGMA_PX = 2.5  # over which colours on the two sides of an outline are averaged
BORDER_PX = 3  # at the picture's edge areas are cut, and that is no outline
MIN_OUTLINE_PX = 20  # with less, an area's owner is in doubt
ALONG_SIGMA_PX = 6.0  # over which neighbours on an outline vote together
OWNED = 0.7  # of the change of colours there, for the outline to be of one picture


class Problem(StrEnum):
    """What may be wrong with a capture."""

    OTHER_SCENE = "not the same scene"
    MOVED = "camera moved"
    EXPOSURE = "exposure changed"
    WHITE_BALANCE = "white balance changed"
    SUBJECT = "subject in the plate"
    SWAPPED = "plate and frame swapped"
    NO_DIFFERENCE = "no difference"


class CaptureVerdict(StrEnum):
    """Whether a plate can be used as it is now."""

    GOOD = "good"
    MENDED = "mended"  # by alignment or exposure
    EMPTY = "empty"  # the frame shows nothing but the plate
    FAULTY = "faulty"


@dataclass(frozen=True)
class CaptureReport:
    """Findings about one frame and its plate; empty for a good capture."""

    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()  # a sentence for each: what was seen, what was done, what to do
    seen_again: float | None = None  # fraction of the picture where the frame shows the used plate
    differing: float | None = None  # fraction of the picture, without specks
    outline_in_frame: float | None = None  # fraction of what differs' outlines the frame makes
    outline_in_plate: float | None = None
    verdict: CaptureVerdict = CaptureVerdict.GOOD


def needs_alignment(src: np.ndarray, bgr: np.ndarray) -> bool:
    """Whether to try alignment, which has its own safeguards; takes about 10 ms.

    Both are as `reduce_colours` makes them, the plate best at the frame's exposure.
    """
    return measure_seen_again(src, bgr) < SEEN_AGAIN or measure_shift(src, bgr) >= MOVED


def measure_shift(src: np.ndarray, bgr: np.ndarray) -> float:
    """Largest displacement of a corner, a fraction of the diagonal; nothing large is found."""
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

    Both are as `reduce_colours` makes them, the plate as it is going to be used. `alignment` is
    None where it lay on the frame, `exposure` where matching was not tried.
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
    """Whether a reduced picture is in grey.

    Without colours a plate often is as light as a subject somewhere. Areas end there that are no
    subject's, and their outlines would be taken for the plate's.
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
    note = f"the plate does not lie on the frame and can't be aligned: {alignment.reason}"
    return {Problem.MOVED: note}


def _judge_exposure(exposure: ExposureReport | None) -> dict[Problem, str]:
    if exposure is None or not exposure.applied or not exposure.balance or exposure.stops is None:
        return {}
    red, blue = exposure.balance
    if max(abs(red - 1), abs(blue - 1)) >= BALANCE_CHANGE:
        balance = f"red {red - 1:+.0%}, blue {blue - 1:+.0%} against green"
        note = f"the white balance changed from plate to frame: {balance}, {exposure.stops:+.2f} "
        return {Problem.WHITE_BALANCE: f"{note}stops; the plate is matched"}
    note = f"the frame was exposed by {exposure.stops:+.2f} stops against the plate"
    return {Problem.EXPOSURE: f"{note}; the plate is matched"}


_OTHER_SCENE = (
    "frame and plate don't show the same scene: {:.1%} of the plate is seen in the frame. The "
    "plate is a picture of the frame's own background without the subject; a new background goes "
    "to --target-bgr"
)
_SUBJECT = (
    "the plate has a subject in it: somebody or something that moved covers part of {:.1%} of the "
    "picture in the plate, and will be taken for foreground. Capture the plate with nobody in the "
    "picture"
)
_SWAPPED = (
    "plate and frame seem to be swapped: the subject is in the plate, not in the frame. "
    "--images-src takes the frames with the subject, --images-bgr the plate without"
)
_NO_DIFFERENCE = (
    "the frame shows only the plate: it has no subject, or the plate shows the subject too"
)


class Area(NamedTuple):
    """A connected area where frame and plate differ, in fractions; what is neither is in doubt."""

    size: float  # of the picture
    in_frame: float  # of its outline, that somebody in the frame makes; 0 where little is seen
    in_plate: float  # of its outline, that somebody in the plate makes


def find_differences(src: np.ndarray, bgr: np.ndarray) -> np.ndarray:
    """Where two reduced pictures of a scene differ: (h, w) bool, without specks and small gaps."""
    frame, plate = (
        cv2.GaussianBlur(picture, (0, 0), DIFFERENCE_SIGMA_PX) for picture in (src, bgr)
    )
    mask = (largest_channel(np.abs(frame - plate)) > DIFFERENCE).astype(np.uint8)
    for how, side in ((cv2.MORPH_OPEN, OPENING_PX), (cv2.MORPH_CLOSE, CLOSING_PX)):
        cv2.morphologyEx(mask, how, np.ones((side, side), np.uint8), dst=mask)
    return mask > 0


def judge_areas(src: np.ndarray, bgr: np.ndarray, differing: np.ndarray) -> list[Area]:
    """In which picture somebody stands, for each larger area that differs; largest first.

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
    """Fractions of an area's outline that are the frame's and the plate's."""
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
    """Change of colours across an outline at each of its pixels, averaged along it; (N,)."""

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
