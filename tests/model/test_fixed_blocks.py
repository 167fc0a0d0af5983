"""Mode `blocks`: its parts against plain loops, the whole against mode `full`."""

import itertools

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from model import MattingRefine
from model.correction import correct_alpha
from model.fast import accelerate
from model.fixed_blocks import FixedBlocks, choose_blocks, crop_blocks, replace_blocks

from .fast.test_network import build
from .test_equality import largest_differences, random_pair

# Blocks divide the first; the others have partial blocks to the right, below, and both.
SIZES = [(96, 128), (64, 84), (36, 128), (100, 148)]


def noise(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1))


def in_blocks(count: int = 10**6, kernel_size: int = 3, everywhere: bool = False) -> MattingRefine:
    network = build(kernel_size=kernel_size)
    network.refiner.mode = "blocks"
    network.refiner.sample_pixels = 160 * count
    network.refiner.prevent_oversampling = not everywhere
    return network


@pytest.mark.parametrize("corrects", [False, True])
@pytest.mark.parametrize("kernel_size", [3, 1])
@torch.no_grad()
def test_all_blocks_equal_the_whole_frame(kernel_size: int, corrects: bool) -> None:
    network = in_blocks(kernel_size=kernel_size, everywhere=True)
    for (size, batch), scale in itertools.product(
        zip(SIZES, (1, 2, 1, 2), strict=True), (1 / 4, 1 / 8)
    ):
        src, bgr = random_pair(batch, size).double()
        network.refiner.mode = "blocks"
        blocks = network(src, bgr, scale, corrects_alpha=corrects)
        network.refiner.mode = "full"
        full = network(src, bgr, scale, corrects_alpha=corrects)
        assert full.pha.std() > 0.01
        # In float64 nothing but the order of sums is left of a difference.
        assert max(largest_differences(blocks, full).values()) < 1e-9, (size, scale)


@pytest.mark.parametrize("corrects", [False, True])
@torch.no_grad()
def test_the_fast_path_gives_the_same(corrects: bool) -> None:
    network = in_blocks(count=9)
    for size, batch in zip(SIZES, (1, 2, 1, 2), strict=True):
        src, bgr = random_pair(batch, size).double()
        plain = network(src, bgr, corrects_alpha=corrects)
        fast = accelerate(network)(src, bgr, corrects_alpha=corrects)
        assert 0 < plain.ref_sm.mean() < 1
        assert max(largest_differences(fast, plain).values()) < 1e-9, (size, batch)


@torch.no_grad()
def test_alpha_is_corrected_in_blocks_as_in_cells() -> None:
    network = in_blocks(count=9)
    for size, batch in zip(SIZES, (1, 2, 1, 2), strict=True):
        src, bgr = random_pair(batch, size).double()
        small = [F.interpolate(x, scale_factor=0.25, mode="bilinear") for x in (src, bgr)]
        plain = network(src, bgr, 0.25)
        by_cell = correct_alpha(src, bgr, *small, plain._replace(pha=plain.pha.clone()))
        by_block = correct_alpha(src, bgr, *small, plain, refined=9)
        assert (by_cell.pha - plain.pha).abs().max() > 0.01
        assert (by_block.pha - by_cell.pha).abs().max() < 1e-12, "but for the order of sums"


@torch.no_grad()
def test_only_chosen_blocks_differ_from_the_coarse_output() -> None:
    network = in_blocks(count=9)
    src, bgr = random_pair(2, (100, 148)).double()
    output, coarse = network(src, bgr), network(src, bgr, refine_sample_pixels=159)
    assert coarse.ref_sm.eq(0).all(), "a started block does not count"
    changed = (output.pha - coarse.pha).abs().amax(1, keepdim=True) > 0
    refined = output.ref_sm.repeat_interleave(4, 2).repeat_interleave(4, 3) > 0
    assert changed.any()
    assert not (changed & ~refined).any()


@pytest.mark.parametrize(("height", "width", "count"), [(1080, 1920, 500), (2160, 3840, 2000)])
def test_blocks_of_the_presets(height: int, width: int, count: int) -> None:
    refiner = in_blocks().refiner
    assert refiner.count_blocks(height, width, 80_000 if height == 1080 else 320_000) == count
    assert refiner.count_blocks(40, 20) == 3 * 2, "no more than the frame has"


