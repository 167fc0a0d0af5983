"""Memory of outputs: never shared by two holders, and used again by the next."""

import pytest
import torch

from model import MattingRefine
from model.fast import Memory
from model.fast import memory as module


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_gives_the_shape_and_type_asked_for(dtype: torch.dtype) -> None:
    tensor = Memory().empty((2, 3, 4), dtype)
    assert (tensor.shape, tensor.dtype) == ((2, 3, 4), dtype)
    assert tensor.is_contiguous()
    assert Memory().empty((0, 3), dtype).shape == (0, 3)


def test_memory_is_used_again_after_its_last_holder() -> None:
    memory = Memory()
    first = memory.empty((4, 4), torch.float32)
    place, view = first.data_ptr(), first[1:]
    del first
    second = memory.empty((4, 4), torch.float32)
    assert second.data_ptr() != place  # a view still holds it
    array = view.numpy()
    del view
    third = memory.empty((4, 4), torch.float32)
    assert third.data_ptr() not in (place, second.data_ptr())  # as does an array
    del array
    assert memory.empty((4, 4), torch.float32).data_ptr() == place


def test_another_size_takes_other_memory() -> None:
    memory = Memory()
    place = memory.empty((4, 4), torch.float32).data_ptr()
    assert memory.empty((4, 5), torch.float32).data_ptr() != place
    assert memory.empty((16,), torch.float32).data_ptr() == place


def test_what_nobody_holds_does_not_pile_up() -> None:
    memory = Memory()
    for size in range(1, 50):
        memory.empty((size,), torch.float32)
    assert len(memory._pieces) <= module._PIECES + 1


def test_large_memory_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BYTES", 1000)
    memory = Memory()
    for size in (600, 500, 300):
        memory.empty((size,), torch.uint8)
    kept = [piece.nbytes for piece, _ in memory._pieces]
    assert kept == [500, 300]  # 300 was in use at the last call


def test_outputs_that_are_held_stay_as_they_are() -> None:
    torch.manual_seed(0)
    network = MattingRefine("mobilenetv2", 0.25).eval()
    with torch.inference_mode():
        first = network(*torch.rand(2, 1, 3, 64, 96))
        kept = [output.clone() for output in first]
        network(*torch.rand(2, 1, 3, 64, 96))
    assert all(torch.equal(a, b) for a, b in zip(first, kept, strict=True))
