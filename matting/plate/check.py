"""Compare a frame with its captured plate and say in plain words what is wrong with the capture.

Everything is decided from the two pictures, at a small size, before the network sees them. A false
alarm on a good capture is worse than silence: what is in doubt is not said.

Source: ours; `docs/capture.md` has what was measured.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from .align import AlignmentReport
from .background import average_channels, measure_seen_again
from .exposure import ExposureReport
from .outlines import find_differences, judge_areas
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

Problem = Literal[
    "not the same scene",
    "camera moved",
    "exposure changed",
    "white balance changed",
    "subject in the plate",
    "plate and frame swapped",
    "no difference",
]


@dataclass(frozen=True)
class Motion:
    """How a captured plate lies on its frame.

    Attributes:
        seen_again: fraction of the picture where the plate is seen in the frame.
        shift: largest displacement of a corner, a fraction of the diagonal; 0 where none was found.
    """

    seen_again: float
    shift: float

    @property
    def needs_alignment(self) -> bool:
        """Whether alignment is worth a try; it has guards of its own."""
        return self.seen_again < SEEN_AGAIN or self.shift >= MOVED


@dataclass(frozen=True)
class CaptureReport:
    """What was found out about one frame and its plate.

    Attributes:
        problems: what is wrong; empty for a good capture and where nothing can be told.
        notes: a sentence for each: what was seen, what was done, what to do.
        seen_again: fraction of the picture where the plate, as it is going to be used, is seen in
            the frame.
        differing: fraction of the picture where the two differ, without specks.
        outline_in_frame: fraction of the outlines of what differs that the frame makes.
        outline_in_plate: the same of the plate.
    """

    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    seen_again: float | None = None
    differing: float | None = None
    outline_in_frame: float | None = None
    outline_in_plate: float | None = None


def measure_motion(src: np.ndarray, bgr: np.ndarray) -> Motion:
    """Measures in some ten milliseconds whether a plate lies on its frame.

    Args:
        src: (h, w, 3) float32, grey levels, RGB; the frame as `reduce_colours` makes it.
        bgr: the same of the plate, best at the frame's exposure.

    Returns:
        See `Motion`. A large motion shows in `seen_again` alone.
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

    Returns:
        See `CaptureReport`.
    """
    seen_again = measure_seen_again(src, bgr)
    refused = alignment is not None and not alignment.applied
    if seen_again < SAME_SCENE and refused:
        return CaptureReport(("not the same scene",), (_say_other_scene(seen_again),), seen_again)
    differing = find_differences(src, bgr)
    areas = judge_areas(src, bgr, differing)
    whole = sum(area.size for area in areas)
    in_frame, in_plate = (
        sum(area.size * part for area, part in zip(areas, parts, strict=True)) / max(whole, 1e-9)
        for parts in ([a.in_frame for a in areas], [a.in_plate for a in areas])
    )
    found: list[tuple[Problem, str]] = [
        *_judge_alignment(alignment, seen_again),
        *_judge_exposure(exposure),
    ]
    if in_plate >= SWAPPED and in_frame <= SWAPPED_FRAME:
        found.append(("plate and frame swapped", _SWAPPED))
    elif doubled := sum(area.size for area in areas if area.in_plate >= IN_BOTH):
        found.append(("subject in the plate", _say_subject(doubled)))
    elif differing.mean() < NOTHING:
        found.append(("no difference", _NO_DIFFERENCE))
    problems, notes = tuple(problem for problem, _ in found), tuple(note for _, note in found)
    return CaptureReport(
        problems, notes, seen_again, float(differing.mean()), float(in_frame), float(in_plate)
    )


def _judge_alignment(
    alignment: AlignmentReport | None, seen_again: float
) -> list[tuple[Problem, str]]:
    if alignment is None:
        return []
    if not alignment.applied:
        note = f"the plate does not lie on the frame and can't be aligned: {alignment.reason}"
        return [("camera moved", note)] if seen_again < ASIDE else []
    shift = alignment.largest_shift_px
    return [("camera moved", f"the camera moved by up to {shift:.1f} pixels; the plate is aligned")]


def _judge_exposure(exposure: ExposureReport | None) -> list[tuple[Problem, str]]:
    if exposure is None or not exposure.applied or not exposure.balance or exposure.stops is None:
        return []
    red, blue = exposure.balance
    if max(abs(red - 1), abs(blue - 1)) >= BALANCE_CHANGE:
        balance = f"red {red - 1:+.0%}, blue {blue - 1:+.0%} against green"
        note = f"the white balance changed from plate to frame: {balance}, {exposure.stops:+.2f} "
        return [("white balance changed", f"{note}stops; the plate is matched")]
    note = f"the frame was exposed by {exposure.stops:+.2f} stops against the plate"
    return [("exposure changed", f"{note}; the plate is matched")]


def _say_other_scene(seen_again: float) -> str:
    return (
        f"frame and plate don't show the same scene: {seen_again:.1%} of the plate is seen in the "
        "frame. The plate is a picture of the frame's own background without the subject; a new "
        "background goes to --target-bgr"
    )


def _say_subject(size: float) -> str:
    return (
        "the plate has a subject in it: somebody or something that moved covers part of "
        f"{size:.1%} of the picture in the plate, and will be taken for foreground. Capture the "
        "plate with nobody in the picture"
    )


_SWAPPED = (
    "plate and frame seem to be swapped: what differs stands in front of the scene in the plate, "
    "not in the frame. --images-src takes the frames with the subject, --images-bgr the plate "
    "without"
)
_NO_DIFFERENCE = (
    "the frame shows nothing but the plate: nobody is in it, or the plate has the subject in it"
)
