"""Find where a frame differs from its plate, and in which of the two somebody stands there.

Across the outline of a subject, colours change in the picture that shows it; in the other one the
scene goes on. Works on pictures of the size that `background.reduce_colours` makes.

Source: ours; the idea is that of ghost detection in background subtraction.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from .background import largest_channel

DIFFERENCE = 14.0  # grey levels, any channel, of smoothed pictures
DIFFERENCE_SIGMA_PX = 1.5
OPENING_PX, CLOSING_PX = 3, 7  # specks are dropped, and gaps closed
MIN_AREA = 0.004  # of the picture; smaller areas are not judged
OUTLINE_SIGMA_PX = 2.5  # over which colours on the two sides of an outline are averaged
BORDER_PX = 3  # at the picture's edge areas are cut, and that is no outline
MIN_OUTLINE_PX = 20  # with less, an area's owner is in doubt
ALONG_SIGMA_PX = 6.0  # over which neighbours on an outline vote together
OWNED = 0.7  # of the change of colours there, for the outline to be of one picture


@dataclass(frozen=True)
class Area:
    """A connected area where frame and plate differ, in fractions; what is neither is in doubt."""

    size: float
    """Of the picture."""
    in_frame: float
    """Of its outline, that somebody in the frame makes; 0 where little of it can be seen."""
    in_plate: float
    """Of its outline, that somebody in the plate makes; the same."""


def find_differences(src: np.ndarray, bgr: np.ndarray) -> np.ndarray:
    """Finds where two pictures of a scene differ.

    Args:
        src: (h, w, 3) float32, grey levels, RGB, the frame.
        bgr: (h, w, 3) float32, the plate, aligned and at the frame's exposure.

    Returns:
        (h, w) bool, without specks and small gaps.
    """
    frame, plate = (
        cv2.GaussianBlur(picture, (0, 0), DIFFERENCE_SIGMA_PX) for picture in (src, bgr)
    )
    differing = largest_channel(np.abs(frame - plate)) > DIFFERENCE
    mask = differing.astype(np.uint8)
    for how, side in ((cv2.MORPH_OPEN, OPENING_PX), (cv2.MORPH_CLOSE, CLOSING_PX)):
        cv2.morphologyEx(mask, how, np.ones((side, side), np.uint8), dst=mask)
    return mask > 0


def judge_areas(src: np.ndarray, bgr: np.ndarray, differing: np.ndarray) -> list[Area]:
    """Tells for each larger area of `find_differences` in which picture somebody stands there.

    Largest first.
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
