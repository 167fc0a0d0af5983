"""Light that the subject takes from the scene, as a factor: what real shadows do."""

from typing import Annotated, NamedTuple

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from dataset.changes import linear_part
from runtime.settings import settings_group

from . import ASCENDING, Angle, Disturbance, Fraction, Fractions, Scales, Shear, split_pieces
from .scene import cast_matte

_BLUR = 20.0  # side of the box before edges are sharpened, pixels of the crop
_AMBIENT = 0.6  # smallest factor beside the subject and in gaps
_FEET = 0.15  # lowest part of the subject, which touches the ground, of its height
_Sharpness = Annotated[float, Field(ge=1, le=20)]


@settings_group()
class CastShadow(Disturbance):
    """Shadows that multiply the scene's light: cast, at the feet, and along outlines and in gaps.

    `shadow`, the published one, subtracts the same amount from each channel and is always soft.

    Source: ours, because real shadows on photographs were matted: they keep the scene's texture
    and, to within 5%, its colour, and they have sharp as well as soft edges.
    """

    light: Fractions = (0.3, 0.95)
    """Smallest and largest factor of a cast shadow on the scene's light."""
    tint: Fraction = 0.05
    """Largest difference of red and of blue from the darkening of green, as a fraction of it."""
    rotation: Angle = 10.0
    """Largest angle between shadow and matte in either direction, in degrees."""
    shear: Shear = 25.0
    """Largest angle in either direction, in degrees."""
    shift: Fraction = 0.3
    """Largest shift in either direction, as a fraction of the crop."""
    scale: Scales = (0.5, 1.5)
    """Smallest and largest scale relative to the matte."""
    sharpness: Annotated[tuple[_Sharpness, _Sharpness], ASCENDING] = (1.0, 10.0)
    """Edges are 20 pixels wide, divided by this."""
    second: Fraction = 0.25
    """Fraction of these samples with a second light, whose shadow lies elsewhere."""
    contact: Fraction = 0.5
    """Fraction of these samples with a dark shadow where the subject touches the ground."""
    ambient: Fraction = 0.5
    """Fraction of these samples in which the scene beside the subject and in gaps is darker."""

    class Drawn(NamedTuple):
        """Factors on the scene's light, 1 without a shadow, and where the shadows lie."""

        light: float = 1.0
        red: float = 1.0
        blue: float = 1.0
        rotation: float = 0.0
        shear: float = 0.0
        shift_x: float = 0.0
        shift_y: float = 0.0
        scale: float = 1.0
        sharpness: float = 1.0
        second: float = 1.0
        second_x: float = 0.0
        second_y: float = 0.0
        contact: float = 1.0
        ambient: float = 1.0

    def draw(self, rng: np.random.Generator) -> Drawn:
        """Draws the shadows; edges are as often up to 3 times as sharp as 3 to 10 times."""
        light, second, contact = rng.uniform(*self.light, 3).tolist()
        red, blue = rng.uniform(1 - self.tint, 1 + self.tint, 2).tolist()
        largest = np.array((self.rotation, self.shear, *[self.shift] * 4))
        rotation, shear, x, y, *second_shift = rng.uniform(-largest, largest).tolist()
        scale, sharpness = rng.uniform(*self.scale), np.exp(rng.uniform(*np.log(self.sharpness)))
        ambient = rng.uniform(_AMBIENT, 1)
        used = rng.random(3) < (self.second, self.contact, self.ambient)
        second, contact, ambient = np.where(used, (second, contact, ambient), 1.0).tolist()
        cast = (light, red, blue, rotation, shear, x, y, scale, float(sharpness))
        return self.Drawn._make((*cast, second, *second_shift, contact, ambient))

    @staticmethod
    def apply(drawn: Drawn, scene: Tensor, pha: Tensor, out: Tensor) -> Tensor:
        """Shades a (3, H, W) scene by a (1, H, W) matte.

        Writes the result to `out` and returns it; returns the scene if there is no shadow.
        """
        if drawn.light == drawn.second == drawn.contact == drawn.ambient == 1:
            return scene
        left = torch.ones_like(pha)
        linear = linear_part(drawn.rotation, drawn.shear, drawn.scale)
        for light, shift in (
            (drawn.light, (drawn.shift_x, drawn.shift_y)),
            (drawn.second, (drawn.second_x, drawn.second_y)),
        ):
            if light < 1:
                soft = cast_matte(pha, linear, shift, _BLUR)
                sharp = ((soft - 0.5) * drawn.sharpness + 0.5).clamp_(0, 1)
                left *= 1 - (1 - light) * sharp
        still = np.eye(2)
        if drawn.contact < 1:
            height = pha.shape[1]
            feet = cast_matte(pha * find_feet(pha), still, (0, _BLUR / 3 / height), _BLUR)
            left *= 1 - (1 - drawn.contact) * (2 * feet).clamp_(0, 1)
        if drawn.ambient < 1:
            near = cast_matte(pha, still, (0, 0), 0.1 * max(pha.shape[1:]))
            left *= 1 - (1 - drawn.ambient) * near
        colours = left.new_tensor((drawn.red, 1, drawn.blue))[:, None]
        parts = (split_pieces(part.flatten(1)) for part in (scene, left, out))
        for lit, part, result in zip(*parts, strict=True):
            torch.mul(lit, 1 - (1 - part) * colours, out=result)
        return out


@settings_group()
class LowLight(Disturbance):
    """A dim scene: subject, scene and plate are darker by one factor.

    Source: ours, because dark clothes before a dark plate were matted as holes.
    """

    light: Fractions = (0.12, 0.6)
    """Smallest and largest factor."""

    class Drawn(NamedTuple):
        """The factor."""

        light: float = 1.0

    def draw(self, rng: np.random.Generator) -> Drawn:
        """Draws the factor."""
        return self.Drawn(float(rng.uniform(*self.light)))

    @staticmethod
    def apply(drawn: Drawn, *pictures: Tensor) -> None:
        """Darkens foreground and plate."""
        if drawn.light < 1:
            for picture in pictures:
                picture *= drawn.light


def find_feet(pha: Tensor) -> Tensor:
    """Weights the rows of a (1, H, W) matte by how near they are to its lowest part, (1, H, 1).

    All are 0 where the subject leaves the crop at the bottom, or is absent.
    """
    height = pha.shape[1]
    rows = torch.arange(height, device=pha.device, dtype=pha.dtype)
    seen = (pha[0] > 0.5).any(1)
    if not bool(seen.any()) or bool(seen[-1]):
        return torch.zeros_like(rows)[None, :, None]
    top, bottom = rows[seen].min(), rows[seen].max()
    start = bottom - _FEET * (bottom - top + 1)
    return ((rows - start) / (bottom - start)).clamp(0, 1)[None, :, None]
