"""Copies between the CPU's memory and a GPU's, beside the computing of other threads."""

import math
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from model.fast import Memory

# Results in page-locked memory, which the system can't swap out. A caller who keeps more than this
# many bytes of them gets ordinary memory, to which copies are slower.
_MOST_PINNED = 1 << 30


def upload(array: np.ndarray, device: torch.device) -> Tensor:
    """Copies an array to a device; does not wait for a GPU."""
    tensor = torch.from_numpy(array)
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def to_tensor(picture: np.ndarray, device: torch.device, memory: Memory | None = None) -> Tensor:
    """Converts (H, W, 3) uint8 or uint16 RGB to (1, 3, H, W) float32 in [0, 1] for networks.

    On a CPU the result lies in `memory`, if that is given. Raises ValueError for another type.
    """
    if picture.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"pictures must be uint8 or uint16, got {picture.dtype}")
    shape = (1, 3, *picture.shape[:2])
    if memory is not None and device.type == "cpu":
        tensor = memory.empty(shape, torch.float32)
    else:
        tensor = torch.empty(shape, device=device)
    tensor[0] = upload(picture, device).permute(2, 0, 1)
    return tensor.div_(np.iinfo(picture.dtype).max)


class Transfers:
    """A device's copies to the CPU's memory, and the streams of a GPU.

    With streams, one picture's copies and another's computing run at the same time on a GPU. On a
    CPU nothing is copied.

    Args:
        device: of the network.
        most: bytes of page-locked memory that results may hold.
        pins: whether memory can be locked; by default on a GPU.
    """

    def __init__(
        self, device: torch.device, most: int = _MOST_PINNED, pins: bool | None = None
    ) -> None:
        self.device = device
        self._pins = device.type == "cuda" if pins is None else pins
        self._idle: list[torch.cuda.Stream] = []
        # Entered again if collecting garbage inside gives memory back.
        self._lock = threading.RLock()
        self._left = most

    @contextmanager
    def stream(self) -> Iterator[None]:
        """Uses a stream inside the block that no other block uses at the time.

        There are as many as blocks at a time: each keeps memory of its own.
        """
        if self.device.type != "cuda":
            yield
            return
        try:
            own = self._idle.pop()
        except IndexError:
            own = torch.cuda.Stream(self.device)
        try:
            with torch.cuda.stream(own):
                yield
        finally:
            self._idle.append(own)

    def wait(self) -> None:
        """Waits until the device has finished the work of the present stream."""
        if self.device.type == "cuda":
            torch.cuda.current_stream(self.device).synchronize()

    def download(self, tensors: Sequence[Tensor]) -> list[np.ndarray]:
        """Copies tensors to the CPU's memory and waits for all of them at once."""
        if not self._pins:
            return [tensor.cpu().numpy() for tensor in tensors]
        arrays = [self._empty(tensor.shape, tensor.dtype) for tensor in tensors]
        for array, tensor in zip(arrays, tensors, strict=True):
            torch.from_numpy(array).copy_(tensor, non_blocking=True)
        self.wait()
        return arrays

    def _empty(self, shape: tuple[int, ...], dtype: torch.dtype) -> np.ndarray:
        """An uninitialised array, in page-locked memory while some is left."""
        size = math.prod(shape) * dtype.itemsize
        with self._lock:
            pinned = self._pins and size <= self._left
            self._left -= size if pinned else 0
        array: np.ndarray = torch.empty(shape, dtype=dtype, pin_memory=pinned).numpy()
        if pinned:
            weakref.finalize(array, self._give_back, size)
        return array

    def _give_back(self, size: int) -> None:
        with self._lock:
            self._left += size
