"""What the gate measures on an alpha: holes, strands, islands, shadows, flicker.

Frames and plates are (H, W, 3) uint8 RGB, alphas (H, W) float in [0, 1], masks (H, W) bool. A
measure of an empty region is None. Source: ours, because the usual metrics are means over the
picture, in which a hole or a shadow of 1% hardly counts.
"""

import cv2
import numpy as np

from benchmarks.methods import plate_difference
from benchmarks.static_camera import find_people
from evaluation.metrics import map_change_error, map_gradient_error, reduce_error

SOLID = 0.9  # alpha of the core below this is a hole
ISLAND = 0.1  # alpha above this, far from the subject, is an island
STRAND = 9  # pixels; what a disc of this diameter does not fit into is a strand
STILL = 3.0  # levels; a pixel that changes by less has not changed
GAP = 8.0  # levels; inside a person's outline, a pixel nearer to the plate is a real gap
# By how much of a shadow's factor a channel may differ: measured in a room, and between legs, where
# clothes tint the light.
EVEN, SHADE = 0.06, 0.12


def measure_mad(pha: np.ndarray, true: np.ndarray) -> float:
    """Mean absolute difference of two alphas, 0 to 1."""
    return float(np.abs(pha - true).mean())


def measure_grad(pha: np.ndarray, true: np.ndarray) -> float | None:
    """Grad in thousands; see `evaluation.metrics`."""
    errors = map_gradient_error(pha.astype(np.float64), true.astype(np.float64))
    return reduce_error("grad", errors, np.ones(true.shape, bool))


def erode_core(true: np.ndarray) -> np.ndarray:
    """The subject's core: true alpha of 0.98 and more, eroded by 1% of the longer side."""
    return _erode(true >= 0.98, max(1, round(max(true.shape) / 100)))


def find_core(src: np.ndarray, bgr: np.ndarray, height: int) -> np.ndarray:
    """The core of people in a frame without true alpha, by their difference from the plate alone.

    Each outline is closed and its holes are filled. Real gaps, as between legs, and the ground in
    their shade do not count: there the frame is the plate, or the plate darker by one factor of .5
    and more in all channels. What remains is eroded by 3 pixels.

    Args:
        src: the frame.
        bgr: its plate, exact to the pixel.
        height: people are taller than this, in pixels.
    """
    core = np.zeros(src.shape[:2], bool)
    for person in find_people(src, bgr, height)[0]:
        closed = cv2.morphologyEx(person.mask.astype(np.uint8), cv2.MORPH_CLOSE, _disc(3))
        outlines, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        core |= cv2.drawContours(closed, outlines, -1, 1, cv2.FILLED) > 0
    factor, spread = _divide(src, bgr)
    same = plate_difference(*(cv2.GaussianBlur(p, (0, 0), 1.5) for p in (src, bgr))) < GAP
    gap = same | ((spread < SHADE) & (factor > 0.5) & (factor < 1.1))
    gap = cv2.morphologyEx(gap.astype(np.uint8), cv2.MORPH_OPEN, _disc(1)) > 0  # no single pixels
    return _erode(core & ~gap, 3)


def measure_holes(pha: np.ndarray, core: np.ndarray) -> float | None:
    """Share of the core with alpha below 0.9."""
    return float((pha[core] < SOLID).mean()) if core.any() else None


def measure_lowest(pha: np.ndarray, core: np.ndarray) -> float | None:
    """The 0.1 percentile of alpha in the core: its lowest alpha, single pixels aside."""
    return float(np.quantile(pha[core], 0.001)) if core.any() else None


def measure_islands(pha: np.ndarray, subject: np.ndarray, distance: float) -> float:
    """Share of the picture with alpha above 0.1 farther than a distance in pixels from a mask."""
    away = cv2.distanceTransform((~subject).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return float(((pha > ISLAND) & (away > distance)).mean())


def find_strands(true: np.ndarray) -> np.ndarray:
    """True alpha that is part of strands: what an opening by a disc of 9 pixels takes away."""
    alpha = true.astype(np.float32)
    return alpha - cv2.morphologyEx(alpha, cv2.MORPH_OPEN, _disc(STRAND // 2))


def measure_strands(pha: np.ndarray, true: np.ndarray) -> float | None:
    """Share of the true alpha that is kept where strands are; too much alpha does not count."""
    where = find_strands(true) > 0.05  # of rounding nothing is left
    total = float(true[where].sum())
    return float(np.minimum(pha, true)[where].sum()) / total if total else None


def measure_within(pha: np.ndarray, mask: np.ndarray) -> float | None:
    """Mean alpha within a mask, which is background."""
    return float(pha[mask].mean()) if mask.any() else None


def find_shadow(src: np.ndarray, bgr: np.ndarray) -> np.ndarray:
    """Where the frame is the plate in a shadow.

    It is darker by .3 to .97, by the same factor in the three channels within 6%, and the plate's
    texture is still there: luminances correlate by more than .6 over 9 x 9 pixels. A plate that
    deviates there by less than 4 levels has no texture to compare.
    """
    factor, spread = _divide(src, bgr)
    x, y = (cv2.cvtColor(p, cv2.COLOR_RGB2GRAY).astype(np.float32) for p in (src, bgr))

    def local(picture: np.ndarray) -> np.ndarray:
        return cv2.blur(picture, (9, 9))

    covariance = local(x * y) - local(x) * local(y)
    frame, plate = (np.maximum(local(p * p) - local(p) ** 2, 1e-3) for p in (x, y))
    same = (covariance > 0.6 * np.sqrt(frame * plate)) | (plate < 16)
    shadow = (factor > 0.3) & (factor < 0.97) & (spread < EVEN) & same
    return cv2.morphologyEx(shadow.astype(np.uint8), cv2.MORPH_OPEN, _disc(1)) > 0


def _divide(src: np.ndarray, bgr: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The factor of the plate's light in the frame, and by how much of it a channel differs."""
    frame, plate = (cv2.GaussianBlur(p.astype(np.float32), (0, 0), 1) for p in (src, bgr))
    ratio = frame / np.maximum(plate, 1)
    factor = ratio.mean(axis=2)
    return factor, np.abs(ratio / np.maximum(factor, 1e-3)[..., None] - 1).max(axis=2)


def measure_flicker(
    before: np.ndarray, after: np.ndarray, src_before: np.ndarray, src_after: np.ndarray
) -> float | None:
    """Mean absolute change of alpha where the frame, blurred, changed by less than 3 levels."""
    frames = (cv2.GaussianBlur(s.astype(np.float32), (0, 0), 1.5) for s in (src_before, src_after))
    still = cv2.absdiff(*frames).max(axis=2) < STILL
    return float(np.abs(after - before)[still].mean()) if still.any() else None


def measure_change(*phas: np.ndarray, trues: list[np.ndarray]) -> np.ndarray:
    """Computes dtSSD of each frame of a clip but the first; see `evaluation.metrics`."""
    values = [
        reduce_error(
            "dtssd",
            map_change_error(phas[t], phas[t - 1], trues[t], trues[t - 1]),
            np.ones(trues[t].shape, bool),
        )
        for t in range(1, len(trues))
    ]
    return np.array(values, np.float64)


def _erode(mask: np.ndarray, radius: int) -> np.ndarray:
    # Beyond the border the subject goes on.
    return cv2.erode(mask.astype(np.uint8), _disc(radius)) > 0


def _disc(radius: int) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)
