"""Move a captured plate onto its frame, or leave it as it is and say why.

A hand-held camera moves between plate and frame. Both see the same, mostly distant scene, so one
homography takes the plate to the frame: found from SIFT matches, refined on the pixels, applied
only if it passes every guard. A wrong warp costs more than none.

Source: ours. The published method aligns hand-held plates by homography as well, unguarded.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

# Pixels are those of the working size where nothing else is said.
WORKING_LONG_SIDE = 1024  # the fit is good to 0.1 px here, so to 0.4 px of a 4K frame
MIN_SIDE = 48  # pixels of the frame; below it SIFT finds next to nothing
MAX_KEYPOINTS = 2500  # the strongest; with 1500, strong texture in one place takes them all
CONTRAST_THRESHOLD = 0.02  # half of SIFT's default, for dim rooms; false points do not match
MATCH_RATIO = 0.75  # best over second-best descriptor distance: Lowe 2004, section 7.1
FEATURE_TOLERANCE_PX = 2.0  # keeps a scene that is not quite a plane
MIN_INLIERS = 16  # unrelated pictures reach 6 by chance, a textured pair has hundreds
CELLS = 8  # per side: the spread of inliers over the frame is counted in 8 x 8 cells
MIN_SPREAD = 0.08  # fraction of the cells; with less, one poster would place the whole frame

DETAIL_SIGMA_PX = 1.0  # takes sensor noise and the softness of resampling out of comparisons
DETAIL_WINDOW_PX = 31  # brightness over this window is taken away: exposure does not count
MAX_STEPS = 10  # refining stops at the first that does not help; three to five are usual
PIXEL_STEP = 2  # every fourth pixel refines as well as all: median error 0.07 px either way
FIT_SCALE = 5.0  # of the weights, times the lower third of the errors: about two sigma

MAX_SHIFT = 0.3  # fraction of the diagonal, any corner; past this limit and the next three the
MAX_STRETCH = 1.6  # view is another one, or the fit false. Stretch (up or down) and turn hold
MAX_TURN_DEG = 20.0  # for each edge of the plate: they bound scale, rotation, shear, perspective
MIN_COVERAGE = 0.5  # fraction of the frame; what has no plate will be taken for background
ALIGNED_PX = 0.25  # of the frame; less is the fit's error, and resampling softens the plate
DECIDING_CHANGE = 1.0  # grey levels; where the warp changes less, both plates are as good
MIN_DECIDING = 0.002  # fraction of the frame; with fewer such pixels nothing visible changes
RESIDUAL_QUANTILE = 1 / 3  # so that a subject over up to 2/3 of the pixels does not decide
MAX_RESIDUAL_RATIO = 0.85  # warped over captured; a warp that only softens noise reaches 0.89

Features = tuple[np.ndarray, np.ndarray]  # positions (N, 2) and SIFT descriptors (N, 128), float32


@dataclass(frozen=True)
class AlignmentReport:
    """What was found out about one plate; None for what was not reached.

    Attributes:
        applied: True if the plate was warped, False if it was kept as captured.
        reason: "aligned", or in plain words and numbers why the plate was kept.
        matches: feature matches between plate and frame.
        inliers: matches that agree with the homography.
        spread: fraction of the frame's 8 x 8 cells that hold an inlier.
        residual_before: grey levels (0-255); how far the fine detail of frame and captured plate
            differ, lower third over the pixels that the warp would change.
        residual_after: the same pixels, plate warped.
        coverage: fraction of the frame that the warped plate covers.
        largest_shift_px: largest displacement of a corner of the plate, pixels.
    """

    applied: bool
    reason: str
    matches: int | None = None
    inliers: int | None = None
    spread: float | None = None
    residual_before: float | None = None
    residual_after: float | None = None
    coverage: float | None = None
    largest_shift_px: float | None = None


def align_plate(src: np.ndarray, bgr: np.ndarray) -> tuple[np.ndarray, AlignmentReport]:
    """Warp a captured plate onto its frame, if that can be done safely.

    The same pictures give the same result from any thread: nothing here draws on OpenCV's global
    random state (MAGSAC seeds a generator of its own in each call).

    Args:
        src: (H, W, 3) uint8 or uint16, RGB; the captured frame.
        bgr: same shape and dtype as `src`, RGB; the captured plate.

    Returns:
        The plate on the frame, same shape and dtype, with the frame's own pixels where the warped
        plate does not reach; `bgr` itself where no warp passes the guards. And the report.

    Raises:
        ValueError: a picture is empty, not (H, W, 3), not uint8 or uint16, or unlike the other.

    Source:
        Ours; see the module.
    """
    transform, report = find_alignment(src, bgr)
    return (bgr if transform is None else warp_plate(src, bgr, transform)), report


def find_alignment(src: np.ndarray, bgr: np.ndarray) -> tuple[np.ndarray | None, AlignmentReport]:
    """Find what takes a captured plate to its frame.

    Args:
        src: (H, W, 3) uint8 or uint16, RGB; the captured frame.
        bgr: same shape and dtype as `src`, RGB; the captured plate.

    Returns:
        (3, 3) homography from pixels of the plate to those of the frame, or None where none passes
        the guards. And the report.

    Raises:
        ValueError: as `align_plate`.
    """
    _check_pictures(src, bgr)
    height, width = src.shape[:2]
    if min(height, width) < MIN_SIDE:
        reason = f"too small to align: {width}x{height} pixels, at least {MIN_SIDE} a side needed"
        return None, AlignmentReport(False, reason)
    src_grey, bgr_grey = _to_grey(src), _to_grey(bgr)
    transform, report = _fit_features(src_grey, bgr_grey)
    if transform is None:
        return None, report
    src_detail, bgr_detail = _extract_detail(src_grey), _extract_detail(bgr_grey)
    transform = _refine(src_detail, bgr_detail, transform)
    full_transform = _resize_transform(transform, src_grey.shape, src.shape)
    covered = _warp(bgr, full_transform)[1]
    shift, reason = _judge_motion(full_transform, covered)
    report = replace(report, coverage=float(covered.mean()), largest_shift_px=shift)
    if not reason:
        before, after, reason = _judge_residual(src_detail, bgr_detail, transform)
        report = replace(report, residual_before=before, residual_after=after)
    if reason:
        return None, replace(report, reason=reason)
    return full_transform, replace(report, applied=True, reason="aligned")


def warp_plate(src: np.ndarray, bgr: np.ndarray, transform: np.ndarray) -> np.ndarray:
    """Move a captured plate onto its frame.

    Args:
        src: (H, W, 3) uint8 or uint16, RGB; the captured frame.
        bgr: same shape and dtype as `src`, RGB; the captured plate.
        transform: (3, 3) homography from pixels of the plate to those of the frame.

    Returns:
        The plate on the frame, same shape and dtype, with the frame's own pixels where the warped
        plate does not reach.
    """
    warped, covered = _warp(bgr, transform)
    return np.where(covered[..., None], warped, src)


def _check_pictures(src: np.ndarray, bgr: np.ndarray) -> None:
    wanted = "src and bgr must be (H, W, 3) RGB pictures, not empty, uint8 or uint16, both alike"
    got = f"got {src.shape} {src.dtype} and {bgr.shape} {bgr.dtype}"
    if src.shape != bgr.shape or src.dtype != bgr.dtype:
        raise ValueError(f"{wanted}; {got}: resize or convert the plate to the frame first")
    if src.ndim != 3 or src.shape[2] != 3 or src.size == 0:
        raise ValueError(f"{wanted}; {got}: convert grey or RGBA pictures to RGB first")
    if src.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"{wanted}; {got}: scale to 0-255 and convert to uint8 first")


def _to_grey(picture: np.ndarray) -> np.ndarray:
    """(H, W) uint8, reduced to the working size."""
    grey = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY)
    factor = min(1.0, WORKING_LONG_SIDE / max(grey.shape))
    height, width = (max(1, round(side * factor)) for side in grey.shape)
    grey = cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA)
    return grey if grey.dtype == np.uint8 else cv2.convertScaleAbs(grey, alpha=1 / 257)


def _resize_transform(
    transform: np.ndarray, old_shape: tuple[int, ...], new_shape: tuple[int, ...]
) -> np.ndarray:
    """A homography between pictures of one size, for the same pictures at another size.

    Whole numbers are pixel centres, so a position x becomes (x + 0.5) * factor - 0.5.
    """
    x, y = new_shape[1] / old_shape[1], new_shape[0] / old_shape[0]
    resize = np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])
    return resize @ transform @ np.linalg.inv(resize)


def _fit_features(src: np.ndarray, bgr: np.ndarray) -> tuple[np.ndarray | None, AlignmentReport]:
    """Homography from plate to frame in pixels of the grey pictures, or None and the reason."""
    end, start = _match(_describe(src), _describe(bgr))
    transform, inlying = None, np.zeros(len(end), bool)
    if len(end) >= MIN_INLIERS:
        transform, mask = cv2.findHomography(start, end, cv2.USAC_MAGSAC, FEATURE_TOLERANCE_PX)
        inlying = inlying if transform is None else np.asarray(mask).ravel() > 0
    matches, inliers = len(end), int(inlying.sum())
    cells = (end[inlying] * CELLS / (src.shape[1], src.shape[0])).astype(int)
    spread = len(np.unique(cells, axis=0)) / CELLS**2
    report = AlignmentReport(False, "", matches=matches, inliers=inliers, spread=spread)
    if transform is None or inliers < MIN_INLIERS:
        reason = f"too little in common: {matches} matching features, {inliers} move as one"
        return None, replace(report, reason=f"{reason}, at least {MIN_INLIERS} needed")
    if spread < MIN_SPREAD:
        reason = f"matching features lie in {spread:.1%} of the frame, {MIN_SPREAD:.1%} needed"
        return None, replace(report, reason=reason)
    return transform, report


def _describe(grey: np.ndarray) -> Features:
    sift = cv2.SIFT.create(MAX_KEYPOINTS, contrastThreshold=CONTRAST_THRESHOLD)
    keypoints, descriptors = sift.detectAndCompute(grey, None)
    points = np.array([keypoint.pt for keypoint in keypoints], np.float32).reshape(-1, 2)
    return points, np.zeros((0, 128), np.float32) if descriptors is None else descriptors


def _match(src: Features, bgr: Features) -> tuple[np.ndarray, np.ndarray]:
    """Positions (N, 2) of the pairs that are mutually nearest and pass the ratio test."""
    (src_points, src_descriptors), (bgr_points, bgr_descriptors) = src, bgr
    if min(len(src_points), len(bgr_points)) < 2:
        return src_points[:0], bgr_points[:0]
    # Squared distances; SIFT's entries are whole numbers up to 255, so float32 is exact.
    distances = (src_descriptors**2).sum(axis=1)[:, None] + (bgr_descriptors**2).sum(axis=1)
    distances -= 2 * src_descriptors @ bgr_descriptors.T
    rows, nearest = np.arange(len(distances)), distances.argmin(axis=1)
    mutual = distances.argmin(axis=0)[nearest] == rows
    best = distances[rows, nearest]
    distances[rows, nearest] = np.inf
    kept = mutual & (best < MATCH_RATIO**2 * distances.min(axis=1))
    return src_points[kept], bgr_points[nearest[kept]]


def _extract_detail(grey: np.ndarray) -> np.ndarray:
    """Smoothed picture less its local brightness, (H, W) float32 grey levels around 0."""
    smooth = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), DETAIL_SIGMA_PX)
    return smooth - cv2.blur(smooth, (DETAIL_WINDOW_PX, DETAIL_WINDOW_PX))


def _warp(picture: np.ndarray, transform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The warped picture, and the pixels that it covers without a look over its edge, (H, W)."""
    size = (picture.shape[1], picture.shape[0])
    warped = cv2.warpPerspective(picture, transform, size, borderMode=cv2.BORDER_REPLICATE)
    whole = np.full(picture.shape[:2], 255, np.uint8)
    return warped, cv2.warpPerspective(whole, transform, size) == 255


