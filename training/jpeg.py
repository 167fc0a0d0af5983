"""What JPEG compression does to a picture, on any device.

Only the loss is computed, no file: colours to YCbCr, chroma at half size, the cosine transform of
8x8 blocks, quantisation, and back.

Source: ITU-T T.81 (annex K for the tables) and JFIF 1.02; libjpeg for the scale of the quality.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

_LUMA = (
    *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55),
    *(14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62),
    *(18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMA = (
    *(17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99),
    *(24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 32),
)
_TO_YCBCR = (
    (0.299, 0.587, 0.114),
    (-0.168736, -0.331264, 0.5),
    (0.5, -0.418688, -0.081312),
)
_TO_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))


def compress(picture: Tensor, quality: int) -> Tensor:
    """Compresses a picture as JPEG, 4:2:0, and decodes it.

    Args:
        picture: (3, H, W) float, RGB in [0, 1].
        quality: from 1 to 100, as libjpeg counts it.

    Returns:
        (3, H, W) float in [0, 1], multiples of 1/255.

    Raises:
        ValueError: when the quality is out of range.
    """
    if not 1 <= quality <= 100:
        raise ValueError(f"quality of a JPEG must be from 1 to 100, got {quality}")
    height, width = picture.shape[1:]
    whole = F.pad(picture[None], (0, -width % 16, 0, -height % 16), mode="replicate")
    colours = _mix((whole[0] * 255).round(), _TO_YCBCR)
    luma = _quantise(colours[:1] - 128, _LUMA, quality) + 128
    chroma = _quantise(F.avg_pool2d(colours[1:], 2), _CHROMA, quality)
    chroma = F.interpolate(chroma[None], scale_factor=2, mode="bilinear", align_corners=False)[0]
    decoded = _mix(torch.cat((luma, chroma)), _TO_RGB).round().clamp(0, 255) / 255
    return decoded[:, :height, :width]


def _mix(picture: Tensor, matrix: tuple[tuple[float, ...], ...]) -> Tensor:
    return torch.einsum("ij,jhw->ihw", picture.new_tensor(matrix), picture)


def _quantise(planes: Tensor, table: tuple[int, ...], quality: int) -> Tensor:
    """Rounds the cosine coefficients of (C, H, W) planes, H and W multiples of 8."""
    channels, height, width = planes.shape
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    steps = [min(255, max(1, (entry * scale + 50) // 100)) for entry in table]
    step = planes.new_tensor(steps).reshape(8, 8)
    cosine = planes.new_tensor(
        [
            [
                math.sqrt((1 + (k > 0)) / 8) * math.cos((2 * n + 1) * k * math.pi / 16)
                for n in range(8)
            ]
            for k in range(8)
        ]
    )
    blocks = planes.reshape(channels, height // 8, 8, width // 8, 8).transpose(2, 3)
    coefficients = ((cosine @ blocks @ cosine.T) / step).round() * step
    decoded = (cosine.T @ coefficients @ cosine).transpose(2, 3)
    # As libjpeg: samples are whole numbers of 8 bits.
    return decoded.reshape(channels, height, width).round().clamp(-128, 127)