def test_selection_by_hand() -> None:
    err = torch.zeros(2, 1, 7, 9)  # a grid of 2 x 3 blocks
    err[0, 0, 2, 5], err[0, 0, 6, 8] = 0.3, 0.2
    err[1, 0, 0, 0] = err[1, 0, 1, 8] = err[1, 0, 5, 5] = 0.5
    blocks = choose_blocks(err, 2)
    assert blocks.place.tolist() == [[1, 5], [0, 2]], "of equals the first, in raster order"
    assert blocks.written.flatten(1).nonzero().tolist() == [[0, 1], [0, 5], [1, 0], [1, 2]]
    cells = blocks.cells(7, 9)
    assert cells.shape == (2, 1, 7, 9)
    assert cells.sum((1, 2, 3)).tolist() == [4 * 4 + 3 * 1, 4 * 4 + 4 * 1]
    # Of error 0, blocks are chosen to keep the number, and written only if asked for.
    three = choose_blocks(err, 3)
    assert three.place.tolist() == [[0, 1, 5], [0, 2, 4]]
    assert three.written[0].flatten().tolist() == [False, True, False, False, False, True]
    assert choose_blocks(err, 3, floor=-1).written[0, 0, 0]


@pytest.mark.parametrize("margin", [0, 3])
@pytest.mark.parametrize("size", SIZES)
def test_crops_by_hand(size: tuple[int, int], margin: int) -> None:
    picture, err = noise(2, 3, *size), noise(2, 1, size[0] // 4, size[1] // 4)
    blocks = choose_blocks(err, 5)
    crops = crop_blocks(picture, blocks, 16, margin).unflatten(0, (2, 5))
    columns = -(-size[1] // 16)
    padded = F.pad(picture, (margin, margin + 16, margin, margin + 16))
    for image, number in itertools.product(range(2), range(5)):
        row, column = divmod(int(blocks.place[image, number]), columns)
        side = 16 + 2 * margin
        wanted = padded[image, :, row * 16 :, column * 16 :][:, :side, :side]
        assert torch.equal(crops[image, number], wanted)


def by_scatter(picture: Tensor, patches: Tensor, blocks: FixedBlocks) -> Tensor:
    """`replace_blocks` by writing each patch at its place."""
    out, columns = picture.clone(), blocks.rank.shape[2]
    for image, places in enumerate(blocks.place.tolist()):
        for number, place in enumerate(places):
            row, column = divmod(place, columns)
            if blocks.written[image, row, column]:
                part = out[image, :, row * 16 : row * 16 + 16, column * 16 : column * 16 + 16]
                patch = patches[image * len(places) + number]
                part[:] = patch[:, : part.shape[1], : part.shape[2]]
    return out


@pytest.mark.parametrize("count", [1, 5, 12])
@pytest.mark.parametrize("size", SIZES)
def test_putting_back_equals_scatter_bit_for_bit(size: tuple[int, int], count: int) -> None:
    picture, err = noise(2, 4, *size), noise(2, 1, size[0] // 4, size[1] // 4)
    blocks = choose_blocks((err - 0.9).clamp(min=0), count)
    patches = noise(2 * count, 4, 16, 16) + 2
    out = replace_blocks(picture, patches, blocks)
    assert torch.equal(out, by_scatter(picture, patches, blocks))
    assert out.max() > 2


@torch.no_grad()
def test_without_a_block_only_the_coarse_result_is_corrected() -> None:
    network = in_blocks(count=0)
    src, bgr = random_pair(1, (96, 128)).double()
    plain, corrected = (network(src, bgr, corrects_alpha=on) for on in (False, True))
    assert not plain.ref_sm.any()
    # Cells are solved only where `ref_sm` is not 0.
    network.refiner.mode = "sampling"
    by_cell = network(src, bgr, refine_sample_pixels=0, corrects_alpha=True)
    assert max(largest_differences(corrected, by_cell).values()) == 0
