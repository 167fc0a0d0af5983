"""Which blocks of cells the refiner computes at once.

Neighbouring cells share most of what their convolutions see, so a block of cells costs far less
than its cells one by one, if enough of them are selected.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class Blocks(NamedTuple):
    """Blocks of one size, in a grid of their own size over the cells."""

    side: int
    """Cells a side."""
    image: Tensor
    """(k,) int64, index in the batch; row and column alike, of the grid of blocks."""
    row: Tensor
    column: Tensor
    selected: Tensor
    """(k, side, side) bool, the cells to refine."""


def plan_blocks(selection: Tensor, costs: dict[int, float]) -> list[Blocks]:
    """Covers the selected cells with blocks of the least total cost.

    Every block of the largest size is either computed whole or divided into four, each of which is
    treated alike. Cells (B, 1, rows, columns) are selected where not zero; costs are those of a
    block by its side (1, 2, 4 and so on), in any unit.

    Source: ours, because most cells have selected neighbours but on noisy pictures they have none.
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
    """(B, rows, columns) to half as many each way."""
    rows = grid[:, ::2] + grid[:, 1::2]
    return rows[..., ::2] + rows[..., 1::2]
