"""What is drawn for one training sample, within the bounds of `augmentation`.

Everything random about a sample is drawn on the CPU, once, so that it depends on its seed alone.
What happens to pictures is in `geometry` and `colours` (before the composite, on the CPU) and in
`training.synthesis` (the composite and what follows, on the training device).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from .augmentation import AugmentationSettings, PictureSettings


class PictureChange(NamedTuple):
    """What happens to one foreground or background; the default is nothing.

    Attributes:
        rotation: degrees, clockwise as seen.
        shear: degrees.
        shift_x: to the right, as a fraction of the width of the picture resized to cover.
        shift_y: down, as a fraction of the height of the picture resized to cover.
        scale: 1 covers the square around the crop.
        flip: whether left and right change places, last.
        brightness: factor.
        contrast: factor.
        saturation: factor.
        hue: fraction of the circle, from red towards yellow.
        blur_radius: pixels of the crop; 0 is no blur.
        sharpen: whether to sharpen.
    """

    rotation: float = 0.0
    shear: float = 0.0
    shift_x: float = 0.0
    shift_y: float = 0.0
    scale: float = 1.0
    flip: bool = False
    brightness: float = 1.0
    contrast: float = 1.0
    saturation: float = 1.0
    hue: float = 0.0
    blur_radius: int = 0
    sharpen: bool = False


def draw_change(rng: np.random.Generator, settings: PictureSettings) -> PictureChange:
    """Draws what happens to a picture; always as many numbers, whatever the settings.

    Args:
        rng: the source of randomness.
        settings: the bounds.

    Returns:
        Each value uniform within its bounds.
    """
    either, chance = rng.uniform(-1, 1, 8).tolist(), rng.random(4).tolist()
    radius = int(chance[3] * (settings.blur_radius + 1))
    return PictureChange(
        rotation=either[0] * settings.rotation,
        shear=either[1] * settings.shear,
        shift_x=either[2] * settings.shift,
        shift_y=either[3] * settings.shift,
        scale=float(rng.uniform(*settings.scale)),
        flip=chance[0] < settings.flip,
        brightness=1 + either[4] * settings.brightness,
        contrast=1 + either[5] * settings.contrast,
        saturation=1 + either[6] * settings.saturation,
        hue=either[7] * settings.hue,
        blur_radius=radius if chance[1] < settings.blur else 0,
        sharpen=chance[2] < settings.sharpen,
    )


# What does nothing, by name.
UNDISTURBED: Mapping[str, float | int] = MappingProxyType(
    {
        **{"shadow_strength": 0.0, "shadow_rotation": 0.0, "shadow_shear": 0.0},
        **{"shadow_shift_x": 0.0, "shadow_shift_y": 0.0, "shadow_scale": 1.0, "shadow_blur": 1},
        **{"plate_rotation": 0.0, "plate_shift_x": 0.0, "plate_shift_y": 0.0},
        **{"defocus_radius": 0.0, "exposure_stops": 0.0},
        **{"white_balance_red": 1.0, "white_balance_blue": 1.0},
        **{"plate_brightness": 0.0, "plate_contrast": 1.0},
        **{"plate_saturation": 1.0, "plate_hue": 0.0},
        **{"noise_src": 0.0, "noise_bgr": 0.0, "dark_noise": 0.0, "noise_seed": 0},
        **{"jpeg_src": 0, "jpeg_bgr": 0},
        **{"zoom_factor": 1.0, "zoom_x": 0.5, "zoom_y": 0.5},
        **{"change_opacity": 0.0, "change_grey": 0.0, "change_on_plate": 0},
        **{"change_shift_x": 0.0, "change_shift_y": 0.0},
        **{"change_size": 1.0, "change_share": 0.0, "change_seed": 0},
    }
)


def draw_disturbance(
    rng: np.random.Generator, settings: AugmentationSettings
) -> dict[str, float | int]:
    """Draws the disturbances of a sample; always as many numbers, whatever the settings.

    Args:
        rng: the source of randomness.
        settings: probabilities and bounds.

    Returns:
        The names of `UNDISTURBED`, with its values for what was not chosen. Angles are in degrees,
        shifts fractions of the crop, strengths fractions of white, sizes pixels of the crop;
        `noise_seed`, below 2^63, serves all noise of the sample and `change_seed` the places that
        change; `zoom_x` and `zoom_y` place the part that is enlarged, 0 at the left and the top, 1
        at the right and the bottom. Of steam and movement, one is chosen.
    """
    shadow, position, colour = settings.shadow, settings.plate_position, settings.plate_colour
    balance, quality = settings.white_balance.strength, settings.jpeg.quality

    def between(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    def either(bound: float) -> float:
        return between(-bound, bound)

    def pick(bounds: tuple[int, int]) -> int:
        return int(rng.integers(bounds[0], bounds[1] + 1))

    groups: tuple[tuple[float, dict[str, float | int]], ...] = (
        (
            shadow.probability,
            {
                "shadow_strength": between(0, shadow.strength),
                "shadow_rotation": either(shadow.rotation),
                "shadow_shear": either(shadow.shear),
                "shadow_shift_x": either(shadow.shift),
                "shadow_shift_y": either(shadow.shift),
                "shadow_scale": between(*shadow.scale),
                "shadow_blur": pick(shadow.blur),
            },
        ),
        (
            position.probability,
            {
                "plate_rotation": either(position.rotation),
                "plate_shift_x": either(position.shift),
                "plate_shift_y": either(position.shift),
            },
        ),
        (
            colour.probability,
            {
                "plate_brightness": either(colour.brightness),
                "plate_contrast": 1 + either(colour.contrast),
                "plate_saturation": 1 + either(colour.saturation),
                "plate_hue": either(colour.hue),
            },
        ),
        (
            settings.noise.probability,
            {
                "noise_src": between(0, settings.noise.sigma),
                "noise_bgr": between(0, settings.noise.sigma),
            },
        ),
        (settings.exposure.probability, {"exposure_stops": either(settings.exposure.stops)}),
        (
            settings.white_balance.probability,
            {"white_balance_red": 1 + either(balance), "white_balance_blue": 1 + either(balance)},
        ),
        (settings.dark_noise.probability, {"dark_noise": between(0, settings.dark_noise.sigma)}),
        (settings.defocus.probability, {"defocus_radius": between(*settings.defocus.radius)}),
        (settings.jpeg.probability, {"jpeg_src": pick(quality), "jpeg_bgr": pick(quality)}),
    )
    drawn = dict(UNDISTURBED)
    for probability, values in groups:
        if rng.random() < probability:
            drawn |= values
    drawn["noise_seed"] = int(rng.integers(2**63))
    # Last, because runs that were begun without them go on with the same numbers.
    zoom = {
        "zoom_factor": between(*settings.zoom.factor),
        **{"zoom_x": between(0, 1), "zoom_y": between(0, 1)},
    }
    if rng.random() < settings.zoom.probability:
        drawn |= zoom
    change = settings.scene_change
    places = {
        "change_size": between(*change.size),
        "change_share": between(*change.share),
        "change_seed": int(rng.integers(2**63)),
    }
    steam = {
        "change_opacity": between(*change.opacity),
        **{"change_grey": between(0.2, 1), "change_on_plate": pick((0, 1))},
    }
    movement = {"change_shift_x": either(change.shift), "change_shift_y": either(change.shift)}
    kind = (steam, movement)[pick((0, 1))]
    return drawn | places | kind if rng.random() < change.probability else drawn
