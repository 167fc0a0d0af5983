"""Conversions between RGB and a codec's frames."""

import numpy as np
import pytest

from media.colour import ColourTags, FromRgb

_BT709 = 1


@pytest.mark.parametrize("size", [(38, 50), (2, 2), (480, 854)])
def test_grey_is_converted_as_ffmpeg_converts_the_same_rgb(size: tuple[int, int]) -> None:
    grey = np.random.default_rng(0).integers(0, 256, size).astype(np.uint8)
    convert = FromRgb("yuv420p", ColourTags(_BT709, _BT709, _BT709))
    frame, colour = convert(grey), convert(np.dstack([grey] * 3))
    # RGB passes FFmpeg's rounded matrix, one level; no colour is left of grey.
    difference = frame.to_ndarray().astype(int) - colour.to_ndarray()
    assert np.abs(difference).max() <= 1
    luma = frame.to_ndarray()[: size[0]]
    assert np.abs(luma - (16 + grey * (219 / 255))).max() <= 1
    for tag in ("color_range", "colorspace", "color_primaries", "color_trc"):
        assert getattr(frame, tag) == getattr(colour, tag), tag
