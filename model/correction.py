"""Corrects alpha by what frame and plate prove: the plate's texture, and the compositing equation.

Where the frame is the plate, texture included, times a factor, it shows a shadow and no subject:
alpha becomes 0. Where the plate's texture is gone amid a subject, alpha becomes 1.

In the refined cells the frame is alpha * foreground + (1 - alpha) * plate. The predicted
foreground and the captured plate are known, so alpha can be solved for. The correction is weighted
by the variances of the predicted alpha, the predicted foreground and the frame.

Source: ours, because real shadows were matted, and because solving needs a division, which the
refiner's few channels do not learn; the update is the scalar form of Kalman's (1960).
"""

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from .fixed_blocks import SIDE, choose_blocks, crop_blocks, replace_blocks
from .outputs import RefineOutput
from .patches import Cells, crop_patches, replace_patches, select_cells
from .refiner import CELL, resize
from .texture import compare_texture
from .windows import average, largest

# Standard deviations of the frame's noise, the predicted foreground and the captured plate, as
# fractions of white; and of the plate's position, in pixels.
_FRAME, _FOREGROUND, _PLATE = 0.03, 0.07, 0.06
_PLACE = 2.0
# Within this many coarse pixels of where texture decides nothing, alpha is solved.
_EDGE = 2
# The light on the background is estimated within this many coarse pixels, twice. This floor of
# squared values keeps the estimate at 1 where the background is dark.
_LIGHT_REACH = 2
_LIGHT_FLOOR = 0.02
_LIGHT_RANGE = 0.4, 1.6


class Tools(NamedTuple):
    """What the correction needs that other processors compute faster in another way."""

    enlarge: Callable[[Tensor, int, int], Tensor] = resize
    """Resizes (B, C, h, w) to a height and width, into memory that may be changed."""
    crop: Callable[[Tensor, Cells], Tensor] = partial(crop_patches, size=CELL, margin=0)
    """Crops cells of (B, C, H, W) to (P, C, 4, 4)."""


_TOOLS = Tools()


def correct_alpha(
    src: Tensor,
    bgr: Tensor,
    src_sm: Tensor,
    bgr_sm: Tensor,
    output: RefineOutput,
    refined: int | Literal["all"] | Cells | None = None,
    tools: Tools = _TOOLS,
) -> RefineOutput:
    """Empties alpha in shadows and fills its holes, then corrects it in the refined cells.

    Args:
        src: (B, 3, H, W) float, RGB in [0, 1], the captured frame; H and W divisible by 4.
        bgr: (B, 3, H, W) float, RGB in [0, 1], the captured plate.
        src_sm: (B, 3, h, w), the frame at the coarse size.
        bgr_sm: (B, 3, h, w), the plate at the coarse size.
        output: what `MattingRefine` predicts for them. The memory of its alpha may be reused.
        refined: which cells to correct: `all`; a number of blocks in each picture, as the refiner's
            mode `blocks` chose them; cells, of which those marked in `ref_sm` are corrected; None
            for all marked ones. All but the last use operators of static shape.
        tools: what resizes and crops.

    Returns:
        `output` with the corrected alpha, in float32 or float64. The correction is
        K d . (src - alpha fgr - (1 - alpha) plate), where d = fgr - plate,
        K = err^2 / (err^2 |d|^2 + v), err is the predicted error, 0 amid what texture decides, and
        v the variance of frame, foreground and plate. The plate is first multiplied by the
        estimated light of the frame.
        Gradients reach alpha and foreground.
    """
    exact = torch.float64 if output.pha.dtype == torch.float64 else torch.float32
    # An export would keep the context, even where it changes nothing.
    lowered = torch.is_autocast_enabled(src.device.type)
    with torch.autocast(src.device.type, enabled=False) if lowered else nullcontext():
        frame_sm, plate_sm, pha_sm, fgr_sm = (
            small.to(exact) for small in (src_sm, bgr_sm, output.pha_sm.detach(), output.fgr_sm)
        )
        shadow, hidden = compare_texture(frame_sm, plate_sm, pha_sm)
        known_sm = pha_sm * (1 - shadow) * (1 - hidden) + hidden
        light = _estimate_light(frame_sm, plate_sm, known_sm, fgr_sm)
        # Amid what the texture decides there is nothing to solve; at its edges there is.
        undecided = largest(1 - torch.maximum(shadow, hidden), _EDGE)
        by_cell = torch.cat([light, output.err_sm.detach().to(exact) * undecided], dim=1)
        size = output.ref_sm.shape[2:]
        by_cell = F.interpolate(by_cell, size, mode="bilinear", align_corners=False)
        whole = _settle(output.pha.to(exact), shadow, hidden, tools.enlarge)
        pictures = [picture.to(exact) for picture in (src, bgr, whole, output.fgr)]
        solved = _correct_cells(pictures, by_cell, output.ref_sm, refined, tools.crop)
        return output._replace(pha=solved)


