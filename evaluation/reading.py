"""Reads alphas, trimaps and foregrounds as floats, at their stored bit depth."""

from pathlib import Path

import numpy as np

from media.pictures import PictureError, read_channels, read_picture

# Largest difference of R, G and B, as a fraction of white, of a grey picture saved in colour in a
# lossy format.
_GREY = 0.04


def read_alpha(path: Path) -> np.ndarray:
    """Reads an alpha of 8 or 16 bits as (H, W) float64 in [0, 1].

    Uses the alpha channel if there is one. For a grey picture that is opaque everywhere it uses the
    grey values, because programs save mattes as RGBA too.

    Raises:
        PictureError: when it can't be read, or is in colour and has no alpha channel.
    """
    channels = read_channels(path)
    values = channels / np.iinfo(channels.dtype).max
    if values.ndim == 2:
        return values
    # Red, green and blue, or the only grey channel.
    colours, alpha = (values[..., :3], values[..., 3]) if values.shape[2] == 4 else (values, None)
    is_grey = float(np.ptp(colours, axis=2).max(initial=0)) <= _GREY
    if alpha is not None and not (is_grey and alpha.min(initial=1) == 1):
        return np.ascontiguousarray(alpha)
    if not is_grey:
        raise PictureError(
            "a colour picture without an alpha channel, so it is not an alpha; name the folder of "
            "grey alphas, or of pictures with an alpha channel"
        )
    # For equal channels, the exact value instead of a rounded weighted sum.
    return np.ascontiguousarray(colours[..., 1])


def read_colours(path: Path) -> np.ndarray:
    """Reads a picture of 8 or 16 bits as (H, W, 3) float64 sRGB in [0, 1], without alpha channel.

    Converts one with a colour profile to sRGB, because files to compare may be tagged or not.

    Raises:
        PictureError: when it can't be read.
    """
    pixels = read_picture(path).in_profile(None).pixels
    return pixels / np.iinfo(pixels.dtype).max
