"""The subject's shadow."""

import math
from typing import Annotated, NamedTuple

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from dataset.geometry import linear_part
from runtime.settings import settings_group

from . import ASCENDING, Angle, Disturbance, Fraction, Scales, Shear, split_pieces
from .optics import move_picture

_REDUCTION = 4  # of the size at which shadows are computed: boxes of 20 px and more allow it
_Side = Annotated[int, Field(ge=1, le=1000)]


@settings_group()
class Shadow(Disturbance):
    """The subject's shadow, on the scene but not on the captured plate.

    Source: the paper, training; the release for the shear; the reduced size is ours.
    """

    probability: Fraction = 0.3
    rotation: Angle = 5.0
    """Largest angle of the shadow against the matte either way, degrees."""
    shear: Shear = 5.0
    """Largest angle either way, degrees."""
    shift: Fraction = 0.2
    """Largest way either way, a fraction of the crop."""
    scale: Scales = (0.5, 1.5)
    """Smallest and largest size against the matte."""
    blur: Annotated[tuple[_Side, _Side], ASCENDING] = (20, 39)
    """Smallest and largest side of the box blur, pixels of the crop."""
    strength: Fraction = 0.3
    """Largest darkness, as a fraction of white; 0 to this one."""

    class Drawn(NamedTuple):
        """How the matte becomes the shadow; `blur` is the side of the box."""

        strength: float = 0.0
        rotation: float = 0.0
        shear: float = 0.0
        shift_x: float = 0.0
        shift_y: float = 0.0
        scale: float = 1.0
        blur: int = 1

    def draw(self, rng: np.random.Generator) -> Drawn:
        """Draws a shadow."""
        return self.Drawn(
            strength=rng.uniform(0, self.strength),
            rotation=rng.uniform(-self.rotation, self.rotation),
            shear=rng.uniform(-self.shear, self.shear),
            shift_x=rng.uniform(-self.shift, self.shift),
            shift_y=rng.uniform(-self.shift, self.shift),
            scale=rng.uniform(*self.scale),
            blur=int(rng.integers(*self.blur, endpoint=True)),
        )

    @staticmethod
    def apply(drawn: Drawn, scene: Tensor, pha: Tensor, out: Tensor) -> Tensor:
        """Darkens a (3, H, W) scene by its moved and blurred (1, H, W) matte, into `out`.

        Returns:
            `out`, or without a shadow the scene itself; the scene stays as it is.
        """
        if drawn.strength == 0:
            return scene
        height, width = pha.shape[1:]
        small = (-(-height // _REDUCTION), -(-width // _REDUCTION))
        matte = F.interpolate(pha[None], small, mode="area")[0]
        linear = linear_part(drawn.rotation, drawn.shear, drawn.scale)
        moved = torch.empty_like(matte)
        move_picture(matte, linear, (drawn.shift_x, drawn.shift_y), "zeros", moved)
        # A box of any width: its outermost pixels count by the part that it covers.
        half = drawn.blur / _REDUCTION / 2
        reach = math.ceil(half)
        distance = torch.arange(-reach, reach + 1, device=pha.device, dtype=pha.dtype).abs()
        box = (half + 0.5 - distance).clamp(0, 1)
        box = box / box.sum()
        padded = F.pad(moved[None], (reach,) * 4, mode="replicate")
        blurred = F.conv2d(F.conv2d(padded, box[None, None, None]), box[None, None, :, None])
        shadow = F.interpolate(blurred, (height, width), mode="bilinear", align_corners=False)[0]
        parts = (split_pieces(part.flatten(1)) for part in (scene, shadow, out))
        for light, dark, result in zip(*parts, strict=True):
            torch.sub(light, dark, alpha=drawn.strength, out=result).clamp_(0, 1)
        return out
