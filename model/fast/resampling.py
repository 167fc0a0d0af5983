"""Bilinear resampling with the results of `F.interpolate`: of whole pictures and of windows.

Source: ours, because `F.interpolate` takes 10 times longer to reduce a 4K frame than reading the
rows that it needs, and needs a second pass over a 4K output to add a picture.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

# Rows of the output that are made at once, few enough to stay in the cache for the next step.
_ROWS = 32


def reduce(picture: Tensor, height: int, width: int) -> Tensor:
    """Resizes (B, C, H, W) to a smaller size, as `F.interpolate` with `align_corners=False`."""
    rows, columns = picture.shape[2], picture.shape[3]
    if rows % height or columns % width:
        return F.interpolate(picture, (height, width), mode="bilinear", align_corners=False)
    # At an integer factor the two rows and columns around a pixel's centre have equal weights.
    down, across = rows // height, columns // width
    pairs = picture[:, :, (down - 1) // 2 :: down] + picture[:, :, down // 2 :: down]
    return (pairs[..., (across - 1) // 2 :: across] + pairs[..., across // 2 :: across]) / 4


def enlarge(picture: Tensor, out: Tensor, added: Tensor | None = None) -> None:
    """Resizes (B, C, h, w) into `out` (B, C, H, W), larger, as `F.interpolate` does.

    If `added` is given, of the shape of `out`, adds it and clamps to [0, 1].
    """
    batch, channels, height, width = out.shape
    wide = F.interpolate(picture, (picture.shape[2], width), mode="bilinear", align_corners=False)
    count = -(-height // _ROWS)
    origins, weights = upsampling_table(count, _ROWS, 0, picture.shape[2], height, picture.dtype)
    # The program may have set a lower precision for convolutions.
    with torch.autocast(out.device.type, enabled=False):
        for i, origin in enumerate(origins.tolist()):
            part = out[:, :, i * _ROWS : (i + 1) * _ROWS]
            count, window = part.shape[2], weights.shape[2]
            for b in range(batch):
                for c in range(channels):
                    source = wide[b, c, origin : origin + window]
                    torch.mm(weights[i, :count], source, out=part[b, c])
            if added is not None:
                part.add_(added[:, :, i * _ROWS : (i + 1) * _ROWS]).clamp_(0, 1)


class Table(NamedTuple):
    """Weights of bilinear upsampling along one axis, for windows on a grid."""

    origin: Tensor
    """(count,) int64, first coarse pixel of each window."""
    weights: Tensor
    """(count, length, window), weights of coarse pixels by fine pixel; 0 outside the picture."""


@lru_cache(maxsize=64)
@torch.inference_mode(False)  # a table may be used outside inference mode later
def upsampling_table(
    count: int, step: int, margin: int, coarse: int, fine: int, dtype: torch.dtype
) -> Table:
    """Tabulates bilinear upsampling from `coarse` to `fine` pixels along one axis, for windows.

    Window i of `count` covers fine pixels from `i * step - margin` to `(i + 1) * step + margin`,
    with zeros outside the picture.
    """
    first = torch.arange(count)[:, None] * step - margin
    place = first + torch.arange(step + 2 * margin)  # count length
    inside = ((place >= 0) & (place < fine)).double()
    centre = (place.clamp(0, fine - 1).double() + 0.5) * (coarse / fine) - 0.5
    centre = centre.clamp(0, coarse - 1)
    low = centre.floor().long()
    high = (low + 1).clamp(max=coarse - 1)
    fraction = (centre - low) * inside
    window = int((high.amax(1) - low.amin(1)).max()) + 1
    origin = low.amin(1).clamp(max=coarse - window)
    weights = torch.zeros(*place.shape, window, dtype=torch.float64)
    weights.scatter_add_(2, (low - origin[:, None])[..., None], (inside - fraction)[..., None])
    weights.scatter_add_(2, (high - origin[:, None])[..., None], fraction[..., None])
    return Table(origin, weights.to(dtype))


def window_tables(
    steps: Sequence[int],
    margin: int,
    coarse: Sequence[int],
    fine: Sequence[int],
    dtype: torch.dtype,
) -> list[tuple[Table, Table]]:
    """Vertical and horizontal tables of windows every `step` pixels; sizes are height, width."""
    return [
        (
            upsampling_table(-(-fine[0] // step), step, margin, coarse[0], fine[0], dtype),
            upsampling_table(-(-fine[1] // step), step, margin, coarse[1], fine[1], dtype),
        )
        for step in steps
    ]
