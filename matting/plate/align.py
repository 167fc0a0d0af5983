"""Aligns a captured plate to its frame, or leaves it unchanged and says why.

Estimates a homography from SIFT matches, refines it on the pixels, and applies it only if it passes
all checks: a wrong warp is worse than none. Source: ours; the published method has no checks.
"""

from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from .comparison import (
    AlignmentVerdict,
    check_pictures,
    extract_detail,
    judge_motion,
    judge_residual,
    refine,
    resize_transform,
    to_grey,
    warp,
)
from .filling import fill_uncovered
from .parallax import follow_parallax

# Pixels are those of the working size unless stated otherwise.
WORKING_LONG_SIDE = 1024  # the fit's error is 0.1 px here, so 0.4 px in a 4K frame
MIN_SIDE = 48  # pixels of the frame; below, SIFT finds almost no features
MAX_KEYPOINTS = 2500  # the strongest; with 1500, one area of strong texture can use all
CONTRAST_THRESHOLD = 0.02  # half of SIFT's default, for dim rooms; false points do not match
MATCH_RATIO = 0.75  # best over second-best descriptor distance: Lowe 2004, section 7.1
FEATURE_TOLERANCE_PX = 2.0  # allows a scene that is not exactly a plane
MIN_INLIERS = 16  # unrelated pictures reach 6 by chance, a textured pair has hundreds
CELLS = 8  # per side: the spread of inliers is counted in 8 x 8 cells of the frame
MIN_SPREAD = 0.08  # fraction of the cells; with less, one poster could determine the warp

Features = tuple[np.ndarray, np.ndarray]  # positions (N, 2) and SIFT descriptors (N, 128), float32


@dataclass(frozen=True)
class AlignmentReport:
    """Results for one plate; None for steps that were not reached.

    Residuals are grey levels: how far the fine detail of frame and plate differ, lower third over
    the pixels that the warp would change.
    """

    verdict: AlignmentVerdict
    reason: str  # description of the verdict with numbers
    matches: int | None = None  # features found in both
    inliers: int | None = None  # matches that agree with the homography
    spread: float | None = None  # fraction of the frame's 8 x 8 cells with an inlier
    residual_before: float | None = None
    residual_after: float | None = None
    coverage: float | None = None  # fraction of the frame that the warped plate covers
    largest_shift_px: float | None = None  # of a corner of the plate
    parallax: float | None = None  # fraction of the frame that was then moved for near objects
    applied: bool = field(init=False)  # whether the plate was warped

    def __post_init__(self) -> None:
        object.__setattr__(self, "applied", self.verdict is AlignmentVerdict.ALIGNED)


def align_plate(
    src: np.ndarray, bgr: np.ndarray, guide: np.ndarray | None = None
) -> tuple[np.ndarray, AlignmentReport]:
    """Warps a captured plate onto its frame, if that can be done safely.

    Deterministic in any thread, because MAGSAC seeds its own generator.

    Args:
        src: (H, W, 3) uint8 or uint16, RGB; the frame.
        bgr: the captured plate, of the same shape and type.
        guide: the plate at the frame's exposure, for estimating the motion; None means `bgr`.

    Returns:
        The aligned plate, filled where it does not reach (`fill_uncovered`), or `bgr` if no warp
        passes the checks; and the report.

    Raises:
        ValueError: a picture is empty, not (H, W, 3), not uint8 or uint16, or unlike the other.
    """
    transform, report = find_alignment(src, bgr, guide)
    if transform is None:
        return bgr, report
    placed, covered = warp(bgr, transform)
    # Without a separate guide the plate need not be warped twice.
    placed_guide = placed if guide is None or guide is bgr else warp(guide, transform)[0]
    placed, parallax = follow_parallax(src, placed, covered, placed_guide)
    return fill_uncovered(src, placed, covered), replace(report, parallax=parallax)


