"""Disturbances of the scene: the subject's shadow, and small changes that are not the subject."""

import math
from typing import Annotated, NamedTuple

import cv2
import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from dataset.changes import linear_part
from runtime.settings import settings_group

from . import ASCENDING, Angle, Disturbance, Fraction, Fractions, Scales, Shear, split_pieces
from .optics import move_picture

_REDUCTION = 4  # factor of size for computing shadows, whose boxes have 20 px or more
# Distance above the field's level of a full change, in standard deviations of the field.
_SOFT = 0.4
_FINE = 0.5  # weight of a second field of half the width, which makes the outlines ragged
_Side = Annotated[int, Field(ge=1, le=1000)]
_Width = Annotated[float, Field(ge=0.005, le=1)]


@settings_group()
class Shadow(Disturbance):
    """The subject's shadow, on the scene but not on the captured plate.

    Source: the paper, training; the release for the shear; the reduced size is ours.
    """

    probability: Fraction = 0.3
    rotation: Angle = 5.0
    """Largest angle between shadow and matte in either direction, in degrees."""
    shear: Shear = 5.0
    """Largest angle in either direction, in degrees."""
    shift: Fraction = 0.2
    """Largest shift in either direction, as a fraction of the crop."""
    scale: Scales = (0.5, 1.5)
    """Smallest and largest scale relative to the matte."""
    blur: Annotated[tuple[_Side, _Side], ASCENDING] = (20, 39)
    """Smallest and largest side of the box blur, in pixels of the crop."""
    strength: Fraction = 0.3
    """Largest darkening, as a fraction of white; drawn from 0."""

    class Drawn(NamedTuple):
        """The change from matte to shadow; `blur` is the side of the box."""

        strength: float = 0.0
        rotation: float = 0.0
        shear: float = 0.0
        shift_x: float = 0.0
        shift_y: float = 0.0
        scale: float = 1.0
        blur: int = 1

    def draw(self, rng: np.random.Generator) -> Drawn:
        """Draws a shadow."""
        largest = np.array((self.rotation, self.shear, self.shift, self.shift))
        strength, moves = rng.uniform(0, self.strength), rng.uniform(-largest, largest).tolist()
        scale, blur = rng.uniform(*self.scale), rng.integers(*self.blur, endpoint=True)
        return self.Drawn._make((strength, *moves, scale, int(blur)))

    @staticmethod
    def apply(drawn: Drawn, scene: Tensor, pha: Tensor, out: Tensor) -> Tensor:
        """Writes a (3, H, W) scene with the shadow of a (1, H, W) matte to `out`; returns `out`.

        If there is no shadow, returns `scene` and writes nothing.
        """
        if drawn.strength == 0:
            return scene
        linear = linear_part(drawn.rotation, drawn.shear, drawn.scale)
        shadow = cast_matte(pha, linear, (drawn.shift_x, drawn.shift_y), drawn.blur)
        parts = (split_pieces(part.flatten(1)) for part in (scene, shadow, out))
        for light, dark, result in zip(*parts, strict=True):
            torch.sub(light, dark, alpha=drawn.strength, out=result).clamp_(0, 1)
        return out


