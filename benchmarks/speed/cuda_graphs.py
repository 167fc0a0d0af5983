"""Replaying the coarse network from a CUDA graph, which saves the CPU from launching it.

Not measured: written without a GPU at hand.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from model import MattingBase
from runtime.device import DTYPES, Precision

_WARM_UP = 3

Coarse = Callable[[Tensor, Tensor], tuple[Tensor, ...]]


@contextmanager
def replayed(network: MattingBase, precision: Precision, active: bool) -> Iterator[None]:
    """Replays the coarse network, captured on the first frames of each size.

    The refiner is left out, because how many cells it selects is not known before.

    Args:
        network: in evaluation mode, on a CUDA device. Its weights must stay as they are.
        precision: of its convolutions.
        active: False leaves everything as it is.

    Yields:
        Nothing; afterwards the network computes as before.
    """
    if not active:
        yield
        return
    graphs: dict[tuple[int, ...], _Graph] = {}
    compute = network._coarse

    def replay(src: Tensor, bgr: Tensor) -> tuple[Tensor, ...]:
        size = tuple(src.shape)
        if size not in graphs:
            graphs[size] = _Graph(compute, src, bgr, precision)
        return graphs[size](src, bgr)

    network.__dict__["_coarse"] = replay
    try:
        yield
    finally:
        del network.__dict__["_coarse"]


class _Graph:
    """A captured call; its outputs share memory that the next call overwrites."""

    def __init__(self, compute: Coarse, src: Tensor, bgr: Tensor, precision: Precision) -> None:
        self.src, self.bgr = src.clone(), bgr.clone()
        self.graph = torch.cuda.CUDAGraph()
        # Weights that autocast has converted and remembers may be freed while the graph needs them.
        with torch.autocast(
            "cuda", DTYPES[precision], enabled=precision != "float32", cache_enabled=False
        ):
            stream = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                for _ in range(_WARM_UP):
                    compute(self.src, self.bgr)
            torch.cuda.current_stream().wait_stream(stream)
            with torch.cuda.graph(self.graph):
                self.outputs = compute(self.src, self.bgr)

    def __call__(self, src: Tensor, bgr: Tensor) -> tuple[Tensor, ...]:
        self.src.copy_(src)
        self.bgr.copy_(bgr)
        self.graph.replay()
        return self.outputs
