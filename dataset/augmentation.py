"""Settings of the augmentation of training samples.

The defaults are the published recipe, and what goes beyond it (`AugmentationSettings`) is off.
`draws` draws the numbers of one sample within these bounds.
"""

from dataclasses import field

from runtime.settings import settings_group

from .disturbances import (
    DarkNoiseSettings,
    DefocusSettings,
    ExposureSettings,
    JpegSettings,
    NoiseSettings,
    PlateColourSettings,
    PlatePositionSettings,
    SceneChangeSettings,
    ShadowSettings,
    WhiteBalanceSettings,
    ZoomSettings,
)
from .ranges import check_fraction, check_range, check_value


@settings_group()
class PictureSettings:
    """What happens to a foreground or a background before they meet.

    Attributes:
        rotation: largest angle either way, degrees.
        shift: largest way from the middle, a fraction of the picture as resized to cover the crop.
        shear: largest angle either way, degrees.
        scale: smallest and largest size; 1 covers the square around the crop.
        flip: probability of a horizontal flip.
        brightness: largest change of the factor of all colours; 0.15 is 0.85 to 1.15.
        contrast: largest change of the factor of the distance from the mean grey.
        saturation: largest change of the factor of the distance from each pixel's grey.
        hue: largest turn of the colours either way, a fraction of the circle.
        blur: probability of a box blur; of a foreground, its alpha goes with it.
        blur_radius: largest radius of the blur, pixels of the crop; 0 to this one, equally often.
        sharpen: probability of sharpening; of a foreground, its alpha goes with it.

    Source: the paper, training; the release for what the numbers refer to.
    """

    rotation: float = 5.0
    shift: float = 0.1
    shear: float = 5.0
    scale: tuple[float, float] = (1.0, 1.0)
    flip: float = 0.5
    brightness: float = 0.15
    contrast: float = 0.15
    saturation: float = 0.15
    hue: float = 0.05
    blur: float = 0.1
    blur_radius: int = 5
    sharpen: float = 0.1

    def __post_init__(self) -> None:
        check_value("rotation", self.rotation, 0, 180, "degrees")
        check_value("shear", self.shear, 0, 60, "degrees")
        check_value("shift", self.shift, 0, 1, "a fraction of the picture")
        check_range("scale", self.scale, 0.05, 20)
        check_value("blur_radius", self.blur_radius, 0, 100, "pixels")
        check_value("hue", self.hue, 0, 0.5, "a fraction of the circle")
        for name in ("flip", "brightness", "contrast", "saturation", "blur", "sharpen"):
            check_fraction(name, getattr(self, name))


@settings_group()
class ForegroundSettings(PictureSettings):
    """`PictureSettings` of foregrounds; `scale` is that of stage 1, and 0.3 to 1 in stage 2."""

    scale: tuple[float, float] = (0.4, 1.0)


@settings_group()
class BackgroundSettings(PictureSettings):
    """`PictureSettings` of backgrounds, which must cover the crop."""

    scale: tuple[float, float] = (1.0, 2.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scale[0] < 1:
            raise ValueError(
                f"scale of backgrounds must be 1 or more, got {self.scale}; below 1 a background "
                "does not cover the crop"
            )


@settings_group()
class AugmentationSettings:
    """All augmentations of training; a group each.

    Attributes:
        foreground: see `PictureSettings`.
        background: see `PictureSettings`.
        shadow: see `ShadowSettings`.
        plate_colour: see `PlateColourSettings`.
        plate_position: see `PlatePositionSettings`.
        noise: see `NoiseSettings`.
        exposure: see `ExposureSettings`; off.
        white_balance: see `WhiteBalanceSettings`; off.
        dark_noise: see `DarkNoiseSettings`; off.
        defocus: see `DefocusSettings`; off.
        jpeg: see `JpegSettings`; off.
        zoom: see `ZoomSettings`; off.
        scene_change: see `SceneChangeSettings`; off.
    """

    foreground: ForegroundSettings = field(default_factory=ForegroundSettings)
    background: BackgroundSettings = field(default_factory=BackgroundSettings)
    shadow: ShadowSettings = field(default_factory=ShadowSettings)
    plate_colour: PlateColourSettings = field(default_factory=PlateColourSettings)
    plate_position: PlatePositionSettings = field(default_factory=PlatePositionSettings)
    noise: NoiseSettings = field(default_factory=NoiseSettings)
    exposure: ExposureSettings = field(default_factory=ExposureSettings)
    white_balance: WhiteBalanceSettings = field(default_factory=WhiteBalanceSettings)
    dark_noise: DarkNoiseSettings = field(default_factory=DarkNoiseSettings)
    defocus: DefocusSettings = field(default_factory=DefocusSettings)
    jpeg: JpegSettings = field(default_factory=JpegSettings)
    zoom: ZoomSettings = field(default_factory=ZoomSettings)
    scene_change: SceneChangeSettings = field(default_factory=SceneChangeSettings)
