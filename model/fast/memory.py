"""Memory of frames and outputs, which is used again."""

import math
import weakref
from threading import Lock

import numpy as np
import torch
from torch import Tensor

# Of the unused memory, at most so many pieces and bytes are kept, the latest first.
_PIECES, _BYTES = 12, 1 << 30
_Piece = tuple[np.ndarray, weakref.ref[np.ndarray]]


class Memory:
    """Allocates tensors, and reuses their memory after the last reference to them is gone.

    The system clears each page of new memory at its first access. For the outputs of a 4K frame
    this takes longer than computing them.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        # A tensor made from an array holds a reference to it, and so does every view.
        self._pieces: list[_Piece] = []

    def empty(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Returns an uninitialised tensor on the CPU, in memory that nothing else uses."""
        size = math.prod(shape) * dtype.itemsize
        if size == 0:
            return torch.empty(shape, dtype=dtype)
        with self._lock:
            used: list[_Piece] = []
            idle: list[_Piece] = []
            for piece in self._pieces:
                (idle if piece[1]() is None else used).append(piece)
            memory = next((kept for kept, _ in reversed(idle) if kept.nbytes == size), None)
            if memory is None:
                memory = np.empty(size, np.uint8)
            held = memory.view()
            idle = [piece for piece in idle if piece[0] is not memory][-_PIECES:]
            while sum(kept.nbytes for kept, _ in idle) > _BYTES:
                del idle[0]
            self._pieces = [*idle, *used, (memory, weakref.ref(held))]
        return torch.from_numpy(held).view(dtype).view(shape)
