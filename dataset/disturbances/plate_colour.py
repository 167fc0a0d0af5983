"""Exposure, white balance and colours of the plate, which a camera sets without the subject."""

from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field
from torch import Tensor

from dataset.changes import tint_matrix
from media.colour import GAMMA
from runtime.settings import settings_group

from . import Disturbance, Fraction, Hue, split_pieces


@settings_group()
class Exposure(Disturbance):
    """Exposure difference between plate and frame, as from an automatic camera.

    Source: ours, because users report it.
    """

    stops: Annotated[float, Field(ge=0, le=4)] = 0.5
    """Largest change in either direction; a stop doubles the light."""

    class Drawn(NamedTuple):
        """The change, applied by `PlateColour`."""

        stops: float = 0.0

    def draw(self, rng: np.random.Generator) -> Drawn:
        """Draws a change."""
        return self.Drawn(rng.uniform(-self.stops, self.stops))


@settings_group()
class WhiteBalance(Disturbance):
    """White balance difference between plate and frame.

    Source: ours, because users report it.
    """

    strength: Fraction = 0.1
    """Largest change of the factors of red and of blue, drawn separately."""

    class Drawn(NamedTuple):
        """The factors, applied by `PlateColour`."""

        red: float = 1.0
        blue: float = 1.0

    def draw(self, rng: np.random.Generator) -> Drawn:
        """Draws factors."""
        return self.Drawn(*(1 + rng.uniform(-self.strength, self.strength, 2)).tolist())


@settings_group()
class PlateColour(Disturbance):
    """Colour differences of the captured plate.

    Source: the release, whose version of kornia adds the brightness and multiplies by the contrast.
    """

    probability: Fraction = 0.8
    brightness: Fraction = 0.18
    """Largest brightness offset in either direction, as a fraction of white."""
    contrast: Fraction = 0.18
    """Largest change of the contrast factor of all colours."""
    saturation: Fraction = 0.18
    """Largest change of the saturation factor (distance from each pixel's grey)."""
    hue: Hue = 0.1
    """Largest hue rotation in either direction, as a fraction of the circle."""

    class Drawn(NamedTuple):
        """An offset, two factors and a rotation of hue."""

        brightness: float = 0.0
        contrast: float = 1.0
        saturation: float = 1.0
        hue: float = 0.0

    def draw(self, rng: np.random.Generator) -> Drawn:
        """Draws colours."""
        largest = np.array((self.brightness, self.contrast, self.saturation, self.hue))
        brightness, contrast, saturation, hue = rng.uniform(-largest, largest).tolist()
        return self.Drawn(brightness, 1 + contrast, 1 + saturation, hue)

    @staticmethod
    def apply(
        drawn: Drawn, exposure: Exposure.Drawn, balance: WhiteBalance.Drawn, bgr: Tensor
    ) -> None:
        """Changes exposure, white balance and colours of a (3, H, W) plate in one pass.

        A stop doubles the light, and so multiplies coded values by 2^(1/2.2).
        """
        gain = np.array((balance.red, 1, balance.blue)) * 2 ** (exposure.stops / GAMMA)
        tint = tint_matrix(drawn.saturation, drawn.hue) * drawn.contrast
        offset = drawn.contrast * drawn.brightness  # tinting does not change greys
        if offset == 0 and np.array_equal(tint * gain, np.eye(3)):
            return
        factors = bgr.new_tensor((tint * gain).tolist())
        added = bgr.new_full((3, 1), offset)
        for piece in split_pieces(bgr.flatten(1)):
            piece.copy_(added.addmm(factors, piece).clamp_(0, 1))