def find_alignment(
    src: np.ndarray, bgr: np.ndarray, guide: np.ndarray | None = None
) -> tuple[np.ndarray | None, AlignmentReport]:
    """Finds the homography of a plate to its frame; arguments and errors as `align_plate`.

    Returns a (3, 3) homography from pixels of the plate to those of the frame, or None if none
    passes the checks; and the report.
    """
    guide = bgr if guide is None else guide
    check_pictures(src, bgr)
    check_pictures(src, guide)
    height, width = src.shape[:2]
    if min(height, width) < MIN_SIDE:
        reason = f"too small to align: {width}x{height} pixels, at least {MIN_SIDE} per side needed"
        return None, AlignmentReport(AlignmentVerdict.TOO_SMALL, reason)
    src_grey, bgr_grey = (to_grey(picture, WORKING_LONG_SIDE) for picture in (src, guide))
    transform, report = _fit_features(src_grey, bgr_grey)
    if transform is None:
        return None, report
    src_detail, bgr_detail = extract_detail(src_grey), extract_detail(bgr_grey)
    transform = refine(src_detail, bgr_detail, transform)
    full_transform = resize_transform(transform, src_grey.shape, src.shape)
    covered = warp(bgr, full_transform)[1]
    shift, refusal = judge_motion(full_transform, covered)
    report = replace(report, coverage=float(covered.mean()), largest_shift_px=shift)
    if refusal is None:
        before, after, refusal = judge_residual(src_detail, bgr_detail, transform)
        report = replace(report, residual_before=before, residual_after=after)
    if refusal is None:
        return full_transform, report
    return None, replace(report, verdict=refusal.verdict, reason=refusal.reason)


def _fit_features(src: np.ndarray, bgr: np.ndarray) -> tuple[np.ndarray | None, AlignmentReport]:
    """Fits a homography from plate to frame in pixels of the grey pictures, or None, and why."""
    end, start = _match(_describe(src), _describe(bgr))
    transform, inlying = None, np.zeros(len(end), bool)
    if len(end) >= MIN_INLIERS:
        transform, mask = cv2.findHomography(start, end, cv2.USAC_MAGSAC, FEATURE_TOLERANCE_PX)
        inlying = inlying if transform is None else np.asarray(mask).ravel() > 0
    inliers = int(inlying.sum())
    cells = (end[inlying] * CELLS / (src.shape[1], src.shape[0])).astype(int)
    spread = len(np.unique(cells, axis=0)) / CELLS**2
    verdict, reason = AlignmentVerdict.ALIGNED, "aligned"
    if inliers < MIN_INLIERS:
        verdict = AlignmentVerdict.TOO_LITTLE_IN_COMMON
        seen = f"{len(end)} matching features, {inliers} move as one"
        reason = f"too little in common: {seen}, at least {MIN_INLIERS} needed"
    elif spread < MIN_SPREAD:
        verdict = AlignmentVerdict.TOO_NARROW
        reason = f"matching features lie in {spread:.1%} of the frame, {MIN_SPREAD:.1%} needed"
    report = AlignmentReport(verdict, reason, len(end), inliers, spread)
    return (transform if report.applied else None), report


def _describe(grey: np.ndarray) -> Features:
    sift = cv2.SIFT.create(MAX_KEYPOINTS, contrastThreshold=CONTRAST_THRESHOLD)
    keypoints, descriptors = sift.detectAndCompute(grey, None)
    points = np.array([keypoint.pt for keypoint in keypoints], np.float32).reshape(-1, 2)
    return points, np.zeros((0, 128), np.float32) if descriptors is None else descriptors


def _match(src: Features, bgr: Features) -> tuple[np.ndarray, np.ndarray]:
    """Positions (N, 2) of pairs that are mutual nearest neighbours and pass the ratio test."""
    (src_points, src_descriptors), (bgr_points, bgr_descriptors) = src, bgr
    if min(len(src_points), len(bgr_points)) < 2:
        return src_points[:0], bgr_points[:0]
    # Squared distances; SIFT's entries are integers up to 255, so float32 is exact.
    distances = (src_descriptors**2).sum(axis=1)[:, None] + (bgr_descriptors**2).sum(axis=1)
    distances -= 2 * src_descriptors @ bgr_descriptors.T
    rows, nearest = np.arange(len(distances)), distances.argmin(axis=1)
    mutual = distances.argmin(axis=0)[nearest] == rows
    best = distances[rows, nearest]
    distances[rows, nearest] = np.inf
    kept = mutual & (best < MATCH_RATIO**2 * distances.min(axis=1))
    return src_points[kept], bgr_points[nearest[kept]]
