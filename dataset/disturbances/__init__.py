"""Disturbances: what makes frame and captured plate differ as they do in practice; a class each.

A new one also needs a last field in `dataset.augmentation`, and a line where light meets it in
`dataset.synthesis`.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import AfterValidator, Field
from torch import Tensor

from runtime.settings import settings_group

Fraction = Annotated[float, Field(ge=0, le=1)]
Angle = Annotated[float, Field(ge=0, le=180)]
Shear = Annotated[float, Field(ge=0, le=60)]
Hue = Annotated[float, Field(ge=0, le=0.5)]


def _ascend(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] > bounds[1]:
        raise ValueError("must be a smallest and a largest value, in this order")
    return bounds


ASCENDING = AfterValidator(_ascend)
_Scale = Annotated[float, Field(ge=0.05, le=20)]
Fractions = Annotated[tuple[Fraction, Fraction], ASCENDING]
Scales = Annotated[tuple[_Scale, _Scale], ASCENDING]


@settings_group()
class Disturbance:
    """One disturbance: its fields bound what is drawn, `draw` draws it, `apply` disturbs by it.

    `Drawn`, of a sample, disturbs nothing by default. Angles are in degrees, clockwise as seen,
    shifts fractions of the crop to the right and down, strengths fractions of white, sizes pixels
    of the crop. `apply` changes (C, H, W) float32 pictures in [0, 1] in place, on any device, and
    costs nothing where nothing was drawn.
    """

    probability: Fraction = 0.0
    """Fraction of samples."""

    def draw(self, rng: np.random.Generator) -> Any:
        """Draws a `Drawn` within the bounds; always as many numbers, whatever the bounds."""
        raise NotImplementedError


PIECE = 2**17  # elements that are worked on at once on the CPU


def split_pieces(values: Tensor) -> Sequence[Tensor]:
    """Views of up to `PIECE` along the last dimension, which caches hold; off the CPU one."""
    return values.split(PIECE, -1) if values.device.type == "cpu" else (values,)


def make_room(values: Tensor) -> Tensor:
    """Makes an empty float32 tensor of the same shape and device."""
    if values.device.type != "cpu":
        return torch.empty(values.shape, device=values.device)
    # NumPy asks Linux for huge pages: the first use of fresh memory, half the time of a sample of
    # 2048 px, takes a quarter of that.
    return torch.from_numpy(np.empty(values.shape, np.float32))


def fill(out: Tensor, pixels: Tensor) -> Tensor:
    """Writes uint8 pixels as fractions of 255 into `out`, contiguous and of the same shape."""
    for part, whole in zip(split_pieces(out.view(-1)), split_pieces(pixels.flatten()), strict=True):
        part.copy_(whole).div_(255)
    return out
