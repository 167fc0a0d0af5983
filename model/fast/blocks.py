"""Groups selected cells into blocks that the refiner computes together.

The receptive fields of adjacent cells overlap, so a block costs less than its cells one by one if
enough of them are selected.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class Blocks(NamedTuple):
    """Blocks of one size. Their grid divides the cells into squares of that size."""

    side: int
    """Cells per side of a block."""
    image: Tensor
    """(k,) int64, index in the batch; `row` and `column` are (k,) int64, in the grid of blocks."""
    row: Tensor
    column: Tensor
    selected: Tensor
    """(k, side, side) bool, the cells to refine."""


def plan_blocks(selection: Tensor, costs: dict[int, float]) -> list[Blocks]:
    """Covers the selected cells with blocks of the least total cost.

    Every block of the largest size is either computed whole or divided into four, recursively.

    Args:
        selection: (B, 1, rows, columns), not zero where a cell is selected.
        costs: cost of a block by its side in cells (1, 2, 4 and so on), in any unit.

    Source: ours, because most selected cells are adjacent, but on noisy pictures they are isolated.
    """
    sides = sorted(costs)
    rows, columns = selection.shape[2:]
    bottom, right = -rows % sides[-1], -columns % sides[-1]
    cells = F.pad(selection.ne(0), (0, right, 0, bottom))[:, 0]  # B rows columns
    cheapest = cells * costs[1]
    whole = {1: cells}
    for side in sides[1:]:
        divided = _sum_of_four(cheapest)
        whole[side] = divided >= costs[side]
        cheapest = divided.clamp(max=costs[side])
    groups = []
    undecided = torch.ones_like(whole[sides[-1]])  # not inside a block that is computed
    for side in reversed(sides):
        used = undecided & whole[side]
        image, row, column = torch.nonzero(used, as_tuple=True)
        if len(image):
            grid = cells.unflatten(2, (-1, side)).unflatten(1, (-1, side))
            groups.append(Blocks(side, image, row, column, grid[image, row, :, column]))
        if side > 1:
            undecided = (undecided & ~used).repeat_interleave(2, 1).repeat_interleave(2, 2)
    return groups


def _sum_of_four(grid: Tensor) -> Tensor:
    """Sums squares of 2x2: (B, rows, columns) to (B, rows / 2, columns / 2)."""
    rows = grid[:, ::2] + grid[:, 1::2]
    return rows[..., ::2] + rows[..., 1::2]
