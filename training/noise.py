"""The noise of a camera."""

from collections.abc import Sequence

import torch
from torch import Tensor

from media.colour import GAMMA

from .pieces import split_pieces

# Normal numbers that a CPU draws for one picture, at most; 512 px need fewer.
_TABLE = 2**20
# Coded value at which the noise of `dark_noise` has fallen by 2^-1.2, and the share that never
# falls: read noise is even in light, so it falls as the slope of the coding curve, value^-1.2; shot
# noise is about even in coded values.
_DARK, _SHOT_SHARE = 0.1, 0.2


def add_noise(picture: Tensor, sigma: float, dark_sigma: float, generator: torch.Generator) -> None:
    """Adds noise: even, and growing with darkness.

    Args:
        picture: (3, H, W) float, RGB in [0, 1]; changed in place.
        sigma: standard deviation of the even noise, as a fraction of white.
        dark_sigma: standard deviation in black of the other one.
        generator: on the picture's device.

    Source: the paper, training; dark noise is ours (`_DARK`). On the CPU, each number serves twelve
    places of a picture of 2048 px, at distances that nothing relates.
    """
    if sigma == 0 and dark_sigma == 0:
        return
    pieces = split_pieces(picture.view(-1))
    for piece, normal in zip(pieces, _draw_normals(pieces, generator), strict=True):
        if dark_sigma:
            falling = (_DARK / (_DARK + piece)).pow_(GAMMA - 1)
            dark = falling.mul_(1 - _SHOT_SHARE).add_(_SHOT_SHARE).mul_(dark_sigma)
            # Independent noises add up by their squares.
            piece.addcmul_(normal, dark.square_().add_(sigma**2).sqrt_())
        else:
            piece.add_(normal, alpha=sigma)
        piece.clamp_(0, 1)


def _draw_normals(pieces: Sequence[Tensor], generator: torch.Generator) -> list[Tensor]:
    """Draws normal numbers, as many as each of the pieces of a picture holds.

    Drawing them takes a CPU ten times as long as adding them. Where there are several pieces and
    more than `_TABLE` numbers, each piece therefore reads so many from a random place on.
    """
    sizes = [len(piece) for piece in pieces]
    length = min(sum(sizes), max(_TABLE, sizes[0]))
    table = pieces[0].new_empty(length).normal_(generator=generator)
    if length == sum(sizes):
        return list(table.split(sizes))
    starts = torch.randint(length - sizes[0] + 1, (len(sizes),), generator=generator).tolist()
    return [table[start : start + size] for start, size in zip(starts, sizes, strict=True)]
