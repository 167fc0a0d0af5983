"""Disturbances: one class for each difference between frame and captured plate in practice.

To add one, also add it as the last field in `dataset.augmentation`, and call it at its physical
position in `dataset.synthesis`.
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
        raise ValueError("must be the smallest and the largest value, in this order")
    return bounds


ASCENDING = AfterValidator(_ascend)
_Scale = Annotated[float, Field(ge=0.05, le=20)]
Fractions = Annotated[tuple[Fraction, Fraction], ASCENDING]
Scales = Annotated[tuple[_Scale, _Scale], ASCENDING]


@settings_group()
class Disturbance:
    """One disturbance: its fields bound random values, `draw` draws them, `apply` applies them.

    `Drawn` holds the values of one sample; the defaults disturb nothing. Angles are in degrees,
    clockwise as seen; shifts are fractions of the crop, to the right and down; strengths are
    fractions of white; sizes are pixels of the crop. `apply` changes (C, H, W) float32 pictures in
    [0, 1] in place, on any device, and returns at once if the values disturb nothing.
    """

    probability: Fraction = 0.0
    """Fraction of samples."""

    def draw(self, rng: np.random.Generator) -> Any:
        """Draws a `Drawn` within the bounds; draws the same count of numbers for any bounds."""
        raise NotImplementedError


PIECE = 2**17  # elements processed at once on the CPU


def split_pieces(values: Tensor) -> Sequence[Tensor]:
    """Splits the last dimension into views of up to `PIECE`, to fit in caches; one on a GPU."""
    return values.split(PIECE, -1) if values.device.type == "cpu" else (values,)


def make_room(values: Tensor) -> Tensor:
    """Makes an uninitialised float32 tensor of the same shape and device."""
    if values.device.type != "cpu":
        return torch.empty(values.shape, device=values.device)
    # By NumPy, which asks Linux for huge pages. With them the first use of new memory, half the
    # time of a sample of 2048 px, takes a quarter of the time.
    return torch.from_numpy(np.empty(values.shape, np.float32))


def fill(out: Tensor, pixels: Tensor) -> Tensor:
    """Writes uint8 pixels, divided by 255, into `out`, contiguous and of the same shape."""
    for part, whole in zip(split_pieces(out.view(-1)), split_pieces(pixels.flatten()), strict=True):
        part.copy_(whole).div_(255)
    return out
