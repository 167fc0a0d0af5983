"""The refiner in blocks of cells, on windows of the frame, for inference.

Only selected cells are written at full resolution, no picture is built at half resolution, and
hidden features are computed only where blocks read them.

Source: ours, because patches of single cells compute their neighbours' features up to nine times,
and features of the full frame cost more than the patches cut from them.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..patches import Cells
from ..refiner import CELL, HIDDEN_CHANNELS, Refiner
from .blocks import Blocks, plan_blocks
from .coarse import PREDICTED, RowConvolution, inference_convolution
from .resampling import Table, window_tables

# Side of the tiles in which hidden features are computed, in pixels of the coarse input.
_TILE = 8
# Tiles compute their borders too, so with more than this fraction of them the whole is cheaper.
_DENSE_SHARE = (_TILE / (_TILE + 2)) ** 2
# Blocks are computed in groups of about this many pixels of the frame, which fit in the cache.
_GROUP_PIXELS = 131_072
# Time of a block by its side in cells; measured on two AVX2 cores, where 1 is 30 us.
_BLOCK_COSTS = {1: 1.0, 2: 1.8, 4: 4.2, 8: 12.0}
# 36 channels of the coarse network and 6 of frame and plate, padded to a multiple of four, which
# is copied faster.
_ROOM = 8
# Several adjacent values are written as one number of this many bytes.
_PIECES = {16: torch.complex128, 8: torch.complex64}


class BlockRefiner:
    """Refines the selected cells of a frame.

    Args:
        refiner: with folded batch norms.
        last: the decoder's last convolution, whose last outputs are the hidden features.
    """

    def __init__(self, refiner: Refiner, last: nn.Conv2d) -> None:
        self.hidden = inference_convolution(last, slice(PREDICTED, None))
        room = HIDDEN_CHANNELS + 4 + _ROOM
        self.conv1 = inference_convolution(refiner.conv1, in_channels=room)
        self.conv2, self.conv3 = map(inference_convolution, (refiner.conv2, refiner.conv3))
        self.conv4 = RowConvolution(inference_convolution(refiner.conv4))
        # Margins of a block in pixels: at half resolution, at full resolution, and of the window
        # that contains both. The last is a multiple of four, so windows can be copied in pieces.
        self.margins = (3, 2, 8) if refiner.kernel_size == 3 else (0, 0, 0)

    def to(self, dtype: torch.dtype) -> "BlockRefiner":
        """Copies the refiner with weights of another type, in which the copy computes."""
        other = copy.copy(self)
        for name in ("hidden", "conv1", "conv2", "conv3", "conv4"):
            setattr(other, name, copy.deepcopy(getattr(self, name)).to(dtype))
        return other

    def __call__(
        self,
        src: Tensor,
        bgr: Tensor,
        features: Tensor,
        coarse: Tensor,
        ref: Tensor,
        pha: Tensor,
        fgr: Tensor,
    ) -> None:
        """Computes the cells where ref (B, 1, H / 4, W / 4) is not zero, and writes them.

        Args:
            src: (B, 3, H, W) float, RGB in [0, 1].
            bgr: (B, 3, H, W) float, RGB in [0, 1].
            features: (B, C, h, w), from which the hidden features are computed; of any type.
            coarse: (B, 4, h, w), coarse alpha in [0, 1] and foreground residual.
            ref: (B, 1, H / 4, W / 4), not zero in the cells to refine.
            pha: (B, 1, H, W), changed in place in those cells.
            fgr: (B, 3, H, W), changed in place in those cells.
        """
        groups = plan_blocks(ref, _BLOCK_COSTS)
        if not groups:
            return
        # Upsampling of coarse features into the windows of blocks at half resolution.
        steps = [blocks.side * CELL // 2 for blocks in groups]
        halved = (src.shape[2] // 2, src.shape[3] // 2)
        dtype = self.hidden.weight.dtype
        tables = window_tables(steps, self.margins[0], features.shape[2:], halved, dtype)
        hidden = self._hidden(features, groups, tables)
        hidden[:, HIDDEN_CHANNELS : HIDDEN_CHANNELS + 4] = coarse
        hidden[:, HIDDEN_CHANNELS + 4 + 6 :] = 0
        for blocks, table in zip(groups, tables, strict=True):
            self._refine(src, bgr, hidden, blocks, table, _by_cell(pha), _by_cell(fgr))

    def _hidden(
        self, features: Tensor, groups: list[Blocks], tables: list[tuple[Table, Table]]
    ) -> Tensor:
        """Computes hidden features where blocks read them; elsewhere values are undefined.

        Returns (B, 44, h, w) in channels-last memory, of which the first 32 channels are set. The
        others hold alpha and residual later and, in the upsampled windows, frame and plate.
        """
        batch, _, h, w = features.shape
        rows, columns = -(-h // _TILE), -(-w // _TILE)
        looked_at = torch.zeros(batch, rows, columns, dtype=torch.bool, device=features.device)
        for blocks, (down, across) in zip(groups, tables, strict=True):
            for y in _steps(down.weights.shape[2]):
                for x in _steps(across.weights.shape[2]):
                    row, column = down.origin[blocks.row] + y, across.origin[blocks.column] + x
                    looked_at[blocks.image, row // _TILE, column // _TILE] = True
        if float(looked_at.float().mean()) > _DENSE_SHARE:
            weight, bias = self.hidden.weight, self.hidden.bias
            hidden = weight.new_empty((batch, h, w, HIDDEN_CHANNELS + 4 + _ROOM))
            computed = F.relu_(F.conv2d(features.to(weight.dtype), weight, bias, padding=1))
            hidden[..., :HIDDEN_CHANNELS] = computed.permute(0, 2, 3, 1)
            return hidden.permute(0, 3, 1, 2)
        # Tiles that no block reads stay uninitialised.
        image, row, column = torch.nonzero(looked_at, as_tuple=True)
        side = _TILE + 2
        tiles = crop_windows(features, image, row * _TILE - 1, column * _TILE - 1, side, side)
        tiles = tiles.to(self.hidden.weight.dtype)
        hidden = tiles.new_empty((batch, rows, _TILE, columns, _TILE, HIDDEN_CHANNELS + 4 + _ROOM))
        computed = F.relu_(self.hidden(tiles)).permute(0, 2, 3, 1)
        hidden[image, row, :, column, :, :HIDDEN_CHANNELS] = computed
        return hidden.flatten(3, 4).flatten(1, 2)[:, :h, :w].permute(0, 3, 1, 2)

    def _refine(
        self,
        src: Tensor,
        bgr: Tensor,
        hidden: Tensor,
        blocks: Blocks,
        table: tuple[Table, Table],
        pha: Tensor,
        fgr: Tensor,
    ) -> None:
        """Computes blocks and writes their selected cells into pha and fgr.

        Both are views by cell, see `_by_cell`. The features are those of `_hidden`, with alpha and
        residual set.
        """
        margin_half, margin_full, margin = self.margins
        full = blocks.side * CELL
        down, across = table
        group = max(1, _GROUP_PIXELS // full**2)
        count = min(group, len(blocks.image))
        half_side, full_side = full // 2 + 2 * margin_half, full + 2 * margin_full
        half_memory = hidden.new_empty(count, half_side, half_side, hidden.shape[1])
        full_memory = hidden.new_empty(count, full_side, full_side, self.conv3.in_channels)
        depth = self.conv2.out_channels
        for start in range(0, len(blocks.image), group):
            image, row, column, selected = (x[start : start + group] for x in blocks[1:])
            half_in, full_in = half_memory[: len(image)], full_memory[: len(image)]
            top, left = row * full - margin, column * full - margin
            side = full + 2 * margin
            windows = [crop_windows(p, image, top, left, side, side) for p in (src, bgr)]
            _upsample(hidden, image, down, row, across, column, out=half_in)
            for i, window in enumerate(windows):
                rows = window[:, :, ::2] + window[:, :, 1::2]
                halved = _trim(rows[..., ::2] + rows[..., 1::2], margin // 2 - margin_half) / 4
                channel = HIDDEN_CHANNELS + 4 + 3 * i
                half_in[..., channel : channel + 3] = halved.permute(0, 2, 3, 1)
                trimmed = _trim(window, margin - margin_full).permute(0, 2, 3, 1)
                full_in[..., depth + 3 * i : depth + 3 * i + 3] = trimmed
            x = F.relu_(self.conv1(half_in.permute(0, 3, 1, 2)))
            x = F.relu_(self.conv2(x)).permute(0, 2, 3, 1)
            doubled = full_in.unflatten(2, (-1, 2)).unflatten(1, (-1, 2))
            doubled[..., :depth] = x[:, :, None, :, None]
            x = F.relu_(self.conv3(full_in.permute(0, 3, 1, 2)))
            x = self.conv4(x).to(src.dtype, memory_format=torch.contiguous_format)
            x[:, 1:] += _trim(windows[0], margin)
            cells = _by_cell(x.clamp_(0, 1))
            block, y, z = torch.nonzero(selected, as_tuple=True)
            place = image[block], row[block] * blocks.side + y, column[block] * blocks.side + z
            computed = cells[block, y, z]
            pha[place], fgr[place] = computed[:, :1], computed[:, 1:]


def _upsample(
    hidden: Tensor,
    image: Tensor,
    down: Table,
    row: Tensor,
    across: Table,
    column: Tensor,
    out: Tensor,
) -> None:
    """Fills windows at half resolution, (k, y, x, C), by bilinear upsampling of coarse features."""
    weights_down, weights_across = down.weights[row], across.weights[column]
    size = weights_down.shape[2], weights_across.shape[2]
    coarse = crop_windows(hidden, image, down.origin[row], across.origin[column], *size)
    coarse = torch.bmm(weights_down, coarse.permute(0, 2, 3, 1).flatten(2))
    coarse = coarse.view(-1, size[1], hidden.shape[1])  # k*y x_coarse C
    weights_across = weights_across.repeat_interleave(out.shape[1], 0)
    torch.bmm(weights_across, coarse, out=out.flatten(0, 1))


def _steps(window: int) -> list[int]:
    """Positions in a window that together lie in all tiles that it overlaps."""
    return [*range(0, window - 1, _TILE), window - 1]


def _trim(picture: Tensor, margin: int) -> Tensor:
    height, width = picture.shape[2:]
    return picture[:, :, margin : height - margin, margin : width - margin]


def _by_cell(picture: Tensor) -> Tensor:
    """Views (B, C, H, W) by cell, (B, H / 4, W / 4, C, 4, 4 or fewer), in pieces of a row."""
    grid = picture.view(_PIECES[min(CELL * picture.itemsize, max(_PIECES))])
    grid = grid.unflatten(3, (picture.shape[3] // CELL, -1)).unflatten(2, (-1, CELL))
    return grid.permute(0, 2, 4, 1, 3, 5)


def crop_windows(
    picture: Tensor, image: Tensor, top: Tensor, left: Tensor, height: int, width: int
) -> Tensor:
    """Crops k windows of (B, C, H, W) to (k, C, height, width), with zeros outside the picture.

    The index in the batch, first row and first column of each window are (k,) int64; windows may
    reach beyond the picture. The result has the picture's memory format.
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


