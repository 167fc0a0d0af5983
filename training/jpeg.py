"""What JPEG compression does to a picture, on any device.

Only the loss is computed, no file: colours to YCbCr, chroma at half size, the cosine transform of
8x8 blocks, quantisation, and back.

Source: ITU-T T.81 (annex K for the tables) and JFIF 1.02; libjpeg for the scale of the quality.
"""

import math
from collections.abc import Sequence

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


def compress(pictures: Tensor, qualities: Sequence[int]) -> Tensor:
    """Compresses pictures as JPEG, 4:2:0, and decodes them.

    Args:
        pictures: (N, 3, H, W) float, RGB in [0, 1].
        qualities: of the N pictures, from 1 to 100 each, as libjpeg counts them.

    Returns:
        (N, 3, H, W) float in [0, 1], multiples of 1/255.

    Raises:
        ValueError: when a quality is out of range, or there are not as many as pictures.
    """
    if len(qualities) != len(pictures):
        raise ValueError(f"{len(pictures)} pictures need as many qualities, got {len(qualities)}")
    for quality in qualities:
        if not 1 <= quality <= 100:
            raise ValueError(f"quality of a JPEG must be from 1 to 100, got {quality}")
    height, width = pictures.shape[2:]
    whole = F.pad(pictures, (0, -width % 16, 0, -height % 16), mode="replicate")
    colours = _mix((whole * 255).round(), _TO_YCBCR)
    luma = _quantise(colours[:, :1] - 128, _LUMA, qualities) + 128
    chroma = _quantise(F.avg_pool2d(colours[:, 1:], 2), _CHROMA, qualities)
    chroma = F.interpolate(chroma, scale_factor=2, mode="bilinear", align_corners=False)
    decoded = _mix(torch.cat((luma, chroma), 1), _TO_RGB).round().clamp(0, 255) / 255
    return decoded[..., :height, :width]


def _mix(pictures: Tensor, matrix: tuple[tuple[float, ...], ...]) -> Tensor:
    return torch.einsum("ij,njhw->nihw", pictures.new_tensor(matrix), pictures)


def _quantise(planes: Tensor, table: tuple[int, ...], qualities: Sequence[int]) -> Tensor:
    """Rounds the cosine coefficients of (N, C, H, W) planes, H and W multiples of 8."""
    count, channels, height, width = planes.shape
    cosine = planes.new_tensor(
        [
            [
                math.sqrt((1 + (k > 0)) / 8) * math.cos((2 * n + 1) * k * math.pi / 16)
                for n in range(8)
            ]
            for k in range(8)
        ]
    )
    steps = planes.new_tensor([_steps(table, quality) for quality in qualities])
    steps = steps.view(count, 1, 1, 8, 1, 8)
    coefficients = _both_ways(planes, cosine)
    blocks = coefficients.view(count, channels, height // 8, 8, width // 8, 8)
    blocks.div_(steps).round_().mul_(steps)
    # As libjpeg: samples are whole numbers of 8 bits.
    return _both_ways(coefficients, cosine.T).round_().clamp_(-128, 127)


def _both_ways(planes: Tensor, matrix: Tensor) -> Tensor:
    """Multiplies (8, 8) blocks by a matrix from the left and by its transpose from the right."""
    rows = matrix @ planes.reshape(-1, 8, planes.shape[3])
    return (rows.view(-1, 8) @ matrix.T).view(planes.shape)


def _steps(table: tuple[int, ...], quality: int) -> list[int]:
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return [min(255, max(1, (entry * scale + 50) // 100)) for entry in table]
