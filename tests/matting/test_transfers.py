"""Copies to the CPU's memory. Only a GPU's driver can lock pages, so a stand-in counts them."""

import gc
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import numpy as np
import pytest
import torch

from matting.transfers import Transfers, upload

from .conftest import CPU


@pytest.fixture
def locked(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each allocation asked for page-locked memory, in order."""
    asked, allocate = [], torch.empty

    def empty(*args: object, pin_memory: bool = False, **named: object) -> torch.Tensor:
        asked.append(pin_memory)
        return allocate(*args, **named)

    monkeypatch.setattr("matting.transfers.torch.empty", empty)
    return asked


def test_nothing_is_copied_on_a_cpu() -> None:
    transfers, tensor = Transfers(CPU), torch.rand(3, 4)
    with transfers.stream():
        (array,) = transfers.download([tensor])
    assert np.shares_memory(array, tensor.numpy())
    assert np.shares_memory(upload(array, CPU).numpy(), array)


def test_results_that_are_kept_take_ordinary_memory_in_the_end(locked: list[bool]) -> None:
    transfers, tensor = Transfers(CPU, most=100, pins=True), torch.rand(10)  # 40 bytes
    kept = [transfers.download([tensor])[0] for _ in range(4)]
    assert locked == [True, True, False, False]
    assert all(np.array_equal(array, tensor.numpy()) for array in kept)
    part = kept[0][3:]
    del kept[0]
    gc.collect()
    transfers.download([tensor])
    assert locked[4:] == [False], "a part of a result is still in use"
    del part
    gc.collect()
    transfers.download([tensor])
    transfers.download([tensor, tensor])  # memory of the call before is free again
    assert locked[5:] == [True, True, False]


def test_a_stream_serves_one_block_at_a_time_and_is_used_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    used: list[object] = []
    monkeypatch.setattr(torch.cuda, "Stream", lambda _: object())
    monkeypatch.setattr(torch.cuda, "stream", lambda own: nullcontext(used.append(own)))
    transfers = Transfers(torch.device("cuda"))
    with transfers.stream(), transfers.stream():
        pass
    with pytest.raises(ValueError, match="broken"), transfers.stream():
        raise ValueError("broken")
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: transfers.stream().__enter__()).result()
    assert used[0] is not used[1]
    assert {*used[2:]} <= {*used[:2]}, "a thread of its own needs no stream of its own"


@pytest.mark.gpu
def test_results_are_copied_from_a_gpu_into_page_locked_memory() -> None:
    device = torch.device("cuda")
    transfers, picture = Transfers(device), np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    with transfers.stream():
        tensor = upload(picture, device)
        arrays = transfers.download([tensor, tensor.float() / 2, tensor > 5])
    assert tensor.is_cuda
    for array, wanted in zip(arrays, (picture, picture / 2, picture > 5), strict=True):
        assert np.array_equal(array, wanted)
        assert torch.from_numpy(array).is_pinned()
