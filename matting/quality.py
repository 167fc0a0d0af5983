"""The work per picture: scale of the coarse input and pixels to refine."""

from dataclasses import dataclass
from math import ceil, sqrt
from numbers import Integral, Real
from typing import Literal, get_args

import numpy as np

from model.matting import MAX_BACKBONE_SCALE

Quality = Literal["auto", "best", "fast", "hd", "4k"]


@dataclass(frozen=True)
class Budget:
    """Scale, pixels and options for one picture."""

    backbone_scale: float
    """Size of the coarse input as a fraction of the picture's, in (0, 1/2]."""
    refine_sample_pixels: int
    """Pixels to refine in mode `sampling`; the budget of mode `blocks`."""
    second_look: bool = False
    """Whether to add a second pass on the mirrored, larger picture; see `matting.second_look`."""
    corrects_alpha: bool = False
    """Whether alpha is corrected by the compositing equation; see `model.correction`."""
    lowers_precision: bool = False
    """Whether convolutions take the device's fastest precision, if none is asked for."""

    def coarse_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the coarse input of a picture, in pixels."""
        return int(height * self.backbone_scale), int(width * self.backbone_scale)


# Source: the paper, performance; both make a coarse input of 480 x 270 and refine 3.9% of the
# pixels.
HD = Budget(backbone_scale=1 / 4, refine_sample_pixels=80_000)
UHD_4K = Budget(backbone_scale=1 / 8, refine_sample_pixels=320_000)
HD_PIXELS = 1920 * 1080
# Most pixels of the coarse input in quality `fast`: 44% of the presets'.
_FAST_COARSE = 320 * 180


def resolve_budget(
    height: int,
    width: int,
    quality: Quality,
    backbone_scale: float | None = None,
    refine_sample_pixels: int | None = None,
    corrects_alpha: bool | None = None,
) -> Budget:
    """Chooses scale and pixels for a picture: explicit arguments, else by quality and size.

    `auto` keeps the area of the coarse input at the presets' 480 x 270 pixels, so that subjects
    have the size that the network was trained on; below 960 x 540 the scale stays at 1/2. Above HD
    the number of pixels to refine grows with the area, and equals the 4K preset at 4K. Below HD it
    rises to twice HD's, because small pictures have more edge per area; they still take no longer
    than HD. `best` is `auto` with the passes of `matting.second_look`. `fast` refines half as many
    pixels, and its coarse input has at most 320 x 180 pixels at a whole fraction of the size, which
    is reduced faster. It also takes the device's fastest precision, unless one is asked for.
    These three correct alpha, the presets do not.

    The size is in pixels. The last three arguments override the quality if they are not None.

    Raises:
        ValueError: for an unknown quality, or one of the last three out of range.

    Source: the presets of the paper; between and below them ours, because the paper has none.
    """
    budget = _by_quality(height, width, quality)
    if backbone_scale is not None and not (
        is_number(backbone_scale) and 0 < backbone_scale <= MAX_BACKBONE_SCALE
    ):
        raise ValueError(
            f"backbone_scale must be a number above 0 and at most {MAX_BACKBONE_SCALE}, got "
            f"{backbone_scale!r}"
        )
    pixels = refine_sample_pixels
    if pixels is not None and not (is_number(pixels, Integral) and pixels >= 0):
        raise ValueError(
            f"refine_sample_pixels must be an integer of 0 or more, got {refine_sample_pixels!r}"
        )
    if corrects_alpha is not None and not isinstance(corrects_alpha, bool | np.bool_):
        raise ValueError(f"corrects_alpha must be True or False, got {corrects_alpha!r}")
    return Budget(
        budget.backbone_scale if backbone_scale is None else backbone_scale,
        budget.refine_sample_pixels if refine_sample_pixels is None else refine_sample_pixels,
        budget.second_look,
        budget.corrects_alpha if corrects_alpha is None else corrects_alpha,
        budget.lowers_precision,
    )


def is_number(value: object, kind: type = Real) -> bool:
    """Whether a value is a number of a kind; booleans do not count."""
    return isinstance(value, kind) and not isinstance(value, bool)


def _by_quality(height: int, width: int, quality: Quality) -> Budget:
    if quality == "hd":
        return HD
    if quality == "4k":
        return UHD_4K
    if quality not in get_args(Quality):
        *others, last = get_args(Quality)
        raise ValueError(f"quality must be {', '.join(others)} or {last}, got {quality!r}")
    area = height * width / HD_PIXELS
    scale = min(HD.backbone_scale / sqrt(area), MAX_BACKBONE_SCALE)
    pixels = HD.refine_sample_pixels * max(area, 2 - area)
    pixels = round(min(pixels, height * width))
    if quality == "fast":
        scale = min(1 / ceil(sqrt(height * width / _FAST_COARSE)), MAX_BACKBONE_SCALE)
        return Budget(scale, pixels // 2, corrects_alpha=True, lowers_precision=True)
    return Budget(scale, pixels, second_look=quality == "best", corrects_alpha=True)
