"""Compare a frame with its captured plate and say in plain words what is wrong with the capture.

Everything is decided from the two pictures, at a small size, before the network sees them. A false
alarm on a good capture is worse than silence: what is in doubt is not said.

Source: ours; `docs/capture.md` has what was measured.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from .align import AlignmentReport
from .comparison import average_channels, find_differences, judge_areas, measure_seen_again
from .exposure import ExposureReport
from .registration import extract_detail, judge_motion, refine, warp

MOVED = 0.0006  # fraction of the diagonal, 1.3 pixels of HD; then alignment is tried
SEEN_AGAIN = 0.3  # of the picture; with less, alignment is tried as well
SAME_SCENE = 0.02  # of the picture; unrelated pictures reach 0.002, a subject over 3/4 leaves 0.18
ASIDE = 0.1  # of the picture; with less the plate does not lie on the frame, subject or not

NOTHING = 0.001  # of the picture; with less different, nothing stands in the frame
BALANCE_CHANGE = 0.04  # of red or blue against green; less is not called white balance
IN_BOTH = 0.3  # of an outline the plate's: somebody stands there. Good captures reach 0.2, once
SWAPPED = 0.45  # of all outlines the plate's, and
SWAPPED_FRAME = 0.15  # the frame's, at most; good captures have the two the other way round


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
    """Whether a plate can be used."""

    GOOD = "good"
    MENDED = "mended"  # by alignment or exposure
    EMPTY = "empty"  # the frame shows nothing but the plate
    FAULTY = "faulty"


@dataclass(frozen=True)
class Motion:
    """How a captured plate lies on its frame."""

    seen_again: float
    """Fraction of the picture where the plate is seen in the frame."""
    shift: float
    """Largest displacement of a corner, a fraction of the diagonal; 0 where none was found."""

    @property
    def needs_alignment(self) -> bool:
        """Whether alignment is worth a try; it has guards of its own."""
        return self.seen_again < SEEN_AGAIN or self.shift >= MOVED


@dataclass(frozen=True)
class CaptureReport:
    """What was found out about one frame and its plate."""

    problems: tuple[Problem, ...] = ()
    """What is wrong; empty for a good capture and where nothing can be told."""
    notes: tuple[str, ...] = ()
    """A sentence for each: what was seen, what was done, what to do."""
    seen_again: float | None = None
    """Fraction of the picture where the plate, as it is going to be used, is seen in the frame."""
    differing: float | None = None
    """Fraction of the picture where the two differ, without specks."""
    outline_in_frame: float | None = None
    """Fraction of the outlines of what differs that the frame makes."""
    outline_in_plate: float | None = None
    """The same of the plate."""
    verdict: CaptureVerdict = CaptureVerdict.GOOD
    """Whether the plate can be used as it is now."""


def measure_motion(src: np.ndarray, bgr: np.ndarray) -> Motion:
    """Measures in some ten milliseconds whether a plate lies on its frame.

    Both are as `reduce_colours` makes them, the plate best at the frame's exposure. A large motion
    shows in `seen_again` alone.
    """
    frame, plate = (extract_detail(average_channels(picture)) for picture in (src, bgr))
    transform = refine(frame, plate, np.eye(3))
    shift, _ = judge_motion(transform, warp(plate, transform)[1])
    return Motion(measure_seen_again(src, bgr), shift / float(np.hypot(*src.shape[:2])))


def check_capture(
    src: np.ndarray,
    bgr: np.ndarray,
    alignment: AlignmentReport | None,
    exposure: ExposureReport | None,
) -> CaptureReport:
    """Says what is wrong between a frame and its plate, after what could be done about it.

    Args:
        src: (h, w, 3) float32, grey levels, RGB; the frame as `reduce_colours` makes it.
        bgr: the same of the plate as it is going to be used.
        alignment: what alignment made of it; None where it lay on the frame.
        exposure: what matching the exposure made of it; None where that was not tried.
    """
    seen_again = measure_seen_again(src, bgr)
    if seen_again < SAME_SCENE and alignment is not None and not alignment.applied:
        note = _OTHER_SCENE.format(seen_again)
        faulty = CaptureVerdict.FAULTY
        return CaptureReport((Problem.OTHER_SCENE,), (note,), seen_again, verdict=faulty)
    differing = find_differences(src, bgr)
    areas = judge_areas(src, bgr, differing)
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
    return CaptureReport(
        problems=tuple(found),
        notes=tuple(found.values()),
        seen_again=seen_again,
        differing=float(differing.mean()),
        outline_in_frame=in_frame,
        outline_in_plate=in_plate,
        verdict=verdict,
    )


def _judge_alignment(alignment: AlignmentReport | None, seen_again: float) -> dict[Problem, str]:
    if alignment is None:
        return {}
    if alignment.applied:
        shift = f"up to {alignment.largest_shift_px:.1f} pixels"
        return {Problem.MOVED: f"the camera moved by {shift}; the plate is aligned"}
    note = f"the plate does not lie on the frame and can't be aligned: {alignment.reason}"
    return {Problem.MOVED: note} if seen_again < ASIDE else {}


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
    "plate and frame seem to be swapped: what differs stands in front of the scene in the plate, "
    "not in the frame. --images-src takes the frames with the subject, --images-bgr the plate "
    "without"
)
_NO_DIFFERENCE = (
    "the frame shows nothing but the plate: nobody is in it, or the plate has the subject in it"
)
