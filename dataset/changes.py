"""Changes of a foreground or background before compositing: settings, drawing and colours."""

import math
from typing import Annotated, NamedTuple

import cv2
import numpy as np
from pydantic import Field

from runtime.settings import settings_group

from .disturbances import ASCENDING, Angle, Fraction, Hue, Scales, Shear

_GREY = np.array((0.299, 0.587, 0.114))  # ITU-R BT.601, the weights of Pillow and torchvision
_SHARPEN = np.array(((-2, -2, -2), (-2, 32, -2), (-2, -2, -2)), np.float32) / 16
_Cover = Annotated[float, Field(ge=1, le=20)]


class PictureChange(NamedTuple):
    """Changes of one foreground or background; none by default."""

    rotation: float = 0.0  # degrees, clockwise as seen
    shear: float = 0.0  # degrees
    shift_x: float = 0.0  # to the right, as a fraction of the resized picture's width
    shift_y: float = 0.0  # down, as a fraction of the resized picture's height
    scale: float = 1.0  # 1 covers the square around the crop
    flip: bool = False  # mirrors left and right, after the other changes
    brightness: float = 1.0  # factor, as are the next two
    contrast: float = 1.0
    saturation: float = 1.0
    hue: float = 0.0  # fraction of the circle, from red towards yellow
    blur_radius: int = 0  # in pixels of the crop; 0 means none
    sharpen: bool = False


@settings_group()
class PictureSettings:
    """Changes of a foreground or a background before compositing.

    Source: the paper, training; the release for what the numbers refer to.
    """

    rotation: Angle = 5.0
    """Largest angle in either direction, in degrees."""
    shift: Fraction = 0.1
    """Largest shift from the centre, as a fraction of the picture resized to cover the crop."""
    shear: Shear = 5.0
    """Largest angle in either direction, in degrees."""
    scale: Scales = (1.0, 1.0)
    """Smallest and largest scale; 1 covers the square around the crop."""
    flip: Fraction = 0.5
    """Probability of a horizontal flip."""
    brightness: Fraction = 0.15
    """Largest change of the brightness factor; 0.15 means 0.85 to 1.15."""
    contrast: Fraction = 0.15
    """Largest change of the contrast factor (distance from the mean grey)."""
    saturation: Fraction = 0.15
    """Largest change of the saturation factor (distance from each pixel's grey)."""
    hue: Hue = 0.05
    """Largest hue rotation in either direction, as a fraction of the circle."""
    blur: Fraction = 0.1
    """Probability of a box blur. A foreground's alpha is blurred too."""
    blur_radius: Annotated[int, Field(ge=0, le=100)] = 5
    """Largest blur radius, in pixels of the crop; drawn uniformly from 0."""
    sharpen: Fraction = 0.1
    """Probability of sharpening. A foreground's alpha is sharpened too."""

    def draw(self, rng: np.random.Generator) -> PictureChange:
        """Draws a change within the bounds; draws the same count of numbers for any bounds."""
        either, chance = rng.uniform(-1, 1, 8).tolist(), rng.random(4).tolist()
        radius = int(chance[3] * (self.blur_radius + 1))
        return PictureChange(
            rotation=either[0] * self.rotation,
            shear=either[1] * self.shear,
            shift_x=either[2] * self.shift,
            shift_y=either[3] * self.shift,
            scale=float(rng.uniform(*self.scale)),
            flip=chance[0] < self.flip,
            brightness=1 + either[4] * self.brightness,
            contrast=1 + either[5] * self.contrast,
            saturation=1 + either[6] * self.saturation,
            hue=either[7] * self.hue,
            blur_radius=radius if chance[1] < self.blur else 0,
            sharpen=chance[2] < self.sharpen,
        )


@settings_group()
class ForegroundSettings(PictureSettings):
    """`PictureSettings` of foregrounds; `scale` is that of stage 1, stage 2 uses 0.3 to 1."""

    scale: Scales = (0.4, 1.0)


@settings_group()
class BackgroundSettings(PictureSettings):
    """`PictureSettings` of backgrounds; scales below 1 would not cover the crop."""

    scale: Annotated[tuple[_Cover, _Cover], ASCENDING] = (1.0, 2.0)


def linear_part(rotation: float, shear: float, scale: float) -> np.ndarray:
    """Computes the linear part, (2, 2), of an affine map: shear, then rotation, then scale.

    Angles are in degrees, clockwise as seen (y points down).
    """
    turn, lean = math.radians(rotation), math.tan(math.radians(shear))
    cos, sin = math.cos(turn), math.sin(turn)
    return scale * np.array(((cos, -cos * lean - sin), (sin, -sin * lean + cos)))


def tint_matrix(saturation: float, hue: float) -> np.ndarray:
    """Computes the (3, 3) matrix, for RGB, that changes saturation, then hue; see the settings.

    The hue rotates about the axis of greys, which leaves greys unchanged and is linear. A rotation
    in HSV, as in the authors' release, is not linear and changes the brightness.

    Source: ours, because matrices combine into one pass over the pixels, 180 times faster than
        torchvision's jitter.
    """
    grey = np.broadcast_to(_GREY, (3, 3))
    turn = 2 * math.pi * hue
    across = np.array(((0, -1, 1), (1, 0, -1), (-1, 1, 0)))
    # Rodrigues' formula about (1, 1, 1) / sqrt(3).
    rotation = (
        math.cos(turn) * np.eye(3)
        + (1 - math.cos(turn)) / 3 * np.ones((3, 3))
        + math.sin(turn) / math.sqrt(3) * across
    )
    return rotation @ (saturation * np.eye(3) + (1 - saturation) * grey)


def jitter_matrix(change: PictureChange, mean: float) -> np.ndarray:
    """Combines brightness, contrast about a mean, saturation and hue: (3, 4), last column added."""
    factor = change.brightness * change.contrast
    offset = (1 - change.contrast) * change.brightness * mean
    tint = tint_matrix(change.saturation, change.hue)
    # The offset is grey, so saturation and hue do not change it.
    return np.column_stack((factor * tint, np.full(3, offset)))


def change_colours(
    picture: np.ndarray, change: PictureChange, shown: np.ndarray | None = None
) -> np.ndarray:
    """Changes the colours of an (H, W, 3) uint8 picture in one pass; returns it if nothing changes.

    Its mean grey is taken where `shown`, (H, W) uint8, is above 0, or everywhere if that is None.
    """
    if (change.brightness, change.contrast, change.saturation, change.hue) == (1, 1, 1, 0):
        return picture
    mean = float(_GREY @ cv2.mean(picture, mask=shown)[:3])
    return cv2.transform(picture, jitter_matrix(change, mean).astype(np.float32))


def blur_and_sharpen(picture: np.ndarray, change: PictureChange) -> np.ndarray:
    """Box-blurs and sharpens an (H, W, C) uint8 picture; returns it if nothing changes.

    Source: the release, which uses Pillow's kernels.
    """
    if change.blur_radius:
        side = 2 * change.blur_radius + 1
        picture = cv2.blur(picture, (side, side), borderType=cv2.BORDER_REPLICATE)
    if change.sharpen:
        picture = cv2.filter2D(picture, -1, _SHARPEN, borderType=cv2.BORDER_REPLICATE)
    return picture
