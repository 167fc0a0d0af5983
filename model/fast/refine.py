"""Inference on a CPU without the work that the training path wastes: the same results, faster.

Batch norms are folded and memory is channels-last; hidden features are computed only where the
refiner looks; the refiner works in blocks of cells on windows of the frame, so that only the
outputs are built at full resolution, and nothing at half.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from ..correction import correct_alpha
from ..matting import MattingBase, MattingRefine, check_pair
from ..outputs import BaseOutput, RefineOutput
from ..refiner import CELL, HIDDEN_CHANNELS, resize
from .blocks import Blocks, plan_blocks
from .coarse import (
    PREDICTED,
    CoarseFunction,
    CoarseNetwork,
    fold_batch_norms,
    inference_convolution,
)
from .memory import Memory
from .resizing import enlarge, reduce
from .windows import Table, crop_windows, upsampling_table

# Computes what a network's forward computes, from the same arguments.
Prediction = Callable[..., BaseOutput | RefineOutput]

_DTYPES = (torch.float32, torch.float64, torch.bfloat16)
# Side of the squares in which hidden features are computed, pixels of the coarse input.
_TILE = 8
# Tiles compute their borders, too: of more than this share of them, the whole costs less.
_DENSE_SHARE = (_TILE / (_TILE + 2)) ** 2
# Blocks are computed in groups that hold about this many pixels of the frame, to stay in the cache.
_GROUP_PIXELS = 131_072
# Time that a block takes by its side in cells; measured on two AVX2 cores, where 1 is 30 us.
_BLOCK_COSTS = {1: 1.0, 2: 1.8, 4: 4.2, 8: 12.0}
# Room for frame and plate, 6 channels, beside the 36 of the coarse network; a multiple of four is
# copied faster.
_ROOM = 8


def accelerate(
    network: MattingBase | MattingRefine, coarse: CoarseFunction | None = None
) -> Prediction:
    """Finds what computes a network's predictions fastest where the network is.

    Args:
        network: in evaluation mode, on its device.
        coarse: computes the coarse network, in a runtime of its own.

    Returns:
        `FastMatting` for a MattingRefine on a CPU, else the network itself. It is called as the
        network is, by several threads if need be, without gradients, and has the weights of now.

    Raises:
        ValueError: when a MattingRefine on a CPU is in training mode.
    """
    on_cpu = next(network.parameters()).device.type == "cpu"
    return (
        FastMatting(network, coarse) if isinstance(network, MattingRefine) and on_cpu else network
    )


class FastMatting:
    """Computes what a `MattingRefine` in evaluation mode computes, from a folded copy of it.

    Mode, threshold, and what a call does not name are those that the network has when this is
    called. Weights are those that it had when this was built.

    Args:
        network: in evaluation mode.
        coarse: computes the coarse network in place of the folded copy.

    Raises:
        ValueError: when the network is in training mode.

    Source: ours, because patches of single cells compute their neighbours' features up to nine
        times, and full-frame features cost more than the patches that are cut from them.
    """

    def __init__(self, network: MattingRefine, coarse: CoarseFunction | None = None) -> None:
        self.network = network
        self.memory = Memory()
        folded = fold_batch_norms(network)
        self.kernel_size = network.refiner.kernel_size
        # A compiled module has no truth value, so that `or` would not do.
        self.coarse: CoarseFunction = (
            coarse
            if coarse is not None
            else CoarseNetwork(folded.backbone, folded.aspp, folded.decoder)
        )
        refiner = folded.refiner
        weight, bias = folded.decoder.last
        self.hidden = inference_convolution(weight[PREDICTED:], bias[PREDICTED:])
        first = refiner.conv1
        room = HIDDEN_CHANNELS + 4 + _ROOM
        self.conv1 = inference_convolution(first.weight, first.bias, in_channels=room)
        self.conv2, self.conv3, self.conv4 = (
            inference_convolution(convolution.weight, convolution.bias)
            for convolution in (refiner.conv2, refiner.conv3, refiner.conv4)
        )

    @torch.no_grad()
    def __call__(
        self,
        src: Tensor,
        bgr: Tensor,
        backbone_scale: float | None = None,
        refine_sample_pixels: int | None = None,
        corrects_alpha: bool | None = None,
    ) -> RefineOutput:
        """Predicts.

        Args:
            src: (B, 3, H, W) float32, float64 or bfloat16, RGB in [0, 1], the captured frame; H and
                W divisible by 4.
            bgr: (B, 3, H, W) of the same type, RGB in [0, 1], the captured plate.
            backbone_scale: see `MattingRefine.forward`, as are the following.
            refine_sample_pixels: of this call.
            corrects_alpha: of this call.

        Returns:
            See `RefineOutput`.

        Raises:
            ValueError: as `MattingRefine.forward`, and for another type.
        """
        check_pair(src, bgr, CELL)
        if src.dtype not in _DTYPES:
            raise ValueError(f"src must be one of {_DTYPES}, got {src.dtype}")
        network, refiner = self.network, self.network.refiner
        scale = network.resolve_scale(backbone_scale)
        height, width = src.shape[2:]
        small = tuple(int(side * scale) for side in (height, width))
        src_sm, bgr_sm = reduce(src, *small), reduce(bgr, *small)
        predicted, features = self.coarse(src_sm, bgr_sm)
        predicted = predicted.to(src.dtype)
        pha_sm = predicted[:, :1].clamp(0, 1).contiguous()
        residual_sm = predicted[:, 1:4].contiguous()
        err_sm = predicted[:, 4:5].clamp(0, 1).contiguous()
        cells = height // CELL, width // CELL
        if refiner.mode == "full":
            ref_sm = src.new_ones((src.shape[0], 1, *cells))
        else:
            ref_sm = refiner.select(resize(err_sm, *cells), refine_sample_pixels)

        pha, fgr = (
            self.memory.empty((src.shape[0], channels, height, width), src.dtype)
            for channels in (1, 3)
        )
        enlarge(pha_sm, pha)
        enlarge(residual_sm, fgr, src)
        groups = plan_blocks(ref_sm, _BLOCK_COSTS)
        if groups:
            hidden = self._hidden(features, groups, src)
            hidden[:, HIDDEN_CHANNELS : HIDDEN_CHANNELS + 1] = pha_sm
            hidden[:, HIDDEN_CHANNELS + 1 : HIDDEN_CHANNELS + 4] = residual_sm
            hidden[:, HIDDEN_CHANNELS + 4 + 6 :] = 0
            for blocks in groups:
                self._refine(src, bgr, hidden, blocks, _by_cell(pha), _by_cell(fgr))
        output = RefineOutput(
            *(pha, fgr, pha_sm, (residual_sm + src_sm).clamp_(0, 1), err_sm, ref_sm)
        )
        corrects = network.corrects_alpha if corrects_alpha is None else corrects_alpha
        return correct_alpha(src, bgr, src_sm, bgr_sm, output) if corrects else output

    def _hidden(self, features: Tensor, groups: list[Blocks], src: Tensor) -> Tensor:
        """Hidden features where blocks look, in channels-last memory; anything elsewhere.

        (B, 44, h, w) of which the first 32 channels are set; room for alpha, residual and, in the
        windows that are upsampled from it, for frame and plate.
        """
        batch, _, h, w = features.shape
        rows, columns = -(-h // _TILE), -(-w // _TILE)
        looked_at = torch.zeros(batch, rows, columns, dtype=torch.bool, device=features.device)
        for blocks in groups:
            down, across = self._tables(blocks.side, src, features)
            for y in _steps(down.weights.shape[2]):
                for x in _steps(across.weights.shape[2]):
                    row, column = down.origin[blocks.row] + y, across.origin[blocks.column] + x
                    looked_at[blocks.image, row // _TILE, column // _TILE] = True
        if float(looked_at.float().mean()) > _DENSE_SHARE:
            hidden = features.new_empty((batch, h, w, HIDDEN_CHANNELS + 4 + _ROOM))
            weight, bias = self.hidden.weight, self.hidden.bias
            computed = F.relu_(F.conv2d(features, weight, bias, padding=1))
            hidden[..., :HIDDEN_CHANNELS] = computed.permute(0, 2, 3, 1)
            return hidden.permute(0, 3, 1, 2)
        # Tiles that nobody looks at remain as they are: any number.
        image, row, column = torch.nonzero(looked_at, as_tuple=True)
        side = _TILE + 2
        tiles = crop_windows(features, image, row * _TILE - 1, column * _TILE - 1, side, side)
        hidden = features.new_empty(
            (batch, rows, _TILE, columns, _TILE, HIDDEN_CHANNELS + 4 + _ROOM)
        )
        computed = F.relu_(self.hidden(tiles)).permute(0, 2, 3, 1).to(hidden.dtype)
        hidden[image, row, :, column, :, :HIDDEN_CHANNELS] = computed
        return hidden.flatten(3, 4).flatten(1, 2)[:, :h, :w].permute(0, 3, 1, 2)

    def _refine(
        self, src: Tensor, bgr: Tensor, hidden: Tensor, blocks: Blocks, pha: Tensor, fgr: Tensor
    ) -> None:
        """Computes blocks and writes their selected cells into pha and fgr.

        Those are views by cell, (B, H / 4, W / 4, C, 4, 4); see `_hidden` for the features, which
        here have alpha and residual too.
        """
        margin_half, margin_full, margin = _margins(self.kernel_size)
        full = blocks.side * CELL
        down, across = self._tables(blocks.side, src, hidden)
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
            x = self.conv4(x)
            x[:, 1:] += _trim(windows[0], margin)
            x = x.clamp_(0, 1).permute(0, 2, 3, 1)
            block, y, z = torch.nonzero(selected, as_tuple=True)
            cells = x.unflatten(2, (-1, CELL)).unflatten(1, (-1, CELL))[block, y, :, z]  # P 4 4 4
            cells = cells.permute(0, 3, 1, 2).to(pha.dtype)
            place = image[block], row[block] * blocks.side + y, column[block] * blocks.side + z
            pha[place], fgr[place] = cells[:, :1], cells[:, 1:]

    def _tables(self, side: int, picture: Tensor, coarse: Tensor) -> tuple[Table, Table]:
        """Upsampling of a coarse picture into the windows of blocks, down and across."""
        margin, step = _margins(self.kernel_size)[0], side * CELL // 2
        down, across = (
            upsampling_table(-(-fine // (2 * step)), step, margin, size, fine // 2, coarse.dtype)
            for size, fine in zip(coarse.shape[2:], picture.shape[2:], strict=True)
        )
        return down, across


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
    with torch.autocast("cpu", enabled=False):  # which may compute convolutions in less
        coarse = torch.bmm(weights_down, coarse.permute(0, 2, 3, 1).flatten(2))
        coarse = coarse.view(-1, size[1], hidden.shape[1])  # k*y x_coarse C
        weights_across = weights_across.repeat_interleave(out.shape[1], 0)
        torch.bmm(weights_across, coarse, out=out.flatten(0, 1))


def _margins(kernel_size: int) -> tuple[int, int, int]:
    """Pixels around a block: at half resolution, at full, and of the window that holds both.

    The last is a multiple of four, so that windows are copied in pieces.
    """
    return (3, 2, 8) if kernel_size == 3 else (0, 0, 0)


def _steps(window: int) -> list[int]:
    """Places of a window that together lie in all tiles that it touches."""
    return [*range(0, window - 1, _TILE), window - 1]


def _trim(picture: Tensor, margin: int) -> Tensor:
    height, width = picture.shape[2:]
    return picture[:, :, margin : height - margin, margin : width - margin]


def _by_cell(picture: Tensor) -> Tensor:
    """(B, C, H, W) as a view (B, H / 4, W / 4, C, 4, 4)."""
    grid = picture.unflatten(3, (-1, CELL)).unflatten(2, (-1, CELL))
    return grid.permute(0, 2, 4, 1, 3, 5)
