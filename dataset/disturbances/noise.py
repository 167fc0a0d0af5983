"""The noise of a camera."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from media.colour import GAMMA
from runtime.settings import settings_group

from . import Disturbance, Fraction, split_pieces

# Normal numbers that a CPU draws for one picture, at most; 512 px need fewer.
_TABLE = 2**20
# Coded value at which dark noise has fallen by 2^-1.2, and the share that never falls: read noise
# is even in light, so it falls as the slope of the coding curve, value^-1.2; shot noise is about
# even in coded values.
_DARK, _SHOT_SHARE = 0.1, 0.2


@settings_group()
class DarkNoise(Disturbance):
    """Sensor noise that grows with darkness, on the composite and, as strong, on the plate.

    Source: ours, because webcams and dim rooms show it.
    """

    sigma: Fraction = 0.06
    """Largest standard deviation in black, as a fraction of white; 0 to this one."""

    class Drawn(NamedTuple):
        """The standard deviation in black; `Noise` applies it."""

        sigma: float = 0.0

    def draw(self, rng: np.random.Generator) -> Drawn:
        """Draws a strength."""
        return self.Drawn(rng.uniform(0, self.sigma))


@settings_group()
class Noise(Disturbance):
    """Noise on the composite and on the plate, independent of each other.

    Source: the paper, training.
    """

    probability: Fraction = 0.4
    sigma: Fraction = 0.03
    """Largest standard deviation, as a fraction of white; 0 to this one, for each of the two."""

    class Drawn(NamedTuple):
        """Standard deviations, and the seed of all noise of the sample, from 0 to below 2^63."""

        src: float = 0.0
        bgr: float = 0.0
        seed: int = 0

    def draw(self, rng: np.random.Generator) -> Drawn:
        """Draws strengths; the seed is drawn later, since every sample has one."""
        return self.Drawn(*rng.uniform(0, self.sigma, 2).tolist())

    @staticmethod
    def apply(drawn: Drawn, dark: DarkNoise.Drawn, src: Tensor, bgr: Tensor) -> None:
        """Adds both kinds of noise to a (3, H, W) frame and its plate."""
        generator = torch.Generator(src.device).manual_seed(drawn.seed)
        for picture, sigma in ((src, drawn.src), (bgr, drawn.bgr)):
            if not (sigma or dark.sigma):
                continue
            pieces = split_pieces(picture.view(-1))
            for piece, normal in zip(pieces, _draw_normals(pieces, generator), strict=True):
                if dark.sigma:
                    falling = (_DARK / (_DARK + piece)).pow_(GAMMA - 1)
                    sigmas = falling.mul_(1 - _SHOT_SHARE).add_(_SHOT_SHARE).mul_(dark.sigma)
                    # Independent noises add up by their squares.
                    piece.addcmul_(normal, sigmas.square_().add_(sigma**2).sqrt_())
                else:
                    piece.add_(normal, alpha=sigma)
                piece.clamp_(0, 1)


def _draw_normals(pieces: Sequence[Tensor], generator: torch.Generator) -> list[Tensor]:
    """Draws normal numbers, as many as each of the pieces of a picture holds.

    Drawing them takes a CPU ten times as long as adding them, so beyond `_TABLE` numbers each piece
    reads from a random place on: one serves twelve places of 2048 px, which nothing relates.
    """
    sizes = [len(piece) for piece in pieces]
    length = min(sum(sizes), max(_TABLE, sizes[0]))
    table = pieces[0].new_empty(length).normal_(generator=generator)
    if length == sum(sizes):
        return list(table.split(sizes))
    starts = torch.randint(length - sizes[0] + 1, (len(sizes),), generator=generator).tolist()
    return [table[start : start + size] for start, size in zip(starts, sizes, strict=True)]