def crop_cells(picture: Tensor, cells: Cells) -> Tensor:
    """Crops P cells of (B, C, H, W) to (P, C, 4, 4)."""
    return _crop_inside(picture, cells.image, cells.row * CELL, cells.column * CELL, CELL, CELL)


def _crop_inside(
    picture: Tensor, image: Tensor, top: Tensor, left: Tensor, height: int, width: int
) -> Tensor:
    """`crop_windows` for windows inside the picture, which are copied row by row."""
    channels = picture.shape[1]
    channels_last = channels > 1 and picture.stride(1) == 1
    if picture.stride(3) != (channels if channels_last else 1):
        layout = torch.channels_last if channels_last else torch.contiguous_format
        picture = picture.contiguous(memory_format=layout)
    length = width * channels if channels_last else width  # of a row, whose values are adjacent
    starts = torch.arange(height) * picture.stride(2)
    if not channels_last:
        starts = torch.arange(channels)[:, None] * picture.stride(1) + starts
    corner = torch.stack([image, top, left], 1) @ torch.tensor(picture.stride())[[0, 2, 3]]
    index = corner.view(-1, *[1] * starts.ndim) + starts
    # Every run of `length` values as a row of its own; they overlap.
    sizes = zip(picture.shape, picture.stride(), strict=True)
    last = sum((size - 1) * stride for size, stride in sizes) + 1 - length
    rows = picture.as_strided((last + 1, length), (1, 1)).index_select(0, index.flatten())
    if channels_last:
        return rows.view(-1, height, width, channels).permute(0, 3, 1, 2)
    return rows.view(-1, channels, height, width)