def _refine(src: np.ndarray, bgr: np.ndarray, transform: np.ndarray) -> np.ndarray:
    """Bring the detail of plate and frame together by Gauss-Newton steps on the homography.

    Geman-McClure weights leave out what does not fit, the subject above all. A ninth parameter
    takes up a difference of contrast. Source: Baker and Matthews 2004, "Lucas-Kanade 20 Years On",
    the forwards compositional form; the weights are ours.
    """
    unit = 2 / src.shape[1]  # coordinates from -1 to 1 across keep the equations well scaled
    normalize = np.array([[unit, 0, -1], [0, unit, -src.shape[0] / src.shape[1]], [0, 0, 1]])
    denormalize = np.linalg.inv(normalize)
    some = (slice(None, None, PIXEL_STEP), slice(None, None, PIXEL_STEP))
    rows, columns = np.mgrid[: src.shape[0], : src.shape[1]].astype(np.float32)[:, *some]
    rows, columns = rows * unit + normalize[1, 2], columns * unit - 1
    best, least = transform, np.inf
    for _ in range(MAX_STEPS):
        warped, covered = _warp(bgr, transform)
        covered = covered[some]
        if covered.mean() < MIN_COVERAGE:
            break
        error = (src - warped)[some][covered]
        bound = float(np.quantile(np.abs(error), RESIDUAL_QUANTILE))
        if bound >= least:
            break
        best, least = transform, bound
        x, y = columns[covered], rows[covered]
        along_x = cv2.Sobel(warped, cv2.CV_32F, 1, 0, scale=1 / 8)[some][covered]
        along_y = cv2.Sobel(warped, cv2.CV_32F, 0, 1, scale=1 / 8)[some][covered]
        radial = -(along_x * x + along_y * y)
        slopes = [along_x * x, along_x * y, along_x, along_y * x, along_y * y, along_y]
        system = np.stack([*slopes, radial * x, radial * y, warped[some][covered], error])
        system /= 1 + (error / (FIT_SCALE * bound + 1)) ** 2  # (10, N)
        # Unlike a BLAS product, this one gives the same bits for any number of threads.
        normal = cv2.mulTransposed(system, False, dtype=cv2.CV_64F)
        step = np.linalg.lstsq(normal[:9, :9], normal[:9, 9], rcond=None)[0]
        motion = np.append(step[:8], 0).reshape(3, 3) * unit  # from px to normalized coordinates
        transform = denormalize @ (np.eye(3) - motion) @ normalize @ transform
    return best


