"""Bilinear resampling with the results of `F.interpolate`: of whole pictures and of windows.

Source: OpenCV, because PyTorch takes 5 times longer to enlarge a picture, and 20 times longer to
reduce a 4K frame. The windows are ours.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import cv2
import torch
from torch import Tensor
from torch.nn import functional as F

# Rows that are added to and clamped at once.
_ROWS = 32


def resize(picture: Tensor, height: int, width: int) -> Tensor:
    """Resizes (B, C, h, w) to (B, C, height, width), as `F.interpolate` without `antialias`."""
    out = picture.new_empty((*picture.shape[:2], height, width))
    resize_into(picture, out)
    return out


def resize_into(picture: Tensor, out: Tensor, added: Tensor | None = None) -> None:
    """Resizes (B, C, h, w) into `out` (B, C, H, W), contiguous, as `resize`.

    If `added` is given, of the shape of `out`, adds it and clamps to [0, 1].
    """
    height, width = out.shape[2:]
    if out.dtype == torch.float32:
        for plane, resized in zip(picture.flatten(0, 1), out.flatten(0, 1), strict=True):
            cv2.resize(plane.numpy(), (width, height), resized.numpy())
    else:  # OpenCV rounds the weights to float32
        out.copy_(F.interpolate(picture, (height, width), mode="bilinear", align_corners=False))
    if added is not None:
        # Few rows stay in the cache between the two.
        for part, other in zip(out.split(_ROWS, 2), added.split(_ROWS, 2), strict=True):
            part.add_(other).clamp_(0, 1)


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
