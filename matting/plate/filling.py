"""Fills an aligned plate where it does not reach the frame's edge.

A camera that moved leaves a strip of the frame without a plate. There the frame is its own plate,
unless a subject reaches in: its own pixels as plate would cut it off. Source: ours.
"""

import cv2
import numpy as np

from .comparison import find_differences, judge_background, reduce_colours
from .exposure import apply_exposure, estimate_exposure

EDGE_PX = 3  # window of the reduced picture; the outermost pixels of a warped plate are not judged

_BACKGROUND, _SUBJECT = 1, 2  # labels of the watershed; 0 is undecided


def fill_uncovered(src: np.ndarray, placed: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """Fills a warped plate beyond its edge.

    Args:
        src: (H, W, 3) uint8 or uint16, RGB, the frame.
        placed: the warped plate, of the same shape and type; beyond its edge the edge's colours.
        covered: (H, W) bool, False beyond the plate's edge.

    Returns:
        The plate with the frame's pixels where `covered` is False, except where the subject
        continues. There the plate's edge is repeated, so that the subject still differs.
    """
    if not covered.all():
        covered = covered | _continue_subject(src, placed, covered)
    return cv2.copyTo(placed, covered.view(np.uint8), src.copy())


def _continue_subject(src: np.ndarray, placed: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """Finds where the frame shows a subject, (H, W) bool; meaningful where `covered` is False.

    Floods the frame from the covered part along the weakest edges. Source: Meyer 1992, "Color image
    segmentation".
    """
    frame, plate = reduce_colours(src), reduce_colours(placed)
    size = (frame.shape[1], frame.shape[0])
    reach = cv2.resize(covered.view(np.uint8) * 255, size, interpolation=cv2.INTER_AREA) == 255
    plate = apply_exposure(plate, estimate_exposure(frame, plate))
    plate = np.where(reach[..., None], plate, frame)
    subject = find_differences(frame, plate) & (judge_background(frame, plate) < 1)
    judged = cv2.erode(reach.astype(np.uint8), np.ones((EDGE_PX, EDGE_PX))) > 0
    known = np.where(judged, np.where(subject, _SUBJECT, _BACKGROUND), 0).astype(np.int32)
    # The watershed overwrites the outermost pixels.
    picture, labels = (
        cv2.copyMakeBorder(part, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
        for part in (np.rint(frame).astype(np.uint8), known)
    )
    cv2.watershed(picture, labels)
    found = (labels[1:-1, 1:-1] == _SUBJECT).astype(np.float32)
    return cv2.resize(found, covered.shape[::-1], interpolation=cv2.INTER_LINEAR) > 0.5