def cast_matte(pha: Tensor, linear: np.ndarray, shift: tuple[float, float], blur: float) -> Tensor:
    """Moves a (1, H, W) matte and blurs it by a box of `blur` pixels of the crop, at least 20.

    Computed at a quarter of the size.
    """
    height, width = pha.shape[1:]
    small = (-(-height // _REDUCTION), -(-width // _REDUCTION))
    matte = F.interpolate(pha[None], small, mode="area")[0]
    moved = torch.empty_like(matte)
    move_picture(matte, linear, shift, "zeros", moved)
    # A box of any width: its outermost pixels are weighted by the part it covers.
    half = blur / _REDUCTION / 2
    reach = math.ceil(half)
    distance = torch.arange(-reach, reach + 1).to(pha).abs()
    box = (half + 0.5 - distance).clamp(0, 1)
    box = box / box.sum()
    padded = F.pad(moved[None], (reach,) * 4, mode="replicate")
    blurred = F.conv2d(F.conv2d(padded, box[None, None, None]), box[None, None, :, None])
    return F.interpolate(blurred, (height, width), mode="bilinear", align_corners=False)[0]


@settings_group()
class SceneChange(Disturbance):
    """Small places without a subject where the scene changed between plate and frame.

    Half of the samples have steam, in front of the frame's scene or of the plate. In the others
    something on the plate has moved, such as leaves, or a near edge after the camera moved.

    Source: ours, because the network took steam in the background of real photographs as subject.
    """

    size: Annotated[tuple[_Width, _Width], ASCENDING] = (0.02, 0.12)
    """Smallest and largest width of a typical place, as a fraction of the crop."""
    share: Fractions = (0.002, 0.03)
    """Smallest and largest fraction of the crop that changes."""
    opacity: Fractions = (0.2, 1.0)
    """Smallest and largest opacity of the steam where it is thickest."""
    shift: Fraction = 0.015
    """Largest movement in either direction, as a fraction of the crop."""

    class Drawn(NamedTuple):
        """Seed of the places, below 2^63, and their steam (`opacity`, `grey`) or shift."""

        size: float = 1.0
        share: float = 0.0
        seed: int = 0
        opacity: float = 0.0
        grey: float = 0.0
        on_plate: int = 0
        shift_x: float = 0.0
        shift_y: float = 0.0

    def draw(self, rng: np.random.Generator) -> Drawn:
        """Draws places, steam and movement, and which of the two is used."""
        size, share = rng.uniform(*self.size), rng.uniform(*self.share)
        places = self.Drawn(size, share, int(rng.integers(2**63)))
        opacity, grey = rng.uniform(*self.opacity), rng.uniform(0.2, 1)
        steam = places._replace(opacity=opacity, grey=grey, on_plate=int(rng.integers(2)))
        x, y = rng.uniform(-self.shift, self.shift, 2).tolist()
        return (steam, places._replace(shift_x=x, shift_y=y))[int(rng.integers(2))]

    @staticmethod
    def apply(drawn: Drawn, picture: Tensor, on_plate: bool, out: Tensor) -> Tensor:
        """Writes a (3, H, W) plate or scene with steam to `out`; returns it or the picture."""
        if drawn.opacity == 0 or on_plate != bool(drawn.on_plate):
            return picture
        opacity = draw_places(drawn, picture) * drawn.opacity
        return torch.lerp(picture, picture.new_tensor(drawn.grey), opacity, out=out)

    @staticmethod
    def sway(drawn: Drawn, bgr: Tensor) -> None:
        """Shifts the places of a (3, H, W) plate, as wind or parallax would."""
        if drawn.shift_x == drawn.shift_y == 0:
            return
        height, width = bgr.shape[1:]
        places = draw_places(drawn, bgr)[0]
        rows, columns = (torch.arange(side).to(bgr) for side in (height, width))
        x = columns - places * drawn.shift_x * width
        y = rows[:, None] - places * drawn.shift_y * height
        if bgr.device.type != "cpu":
            grid = torch.stack(((2 * x + 1) / width - 1, (2 * y + 1) / height - 1), -1)
            moved = F.grid_sample(bgr[None], grid[None], padding_mode="border", align_corners=False)
            bgr.copy_(moved[0])
            return
        # The same with OpenCV, which is faster.
        maps = cv2.convertMaps(x.numpy(), y.numpy(), cv2.CV_16SC2)
        for plane in bgr.numpy():
            plane[:] = cv2.remap(plane, *maps, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE)


def draw_places(drawn: SceneChange.Drawn, like: Tensor) -> Tensor:
    """Draws the places that change, (1, H, W) of the type and device of a (C, H, W) picture.

    They are where a random field is highest: above 0 in about `share` of the crop, and 1 where the
    change is full. The field is the sum of a smooth and a finer one. Source: ours.
    """
    height, width = like.shape[1:]
    generator = torch.Generator().manual_seed(drawn.seed)
    field = torch.zeros(1, 1, height, width)
    for part, weight in ((1.0, 1.0), (0.5, _FINE)):
        cell = part * drawn.size * max(height, width)
        grid = (round(height / cell) + 3, round(width / cell) + 3)
        coarse = torch.randn(1, 1, *grid, generator=generator)
        field += weight * F.interpolate(coarse, (height, width), mode="bicubic")
    flat = field.flatten()
    level = flat.kthvalue(round((1 - drawn.share) * (flat.numel() - 1)) + 1).values
    return ((field[0] - level) / (_SOFT * flat.std())).clamp(0, 1).to(like)
