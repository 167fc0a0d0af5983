"""Disturbances of recording: camera noise and JPEG compression."""

import io
import math
from collections.abc import Sequence
from typing import Annotated, NamedTuple

import cv2
import numpy as np
import torch
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from media.colour import GAMMA
from runtime.settings import settings_group

from . import ASCENDING, Disturbance, Fraction, fill, split_pieces

# The largest count of normal numbers that a CPU draws for a picture; 512 px need fewer.
_TABLE = 2**20
# Coded value at which dark noise is reduced by 2^-1.2, and the fraction that is not reduced. Read
# noise is constant in linear light, so in coded values it falls with the slope of the coding curve,
# value^-1.2. Shot noise is about constant in coded values.
_DARK, _SHOT_SHARE = 0.1, 0.2
_Quality = Annotated[int, Field(ge=1, le=100)]
_TO_YCBCR = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
_TO_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))


@settings_group()
class DarkNoise(Disturbance):
    """Sensor noise that grows with darkness, equally strong on composite and plate.

    Source: ours, because webcams and dim rooms show it.
    """

    sigma: Fraction = 0.06
    """Largest standard deviation in black, as a fraction of white; drawn from 0."""

    class Drawn(NamedTuple):
        """The standard deviation in black, applied by `Noise`."""

        sigma: float = 0.0

    def draw(self, rng: np.random.Generator) -> Drawn:
        """Draws a strength."""
        return self.Drawn(rng.uniform(0, self.sigma))


@settings_group()
class Noise(Disturbance):
    """Noise on the composite and on the plate, independent of each other.

    Source: the paper, training.
    """

    probability: Fraction = 0.4
    sigma: Fraction = 0.03
    """Largest standard deviation, as a fraction of white; drawn from 0, separately for frame and
    plate."""

    class Drawn(NamedTuple):
        """Standard deviations, and the seed of all noise of the sample, from 0 to below 2^63."""

        src: float = 0.0
        bgr: float = 0.0
        seed: int = 0

    def draw(self, rng: np.random.Generator) -> Drawn:
        """Draws strengths; the seed is drawn later, for every sample."""
        return self.Drawn(*rng.uniform(0, self.sigma, 2).tolist())

    @staticmethod
    def apply(drawn: Drawn, dark: DarkNoise.Drawn, src: Tensor, bgr: Tensor) -> None:
        """Adds both kinds of noise to a (3, H, W) frame and its plate."""
        generator = torch.Generator(src.device).manual_seed(drawn.seed)
        for picture, sigma in ((src, drawn.src), (bgr, drawn.bgr)):
            if not (sigma or dark.sigma):
                continue
            pieces = split_pieces(picture.view(-1))
            for piece, normal in zip(pieces, _draw_normals(pieces, generator), strict=True):
                if dark.sigma:
                    falling = (_DARK / (_DARK + piece)).pow_(GAMMA - 1)
                    sigmas = falling.mul_(1 - _SHOT_SHARE).add_(_SHOT_SHARE).mul_(dark.sigma)
                    # Variances of independent noise add.
                    piece.addcmul_(normal, sigmas.square_().add_(sigma**2).sqrt_())
                else:
                    piece.add_(normal, alpha=sigma)
                piece.clamp_(0, 1)


def _draw_normals(pieces: Sequence[Tensor], generator: torch.Generator) -> list[Tensor]:
    """Draws normal numbers, as many as each piece of a picture has elements.

    On a CPU, drawing numbers takes 10 times longer than adding them. So for more than `_TABLE`
    numbers each piece reads them from a random offset of one table. At 2048 px each number is used
    about 12 times, at unrelated positions.
    """
    sizes = [len(piece) for piece in pieces]
    length = min(sum(sizes), max(_TABLE, sizes[0]))
    table = pieces[0].new_empty(length).normal_(generator=generator)
    if length == sum(sizes):
        return list(table.split(sizes))
    starts = torch.randint(length - sizes[0] + 1, (len(sizes),), generator=generator).tolist()
    return [table[start : start + size] for start, size in zip(starts, sizes, strict=True)]


