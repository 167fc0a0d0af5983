"""Crop and replace, by hand-computed values."""

import pytest
import torch

from model.patches import Cells, crop_patches, replace_patches, select_cells

CROP_METHODS = ["unfold", "roi_align", "gather"]
REPLACE_METHODS = ["scatter_nd", "scatter_element"]


def cells(*positions: tuple[int, int, int]) -> Cells:
    return Cells(*torch.tensor(positions).T)


def numbered(batch: int, channels: int, height: int, width: int) -> torch.Tensor:
    count = batch * channels * height * width
    return torch.arange(count, dtype=torch.float32).view(batch, channels, height, width)


def test_selected_cells_are_listed_row_by_row() -> None:
    selection = torch.tensor([[[[0.0, 1.0], [1.0, 0.0]]], [[[0.0, 0.0], [0.0, 1.0]]]])
    assert [t.tolist() for t in select_cells(selection)] == [[0, 0, 1], [0, 1, 1], [1, 0, 1]]


@pytest.mark.parametrize("method", CROP_METHODS)
def test_crop_by_hand(method: str) -> None:
    picture = numbered(1, 1, 4, 4)  # 0 1 2 3 / 4 5 6 7 / 8 9 10 11 / 12 13 14 15
    patches = crop_patches(picture, cells((0, 0, 1), (0, 1, 0)), size=2, margin=1, method=method)
    assert patches.shape == (2, 1, 4, 4)
    corner = [[0, 0, 0, 0], [1, 2, 3, 0], [5, 6, 7, 0], [9, 10, 11, 0]]
    assert patches[0, 0].tolist() == corner, "zeros outside the picture"
    assert patches[1, 0].tolist() == [[0, 4, 5, 6], [0, 8, 9, 10], [0, 12, 13, 14], [0, 0, 0, 0]]


@pytest.mark.parametrize("method", CROP_METHODS)
def test_crop_takes_the_right_image_and_channels(method: str) -> None:
    picture = numbered(2, 3, 4, 8)
    patch = crop_patches(picture, cells((1, 0, 1)), size=4, margin=0, method=method)[0]
    assert torch.equal(patch, picture[1, :, 0:4, 4:8])


@pytest.mark.parametrize("method", REPLACE_METHODS)
def test_replace_by_hand(method: str) -> None:
    picture = torch.zeros(2, 2, 4, 4)
    patches = numbered(2, 2, 2, 2) + 1
    out = replace_patches(picture, patches, cells((0, 1, 0), (1, 0, 1)), method)
    wanted = torch.zeros(2, 2, 4, 4)
    wanted[0, :, 2:4, 0:2] = patches[0]
    wanted[1, :, 0:2, 2:4] = patches[1]
    assert torch.equal(out, wanted)


@pytest.mark.parametrize("method", REPLACE_METHODS)
def test_gradient_goes_to_patches_and_to_the_rest(method: str) -> None:
    picture = torch.ones(1, 1, 4, 4, requires_grad=True)
    patches = torch.ones(1, 1, 2, 2, requires_grad=True)
    replace_patches(picture * 1, patches, cells((0, 0, 0)), method).sum().backward()
    assert patches.grad.eq(1).all()
    assert picture.grad[0, 0].tolist() == [[0, 0, 1, 1], [0, 0, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]]


def test_unknown_methods_are_refused() -> None:
    picture = torch.zeros(1, 1, 4, 4)
    with pytest.raises(ValueError, match="crop method must be one of .*'slice'"):
        crop_patches(picture, cells((0, 0, 0)), 2, 1, "slice")
    with pytest.raises(ValueError, match="replace method must be one of .*'paste'"):
        replace_patches(picture, picture[..., :2, :2], cells((0, 0, 0)), "paste")


@pytest.mark.parametrize(("size", "margin"), [(2, 3), (4, 2), (2, 0), (2, 1), (4, 1)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_gradient_of_cropping_is_that_of_indexing(
    size: int, margin: int, layout: torch.memory_format
) -> None:
    torch.manual_seed(size + margin)
    selection = torch.rand(2, 1, 12 // size, 20 // size) < 0.6
    selection[0, 0, 0, 0] = selection[1, 0, -1, -1] = True  # corners reach over the edge
    chosen = select_cells(selection)
    picture = torch.rand(2, 3, 12, 20, dtype=torch.float64).contiguous(memory_format=layout)
    gradients = []
    for method in ("unfold", "gather"):
        leaf = picture.clone().requires_grad_()
        patches = crop_patches(leaf, chosen, size, margin, method)
        weights = torch.arange(patches.numel(), dtype=torch.float64).view_as(patches)
        (patches * weights).sum().backward()
        gradients.append(leaf.grad)
    assert torch.allclose(*gradients, rtol=1e-12)


def test_gradient_of_cropping_in_low_precision_and_of_nothing() -> None:
    picture = torch.rand(1, 2, 8, 8, dtype=torch.bfloat16, requires_grad=True)
    everywhere = select_cells(torch.ones(1, 1, 4, 4))
    crop_patches(picture, everywhere, 2, 3).sum().backward()
    # Patches that hold a row: those from 4 rows above it to 3 below, of the four there are.
    seen = torch.tensor([2, 3, 3, 4, 4, 3, 3, 2], dtype=torch.bfloat16)
    assert torch.equal(picture.grad[0, 0], seen[:, None] * seen)
    picture.grad = None
    crop_patches(picture, select_cells(torch.zeros(1, 1, 4, 4)), 2, 3).sum().backward()
    assert picture.grad.eq(0).all()
