"""Corrects alpha by what frame and plate prove: the plate's texture, and the compositing equation.

Where the frame is the plate, texture included, times a factor, it shows a shadow and no subject:
alpha becomes 0. Where the plate's texture is gone amid a subject, alpha becomes 1.

In the refined cells the frame is alpha * foreground + (1 - alpha) * plate. The predicted
foreground and the captured plate are known, so alpha can be solved for. The correction is weighted
by the variances of the predicted alpha, the predicted foreground and the frame.

Source: ours, because real shadows were matted, and because solving needs a division, which the
refiner's few channels do not learn; the update is the scalar form of Kalman's (1960).
"""

from contextlib import nullcontext
from functools import reduce
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from .fixed_blocks import SIDE, choose_blocks, crop_blocks, replace_blocks
from .outputs import RefineOutput
from .patches import crop_patches, replace_patches, select_cells
from .refiner import CELL, resize

# Standard deviations of the frame's noise, the predicted foreground and the captured plate, as
# fractions of white; and of the plate's position, in pixels.
_FRAME, _FOREGROUND, _PLATE = 0.03, 0.07, 0.06
_PLACE = 2.0
# The light on the background is estimated within this many coarse pixels, twice. This floor of
# squared values keeps the estimate at 1 where the background is dark.
_LIGHT_REACH = 2
_LIGHT_FLOOR = 0.02
_LIGHT_RANGE = 0.4, 1.6
# Texture is compared within this many coarse pixels. What follows are bounds between which evidence
# rises from none to full, or falls. Of a shadow: the part of the plate's variance that the frame
# shows, the variance in multiples of the noise's, the largest difference between the factors of
# the channels, and the factor.
_TEXTURE_REACH = 2
_SHOWN, _STRENGTH, _TINT, _DARKEST, _BRIGHTEST = (
    *((0.5, 0.8), (1.5, 5), (0.06, 0.12)),
    *((0.2, 0.3), (1.02, 1.1)),
)
# On a plain plate of a strong colour, the colour takes the place of texture: its saturation, the
# difference between the factors of the channels, the factor, alpha (what the network is sure of
# stays), and the bend of the factor from pixel to pixel, which thin dark lines have and soft light
# has not.
_SATURATED, _SAME, _DIM, _UNSURE, _BENT = (
    (0.25, 0.5),
    (0.03, 0.08),
    (0.3, 0.45),
    (0.6, 0.9),
    (0.1, 0.25),
)
# Of a subject: the variance that a shadow of the darkest factor would leave, in multiples of the
# noise's; the factor of the texture that is left; how well the plate fits where there is no
# subject; and the mean alpha within _NEAR coarse pixels, because places far from a subject changed
# for other reasons.
_LEFT, _GONE, _FITS, _SURROUNDED, _NEAR = (0.25, 1), (0.1, 0.25), (0.65, 0.8), (0.5, 0.7), 8
# Standard deviations of the noise, as fractions of white; what differs more is not noise.
_LEAST_NOISE, _MOST_NOISE = 0.7 / 255, 4 / 255
_BLACK = 4 / 255  # added to both levels of a ratio
_SURE = 0.02  # alpha below this is background
_GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601


