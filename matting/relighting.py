"""Puts the frame's light into the plate: shadows and reflections around a subject.

Source: ours, because the network takes a plate in other light for an uncertain background. The
factor is physics (a shadow multiplies the light), the offset the published augmentation's shadow,
and glare.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from media.pictures import reduced_size
from model.refiner import resize
from model.windows import average, largest

# Light is estimated at a quarter of the size, so that JPEG's and the lens's blur beside a subject
# are within a pixel or two, and on pictures of this longer side at most. Windows reach over parts
# of the side: where few pixels show the background, the estimate of the larger window before
# counts, like a share of _PRIOR of the window.
_REDUCTION, _SIDE, _PARTS, _PRIOR = 4, 480, (10, 20, 40, 80, 160), 0.06
# Alpha below this shows background; pixels within this reach of others may hide strands.
_SHOWN, _REACH = 0.1, 1
_FACTOR = 0.2, 1.25
# Mean squared differences below this, a level or so, explain the frame equally well. Changes up to
# the first of these are noise, or faint strands; from the second on they count.
_ALIKE, _NOTABLE = 1e-5, (0.01, 0.02)


@torch.no_grad()
def relight(src: Tensor, bgr: Tensor, pha: Tensor) -> Tensor:
    """Changes the light of a plate to that of the frame, as far as the background around shows it.

    For each place it chooses what explains the frame best: the plate as it is, a factor, or an
    offset for each channel.

    Args:
        src: (B, 3, H, W) float, RGB in [0, 1], the captured frame.
        bgr: (B, 3, H, W) float, RGB in [0, 1], the captured plate.
        pha: (B, 1, H, W) float in [0, 1], predicted alpha.

    Returns:
        The plate in the light of the frame, like `bgr`.
    """
    height, width = bgr.shape[2:]
    size = reduced_size((height, width), min(_SIDE, max(height, width) / _REDUCTION))
    frame, plate = (F.interpolate(picture, size, mode="area") for picture in (src, bgr))
    seen = (1 - largest(F.adaptive_max_pool2d(pha.float(), size), _REACH) / _SHOWN).clamp(0, 1)
    difference = frame - plate
    matched = (seen * frame * plate).sum(1, keepdim=True)
    energy = (seen * plate.square()).sum(1, keepdim=True)
    sums = torch.cat([seen, matched, energy, seen * difference], dim=1)
    factor, offset = torch.ones_like(seen), torch.zeros_like(plate)
    for part in _PARTS:
        shown, product, square, change = _gather(sums, part).split([1, 1, 1, 3], dim=1)
        prior = _PRIOR * (0.01 + square / (shown + _PRIOR))
        factor = ((product + prior * factor) / (square + prior)).clamp(*_FACTOR)
        offset = (change + _PRIOR * offset) / (shown + _PRIOR)
    changes = torch.stack([torch.zeros_like(plate), (factor - 1) * plate, offset])
    change = (changes * _weigh(frame, plate, changes, seen)).sum(0)
    none, full = _NOTABLE
    change *= ((change.abs() - none) / (full - none)).clamp_(0, 1)
    return resize(change, height, width).add_(bgr).clamp_(0, 1)


def _weigh(frame: Tensor, plate: Tensor, changes: Tensor, seen: Tensor) -> Tensor:
    """Weights of the changes of a plate, (N, B, 1, h, w), by how well each explains the frame."""
    lit = (plate + changes).clamp(0, 1)
    wrong = (seen * (frame - lit).square()).sum(2, keepdim=True)
    sums = torch.cat([*wrong, seen], dim=1)
    sums = _gather(sums, 40) + _PRIOR * (_gather(sums, 20) + _gather(sums, 10))
    mean = sums[:, :-1] / (sums[:, -1:] + 1e-6) + _ALIKE
    weights = (mean / mean.amin(1, keepdim=True)).pow(-4)
    return (weights / weights.sum(1, keepdim=True)).movedim(1, 0).unsqueeze(2)


def _gather(sums: Tensor, part: int) -> Tensor:
    """Means over windows of a part of the longer side to either side, smooth towards their ends."""
    reach = max(1, round(max(sums.shape[2:]) / part))
    return average(average(sums, reach), reach)
