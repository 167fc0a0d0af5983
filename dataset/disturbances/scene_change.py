"""Small changes of a scene between plate and frame that are no subject: steam, leaves, parallax."""

from typing import Annotated, NamedTuple

import cv2
import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from runtime.settings import settings_group

from . import ASCENDING, Disturbance, Fraction, Fractions

# How far from the level of the field a place is fully changed, standard deviations of the field.
_SOFT = 0.4
_FINE = 0.5  # of a second field of half the width, which makes the outlines ragged
_Width = Annotated[float, Field(ge=0.005, le=1)]


@settings_group()
class SceneChange(Disturbance):
    """Small places where the scene changed between plate and frame though no subject is there.

    Half of the samples have steam, before the frame's scene or the plate; in the others something
    on the plate has moved, as leaves do, or a near edge when the camera moves.

    Source: ours, because a puff of steam in the background of real photographs was matted.
    """

    size: Annotated[tuple[_Width, _Width], ASCENDING] = (0.02, 0.12)
    """Smallest and largest width of a typical place, a fraction of the crop."""
    share: Fractions = (0.002, 0.03)
    """Smallest and largest share of the crop that changes."""
    opacity: Fractions = (0.2, 1.0)
    """Smallest and largest opacity of the steam where it is thickest."""
    shift: Fraction = 0.015
    """Largest way either way that things move, a fraction of the crop."""

    class Drawn(NamedTuple):
        """Places, and steam (`opacity`, `grey`) or movement (`shift_x`, `shift_y`) there.

        `seed`, from 0 to below 2^63, decides where the places are.
        """

        size: float = 1.0
        share: float = 0.0
        seed: int = 0
        opacity: float = 0.0
        grey: float = 0.0
        on_plate: int = 0
        shift_x: float = 0.0
        shift_y: float = 0.0

    def draw(self, rng: np.random.Generator) -> Drawn:
        """Draws places, steam and movement, and which of the two there is."""
        size, share = rng.uniform(*self.size), rng.uniform(*self.share)
        places = self.Drawn(size, share, int(rng.integers(2**63)))
        opacity, grey = rng.uniform(*self.opacity), rng.uniform(0.2, 1)
        steam = places._replace(opacity=opacity, grey=grey, on_plate=int(rng.integers(2)))
        x, y = rng.uniform(-self.shift, self.shift, 2).tolist()
        return (steam, places._replace(shift_x=x, shift_y=y))[int(rng.integers(2))]

    @staticmethod
    def apply(drawn: Drawn, picture: Tensor, on_plate: bool, out: Tensor) -> Tensor:
        """Hides places of a (3, H, W) scene behind steam, into `out`, which may be the scene.

        Args:
            drawn: steam, or something else.
            picture: of the frame's scene, or the plate.
            on_plate: whether it is the plate; steam is before one of both.
            out: like the picture.

        Returns:
            `out`, or the picture itself where there is no steam.
        """
        if drawn.opacity == 0 or on_plate != bool(drawn.on_plate):
            return picture
        opacity = draw_places(drawn, picture) * drawn.opacity
        return torch.lerp(picture, picture.new_tensor(drawn.grey), opacity, out=out)

    @staticmethod
    def sway(drawn: Drawn, bgr: Tensor) -> None:
        """Moves what is in places of a (3, H, W) plate, as wind or parallax does."""
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
        # The same by OpenCV, in a fraction of the time.
        maps = cv2.convertMaps(x.numpy(), y.numpy(), cv2.CV_16SC2)
        for plane in bgr.numpy():
            plane[:] = cv2.remap(plane, *maps, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE)


def draw_places(drawn: SceneChange.Drawn, like: Tensor) -> Tensor:
    """Draws the places that change: where a smooth random field is highest.

    Args:
        drawn: `size`, `share` and `seed` are used.
        like: (C, H, W) float; gives size, type and device.

    Returns:
        (1, H, W) in [0, 1], 1 where the change is full, and above 0 in about `share` of the places.

    Source: ours; two fields of random numbers, the second finer.
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
    places = ((field[0] - level) / (_SOFT * flat.std())).clamp(0, 1)
    return places.to(like)