def _judge_motion(transform: np.ndarray, covered: np.ndarray) -> tuple[float, str]:
    """Largest shift of a corner (px), and the reason, if there is one, not to warp."""
    right, bottom = covered.shape[1] - 1, covered.shape[0] - 1
    corners = np.array([0, right, right + 1j * bottom, 1j * bottom])
    x, y, depth = transform @ np.stack([corners.real, corners.imag, np.ones(4)])
    with np.errstate(all="ignore"):  # a wild transform may divide by 0; what comes out is refused
        moved = (x + 1j * y) / depth
        edges = (np.roll(moved, -1) - moved) / (np.roll(corners, -1) - corners)
        measures = abs(moved - corners), np.exp(abs(np.log(abs(edges)))), abs(np.angle(edges, True))
    shift, stretch, turn = (
        float(np.nan_to_num(part, nan=1e9, posinf=1e9).max()) for part in measures
    )
    coverage, limit = float(covered.mean()), MAX_SHIFT * abs(corners[2])
    plausible = shift <= limit and stretch <= MAX_STRETCH and turn <= MAX_TURN_DEG
    if not plausible or coverage < MIN_COVERAGE:
        return shift, (
            f"implausible camera motion: shift {shift:.0f} px (at most {limit:.0f}), stretch "
            f"{stretch:.2f} ({MAX_STRETCH}), turn {turn:.0f} degrees ({MAX_TURN_DEG:.0f}), plate "
            f"on {coverage:.0%} of the frame (at least {MIN_COVERAGE:.0%})"
        )
    if shift < ALIGNED_PX:
        return shift, f"already aligned: largest shift {shift:.2f} px, under {ALIGNED_PX}"
    return shift, ""


def _judge_residual(
    src: np.ndarray, bgr: np.ndarray, transform: np.ndarray
) -> tuple[float | None, float | None, str]:
    """Residual before and after (grey levels), and the reason, if there is one, not to warp."""
    warped, covered = _warp(bgr, transform)
    deciding = covered & (np.abs(warped - bgr) >= DECIDING_CHANGE)
    if deciding.mean() < MIN_DECIDING:
        return None, None, f"no gain: a warp would change {deciding.mean():.2%} of the frame"
    before, after = (
        float(np.quantile(np.abs(src[deciding] - plate[deciding]), RESIDUAL_QUANTILE))
        for plate in (bgr, warped)
    )
    limit = MAX_RESIDUAL_RATIO * before
    if after <= limit:
        return before, after, ""
    reason = f"no gain: the plate is {before:.2f} grey levels from the frame as captured"
    return before, after, f"{reason}, {after:.2f} warped, at most {limit:.2f} needed"
