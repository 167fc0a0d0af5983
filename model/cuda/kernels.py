"""Windows of the refiner as Triton kernels, with the values of `windows.py`.

No picture is built at half resolution, and each value of the outputs is written once.

Convolutions stay in cuDNN: in mode `blocks` in half precision the tensors between them have 31 MB
at HD and 125 MB at 4K, by the shapes. At 4 TB/s, writing and reading them once takes 16 and 63
microseconds of the 1,000 and 1,667 that 1,000 and 600 frames/s leave.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..fixed_blocks import FixedBlocks
from .windows import COARSE, FEATURES, FULL, HALF, REFINED, channels_last

# Pixels of a program: of windows, and of outputs.
_IN_WINDOW, _IN_OUTPUT = 32, 256
# Kernels read globals of this type only.
_WINDOW_PIXELS, _OUTPUT_PIXELS = tl.constexpr(_IN_WINDOW), tl.constexpr(_IN_OUTPUT)
_COARSE, _HALF, _FEATURES, _FULL, _REFINED = map(
    tl.constexpr, (COARSE, HALF, FEATURES, FULL, REFINED)
)
_ROOM = tl.constexpr(triton.next_power_of_2(COARSE))
# Compiled once for all sizes of pictures, not for those that 16 divides and others.
_ANY_SIZE = ("count", "rows", "columns", "height", "width", "h", "w")


def gather_half(
    src: Tensor, bgr: Tensor, coarse: Tensor, blocks: FixedBlocks, size: int, margin: int
) -> Tensor:
    """See `windows.gather_half`; pictures are contiguous."""
    coarse = channels_last(coarse)
    side = size // 2 + 2 * margin
    out = _windows(coarse, blocks, HALF, side)
    (height, width), (h, w) = src.shape[2:], coarse.shape[2:]
    grid = len(out), triton.cdiv(side * side, _IN_WINDOW)
    _gather_half[grid](
        *(src, bgr, coarse, blocks.place, out, blocks.place.shape[1], blocks.rank.shape[2]),
        *(height, width, h, w, h / (height // 2), w / (width // 2)),
        *(size // 2, margin, side),
    )
    return out


def gather_full(
    features: Tensor, src: Tensor, bgr: Tensor, blocks: FixedBlocks, size: int, margin: int
) -> Tensor:
    """See `windows.gather_full`; pictures are contiguous."""
    features = channels_last(features)
    side = size + 2 * margin
    out = _windows(features, blocks, FULL, side)
    grid = len(out), triton.cdiv(side * side, _IN_WINDOW)
    _gather_full[grid](
        *(features, src, bgr, blocks.place, out, blocks.place.shape[1], blocks.rank.shape[2]),
        *(*src.shape[2:], size, margin, side),
    )
    return out


def write_outputs(
    src: Tensor, coarse: Tensor, patches: Tensor, blocks: FixedBlocks, size: int
) -> tuple[Tensor, Tensor]:
    """See `windows.write_outputs`; the frame is contiguous."""
    coarse, patches = channels_last(coarse), channels_last(patches)
    batch, _, height, width = src.shape
    h, w = coarse.shape[2:]
    pha, fgr = (src.new_empty(batch, channels, height, width) for channels in (1, 3))
    grid = triton.cdiv(height * width, _IN_OUTPUT), batch
    _write_outputs[grid](
        *(src, coarse, patches, blocks.rank, blocks.written.view(torch.uint8), pha, fgr),
        *(blocks.place.shape[1], *blocks.rank.shape[1:], height, width, h, w),
        *(h / height, w / width, size),
    )
    return pha, fgr


def _windows(like: Tensor, blocks: FixedBlocks, channels: int, side: int) -> Tensor:
    """Uninitialised channels-last windows of the chosen blocks."""
    shape = blocks.place.numel(), channels, side, side
    return torch.empty(
        shape, dtype=like.dtype, device=like.device, memory_format=torch.channels_last
    )


@triton.jit
def _find(place, scale, size):  # type: ignore[no-untyped-def]
    """Finds two coarse pixels around a fine one along one axis, and the weight of the second."""
    centre = tl.maximum((place.to(tl.float32) + 0.5) * scale - 0.5, 0.0)
    low = tl.minimum(centre.to(tl.int32), size - 1)
    return low, tl.minimum(low + 1, size - 1), centre - low


@triton.jit
def _enlarge(base, upper, lower, left, right, down, across, mask):  # type: ignore[no-untyped-def]  # noqa: PLR0913
    """Interpolates coarse values between two rows and two columns; 0 outside the mask."""
    a = tl.load(base + (upper + left) * _COARSE, mask, 0.0).to(tl.float32)
    b = tl.load(base + (upper + right) * _COARSE, mask, 0.0).to(tl.float32)
    c = tl.load(base + (lower + left) * _COARSE, mask, 0.0).to(tl.float32)
    d = tl.load(base + (lower + right) * _COARSE, mask, 0.0).to(tl.float32)
    above, below = a + across * (b - a), c + across * (d - c)
    return above + down * (below - above)


@triton.jit
def _look(src, bgr, image, plane, place, channel, mask):  # type: ignore[no-untyped-def]
    """Values of the frame in channels 0 to 2, of the plate in 3 to 5, and 0 in others."""
    place = (image * 3 + channel % 3) * plane + place
    seen = tl.load(src + place, mask & (channel < 3), 0.0)
    return seen + tl.load(bgr + place, mask & (channel >= 3) & (channel < 6), 0.0)


@triton.jit(do_not_specialize=_ANY_SIZE)
def _gather_half(  # type: ignore[no-untyped-def]  # noqa: PLR0913
    src, bgr, coarse, places, out, count, columns, height, width, h, w, scale_y, scale_x,
    size: tl.constexpr, margin: tl.constexpr, side: tl.constexpr,
):  # fmt: skip
    window = tl.program_id(0).to(tl.int64)
    image, block = window // count, tl.load(places + window)
    pixel = tl.program_id(1) * _WINDOW_PIXELS + tl.arange(0, _WINDOW_PIXELS)
    here = (pixel < side * side)[:, None]
    y = (block // columns * size - margin + pixel // side).to(tl.int32)[:, None]
    x = (block % columns * size - margin + pixel % side).to(tl.int32)[:, None]
    inside = here & (y >= 0) & (y < height // 2) & (x >= 0) & (x < width // 2)
    place = out + (window * side * side + pixel)[:, None] * _HALF

    upper, lower, down = _find(y, scale_y, h)
    left, right, across = _find(x, scale_x, w)
    channel = tl.arange(0, _ROOM)[None, :]
    used = channel < _COARSE
    base = coarse + image * h * w * _COARSE + channel
    value = _enlarge(base, upper * w, lower * w, left, right, down, across, inside & used)
    tl.store(place + channel, value, here & used)

    channel = tl.arange(0, _HALF - _COARSE)[None, :]
    plane, corner = height * width, 2 * (y * width + x)
    total = _look(src, bgr, image, plane, corner, channel, inside)
    total += _look(src, bgr, image, plane, corner + 1, channel, inside)
    total += _look(src, bgr, image, plane, corner + width, channel, inside)
    total += _look(src, bgr, image, plane, corner + width + 1, channel, inside)
    tl.store(place + _COARSE + channel, total * 0.25, here)


@triton.jit(do_not_specialize=_ANY_SIZE)
def _gather_full(  # type: ignore[no-untyped-def]  # noqa: PLR0913
    features, src, bgr, places, out, count, columns, height, width,
    size: tl.constexpr, margin: tl.constexpr, side: tl.constexpr,
):  # fmt: skip
    window = tl.program_id(0).to(tl.int64)
    image, block = window // count, tl.load(places + window)
    pixel = tl.program_id(1) * _WINDOW_PIXELS + tl.arange(0, _WINDOW_PIXELS)
    here = (pixel < side * side)[:, None]
    down, across = (pixel // side)[:, None], (pixel % side)[:, None]
    y = (block // columns * size - margin + down).to(tl.int32)
    x = (block % columns * size - margin + across).to(tl.int32)
    inside = here & (y >= 0) & (y < height) & (x >= 0) & (x < width)
    place = out + (window * side * side + pixel)[:, None] * _FULL

    channel = tl.arange(0, _FEATURES)[None, :]
    source = (window * (side // 2) + down // 2) * (side // 2) + across // 2
    tl.store(place + channel, tl.load(features + source * _FEATURES + channel, here), here)
    channel = tl.arange(0, _FULL - _FEATURES)[None, :]
    seen = _look(src, bgr, image, height * width, y * width + x, channel, inside)
    tl.store(place + _FEATURES + channel, seen, here)


@triton.jit(do_not_specialize=_ANY_SIZE)
def _write_outputs(  # type: ignore[no-untyped-def]  # noqa: PLR0913
    src, coarse, patches, ranks, written, pha, fgr, count, rows, columns, height, width, h, w,
    scale_y, scale_x, size: tl.constexpr,
):  # fmt: skip
    image = tl.program_id(1).to(tl.int64)
    pixel = tl.program_id(0) * _OUTPUT_PIXELS + tl.arange(0, _OUTPUT_PIXELS)
    here = pixel < height * width
    y, x = pixel // width, pixel % width
    block = (image * rows + y // size) * columns + x // size
    refined = here & (tl.load(written + block, here, 0) != 0)
    patch = image * count + tl.load(ranks + block, refined, 0)
    patch = ((patch * size + y % size) * size + x % size) * _REFINED
    enlarged = here & (refined == 0)
    upper, lower, down = _find(y, scale_y, h)
    left, right, across = _find(x, scale_x, w)
    base = coarse + image * h * w * _COARSE
    for channel in tl.static_range(4):
        value = _enlarge(base + channel, upper * w, lower * w, left, right, down, across, enlarged)
        # One of the two is 0.
        value += tl.load(patches + patch + channel, refined, 0.0).to(tl.float32)
        if channel == 0:
            out = pha + image * height * width + pixel
        else:
            place = (image * 3 + channel - 1) * height * width + pixel
            value += tl.load(src + place, here, 0.0)
            out = fgr + place
        # NaN stays, as with `torch.clamp`, so that the caller sees it.
        tl.store(out, tl.clamp(value, 0.0, 1.0, propagate_nan=tl.PropagateNan.ALL), here)