@torch.no_grad()
def settle_inside(src: Tensor, bgr: Tensor, pha: Tensor, size: tuple[int, int]) -> Tensor:
    """Empties alpha in shadows and fills its holes, except near their edges.

    Args:
        src: (B, 3, H, W) float, RGB in [0, 1], the captured frame.
        bgr: (B, 3, H, W) float, RGB in [0, 1], the captured plate.
        pha: (B, 1, H, W) float in [0, 1], alpha whose edges are better than those of texture.
        size: of the coarse input, at which texture is compared.

    Returns:
        Alpha, like `pha`.
    """
    small = (F.interpolate(picture, size, mode="area") for picture in (src, bgr, pha))
    shadow, hidden = (-largest(-part, 1) for part in compare_texture(*small))
    return _settle(pha, shadow, hidden, resize)


def _settle(
    pha: Tensor, shadow: Tensor, hidden: Tensor, enlarge: Callable[[Tensor, int, int], Tensor]
) -> Tensor:
    """Sets alpha to 0 in shadow and to 1 where the plate's texture is hidden, (B, 1, h, w) each."""
    # Not `kept` is enlarged, which is then exactly 1 where there is nothing to remove.
    removed, filled = (
        enlarge(part, *pha.shape[2:]) for part in (shadow + hidden - shadow * hidden, hidden)
    )
    kept = removed.mul_(-1).add_(1)
    return filled.addcmul_(pha, kept)


def _correct_cells(
    pictures: list[Tensor],
    by_cell: Tensor,
    ref: Tensor,
    refined: int | Literal["all"] | Cells | None,
    crop: Callable[[Tensor, Cells], Tensor],
) -> Tensor:
    """Solves for the alpha of the refined cells.

    Args:
        pictures: frame, plate, alpha and foreground, (B, C, H, W).
        by_cell: (B, 2, H / 4, W / 4), the plate's light and the predicted error.
        ref: (B, 1, H / 4, W / 4), not zero in refined cells.
        refined: see `correct_alpha`.
        crop: see `Tools`.

    Returns:
        (B, 1, H, W), alpha.
    """
    pha = pictures[2]
    if refined == 0:
        return pha
    if refined is None or isinstance(refined, Cells):
        cells = refined or select_cells(ref)
        place = cells.image, slice(None), cells.row, cells.column
        patches = [crop(picture, cells) for picture in pictures]
        solved = _solve(*patches, *by_cell[place].view(-1, 2, 1, 1, 1).unbind(1))
        if refined:
            solved = torch.where(ref[place][..., None, None] > 0, solved, patches[2])
        return replace_patches(pha, solved, cells)
    if refined == "all":
        patches = [_split(picture) for picture in pictures]
        known = _split(by_cell, 1).view(-1, 2, 1, 1, 1)
        return _merge(_solve(*patches, *known.unbind(1)), *by_cell.shape[2:])
    blocks = choose_blocks(ref, refined)
    patches = [_split(crop_blocks(picture, blocks, SIDE * CELL)) for picture in pictures]
    known = _split(crop_blocks(by_cell, blocks, SIDE), 1).view(-1, 2, 1, 1, 1)
    solved = _merge(_solve(*patches, *known.unbind(1)), SIDE, SIDE)
    return replace_blocks(pha, solved, blocks)


def _solve(
    frame: Tensor, plate: Tensor, pha: Tensor, fgr: Tensor, light: Tensor, err: Tensor
) -> Tensor:
    """Corrects the alpha of P cells, (P, C, 4, 4); light and error are (P, 1, 1, 1)."""
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
    return (pha + trust * (difference * rest).sum(1, keepdim=True)).clamp(0, 1)


def _split(pictures: Tensor, size: int = CELL) -> Tensor:
    """Splits (N, C, rows * size, columns * size) into cells (N * rows * columns, C, size, size)."""
    cells = pictures.unflatten(3, (-1, size)).unflatten(2, (-1, size))
    return cells.permute(0, 2, 4, 1, 3, 5).flatten(0, 2)


def _merge(cells: Tensor, rows: int, columns: int) -> Tensor:
    """Merges what `_split` has split."""
    pictures = cells.unflatten(0, (-1, rows, columns)).permute(0, 3, 1, 4, 2, 5)
    return pictures.flatten(4, 5).flatten(2, 3)


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
    for _ in range(2):
        both = average(both, _LIGHT_REACH)
    return ((both[:, :1] + _LIGHT_FLOOR) / (both[:, 1:] + _LIGHT_FLOOR)).clamp(*_LIGHT_RANGE)


def _squared_slope(plate: Tensor) -> Tensor:
    """Mean squared difference of adjacent pixels of patches (P, 3, 4, 4), as (P, 1, 1, 1)."""
    across, down = (plate.diff(dim=dim).square().mean((1, 2, 3)) for dim in (3, 2))
    return (across + down)[:, None, None, None]
