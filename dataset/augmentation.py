"""The augmentation of training samples: its settings, and the order in which its numbers are drawn.

The defaults are the published recipe; additions to it are off. A sample's numbers depend only on
its seed. They are drawn in the order in which disturbances were added to this project, so older
runs can be resumed. `synthesis` applies them in their physical order, from scene to file.
"""

from collections.abc import Mapping
from dataclasses import field, fields
from types import MappingProxyType
from typing import Any

import numpy as np

from runtime.settings import settings_group

from .changes import BackgroundSettings, ForegroundSettings
from .disturbances.light import CastShadow, LowLight
from .disturbances.optics import Defocus, PlatePosition, Zoom
from .disturbances.plate_colour import Exposure, PlateColour, WhiteBalance
from .disturbances.recording import DarkNoise, Jpeg, Noise
from .disturbances.scene import SceneChange, Shadow


@settings_group()
class AugmentationSettings:
    """All augmentations of training, one group each. Add new disturbances last: see `_LATER`."""

    foreground: ForegroundSettings = field(default_factory=ForegroundSettings)
    background: BackgroundSettings = field(default_factory=BackgroundSettings)
    shadow: Shadow = field(default_factory=Shadow)
    plate_colour: PlateColour = field(default_factory=PlateColour)
    plate_position: PlatePosition = field(default_factory=PlatePosition)
    noise: Noise = field(default_factory=Noise)
    exposure: Exposure = field(default_factory=Exposure)
    white_balance: WhiteBalance = field(default_factory=WhiteBalance)
    dark_noise: DarkNoise = field(default_factory=DarkNoise)
    defocus: Defocus = field(default_factory=Defocus)
    jpeg: Jpeg = field(default_factory=Jpeg)
    zoom: Zoom = field(default_factory=Zoom)
    scene_change: SceneChange = field(default_factory=SceneChange)
    cast_shadow: CastShadow = field(default_factory=CastShadow)
    low_light: LowLight = field(default_factory=LowLight)


# First the values of all of these are drawn, then whether each is used, then the noise's seed.
_FIRST = (
    *("shadow", "plate_position", "plate_colour", "noise", "exposure", "white_balance"),
    *("dark_noise", "defocus", "jpeg"),
)
# Then, for each other field in order, its values and whether it is used.
_LATER = tuple(each.name for each in fields(AugmentationSettings))[2 + len(_FIRST) :]
# A sample without disturbances: by the names of the settings, each `Drawn` with its defaults.
UNDISTURBED: Mapping[str, Any] = MappingProxyType(
    {name: getattr(AugmentationSettings(), name).Drawn() for name in (*_FIRST, *_LATER)}
)


def make_disturbance(**values: Mapping[str, float]) -> dict[str, Any]:
    """Returns `UNDISTURBED` with some values changed: `make_disturbance(zoom={"factor": 2.0})`."""
    made = {name: UNDISTURBED[name]._replace(**given) for name, given in values.items()}
    return {**UNDISTURBED, **made}


def draw_disturbance(rng: np.random.Generator, settings: AugmentationSettings) -> dict[str, Any]:
    """Draws the disturbances of a sample; the count of numbers drawn does not depend on settings.

    Disturbances that are not used have the values of `UNDISTURBED`, but `noise` always has a seed.
    """
    drawn = dict(UNDISTURBED)
    groups = {name: getattr(settings, name) for name in drawn}
    for name, value in [(name, groups[name].draw(rng)) for name in _FIRST]:
        if rng.random() < groups[name].probability:
            drawn[name] = value
    drawn["noise"] = drawn["noise"]._replace(seed=int(rng.integers(2**63)))
    for name in _LATER:
        value = groups[name].draw(rng)
        if rng.random() < groups[name].probability:
            drawn[name] = value
    return drawn
