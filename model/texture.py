"""Evidence of the plate's texture: where the frame shows the plate, in shadow or not.

Source: ours, because real shadows were matted, and dark clothes taken for shadows.
"""

from functools import reduce
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional as F

from .windows import average, combine, largest, shift

# Texture is compared within this many coarse pixels. What follows are bounds between which evidence
# rises from none to full, or falls. Of a shadow: the part of the plate's variance that the frame
# shows, the variance in multiples of the noise's, the largest difference between the factors of
# the channels, and the factor. Amid a subject, chance is likelier than a shadow: _AMID more of the
# variance must be shown.
_TEXTURE_REACH = 2
_SHOWN, _STRENGTH, _TINT, _DARKEST, _BRIGHTEST = (
    *((0.5, 0.8), (1.5, 5), (0.06, 0.12)),
    *((0.2, 0.3), (1.02, 1.1)),
)
_AMID = 0.15
# At the edges of a shadow: the share of a place that is in shadow; its factor, because beside the
# plate in full light hair would be taken for a shadow; its distance in coarse pixels; the relative
# difference of the factors; and how often edges are reached from there.
_BROAD, _DIMMED, _BESIDE, _EQUAL, _EDGE_STEPS = (0.3, 0.7), (0.85, 0.97), 3, (0.06, 0.15), 2
# On a plain plate of a strong colour, the colour takes the place of texture: its saturation, the
# difference between the factors of the channels, the factor, alpha (what the network is sure of
# stays), and the bend of the factor from pixel to pixel, which thin dark lines have and soft light
# has not.
_SATURATED, _SAME, _DIM, _UNSURE, _BENT = (
    (0.25, 0.5),
    (0.03, 0.08),
    (0.3, 0.45),
    (0.6, 0.9),
    (0.1, 0.25),
)
# Of a subject: the variance that a shadow of the darkest factor would leave, in multiples of the
# noise's; the factor of the texture that is left; how well the plate fits where there is no
# subject; and a plate that is light enough to tell how dark it became.
_LEFT, _GONE, _FITS, _LIT = (0.25, 1), (0.1, 0.25), (0.65, 0.8), (0.1, 0.2)
# Cloth has texture that resembles the plate's by chance. Where most pixels changed, by this much in
# multiples of the noise's variance, and the frame's own variance is this part of the plate's, more
# may be left, as a part of the light's factor, which counts as _DULL at least; and reversed
# texture, of which a part counts. Gaps in a subject did not change, and hair is not as even.
_OTHER, _MOST, _EVEN, _RESEMBLES, _DULL, _REVERSED = (
    *((4, 12), (0.7, 0.9), (0.5, 1), (0.2, 0.4)),
    *(0.5, 0.4),
)
# Of plain parts of the plate: the squared change in multiples of the noise's variance, and the
# hidden share of the texture within _PLAIN coarse pixels, of which more than _FEW must have some.
_CHANGED, _SHARE, _PLAIN, _FEW = (1, 6), (0.5, 0.8), 4, 0.02
# The subject's share of what is known within _NEAR coarse pixels, because places far from a subject
# changed for other reasons; the weight of plain parts in it; and how often the subject grows.
_SURROUNDED, _NEAR, _VAGUE, _STEPS = (0.5, 0.7), 8, 0.15, 4
# Standard deviations of the noise, as fractions of white; what differs more is not noise.
_LEAST_NOISE, _MOST_NOISE = 0.7 / 255, 4 / 255
_BLACK = 4 / 255  # added to both levels of a ratio
_SURE = 0.02  # alpha below this is background
_GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601


