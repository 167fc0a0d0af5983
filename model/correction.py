"""Corrects refined alpha by the compositing equation.

The frame is alpha * foreground + (1 - alpha) * plate. The predicted foreground and the captured
plate are known, so alpha can be solved for. The correction is weighted by the variances of the
predicted alpha, the predicted foreground and the frame.

Source: ours, because solving needs a division, which the refiner's few channels do not learn; the
update is the scalar form of Kalman's (1960).
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from .outputs import RefineOutput
from .patches import crop_patches, replace_patches, select_cells
from .refiner import CELL

# Standard deviations of the frame's noise, the predicted foreground and the captured plate, as
# fractions of white; and of the plate's position, in pixels.
_FRAME, _FOREGROUND, _PLATE = 0.03, 0.07, 0.06
_PLACE = 2.0
# The light on the background is estimated within this many coarse pixels, twice. This floor of
# squared values keeps the estimate at 1 where the background is dark.
_LIGHT_REACH = 2
_LIGHT_FLOOR = 0.02
_LIGHT_RANGE = 0.4, 1.6


def correct_alpha(
    src: Tensor, bgr: Tensor, src_sm: Tensor, bgr_sm: Tensor, output: RefineOutput
) -> RefineOutput:
    """Corrects alpha in the refined cells.

    Args:
        src: (B, 3, H, W) float, RGB in [0, 1], the captured frame; H and W divisible by 4.
        bgr: (B, 3, H, W) float, RGB in [0, 1], the captured plate.
        src_sm: (B, 3, h, w), the frame at the coarse size.
        bgr_sm: (B, 3, h, w), the plate at the coarse size.
        output: what `MattingRefine` predicts for them. The memory of its alpha may be reused.

    Returns:
        `output` with the corrected alpha, in float32 or float64. The correction is
        K d . (src - alpha fgr - (1 - alpha) plate), where d = fgr - plate,
        K = err^2 / (err^2 |d|^2 + v), err is the predicted error and v the variance of frame,
        foreground and plate. The plate is first multiplied by the estimated light of the frame.
        Gradients reach alpha and foreground.
    """
    exact = torch.promote_types(output.pha.dtype, torch.float32)
    with torch.autocast(src.device.type, enabled=False):
        light = _estimate_light(
            *(small.to(exact) for small in (src_sm, bgr_sm, output.pha_sm, output.fgr_sm))
        )
        by_cell = torch.cat([light, output.err_sm.detach().to(exact)], dim=1)
        size = output.ref_sm.shape[2:]
        by_cell = F.interpolate(by_cell, size, mode="bilinear", align_corners=False)
        cells = select_cells(output.ref_sm)
        light, err = by_cell[cells.image, :, cells.row, cells.column].view(-1, 2, 1, 1, 1).unbind(1)
        whole = output.pha.to(exact)
        frame, plate, pha, fgr = (
            crop_patches(picture.to(exact), cells, CELL, 0)  # P C 4 4
            for picture in (src, bgr, whole, output.fgr)
        )
        plate = plate * light
        known = pha.detach()
        variance = (
            _FRAME**2
            + (known * _FOREGROUND) ** 2
            + (1 - known) ** 2 * (_PLATE**2 + _PLACE**2 * _squared_slope(plate))
        )
        difference = fgr - plate
        rest = frame - plate - pha * difference
        trust = err**2 / (err**2 * difference.square().sum(1, keepdim=True) + variance)
        pha = (pha + trust * (difference * rest).sum(1, keepdim=True)).clamp(0, 1)
        return output._replace(pha=replace_patches(whole, pha, cells))


@torch.no_grad()
def _estimate_light(frame: Tensor, plate: Tensor, pha: Tensor, fgr: Tensor) -> Tensor:
    """Estimates the factor of the frame's light to the plate's on the background, for shadows.

    Returns:
        (B, 1, h, w): the least-squares factor over the neighbourhood of each coarse pixel.
    """
    shown = 1 - pha
    seen = (shown * (frame - pha * fgr) * plate).sum(1, keepdim=True)
    captured = (shown * plate).square().sum(1, keepdim=True)
    both = torch.cat([seen, captured], dim=1)
    side = 2 * _LIGHT_REACH + 1
    for _ in range(2):
        both = F.avg_pool2d(F.pad(both, (_LIGHT_REACH,) * 4, mode="replicate"), side, stride=1)
    return ((both[:, :1] + _LIGHT_FLOOR) / (both[:, 1:] + _LIGHT_FLOOR)).clamp(*_LIGHT_RANGE)


def _squared_slope(plate: Tensor) -> Tensor:
    """Mean squared difference of adjacent pixels of patches (P, 3, 4, 4), as (P, 1, 1, 1)."""
    across, down = (plate.diff(dim=dim).square().mean((1, 2, 3)) for dim in (3, 2))
    return (across + down)[:, None, None, None]
