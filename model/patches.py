"""Crops patches around selected cells and writes patches back: pure tensor functions.

A *cell* is a position (image, row, column) of a coarse grid laid over a picture; a grid step is
`size` pixels of that picture. All methods give the same values. `unfold` and `scatter_nd` are the
fastest in eager PyTorch; the others use only operators that exporters support.
"""

from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torchvision.ops import roi_align

CropMethod = Literal["unfold", "roi_align", "gather"]
ReplaceMethod = Literal["scatter_nd", "scatter_element"]


class Cells(NamedTuple):
    """Indices of P selected cells, each (P,) int64: image in the batch, row and column."""

    image: Tensor
    row: Tensor
    column: Tensor


def select_cells(selection: Tensor) -> Cells:
    """Lists the selected cells of a map, row by row.

    Args:
        selection: (B, 1, H, W), non-zero where a cell is selected.

    Returns:
        The P selected cells.
    """
    image, row, column = torch.nonzero(selection.squeeze(1), as_tuple=True)
    return Cells(image, row, column)


def crop_patches(
    picture: Tensor, cells: Cells, size: int, margin: int, method: CropMethod = "unfold"
) -> Tensor:
    """Crops the neighbourhood of every cell, with zeros outside the picture.

    Args:
        picture: (B, C, H, W), H and W divisible by `size`.
        cells: P cells of the (H / size, W / size) grid.
        size: side of a cell, pixels.
        margin: pixels added on each side of the cell.
        method: how to crop; all give the same values.

    Returns:
        (P, C, size + 2 * margin, size + 2 * margin).

    Raises:
        ValueError: for an unknown method.
    """
    side = size + 2 * margin
    if margin:
        picture = F.pad(picture, (margin, margin, margin, margin))
    if method == "unfold":
        if torch.is_grad_enabled() and picture.requires_grad and side % size == 0:
            return _CropWindows.apply(picture, *cells, size, side)
        return _crop_windows(picture, cells, size, side)
    if method == "roi_align":
        # One sample per output pixel, at the pixel's centre: aligned=False places it there when
        # the box starts half a pixel before the patch.
        top, left = cells.row * size - 0.5, cells.column * size - 0.5
        corners = (cells.image, left, top, left + side, top + side)
        boxes = torch.stack([corner.to(picture) for corner in corners], dim=1)  # P 5
        return roi_align(picture, boxes, side, sampling_ratio=1)
    if method == "gather":
        index = _pixel_index(picture.shape, cells, size, side)
        return picture.reshape(-1)[index]
    raise ValueError(f"crop method must be one of {get_args(CropMethod)}, got {method!r}")


def replace_patches(
    picture: Tensor, patches: Tensor, cells: Cells, method: ReplaceMethod = "scatter_nd"
) -> Tensor:
    """Replaces every listed cell by its patch.

    Args:
        picture: (B, C, H, W), H and W divisible by the patches' side. Its memory may be reused.
        patches: (P, C, size, size), of any floating type; cast to the picture's.
        cells: P different cells of the (H / size, W / size) grid.
        method: how to replace; all give the same values.

    Returns:
        (B, C, H, W).

    Raises:
        ValueError: for an unknown method.
    """
    size = patches.shape[-1]
    patches = patches.to(picture.dtype)
    if method == "scatter_nd":
        height, width = picture.shape[2:]
        grid = picture.unflatten(3, (width // size, size)).unflatten(2, (height // size, size))
        grid = grid.permute(0, 2, 4, 1, 3, 5)  # B H/size W/size C size size
        grid[cells.image, cells.row, cells.column] = patches
        return grid.permute(0, 3, 1, 4, 2, 5).reshape(picture.shape)
    if method == "scatter_element":
        index = _pixel_index(picture.shape, cells, size, size)
        flat = picture.reshape(-1).scatter(0, index.reshape(-1), patches.reshape(-1))
        return flat.reshape(picture.shape)
    raise ValueError(f"replace method must be one of {get_args(ReplaceMethod)}, got {method!r}")


def _crop_windows(padded: Tensor, cells: Cells, size: int, side: int) -> Tensor:
    windows = padded.unfold(2, side, size).unfold(3, side, size)  # B C H/size W/size side side
    return windows[cells.image, :, cells.row, cells.column]  # P C side side


class _CropWindows(torch.autograd.Function):
    """`_crop_windows` with a backward pass that needs memory for one picture only.

    PyTorch's backward pass allocates a gradient of all windows of the picture, most of it zero.
    Here a window is divided into blocks of the cells' size, each of which is added at its position.

    Source: ours, because windows of 8 pixels every 2 pixels take 16 times the picture's memory.
    """

    @staticmethod
    def forward(
        ctx: Any, padded: Tensor, image: Tensor, row: Tensor, column: Tensor, size: int, side: int
    ) -> Tensor:
        ctx.save_for_backward(image, row, column)
        ctx.shape, ctx.size, ctx.blocks = padded.shape, size, side // size
        return _crop_windows(padded, Cells(image, row, column), size, side)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        image, row, column = ctx.saved_tensors
        batch, channels, height, width = ctx.shape
        size, blocks = ctx.size, ctx.blocks
        rows, columns = height // size, width // size
        exact = torch.promote_types(gradient.dtype, torch.float32)
        parts = gradient.unflatten(3, (blocks, size)).unflatten(2, (blocks, size))
        parts = parts.permute(2, 4, 0, 1, 3, 5).to(exact).flatten(3)  # blocks blocks P values
        total = parts.new_zeros(batch * rows * columns, channels * size**2)
        first = (image * rows + row) * columns + column
        for down in range(blocks):
            for right in range(blocks):  # cells differ, so no two add at the same position
                total.index_add_(0, first + down * columns + right, parts[down, right])
        grid = total.view(batch, rows, columns, channels, size, size).permute(0, 3, 1, 4, 2, 5)
        return grid.reshape(ctx.shape).to(gradient.dtype), None, None, None, None, None


def _pixel_index(shape: torch.Size, cells: Cells, step: int, side: int) -> Tensor:
    """(P, C, side, side) indices into a flattened (B, C, H, W) picture; patches start at cells."""
    _, channels, height, width = shape
    device = cells.image.device
    channel = torch.arange(channels, device=device).view(1, -1, 1, 1)
    offset = torch.arange(side, device=device)
    row = (cells.row * step).view(-1, 1, 1, 1) + offset.view(1, 1, -1, 1)
    column = (cells.column * step).view(-1, 1, 1, 1) + offset.view(1, 1, 1, -1)
    plane = cells.image.view(-1, 1, 1, 1) * channels + channel
    return (plane * height + row) * width + column
