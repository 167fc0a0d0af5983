"""Windows of the refiner by plain operators, and the layout of their channels.

`kernels.py` has the same three functions as Triton kernels. Channel counts are multiples of 8,
which the matrix units of GPUs need in half precision; additional channels have weights of 0.

A map of coarse channels is (B, 40, h, w): alpha in [0, 1], the residual of the foreground (3), the
predicted error in [0, 1], 32 hidden features of at least 0, and 3 unused.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from ..fixed_blocks import FixedBlocks, crop_blocks, replace_blocks
from ..refiner import resize

# Channels of the coarse map, of windows at half resolution (coarse map, frame, plate), of windows
# at full resolution (features, frame, plate), and of refined blocks (alpha, residual).
COARSE, HALF, FEATURES, FULL, REFINED = 40, 48, 16, 24, 8


def gather_half(
    src: Tensor, bgr: Tensor, coarse: Tensor, blocks: FixedBlocks, size: int, margin: int
) -> Tensor:
    """Gathers the chosen blocks at half resolution, with zeros outside the picture.

    Args:
        src: (B, 3, H, W) float, RGB in [0, 1].
        bgr: (B, 3, H, W) float, RGB in [0, 1].
        coarse: (B, 40, h, w) in the type of the result; enlarged bilinearly.
        blocks: k blocks of each picture.
        size: side of a block in pixels of the frame.
        margin: pixels at half resolution added on each side.

    Returns:
        (B * k, 48, side, side), channels-last; side is size / 2 + 2 * margin.
    """
    halved = src.shape[2] // 2, src.shape[3] // 2
    pictures = resize(torch.cat([src, bgr], dim=1), *halved).to(coarse.dtype)
    half = _fill(torch.cat([resize(coarse, *halved), pictures], dim=1), HALF)
    return channels_last(crop_blocks(half, blocks, size // 2, margin))


def gather_full(
    features: Tensor, src: Tensor, bgr: Tensor, blocks: FixedBlocks, size: int, margin: int
) -> Tensor:
    """Joins the doubled features of each block to its pictures at full resolution.

    Args:
        features: (B * k, 16, side / 2, side / 2), in the type of the result.
        src: see `gather_half`, as are the following.
        bgr: see there.
        blocks: k blocks of each picture.
        size: side of a block in pixels of the frame.
        margin: pixels added on each side.

    Returns:
        (B * k, 24, side, side), channels-last; side is size + 2 * margin.
    """
    pictures = crop_blocks(torch.cat([src, bgr], dim=1), blocks, size, margin)
    doubled = F.interpolate(features, scale_factor=2, mode="nearest")
    return channels_last(_fill(torch.cat([doubled, pictures.to(features.dtype)], dim=1), FULL))


def write_outputs(
    src: Tensor, coarse: Tensor, patches: Tensor, blocks: FixedBlocks, size: int
) -> tuple[Tensor, Tensor]:
    """Makes alpha and foreground: refined in the written blocks, elsewhere enlarged.

    Args:
        src: (B, 3, H, W) float, RGB in [0, 1].
        coarse: (B, 40, h, w).
        patches: (B * k, 8, size, size), refined alpha and residual, not clamped; 4 unused.
        blocks: k blocks of each picture, which may be none.
        size: side of a block in pixels of the frame.

    Returns:
        (B, 1, H, W) and (B, 3, H, W) in [0, 1], of the type of `src`.
    """
    out = resize(coarse[:, :4].to(src.dtype), *src.shape[2:])
    if len(patches):
        out = replace_blocks(out, patches[:, :4], blocks)
    return out[:, :1].clamp(0, 1), (out[:, 1:] + src).clamp_(0, 1)


def _fill(x: Tensor, channels: int) -> Tensor:
    """Appends channels of zeros."""
    return F.pad(x, (0, 0, 0, 0, 0, channels - x.shape[1]))


def channels_last(x: Tensor) -> Tensor:
    """Returns a tensor in channels-last memory, itself if it is."""
    return x.contiguous(memory_format=torch.channels_last)