@torch.no_grad()
def compare_texture(frame: Tensor, plate: Tensor, pha: Tensor) -> tuple[Tensor, Tensor]:
    """Finds where the frame is the plate times a factor, and where the plate's texture is gone.

    The texture must be stronger than the noise, which is measured where there is no subject. Where
    plate and frame do not fit, nothing is found, nor on a plain plate, unless it has a strong
    colour.

    Args:
        frame: (B, 3, h, w) float, RGB in [0, 1].
        plate: (B, 3, h, w) float, RGB in [0, 1].
        pha: (B, 1, h, w) float in [0, 1], predicted alpha.

    Returns:
        Two (B, 1, h, w) in [0, 1]: 1 where the frame surely shows the plate, in shadow or not; and
        1 where it surely hides the plate, near a subject.
    """
    greys = _grey(frame), _grey(plate)
    both, spread = _moments(torch.cat(greys, 1))
    mean, mean_plate = both.split(1, dim=1)
    square, texture, common = spread.split(1, dim=1)
    factor = (mean + _BLACK) / (mean_plate + _BLACK)
    texture = texture.clamp(min=1e-7)
    varied = factor.square() * texture
    rest = (square - 2 * factor * common + varied).clamp(min=0)
    sure = (largest(pha, _TEXTURE_REACH) < _SURE).to(rest)
    # With a little weight on the most noise, for frames without sure background.
    noise = (sure * rest.clamp(max=_MOST_NOISE**2)).sum((2, 3), keepdim=True) + _MOST_NOISE**2
    noise = (noise / (sure.sum((2, 3), keepdim=True) + 1)).clamp(min=_LEAST_NOISE**2)
    shown = 1 - (rest - noise).clamp(min=0) / varied.clamp(min=1e-7)

    tint, near_factor, by_colour = _compare_colour(frame, plate, pha)
    grey = 1 - _rise(tint, _TINT)
    near = average(pha, _NEAR)
    shadow = (
        _rise(shown - _AMID * _rise(near, _SURROUNDED), _SHOWN)
        * _rise(varied * factor.clamp(min=1).pow(-2) / noise, _STRENGTH)
        * grey
        * _rise(factor, _DARKEST)
        * (1 - _rise(factor, _BRIGHTEST))
    )
    strong = _rise(_DARKEST[1] ** 2 * texture / noise, _LEFT)
    change = (greys[0] - greys[1]).square() / noise
    gone, resembling = _find_gone(common / texture, factor, square / texture, change)
    possible = grey * (1 - strong * gone)
    shadow = torch.maximum(_reach_edges(shadow, near_factor, possible), by_colour)
    gone = strong * torch.maximum(gone, resembling)
    known = sure * strong
    fit = (known * shown.clamp(0, 1)).sum((2, 3), keepdim=True)
    fit = fit / (known.sum((2, 3), keepdim=True) + 1)
    hidden = gone * _rise(fit, _FITS)
    # A hole wider than that, too, if what hides the plate there counts as subject.
    larger = average(torch.maximum(pha, hidden), _NEAR) * (near > _SURROUNDED[0] / 2)
    near = _rise(torch.maximum(pha, torch.maximum(near, larger)), _SURROUNDED)
    # A plain part of the plate that the frame changes is hidden as the texture around it is.
    share = average(hidden, _PLAIN) / (average(strong, _PLAIN) + _FEW)
    changed = _rise((mean - mean_plate).square() / noise, _CHANGED)
    hidden = torch.maximum(hidden, _rise(share, _SHARE) * changed * (1 - shadow))
    # No shadow is as dark as that.
    hidden = torch.maximum(hidden, (1 - _rise(factor, _DARKEST)) * _rise(mean_plate, _LIT))
    return shadow, hidden * _grow(near, torch.maximum(strong, pha), pha, hidden)


def _find_gone(
    left: Tensor, factor: Tensor, varied: Tensor, change: Tensor
) -> tuple[Tensor, Tensor]:
    """Finds where the plate's texture is gone.

    Args:
        left: (B, 1, h, w), the factor of the texture that is left.
        factor: (B, 1, h, w), of the plate's light.
        varied: (B, 1, h, w), the frame's variance as a part of the plate's.
        change: (B, 1, h, w), squared, of a pixel in multiples of the noise's variance.

    Returns:
        Two (B, 1, h, w) in [0, 1]: 1 where it is gone; and where what is left is another texture.
    """
    gone = 1 - _rise(left.abs(), _GONE)
    left = left / factor.clamp(min=_DULL)
    resembles = 1 - _rise(torch.maximum(left, -_REVERSED * left), _RESEMBLES)
    other = _rise(average(_rise(change, _OTHER), _TEXTURE_REACH), _MOST)
    return gone, resembles * other * (1 - _rise(varied, _EVEN))


def _reach_edges(shadow: Tensor, factor: Tensor, possible: Tensor) -> Tensor:
    """Shadows up to their sharp edges, which squares of the comparison cross.

    A pixel joins where most of a place beside it is in shadow, with the pixel's own factor.

    Args:
        shadow: (B, 1, h, w) in [0, 1], 1 where the frame surely shows the plate.
        factor: (B, 1, h, w), of the plate's light, over a pixel and those that touch it.
        possible: (B, 1, h, w) in [0, 1], 0 where colour or texture exclude a shadow.
    """
    height, width = shadow.shape[2:]
    equal, other = _EQUAL
    places = list(product((0, _BESIDE, 2 * _BESIDE), repeat=2))
    places.remove((_BESIDE, _BESIDE))  # the pixel itself
    dimmed = 1 - _rise(factor, _DIMMED)
    sides = (_BESIDE,) * 4
    inverse = F.pad(torch.ones_like(factor) / factor, sides, mode="replicate")
    for _ in range(_EDGE_STEPS):
        broad = shadow * _rise(average(shadow, _TEXTURE_REACH), _BROAD) * dimmed
        around = F.pad(broad, sides, mode="replicate")
        joined = torch.zeros_like(shadow)
        for down, across in places:
            beside, its_inverse = (
                whole.narrow(2, down, height).narrow(3, across, width)
                for whole in (around, inverse)
            )
            # Falls from 1 to 0 between the bounds; in place, which takes half of the time.
            same = (factor * its_inverse).sub_(1).abs_().sub_(other).mul_(-1 / (other - equal))
            joined = torch.maximum(joined, same.clamp_(0, 1).mul_(beside))
        shadow = torch.maximum(shadow, joined * possible)
    return shadow


