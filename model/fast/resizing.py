"""Bilinear resizing between the frame's size and the coarse size, as `F.interpolate` does it.

Source: ours, because `F.interpolate` takes ten times as long to read a 4K frame as its few rows
need, and passes over a 4K output again for what is added to it.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from .windows import upsampling_table

# Rows of the output that are made at once, so that they are still in the cache for what follows.
_ROWS = 32


def reduce(picture: Tensor, height: int, width: int) -> Tensor:
    """Resizes to a smaller size; each pixel is a mean of at most 2 x 2, without any other blur.

    Args:
        picture: (B, C, H, W) float.
        height: of the result, pixels.
        width: of the result, pixels.

    Returns:
        (B, C, height, width), equal to `F.interpolate` with `align_corners=False` within rounding.
    """
    rows, columns = picture.shape[2], picture.shape[3]
    if rows % height or columns % width:
        return F.interpolate(picture, (height, width), mode="bilinear", align_corners=False)
    # At a whole factor the two rows and columns around the middle of each pixel count alike.
    down, across = rows // height, columns // width
    pairs = picture[:, :, (down - 1) // 2 :: down] + picture[:, :, down // 2 :: down]
    return (pairs[..., (across - 1) // 2 :: across] + pairs[..., across // 2 :: across]) / 4


def enlarge(picture: Tensor, out: Tensor, added: Tensor | None = None) -> None:
    """Resizes to a larger size, and optionally adds another picture and clamps to [0, 1].

    Args:
        picture: (B, C, h, w) float.
        out: (B, C, H, W), for the result: equal to that of `F.interpolate` with
            `align_corners=False` within rounding.
        added: like `out`.
    """
    batch, channels, height, width = out.shape
    wide = F.interpolate(picture, (picture.shape[2], width), mode="bilinear", align_corners=False)
    count = -(-height // _ROWS)
    origins, weights = upsampling_table(count, _ROWS, 0, picture.shape[2], height, picture.dtype)
    # Not in the lower precision that may be set for convolutions.
    with torch.autocast(out.device.type, enabled=False):
        for i, origin in enumerate(origins.tolist()):
            part = out[:, :, i * _ROWS : (i + 1) * _ROWS]
            count, window = part.shape[2], weights.shape[2]
            for b in range(batch):
                for c in range(channels):
                    source = wide[b, c, origin : origin + window]
                    torch.mm(weights[i, :count], source, out=part[b, c])
            if added is not None:
                part.add_(added[:, :, i * _ROWS : (i + 1) * _ROWS]).clamp_(0, 1)
