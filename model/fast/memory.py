"""Memory that is used again once nobody holds it."""

import math
import weakref
from threading import Lock

import numpy as np
import torch
from torch import Tensor

# Pieces that are kept though nobody holds them.
_KEPT = 4


class Memory:
    """Gives out tensors, and takes their memory again after the last reference to them is gone.

    New memory of many megabytes comes from the system page by page, and each page is cleared when
    it is first touched: for the outputs of a 4K frame that takes longer than computing them.

    Source: ours.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        # A tensor holds the array that it was made from, and so does every view of it.
        self._pieces: list[tuple[np.ndarray, weakref.ref[np.ndarray]]] = []

    def empty(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Gives a tensor on the CPU.

        Args:
            shape: of the tensor.
            dtype: of the tensor.

        Returns:
            Any numbers, in memory that nobody else holds.
        """
        size = math.prod(shape) * dtype.itemsize
        if size == 0:
            return torch.empty(shape, dtype=dtype)
        with self._lock:
            free = [piece for piece in self._pieces if piece[1]() is None]
            memory = next((kept for kept, _ in free if kept.nbytes == size), None)
            if memory is None:
                memory = np.empty(size, np.uint8)
            held = memory.view()
            self._pieces = [
                *((kept, user) for kept, user in self._pieces if user() is not None),
                *((kept, user) for kept, user in free[-_KEPT:] if kept is not memory),
                (memory, weakref.ref(held)),
            ]
        return torch.from_numpy(held).view(dtype).view(shape)
