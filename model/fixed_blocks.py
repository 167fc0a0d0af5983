"""A fixed number of blocks of cells: chosen, cropped and put back by operators of static shape.

The shapes of all results follow from the shapes of the arguments and the number of blocks, so
`torch.export`, ONNX and CUDA graphs can hold them. There is no `nonzero`, no scatter and no branch
on a value. The patches of `patches.py` have as many rows as cells happen to be selected.

The grid of blocks covers the map of cells; blocks at the right and at the bottom may reach beyond
it. What lies outside is read as 0 and not written.
"""

from typing import NamedTuple

import torch
from torch import Tensor

# Cells per side of a block.
SIDE = 4


class FixedBlocks(NamedTuple):
    """The k chosen blocks of each picture, in raster order.

    Attributes:
        place: (B, k) int64, index of each block in the flattened grid.
        rank: (B, rows, columns) int64, index in `place` of each chosen block of the grid; any valid
            index for the others.
        written: (B, rows, columns) bool, the chosen blocks of a value above the floor.
    """

    place: Tensor
    rank: Tensor
    written: Tensor

    def cells(self, rows: int, columns: int) -> Tensor:
        """Maps the cells of the written blocks: (B, 1, rows, columns) bool."""
        return _enlarge(self.written, SIDE, rows, columns)


def choose_blocks(cells: Tensor, count: int, floor: float = 0.0) -> FixedBlocks:
    """Chooses the blocks of the largest values in a map; of equals, the first in raster order.

    Args:
        cells: (B, 1, rows, columns) float, at least 0.
        count: blocks of each picture, from 1 to the number of blocks in the grid.
        floor: a block is written only if a cell of it is above this; -1 writes all that are chosen.

    Source: ours. Two top-k and cumulative sums: the first finds the smallest value that is chosen,
        the second lists the blocks. An inverse permutation by scatter is not in every runtime.
    """
    rows, columns = ((size + SIDE - 1) // SIDE for size in cells.shape[2:])
    # Repeats the last cells, which changes no maximum. After `F.pad` or a slice, an export would
    # serve either sizes that blocks divide, or the others.
    for dim, size in ((2, rows), (3, columns)):
        place = torch.arange(size * SIDE, device=cells.device).clamp(max=cells.shape[dim] - 1)
        cells = cells.index_select(dim, place)
    grid = cells.view(-1, rows, SIDE, columns, SIDE).amax((2, 4))
    flat = grid.flatten(1)  # B n
    smallest = flat.topk(count, dim=1).values[:, -1:]
    above, equal = flat > smallest, flat == smallest
    left = count - above.sum(1, keepdim=True)
    chosen = above | (equal & (equal.long().cumsum(1) <= left))
    size = flat.shape[1]
    # Larger numbers first in raster order; integers, which no runtime rounds.
    order = torch.arange(size, 0, -1, device=cells.device, dtype=torch.int32)
    place = (chosen * order).topk(count, dim=1).indices
    rank = (chosen.long().cumsum(1) - 1).clamp(min=0)
    written = chosen & (flat > floor)
    return FixedBlocks(place, rank.view_as(grid), written.view_as(grid))


def crop_blocks(picture: Tensor, blocks: FixedBlocks, size: int, margin: int = 0) -> Tensor:
    """Crops the chosen blocks with their margins, with zeros outside the picture.

    Args:
        picture: (B, C, H, W), covered by the grid of blocks.
        blocks: k blocks of each picture.
        size: side of a block in this picture, pixels.
        margin: pixels added on each side.

    Returns:
        (B * k, C, size + 2 * margin, size + 2 * margin).
    """
    batch, channels, height, width = picture.shape
    columns = blocks.rank.shape[2]
    offset = torch.arange(-margin, size + margin, device=picture.device)
    rows = blocks.place // columns
    # A remainder by a dynamic size has no translation to ONNX.
    row = (rows * size).flatten()[:, None] + offset  # Bk side
    column = ((blocks.place - rows * columns) * size).flatten()[:, None] + offset
    inside_rows, inside_columns = (row >= 0) & (row < height), (column >= 0) & (column < width)
    image = torch.arange(batch, device=picture.device).repeat_interleave(blocks.place.shape[1])
    row = row.clamp(0, height - 1) + (image * height)[:, None]
    index = row[:, :, None] * width + column.clamp(0, width - 1)[:, None, :]  # Bk side side
    flat = picture.transpose(0, 1).flatten(1)  # C BHW
    windows = flat.index_select(1, index.flatten()).view(channels, *index.shape).transpose(0, 1)
    inside = (inside_rows[:, :, None] & inside_columns[:, None, :])[:, None]
    return torch.where(inside, windows, torch.zeros_like(windows))


def replace_blocks(picture: Tensor, patches: Tensor, blocks: FixedBlocks) -> Tensor:
    """Replaces the written blocks by their patches.

    Args:
        picture: (B, C, H, W), covered by the grid of blocks; W is a multiple of a cell's side.
        patches: (B * k, C, size, size), of any floating type; cast to the picture's.
        blocks: k blocks of each picture.

    Returns:
        (B, C, H, W).
    """
    batch, channels, height, width = picture.shape
    size = patches.shape[2]
    step = size // SIDE
    row = torch.arange(height, device=picture.device)
    column = torch.arange(width // step, device=picture.device)
    # Pieces of a row, as wide as a cell, are copied at once. Blocks that are not written get a
    # patch, too, and drop it again.
    pieces = patches.to(picture.dtype).unflatten(3, (SIDE, step)).permute(0, 2, 3, 1, 4)
    image = torch.arange(batch, device=picture.device) * blocks.place.shape[1]
    patch = (blocks.rank + image[:, None, None]).index_select(1, row // size)
    patch = patch.index_select(2, column // SIDE)  # B height width/step
    index = (patch * size + (row % size)[:, None]) * SIDE + column % SIDE
    spread = pieces.flatten(3).flatten(0, 2).index_select(0, index.flatten())
    spread = spread.view(*index.shape, channels, step).permute(0, 3, 1, 2, 4).flatten(3)
    return torch.where(_enlarge(blocks.written, size, height, width), spread, picture)


def _enlarge(grid: Tensor, size: int, height: int, width: int) -> Tensor:
    """Repeats each value of (B, rows, columns) `size` times: (B, 1, height, width)."""
    row, column = (torch.arange(side, device=grid.device) // size for side in (height, width))
    return grid.index_select(1, row).index_select(2, column)[:, None]