@settings_group()
class Jpeg(Disturbance):
    """JPEG compression of composite and plate, with separate qualities.

    Source: ours, because webcams and videos show it.
    """

    quality: Annotated[tuple[_Quality, _Quality], ASCENDING] = (40, 95)
    """Smallest and largest quality, as libjpeg counts it."""

    class Drawn(NamedTuple):
        """Qualities; 0 leaves a picture unchanged."""

        src: int = 0
        bgr: int = 0

    def draw(self, rng: np.random.Generator) -> Drawn:
        """Draws qualities."""
        return self.Drawn(*(int(rng.integers(*self.quality, endpoint=True)) for _ in range(2)))

    @staticmethod
    def apply(drawn: Sequence[Drawn], src: Tensor, bgr: Tensor) -> None:
        """Compresses frames and plates, (B, 3, H, W).

        On a CPU, OpenCV's libjpeg is 2 to 3 times faster than `compress`. A GPU compresses all
        pictures at once, because launching kernels for one picture takes longer than running them.
        """
        for pictures, qualities in zip((src, bgr), zip(*drawn, strict=True), strict=True):
            chosen = [i for i, quality in enumerate(qualities) if quality]
            if pictures.device.type == "cpu":
                for i in chosen:
                    _store(pictures[i], qualities[i])
            elif chosen:
                pictures[chosen] = compress(pictures[chosen], [qualities[i] for i in chosen])


def _store(picture: Tensor, quality: int) -> None:
    """Encodes and decodes a (3, H, W) picture in place; 4:2:0 is OpenCV's default."""
    red, green, blue = picture.mul(255).round_().to(torch.uint8).numpy()
    pixels = cv2.merge((blue, green, red))
    file = cv2.imencode(".jpg", pixels, (cv2.IMWRITE_JPEG_QUALITY, quality))[1]
    stored = cv2.split(np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR)))
    for plane, values in zip(picture, reversed(stored), strict=True):
        fill(plane, torch.from_numpy(values))


def compress(pictures: Tensor, qualities: Sequence[int]) -> Tensor:
    """Simulates JPEG compression, 4:2:0, of (N, 3, H, W) RGB in [0, 1].

    Qualities are libjpeg's, 1 to 100, one per picture; the result has multiples of 1/255.

    Source: ITU-T T.81 and JFIF 1.02; libjpeg for the tables of a quality.
    """
    if len(qualities) != len(pictures):
        raise ValueError(f"{len(pictures)} pictures need as many qualities, got {len(qualities)}")
    if wrong := [quality for quality in qualities if not 1 <= quality <= 100]:
        raise ValueError(f"quality of a JPEG must be from 1 to 100, got {wrong[0]}")
    height, width = pictures.shape[2:]
    whole = F.pad(pictures, (0, -width % 16, 0, -height % 16), mode="replicate")
    colours = _mix((whole * 255).round(), _TO_YCBCR)
    luma = _quantise(colours[:, :1] - 128, False, qualities) + 128
    chroma = _quantise(F.avg_pool2d(colours[:, 1:], 2), True, qualities)
    chroma = F.interpolate(chroma, scale_factor=2, mode="bilinear", align_corners=False)
    decoded = _mix(torch.cat((luma, chroma), 1), _TO_RGB).round().clamp(0, 255) / 255
    return decoded[..., :height, :width]


def _mix(pictures: Tensor, matrix: tuple[tuple[float, ...], ...]) -> Tensor:
    return torch.einsum("ij,njhw->nihw", pictures.new_tensor(matrix), pictures)


def _quantise(planes: Tensor, chroma: bool, qualities: Sequence[int]) -> Tensor:
    """Rounds the cosine coefficients of (N, C, H, W) planes, H and W multiples of 8."""
    scale, turn = [math.sqrt((1 + (k > 0)) / 8) for k in range(8)], math.pi / 16
    waves = [[scale[k] * math.cos((2 * n + 1) * k * turn) for n in range(8)] for k in range(8)]
    cosine = planes.new_tensor(waves)
    steps = planes.new_tensor([_find_steps(quality, chroma) for quality in qualities])
    steps = steps.view(-1, 1, 1, 8, 1, 8)
    coefficients = _both_ways(planes, cosine)
    coefficients.unflatten(3, (-1, 8)).unflatten(2, (-1, 8)).div_(steps).round_().mul_(steps)
    # As in libjpeg, samples are 8-bit integers.
    return _both_ways(coefficients, cosine.T).round_().clamp_(-128, 127)


def _both_ways(planes: Tensor, matrix: Tensor) -> Tensor:
    """Multiplies (8, 8) blocks by a matrix from the left and by its transpose from the right."""
    rows = matrix @ planes.reshape(-1, 8, planes.shape[3])
    return (rows.view(-1, 8) @ matrix.T).view(planes.shape)


def _find_steps(quality: int, chroma: bool) -> list[int]:
    """Reads the 64 quantisation steps of a quality from a file written by libjpeg."""
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "JPEG", quality=quality)
    stream.seek(0)
    return JpegImageFile(stream).quantization[int(chroma)]
