"""Quality `best`: a plate in the frame's light, a second pass, a local fit, no faint islands."""

import math
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from model.correction import settle_inside
from model.matting import MAX_BACKBONE_SCALE
from model.refiner import CELL

from .local_fit import fit_alpha
from .quality import Budget
from .relighting import relight

# Alpha (B, 1, H, W), foreground (B, 3, H, W), error and refined cells (B, 1, H, W).
Look = tuple[Tensor, Tensor, Tensor, Tensor]
# Takes frame and plate, (B, 3, H, W) each, RGB in [0, 1], and scale and pixels.
Compute = Callable[[Tensor, Tensor, Budget], Look]

_COARSE_GROWTH = 2.0
_SURE = 0.03  # predicted errors well below this have about equal weights
# The second pass is not used where alpha of the first stays within _SOLID of 0 or of 1 for _INSIDE
# coarse pixels around.
_SOLID = 0.05
_INSIDE = 8

# Of islands: smallest visible alpha, smallest maximum of a subject, largest size as a fraction of
# the picture, and half the distance at which two are joined, as a fraction of the longer side.
_VISIBLE, _OPAQUE, _SMALL, _REACH = 0.02, 0.8, 0.001, 0.01


def look_twice(src: Tensor, bgr: Tensor, budget: Budget, compute: Compute) -> Look:
    """Mattes a picture, and its mirror image with a coarse input of twice the height and width.

    If this needs a scale above 1/2, the mirror image is enlarged instead. The larger coarse input
    shows thin parts, the smaller one the whole subject; and errors in a picture rarely repeat in
    its mirror image. Each pass is weighted by its predicted error. The second is used only near
    edges found by the first, because it can take large parts of a subject for background.

    A pass before both shows where the background is, so that they compare the frame with a plate in
    its own light. Where alpha is corrected, the texture of the captured plate decides once more in
    the end, and alpha is fitted to the colours around.

    Args:
        src: (B, 3, H, W) float, RGB in [0, 1], the captured frame; H and W divisible by 4.
        bgr: (B, 3, H, W) float, RGB in [0, 1], the captured plate.
        budget: scale and pixels of the first pass.
        compute: one pass of the network.

    Returns:
        Weighted means of the results of `compute`, at the size of `src`; refined cells are those of
        either pass.

    Source: ours, because photographs allow more time; docs/evaluation.md has the gain.
    """
    captured = bgr
    bgr = relight(src, bgr, compute(src, bgr, budget)[0])
    *first, ref = compute(src, bgr, budget)
    scale = budget.backbone_scale * _COARSE_GROWTH
    enlargement = max(scale / MAX_BACKBONE_SCALE, 1)
    again = replace(
        budget,
        backbone_scale=scale / enlargement,
        refine_sample_pixels=round(budget.refine_sample_pixels * enlargement**2),
    )
    large_src, large_bgr = (_enlarge(picture.flip(-1), enlargement) for picture in (src, bgr))
    pha, fgr, err, other_ref = compute(large_src, large_bgr, again)
    del large_bgr  # here and below: each takes hundreds of MiB for a large photograph
    # The residual is applied to the frame, which keeps its detail.
    residual = fgr - large_src
    del fgr, large_src

    def restore(picture: Tensor) -> Tensor:
        """Mirrors back and resizes to the size of `src`."""
        mirrored = picture.flip(-1)
        if enlargement == 1:
            return mirrored
        return F.interpolate(mirrored, src.shape[2:], mode="bilinear", antialias=True)

    fgr = restore(residual).add_(src).clamp_(0, 1)
    del residual
    pha, err, other_ref = restore(pha), restore(err), restore(other_ref)
    weight = (first[2] + _SURE) / (first[2] + err + 2 * _SURE)  # weight of the second pass
    weight *= _find_edges(first[0], budget)
    for one, two in zip(first, (pha, fgr, err), strict=True):
        torch.lerp(one, two, weight, out=two)
    del first, one, weight
    if budget.corrects_alpha:
        pha = settle_inside(src, captured, pha, budget.coarse_size(*src.shape[2:]))
        pha = fit_alpha(src, bgr, pha)
    return pha, fgr, err, (ref + other_ref > 0).to(ref.dtype)


def _find_edges(pha: Tensor, budget: Budget) -> Tensor:
    """In the shape of pha: 1 within `_INSIDE` coarse pixels of an edge, else 0, with a ramp."""
    size = [int(side * budget.backbone_scale) for side in pha.shape[2:]]
    most = F.adaptive_max_pool2d(torch.cat([pha, 1 - pha], dim=1), size)
    side = 2 * _INSIDE + 1
    for window in ((side, 1), (1, side)):
        most = F.max_pool2d(most, window, 1, tuple(length // 2 for length in window))
    edges = (most > _SOLID).all(dim=1, keepdim=True).to(pha.dtype)
    return F.interpolate(edges, pha.shape[2:], mode="bilinear", align_corners=False)


def _enlarge(picture: Tensor, enlargement: float) -> Tensor:
    """Enlarges to a size divisible by 4, which the refiner needs."""
    if enlargement == 1:
        return picture
    size = [math.ceil(side * enlargement / CELL) * CELL for side in picture.shape[2:]]
    return F.interpolate(picture, size, mode="bicubic").clamp_(0, 1)


def drop_faint_islands(pha: np.ndarray) -> np.ndarray:
    """Removes small islands without an opaque pixel in them or nearby.

    Parts of a subject are opaque somewhere, or near an opaque part: loose hair, motion blur, a
    veil. Other islands are changes between plate and frame, such as steam, a lamp or a leaf.

    Args:
        pha: (H, W) float in [0, 1].

    Returns:
        A copy that is 0 in islands that nowhere exceed `_OPAQUE` and cover less than `_SMALL` of
        the picture; `pha` if there are none.

    Source: ours; as in hysteresis thresholding (Canny, 1986), a weak response counts only if it is
        connected to a strong one.
    """
    visible = pha > _VISIBLE
    side = 2 * max(1, round(_REACH * max(pha.shape))) + 1
    # OpenCV dilates by a box separably.
    together = cv2.dilate(visible.astype(np.uint8), np.ones((side, side), np.uint8))
    count, islands = cv2.connectedComponents(together)
    areas = np.bincount(islands[visible], minlength=count)
    solid = np.bincount(islands[pha > _OPAQUE], minlength=count)
    faint = (solid == 0) & (areas < _SMALL * pha.size)
    faint[0] = False  # the background
    return np.where(faint[islands], pha.dtype.type(0), pha) if faint.any() else pha
