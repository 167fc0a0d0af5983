"""The refiner in a fixed number of windows, for modes whose budget fixes it."""

from types import ModuleType

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..fixed_blocks import SIDE, FixedBlocks, choose_blocks
from ..refiner import CELL, HIDDEN_CHANNELS, Refiner
from .windows import COARSE, FEATURES, FULL, HALF, REFINED

# Where the first convolution's published inputs are: hidden features, alpha, residual, pictures.
_HALF_PLACES = [*range(5, 5 + HIDDEN_CHANNELS), *range(4), *range(COARSE, COARSE + 6)]


class StaticRefiner:
    """Refines the chosen blocks or cells of a frame; no shape depends on a value.

    Args:
        refiner: with folded batch norms, in the type to compute in.
        functions: `windows`, or `kernels` on a GPU with Triton.
    """

    def __init__(self, refiner: Refiner, functions: ModuleType) -> None:
        self.functions = functions
        self.margins = refiner.margins
        self.conv1 = spread(refiner.conv1, _HALF_PLACES, HALF, 24)
        self.conv2 = spread(refiner.conv2, range(24), 24, FEATURES)
        self.conv3 = spread(refiner.conv3, range(FEATURES + 6), FULL, 16)
        self.conv4 = spread(refiner.conv4, range(12), 16, REFINED)

    def __call__(
        self, src: Tensor, bgr: Tensor, coarse: Tensor, blocks: FixedBlocks, size: int
    ) -> tuple[Tensor, Tensor]:
        """Predicts alpha (B, 1, H, W) and foreground (B, 3, H, W) in [0, 1], in the type of `src`.

        Args:
            src: (B, 3, H, W) float, RGB in [0, 1], contiguous.
            bgr: (B, 3, H, W) float, RGB in [0, 1], contiguous.
            coarse: (B, 40, h, w), see `windows`; channels-last.
            blocks: of `size` pixels.
            size: side of a block in pixels of the frame.
        """
        gather = self.functions
        patches = coarse.new_empty(0, REFINED, size, size)
        if blocks.place.numel():
            half_margin, full_margin = self.margins
            x = gather.gather_half(src, bgr, coarse, blocks, size, half_margin)
            x = F.relu_(self.conv2(F.relu_(self.conv1(x))))
            x = gather.gather_full(x, src, bgr, blocks, size, full_margin)
            patches = self.conv4(F.relu_(self.conv3(x)))
        pha, fgr = gather.write_outputs(src, coarse, patches, blocks, size)
        return pha, fgr


def choose(refiner: Refiner, err: Tensor, pixels: int) -> tuple[FixedBlocks, int]:
    """Chooses what mode `blocks` or `sampling` refines, and returns it with its side in pixels.

    A cell is a block of its own in mode `sampling`. `torch.topk` finds the largest errors by
    counting digits; nothing is sorted but the blocks that are chosen.

    Args:
        refiner: its mode and `prevent_oversampling` are read.
        err: (B, 1, H / 4, W / 4) float, predicted error.
        pixels: of each frame to refine, see `Refiner`.
    """
    floor = refiner.floor
    rows, columns = err.shape[2:]
    if refiner.mode == "blocks":
        count = refiner.count_blocks(rows * CELL, columns * CELL, pixels)
        if count:
            return choose_blocks(err, count, floor), SIDE * CELL
    flat = err.flatten(1)
    count = min(pixels // CELL**2, flat.shape[1]) if refiner.mode == "sampling" else 0
    value, place = flat.topk(count, dim=1, sorted=False)
    number = torch.arange(count, device=err.device).expand_as(place)
    rank = torch.zeros_like(flat, dtype=torch.int64).scatter_(1, place, number)
    written = torch.zeros_like(flat, dtype=torch.bool).scatter_(1, place, value > floor)
    grid = (len(flat), rows, columns)
    return FixedBlocks(place, rank.view(grid), written.view(grid)), CELL


def spread(
    convolution: nn.Conv2d,
    places: range | list[int],
    inputs: int,
    outputs: int,
    padding: int = 0,
) -> nn.Conv2d:
    """Copies a convolution and adds channels of weight 0, without gradients, channels-last.

    Args:
        convolution: with a bias, and no more than `inputs` and `outputs` channels.
        places: new place of each of its inputs.
        inputs: number of inputs of the copy.
        outputs: number of outputs of the copy; the additional ones are 0.
        padding: pixels of zeros on each side.
    """
    weight, bias = convolution.weight, convolution.bias
    assert bias is not None  # noqa: S101 - folding gives each convolution one
    built = nn.Conv2d(inputs, outputs, weight.shape[2], padding=padding)
    built.to(weight).requires_grad_(False)
    assert built.bias is not None  # noqa: S101 - as by default
    built.weight.zero_()[: len(weight), list(places)] = weight
    built.bias.zero_()[: len(bias)] = bias
    return built.to(memory_format=torch.channels_last)
