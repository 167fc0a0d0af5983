"""Settings of the disturbances that make frame and captured plate differ as they do in practice.

`draw_disturbance` of `draws` draws the numbers of one sample within these bounds, and
`training.synthesis` applies them on the training device. What the paper lacks is off by default.
"""

from runtime.settings import settings_group

from .ranges import check_fraction, check_range, check_value


@settings_group()
class ShadowSettings:
    """The subject's shadow, on the scene but not on the captured plate.

    Attributes:
        probability: share of samples.
        rotation: largest angle of the shadow against the matte either way, degrees.
        shear: largest angle either way, degrees.
        shift: largest way either way, a fraction of the crop.
        scale: smallest and largest size against the matte.
        blur: smallest and largest side of the box blur, pixels of the crop.
        strength: largest darkness, as a fraction of white; 0 to this one.

    Source: the paper, training; the release for the shear.
    """

    probability: float = 0.3
    rotation: float = 5.0
    shear: float = 5.0
    shift: float = 0.2
    scale: tuple[float, float] = (0.5, 1.5)
    blur: tuple[int, int] = (20, 39)
    strength: float = 0.3

    def __post_init__(self) -> None:
        check_fraction("probability", self.probability)
        check_value("rotation", self.rotation, 0, 180, "degrees")
        check_value("shear", self.shear, 0, 60, "degrees")
        check_value("shift", self.shift, 0, 1, "a fraction of the crop")
        check_range("scale", self.scale, 0.05, 20)
        check_range("blur", self.blur, 1, 1000)
        check_fraction("strength", self.strength)


@settings_group()
class PlateColourSettings:
    """Colours of the captured plate, which is never captured perfectly.

    Attributes:
        probability: share of samples.
        brightness: largest offset either way, as a fraction of white.
        contrast: largest change of the factor of all colours.
        saturation: largest change of the factor of the distance from each pixel's grey.
        hue: largest turn of the colours either way, a fraction of the circle.

    Source: the release, whose version of kornia adds the brightness and multiplies by the contrast.
    """

    probability: float = 0.8
    brightness: float = 0.18
    contrast: float = 0.18
    saturation: float = 0.18
    hue: float = 0.1

    def __post_init__(self) -> None:
        for name in ("probability", "brightness", "contrast", "saturation"):
            check_fraction(name, getattr(self, name))
        check_value("hue", self.hue, 0, 0.5, "a fraction of the circle")


@settings_group()
class PlatePositionSettings:
    """Position of the captured plate against the frame's background.

    Attributes:
        probability: share of samples.
        rotation: largest angle either way, degrees.
        shift: largest way either way, a fraction of the crop.

    Source: the paper, training.
    """

    probability: float = 0.3
    rotation: float = 1.0
    shift: float = 0.01

    def __post_init__(self) -> None:
        check_fraction("probability", self.probability)
        check_value("rotation", self.rotation, 0, 180, "degrees")
        check_value("shift", self.shift, 0, 1, "a fraction of the crop")


@settings_group()
class NoiseSettings:
    """Noise on the composite and on the plate, independent of each other.

    Attributes:
        probability: share of samples.
        sigma: largest standard deviation, as a fraction of white; 0 to this one, for each of the
            two pictures.

    Source: the paper, training.
    """

    probability: float = 0.4
    sigma: float = 0.03

    def __post_init__(self) -> None:
        check_fraction("probability", self.probability)
        check_fraction("sigma", self.sigma)


@settings_group()
class ExposureSettings:
    """Exposure of the plate against the frame's, as an automatic camera changes it.

    Attributes:
        probability: share of samples.
        stops: largest change either way; a stop is twice the light.

    Source: ours, because users report it.
    """

    probability: float = 0.0
    stops: float = 0.5

    def __post_init__(self) -> None:
        check_fraction("probability", self.probability)
        check_value("stops", self.stops, 0, 4, "stops")


@settings_group()
class WhiteBalanceSettings:
    """White balance of the plate against the frame's.

    Attributes:
        probability: share of samples.
        strength: largest change of the factors of red and of blue, each for itself.

    Source: ours, because users report it.
    """

    probability: float = 0.0
    strength: float = 0.1

    def __post_init__(self) -> None:
        check_fraction("probability", self.probability)
        check_fraction("strength", self.strength)


@settings_group()
class DarkNoiseSettings:
    """Sensor noise that grows with darkness, on the composite and, as strong, on the plate.

    Attributes:
        probability: share of samples.
        sigma: largest standard deviation in black, as a fraction of white; 0 to this one.

    Source: ours, because webcams and dim rooms show it.
    """

    probability: float = 0.0
    sigma: float = 0.06

    def __post_init__(self) -> None:
        check_fraction("probability", self.probability)
        check_fraction("sigma", self.sigma)


@settings_group()
class DefocusSettings:
    """Defocus of the plate: without the subject, the camera focuses elsewhere.

    Attributes:
        probability: share of samples.
        radius: smallest and largest radius of the disc of confusion, pixels of the crop.

    Source: ours, because users report it.
    """

    probability: float = 0.0
    radius: tuple[float, float] = (1.0, 4.0)

    def __post_init__(self) -> None:
        check_fraction("probability", self.probability)
        check_range("radius", self.radius, 0.5, 50)


@settings_group()
class JpegSettings:
    """JPEG compression of the composite and of the plate, each with a quality of its own.

    Attributes:
        probability: share of samples.
        quality: smallest and largest, as libjpeg counts it.

    Source: ours, because webcams and videos show it.
    """

    probability: float = 0.0
    quality: tuple[int, int] = (40, 95)

    def __post_init__(self) -> None:
        check_fraction("probability", self.probability)
        check_range("quality", self.quality, 1, 100)


@settings_group()
class ZoomSettings:
    """A part of the captured pictures and of the truth, enlarged to the size of the crop.

    Attributes:
        probability: share of samples.
        factor: smallest and largest.

    Source: ours, because `--quality best` enlarges small pictures, their noise and JPEG with them.
    """

    probability: float = 0.0
    factor: tuple[float, float] = (1.25, 2.0)

    def __post_init__(self) -> None:
        check_fraction("probability", self.probability)
        check_range("factor", self.factor, 1, 8)


@settings_group()
class SceneChangeSettings:
    """Small places where the scene changed between plate and frame though no subject is there.

    Half of the samples have steam, before the frame's scene or the plate; in the others something
    on the plate has moved, as leaves do, or a near edge when the camera moves.

    Attributes:
        probability: share of samples.
        size: smallest and largest width of a typical place, a fraction of the crop.
        share: smallest and largest share of the crop that changes.
        opacity: smallest and largest opacity of the steam where it is thickest.
        shift: largest way either way that things move, a fraction of the crop.

    Source: ours, because a puff of steam in the background of real photographs was matted.
    """

    probability: float = 0.0
    size: tuple[float, float] = (0.02, 0.12)
    share: tuple[float, float] = (0.002, 0.03)
    opacity: tuple[float, float] = (0.2, 1.0)
    shift: float = 0.015

    def __post_init__(self) -> None:
        check_fraction("probability", self.probability)
        check_range("size", self.size, 0.005, 1)
        check_range("share", self.share, 0, 1)
        check_range("opacity", self.opacity, 0, 1)
        check_value("shift", self.shift, 0, 1, "a fraction of the crop")
