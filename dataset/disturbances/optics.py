"""Disturbances of optics: the plate's position and focus, and zoom."""

import math
from collections.abc import Sequence
from typing import Annotated, NamedTuple

import cv2
import numpy as np
import torch
from kornia.filters import filter2d
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from dataset.changes import linear_part
from runtime.settings import settings_group

from . import ASCENDING, PIECE, Angle, Disturbance, Fraction

_Radius = Annotated[float, Field(ge=0.5, le=50)]
_Factor = Annotated[float, Field(ge=1, le=8)]


@settings_group()
class PlatePosition(Disturbance):
    """Position of the captured plate relative to the frame's background.

    Source: the paper, training; the reflection is ours, because a real plate has no black edges.
    """

    probability: Fraction = 0.3
    rotation: Angle = 1.0
    """Largest angle in either direction, in degrees."""
    shift: Fraction = 0.01
    """Largest shift in either direction, as a fraction of the crop."""

    class Drawn(NamedTuple):
        """Motion of the plate about its centre."""

        rotation: float = 0.0
        shift_x: float = 0.0
        shift_y: float = 0.0

    def draw(self, rng: np.random.Generator) -> Drawn:
        """Draws a position."""
        largest = np.array((self.rotation, self.shift, self.shift))
        return self.Drawn(*rng.uniform(-largest, largest).tolist())

    @staticmethod
    def apply(drawn: Drawn, bgr: Tensor) -> None:
        """Rotates and shifts a plate, and fills free areas with its reflection."""
        if not any(drawn):
            return
        linear, shift = linear_part(drawn.rotation, 0, 1), drawn[1:]
        if bgr.device.type != "cpu":
            move_picture(bgr.clone(), linear, shift, "reflection", bgr)
            return
        # The same with OpenCV, 2 times faster.
        size = np.array(bgr.shape[:0:-1])
        middle = (size - 1) / 2
        matrix = np.column_stack((linear, middle - linear @ middle + shift * size))
        for plane in bgr.numpy():
            plane[:] = cv2.warpAffine(plane, matrix, size.tolist(), borderMode=cv2.BORDER_REFLECT)


@settings_group()
class Defocus(Disturbance):
    """Defocus of the plate: without the subject, the camera focuses elsewhere.

    Source: ours, because users report it; a lens spreads a point over a disc.
    """

    radius: Annotated[tuple[_Radius, _Radius], ASCENDING] = (1.0, 4.0)
    """Smallest and largest radius of the disc of confusion, in pixels of the crop."""

    class Drawn(NamedTuple):
        """The disc of confusion."""

        radius: float = 0.0

    def draw(self, rng: np.random.Generator) -> Drawn:
        """Draws a disc."""
        return self.Drawn(rng.uniform(*self.radius))

    @staticmethod
    def apply(drawn: Drawn, bgr: Tensor) -> None:
        """Blurs a plate."""
        if drawn.radius == 0:
            return
        reach = math.ceil(drawn.radius)
        place = torch.arange(-reach, reach + 1).to(bgr)
        disc = (drawn.radius + 0.5 - torch.hypot(place[:, None], place[None])).clamp(0, 1)
        bgr.copy_(filter2d(bgr[None], (disc / disc.sum())[None], border_type="replicate")[0])


@settings_group()
class Zoom(Disturbance):
    """Enlarges a part of the captured pictures and of the ground truth to the size of the crop.

    Source: ours, because `--quality best` enlarges small pictures, their noise and JPEG with them.
    """

    factor: Annotated[tuple[_Factor, _Factor], ASCENDING] = (1.25, 2.0)
    """Smallest and largest factor."""

    class Drawn(NamedTuple):
        """The part: (0, 0) is at the top left, (1, 1) at the bottom right."""

        factor: float = 1.0
        x: float = 0.5
        y: float = 0.5

    def draw(self, rng: np.random.Generator) -> Drawn:
        """Draws a part."""
        return self.Drawn(rng.uniform(*self.factor), *rng.uniform(0, 1, 2).tolist())

    @staticmethod
    def apply(drawn: Drawn, pictures: Sequence[Tensor]) -> None:
        """Enlarges the part in all pictures of a sample; bicubic, as in `matting.second_look`."""
        if drawn.factor == 1:
            return
        size = pictures[0].shape[1:]
        height, width = (math.ceil(side / drawn.factor) for side in size)
        top, left = round((size[0] - height) * drawn.y), round((size[1] - width) * drawn.x)
        for picture in pictures:
            part = picture[None, :, top : top + height, left : left + width]
            picture.copy_(F.interpolate(part, size, mode="bicubic")[0].clamp_(0, 1))


def move_picture(
    picture: Tensor, linear: np.ndarray, shift: Sequence[float], padding: str, out: Tensor
) -> None:
    """Moves a (C, H, W) picture about its centre into `out`, by `linear` (2, 2), then `shift`.

    The shift is in fractions of the size; `padding` is `grid_sample`'s padding mode.
    """
    height, width = picture.shape[1:]
    # Coordinates of grid_sample: from -1 to 1 over the picture.
    half = np.diag((width / 2, height / 2))
    (a, b), (c, d) = (np.linalg.inv(half) @ np.linalg.inv(linear) @ half).tolist()
    across, down = (
        (torch.arange(side).to(picture) * 2 + 1) / side - (1 + 2 * moved)
        for side, moved in zip((width, height), shift, strict=True)
    )
    rows = max(1, PIECE // width) if picture.device.type == "cpu" else height
    for start in range(0, height, rows):
        y = down[start : start + rows, None]
        grid = torch.stack((a * across + b * y, c * across + d * y), -1)
        moved = F.grid_sample(picture[None], grid[None], padding_mode=padding, align_corners=False)
        out[:, start : start + rows] = moved[0]
