"""Windows of pictures: cropping many at once, and upsampling within them."""

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

# Several neighbouring values are copied as one number of this many bytes.
_PIECES = ((16, torch.complex128), (8, torch.complex64))


class Table(NamedTuple):
    """Bilinear upsampling inside windows that lie on a grid, along one axis.

    Attributes:
        origin: (count,) int64, where the window of the coarse picture begins.
        weights: (count, length, window), from the coarse window to the fine one; rows outside the
            fine picture are zero.
    """

    origin: Tensor
    weights: Tensor


@lru_cache(maxsize=64)
@torch.inference_mode(False)  # a table may be used outside of it later
def upsampling_table(
    count: int, step: int, margin: int, coarse: int, fine: int, dtype: torch.dtype
) -> Table:
    """Tabulates the bilinear upsampling for windows of a fine picture, along one axis.

    Window i covers the fine pixels from `i * step - margin` to `(i + 1) * step + margin`, with
    zeros outside the picture.

    Args:
        count: number of windows.
        step: pixels of the fine picture between windows.
        margin: pixels of the fine picture on each side.
        coarse: size of the coarse picture, pixels.
        fine: size of the fine picture, pixels.
        dtype: of the weights.

    Returns:
        See `Table`; equal to `F.interpolate` with `align_corners=False` within rounding.
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


def crop_windows(
    picture: Tensor, image: Tensor, top: Tensor, left: Tensor, height: int, width: int
) -> Tensor:
    """Crops windows; zeros stand outside the picture.

    Args:
        picture: (B, C, H, W).
        image: (k,) int64, index in the batch.
        top: (k,) int64, first row of each window; may lie outside.
        left: (k,) int64, first column of each window; may lie outside.
        height: of every window.
        width: of every window.

    Returns:
        (k, C, height, width), in the memory format of the picture.
    """
    rows, columns = picture.shape[2] - height, picture.shape[3] - width
    border = (top < 0) | (top > rows) | (left < 0) | (left > columns)
    if rows >= 0 and columns >= 0:
        windows = _crop_inside(
            picture, image, top.clamp(0, rows), left.clamp(0, columns), height, width
        )
    else:
        windows = picture.new_empty((len(image), picture.shape[1], height, width))
        border = torch.ones_like(border)
    if bool(border.any()):
        image, top, left = image[border], top[border], left[border]
        row = top[:, None] + torch.arange(height, device=top.device)
        column = left[:, None] + torch.arange(width, device=left.device)
        covered = ((row >= 0) & (row < picture.shape[2]))[:, :, None]
        covered = covered & ((column >= 0) & (column < picture.shape[3]))[:, None, :]
        row, column = row.clamp(0, picture.shape[2] - 1), column.clamp(0, picture.shape[3] - 1)
        place = image[:, None, None], row[:, :, None], column[:, None, :]
        pixels = picture.permute(0, 2, 3, 1)[place] * covered[..., None]
        windows[border] = pixels.permute(0, 3, 1, 2)
    return windows


def _crop_inside(
    picture: Tensor, image: Tensor, top: Tensor, left: Tensor, height: int, width: int
) -> Tensor:
    """`crop_windows` of windows that lie inside the picture."""
    channels_last = picture.shape[1] > 1 and picture.stride(1) == 1
    if channels_last:
        # Pixel by pixel: the channels of a pixel are neighbours in memory.
        pixels = picture.permute(0, 2, 3, 1)
        piece, kind = _piece(pixels, pixels.shape[3])
        windows = pixels.view(kind).unfold(1, height, 1).unfold(2, width, 1)
        windows = windows.permute(0, 1, 2, 4, 5, 3)  # B H' W' height width C
        return windows[image, top, left].view(picture.dtype).permute(0, 3, 1, 2)
    piece, kind = _piece(picture, width)
    if piece > 1 and bool((left % piece).any()):
        piece, kind = 1, picture.dtype
    windows = picture.view(kind).permute(0, 2, 3, 1)
    windows = windows.unfold(1, height, 1).unfold(2, width // piece, 1)  # B H' W' C height width
    return windows[image, top, left // piece].view(picture.dtype)


def _piece(picture: Tensor, count: int) -> tuple[int, torch.dtype]:
    """How many of `count` values that are neighbours in memory are copied as one, and as what."""
    for size_in_bytes, kind in _PIECES:
        piece = size_in_bytes // picture.itemsize
        others = (*picture.stride()[:-1], picture.storage_offset(), picture.shape[-1], count)
        if picture.stride(-1) == 1 and not any(size % piece for size in others):
            return piece, kind
    return 1, picture.dtype