def correct_alpha(
    src: Tensor,
    bgr: Tensor,
    src_sm: Tensor,
    bgr_sm: Tensor,
    output: RefineOutput,
    refined: int | Literal["all"] | None = None,
) -> RefineOutput:
    """Empties alpha in shadows and fills its holes, then corrects it in the refined cells.

    Args:
        src: (B, 3, H, W) float, RGB in [0, 1], the captured frame; H and W divisible by 4.
        bgr: (B, 3, H, W) float, RGB in [0, 1], the captured plate.
        src_sm: (B, 3, h, w), the frame at the coarse size.
        bgr_sm: (B, 3, h, w), the plate at the coarse size.
        output: what `MattingRefine` predicts for them. The memory of its alpha may be reused.
        refined: which cells to correct: `all`; a number of blocks in each picture, as the refiner's
            mode `blocks` chose them; None for those marked in `ref_sm`. The first two use operators
            of static shape.

    Returns:
        `output` with the corrected alpha, in float32 or float64. The correction is
        K d . (src - alpha fgr - (1 - alpha) plate), where d = fgr - plate,
        K = err^2 / (err^2 |d|^2 + v), err is the predicted error and v the variance of frame,
        foreground and plate. The plate is first multiplied by the estimated light of the frame.
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
        by_cell = torch.cat([light, output.err_sm.detach().to(exact)], dim=1)
        size = output.ref_sm.shape[2:]
        by_cell = F.interpolate(by_cell, size, mode="bilinear", align_corners=False)
        shadow, hidden = resize(torch.cat([shadow, hidden], 1), *output.pha.shape[2:]).split(1, 1)
        whole = output.pha.to(exact)
        whole = whole * (1 - shadow) * (1 - hidden) + hidden
        pictures = [picture.to(exact) for picture in (src, bgr, whole, output.fgr)]
        if refined == 0:
            return output._replace(pha=whole)
        if refined is None:
            cells = select_cells(output.ref_sm)
            patches = [crop_patches(picture, cells, CELL, 0) for picture in pictures]
            known = by_cell[cells.image, :, cells.row, cells.column].view(-1, 2, 1, 1, 1)
            pha = replace_patches(whole, _solve(*patches, *known.unbind(1)), cells)
        elif refined == "all":
            patches = [_split(picture) for picture in pictures]
            known = _split(by_cell, 1).view(-1, 2, 1, 1, 1)
            pha = _merge(_solve(*patches, *known.unbind(1)), *size)
        else:
            blocks = choose_blocks(output.ref_sm, refined)
            patches = [_split(crop_blocks(picture, blocks, SIDE * CELL)) for picture in pictures]
            known = _split(crop_blocks(by_cell, blocks, SIDE), 1).view(-1, 2, 1, 1, 1)
            pha = _merge(_solve(*patches, *known.unbind(1)), SIDE, SIDE)
            pha = replace_blocks(whole, pha, blocks)
        return output._replace(pha=pha)


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
def compare_texture(frame: Tensor, plate: Tensor, pha: Tensor) -> tuple[Tensor, Tensor]:
    """Finds where the frame is the plate times a factor, and where the plate's texture is gone.

    The texture must be stronger than the noise, which is measured where there is no subject. Where
    plate and frame do not fit, nothing is found, nor on a plain plate, unless it has a strong
    colour.

    Args:
        frame: (B, 3, h, w) float, RGB in [0, 1].
        plate: (B, 3, h, w) float, RGB in [0, 1].
        pha: (B, 1, h, w) float in [0, 1], predicted alpha.

    Returns:
        Two (B, 1, h, w) in [0, 1]: 1 where the frame surely shows the plate, in shadow or not; and
        1 where it surely hides the plate, near a subject.
    """
    weights = frame.new_tensor(_GREY).view(1, 3, 1, 1)
    seen, captured = F.conv2d(frame, weights), F.conv2d(plate, weights)
    # Variances do not change, and the differences of squares below lose fewer digits.
    level = captured.mean((2, 3), keepdim=True)
    seen, captured = seen - level, captured - level
    products = torch.cat([seen, captured, seen * seen, captured * captured, seen * captured], 1)
    mean, mean_plate, square, square_plate, product = _average(products).split(1, dim=1)
    factor = (mean + level + _BLACK) / (mean_plate + level + _BLACK)
    texture = (square_plate - mean_plate.square()).clamp(min=1e-7)
    common = product - mean * mean_plate
    varied = factor.square() * texture
    rest = (square - mean.square() - 2 * factor * common + varied).clamp(min=0)
    sure = (_largest(pha, _TEXTURE_REACH) < _SURE).to(rest)
    # With a little weight on the most noise, for frames without sure background.
    noise = (sure * rest.clamp(max=_MOST_NOISE**2)).sum((2, 3), keepdim=True) + _MOST_NOISE**2
    noise = (noise / (sure.sum((2, 3), keepdim=True) + 1)).clamp(min=_LEAST_NOISE**2)
    shown = 1 - (rest - noise).clamp(min=0) / varied.clamp(min=1e-7)

    tint, by_colour = _compare_colour(frame, plate, pha)
    shadow = (
        _rise(shown, _SHOWN)
        * _rise(varied * factor.clamp(min=1).pow(-2) / noise, _STRENGTH)
        * (1 - _rise(tint, _TINT))
        * _rise(factor, _DARKEST)
        * (1 - _rise(factor, _BRIGHTEST))
    )
    shadow = torch.maximum(shadow, by_colour)
    strong = _rise(_DARKEST[1] ** 2 * texture / noise, _LEFT)
    known = sure * strong
    fit = (known * shown.clamp(0, 1)).sum((2, 3), keepdim=True)
    fit = fit / (known.sum((2, 3), keepdim=True) + 1)
    hidden = strong * (1 - _rise((common / texture).abs(), _GONE)) * _rise(fit, _FITS)
    near = _average(pha, _NEAR)
    # A hole wider than that, too, if what hides the plate there counts as subject.
    larger = _average(torch.maximum(pha, hidden), _NEAR) * (near > _SURROUNDED[0] / 2)
    return shadow, hidden * _rise(torch.maximum(near, larger), _SURROUNDED)


def _compare_colour(frame: Tensor, plate: Tensor, pha: Tensor) -> tuple[Tensor, Tensor]:
    """Finds soft shadows on a plate of a strong colour, which they keep.

    Returns:
        Two (B, 1, h, w): the largest difference between the factors of the channels, as a part of
        their mean; and 1 where there surely is such a shadow, 0 where not.
    """
    seen, captured = _average(torch.cat([frame, plate], 1), 1).split(3, 1)
    colours = (seen + _BLACK) / (captured + _BLACK)
    factor = colours.mean(1, keepdim=True)
    tint = (colours - factor).abs().amax(1, keepdim=True) / factor
    saturation = 1 - captured.amin(1, keepdim=True) / captured.amax(1, keepdim=True).clamp(
        min=_BLACK
    )
    sharp = ((frame + _BLACK) / (plate + _BLACK)).mean(1, keepdim=True)
    around = F.pad(sharp, (1,) * 4, mode="replicate")
    across = around[..., 1:-1, 2:] + around[..., 1:-1, :-2] - 2 * sharp
    down = around[..., 2:, 1:-1] + around[..., :-2, 1:-1] - 2 * sharp
    bend = _largest(torch.maximum(across.abs(), down.abs()), 1)
    shadow = (
        _rise(saturation, _SATURATED)
        * (1 - _rise(tint, _SAME))
        * _rise(factor, _DIM)
        * (1 - _rise(factor, _BRIGHTEST))
        * (1 - _rise(pha, _UNSURE))
        * (1 - _rise(bend, _BENT))
    )
    return tint, shadow


def _average(x: Tensor, reach: int = _TEXTURE_REACH) -> Tensor:
    """Means over squares of 2 * reach + 1 pixels, beyond the edges of the nearest ones.

    By adding shifted rows, then columns: on a CPU 5 times as fast as pooling.
    """
    for dim in (2, 3):
        x = reduce(torch.add, _shifts(x, reach, dim)) / (2 * reach + 1)
    return x


def _largest(x: Tensor, reach: int) -> Tensor:
    """Maxima over squares of 2 * reach + 1 pixels."""
    for dim in (2, 3):
        x = reduce(torch.maximum, _shifts(x, reach, dim))
    return x


def _shifts(x: Tensor, reach: int, dim: int) -> list[Tensor]:
    """Views of (B, C, h, w), moved by up to `reach` pixels along a dimension."""
    sides = (0, 0, reach, reach) if dim == 2 else (reach, reach, 0, 0)
    padded = F.pad(x, sides, mode="replicate")
    return [padded.narrow(dim, start, x.shape[dim]) for start in range(2 * reach + 1)]


def _rise(x: Tensor, bounds: tuple[float, float]) -> Tensor:
    """Rises smoothly from 0 at the first bound to 1 at the second."""
    low, high = bounds
    t = ((x - low) / (high - low)).clamp(0, 1)
    return t * t * (3 - 2 * t)


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