def _grow(near: Tensor, known: Tensor, pha: Tensor, hidden: Tensor) -> Tensor:
    """What the subject surrounds, step by step, where what is hidden joins it.

    Args:
        near: (B, 1, h, w) in [0, 1], 1 where the subject surrounds a pixel.
        known: (B, 1, h, w) in [0, 1], how much is known of a pixel; plain ones hardly count.
        pha: (B, 1, h, w) in [0, 1], predicted alpha.
        hidden: (B, 1, h, w) in [0, 1], 1 where the plate is hidden.
    """
    known = known.clamp(min=_VAGUE)
    whole = average(known, _NEAR)
    for _ in range(_STEPS):
        subject = average(known * torch.maximum(pha, hidden * near), _NEAR) / whole
        near = torch.maximum(near, _rise(subject, _SURROUNDED))
    return near


def _compare_colour(frame: Tensor, plate: Tensor, pha: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Finds soft shadows on a plate of a strong colour, which they keep.

    Returns:
        Three (B, 1, h, w), over a pixel and those that touch it: the largest difference between the
        factors of the channels, as a part of their mean; this mean; and 1 where there surely is
        such a shadow, 0 where not.
    """
    seen, captured = average(torch.cat([frame, plate], 1), 1).split(3, 1)
    colours = (seen + _BLACK) / (captured + _BLACK)
    factor = colours.mean(1, keepdim=True)
    tint = (colours - factor).abs().amax(1, keepdim=True) / factor
    saturation = 1 - captured.amin(1, keepdim=True) / captured.amax(1, keepdim=True).clamp(
        min=_BLACK
    )
    sharp = ((frame + _BLACK) / (plate + _BLACK)).mean(1, keepdim=True)
    around = F.pad(sharp, (1,) * 4, mode="replicate")
    across = around[..., 1:-1, 2:] + around[..., 1:-1, :-2] - 2 * sharp
    down = around[..., 2:, 1:-1] + around[..., :-2, 1:-1] - 2 * sharp
    bend = largest(torch.maximum(across.abs(), down.abs()), 1)
    shadow = (
        _rise(saturation, _SATURATED)
        * (1 - _rise(tint, _SAME))
        * _rise(factor, _DIM)
        * (1 - _rise(factor, _BRIGHTEST))
        * (1 - _rise(pha, _UNSURE))
        * (1 - _rise(bend, _BENT))
    )
    return tint, factor, shadow


def _grey(picture: Tensor) -> Tensor:
    """(B, 1, h, w); not as a convolution, which runtimes may compute in lower precision."""
    parts = (weight * picture[:, i : i + 1] for i, weight in enumerate(_GREY))
    return reduce(torch.add, parts)


def _moments(pair: Tensor) -> tuple[Tensor, Tensor]:
    """Means, variances and covariance over squares of 2 * _TEXTURE_REACH + 1 pixels.

    Args:
        pair: (B, 2, h, w).

    Returns:
        (B, 2, h, w), the means; and (B, 3, h, w), both variances and the covariance.

    Source: for rows, then for columns of rows, as Chan, Golub and LeVeque (1979) merge variances. A
        difference of squares would lose half of the digits.
    """
    spread: Tensor | None = None
    for dim in (2, 3):
        moved = shift(pair, _TEXTURE_REACH, dim)
        mean = reduce(torch.add, moved) / len(moved)
        squares, product = torch.zeros_like(pair), torch.zeros_like(pair[:, :1])
        for each in moved:
            off = each - mean
            squares = torch.addcmul(squares, off, off)
            product = torch.addcmul(product, off[:, :1], off[:, 1:])
        between = torch.cat([squares, product], 1)
        if spread is not None:
            between = between + combine(torch.add, spread, _TEXTURE_REACH, dim)
        pair, spread = mean, between / len(moved)
    assert spread is not None  # noqa: S101 - there are two dimensions
    return pair, spread


def _rise(x: Tensor, bounds: tuple[float, float]) -> Tensor:
    """Rises smoothly from 0 at the first bound to 1 at the second."""
    low, high = bounds
    t = (x - low).mul_(1 / (high - low)).clamp_(0, 1)
    return (3 - 2 * t).mul_(t).mul_(t)  # in place, which takes half of the time
