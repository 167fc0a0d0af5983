"""Fits alpha to the frame's colours around each pixel."""

import torch
from torch import Tensor
from torch.nn import functional as F

from media.pictures import reduced_size
from model.refiner import resize
from model.windows import average, largest

# Alpha is fitted on pictures of this longer side in pixels at most, as one picture per window of
# _REACH pixels to either side; the functions are then enlarged. Below the square _FLAT of colours'
# variance a window counts as plain and gets one alpha.
_SIDE, _REACH, _FLAT = 960, 5, 1e-4
# Alpha within _SURE of 0 and 1 stays. Between, it is replaced in this multiple of its variance as a
# coverage, alpha (1 - alpha). Means bring alpha inwards by about this much, which is undone.
_SURE, _BETWEEN, _INWARDS = 0.004, 10, 0.01


@torch.no_grad()
def fit_alpha(src: Tensor, bgr: Tensor, pha: Tensor) -> Tensor:
    """Replaces alpha at soft edges by the best linear function of the colours around.

    Over a small window foreground and background each have nearly one colour, so alpha is a linear
    function of the frame's colour there, and of its distance from the plate. What the network
    predicts is fitted by such functions; what does not fit is its error.

    Args:
        src: (B, 3, H, W) float, RGB in [0, 1], the captured frame.
        bgr: (B, 3, H, W) float, RGB in [0, 1], the plate.
        pha: (B, 1, H, W) float in [0, 1], predicted alpha.

    Returns:
        Alpha, like `pha`.

    Source: He et al., "Guided image filtering", 2010, after the matting Laplacian of Levin et al.,
        2008; He and Sun, "Fast guided filter", 2015, for the smaller size. The distance from the
        plate is ours.
    """
    height, width = pha.shape[2:]
    size = reduced_size((height, width), _SIDE)
    reach = max(1, round(max(size) * _REACH / _SIDE))
    distance = (src - bgr).square_().sum(1, keepdim=True).sqrt_()
    small = [F.interpolate(part, size, mode="area") for part in (src, distance, pha)]
    line = _fit_lines(torch.cat(small[:2], dim=1), small[2], reach)
    fitted = resize(line[:, :1], height, width)
    guide = *src.split(1, dim=1), distance
    for channel, slope in zip(guide, line[:, 1:].split(1, dim=1), strict=True):
        fitted.addcmul_(resize(slope, height, width), channel)
    fitted.sub_(_INWARDS).div_(1 - 2 * _INWARDS)
    share = (_BETWEEN * pha * (1 - pha)).clamp_(max=1) * _find_soft(pha)
    return torch.lerp(pha, fitted, share).clamp_(0, 1)


def _fit_lines(guide: Tensor, pha: Tensor, reach: int) -> Tensor:
    """Fits alpha by linear functions of a guide.

    Args:
        guide: (B, C, h, w), what alpha depends on.
        pha: (B, 1, h, w), alpha.
        reach: of the windows, in pixels to either side.

    Returns:
        (B, 1 + C, h, w), offset and slopes: means over the windows that hold a pixel. 0 where none
        has soft edges.
    """
    count = guide.shape[1]
    used = largest(_find_soft(pha).to(pha.dtype), reach)[:, 0] > 0
    rows, columns = torch.triu_indices(count, count)
    squares = guide[:, rows] * guide[:, columns]
    moments = average(torch.cat([guide, pha, guide * pha, squares], dim=1), reach)
    mean, mean_pha, product, square = moments.movedim(1, 3)[used].split(
        [count, 1, count, len(rows)], dim=1
    )
    covariance = mean.new_empty(len(mean), count, count)
    upper = square - mean[:, rows] * mean[:, columns]
    covariance[:, rows, columns] = covariance[:, columns, rows] = upper
    covariance.diagonal(dim1=1, dim2=2).add_(_FLAT)
    slope = torch.linalg.solve(covariance, product - mean * mean_pha)
    offset = mean_pha - (slope * mean).sum(1, keepdim=True)
    lines = torch.zeros(*used.shape, count + 2, dtype=pha.dtype, device=pha.device)
    lines[used] = torch.cat([offset, slope, torch.ones_like(offset)], dim=1)
    total = average(lines.movedim(3, 1), reach)
    return total[:, :-1] / total[:, -1:].clamp(min=1e-6)


def _find_soft(pha: Tensor) -> Tensor:
    return (pha > _SURE) & (pha < 1 - _SURE)
