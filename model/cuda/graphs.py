"""CUDA graphs of recurring computations: one launch in place of a hundred."""

import warnings
from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Protocol

import torch
from torch import Tensor

from ..outputs import RefineOutput

Run = Callable[[Tensor, Tensor], RefineOutput]

# Sizes and settings that are remembered. A graph keeps its memory: at 4K some hundred MiB.
_KEPT = 4


class Replay(Protocol):
    """A captured computation."""

    def __call__(self, src: Tensor, bgr: Tensor) -> RefineOutput:
        """Computes what was captured, for other pictures of the same shape and type."""

    def finish(self) -> None:
        """Waits until the device has finished the last call."""


class Graphs:
    """Computes a key the first time as it is, from the second time on from its graph.

    So pictures that all differ in size don't pay for capturing. The least recently used of more
    than four keys is forgotten. Several threads may call; one computes at a time, because a graph's
    memory holds one frame.

    Args:
        capture: records a computation for pictures like those given.
    """

    def __init__(self, capture: Callable[[Run, Tensor, Tensor], Replay] | None = None) -> None:
        self._capture = capture or CudaReplay
        self._lock = Lock()
        self._known: OrderedDict[Hashable, Replay | None] = OrderedDict()
        self._failed = False

    def __call__(self, key: Hashable, run: Run, src: Tensor, bgr: Tensor) -> RefineOutput:
        """Returns what `run` computes; `key` names everything that its shapes and work depend on.

        Warns, once, if a computation can't be captured; it and later ones then run as they are.
        """
        with self._lock:
            replay = self._known.get(key)
            if replay is None and key in self._known and not self._failed:
                replay = self._try_to_capture(run, src, bgr)
            self._known[key] = replay
            self._known.move_to_end(key)
            if len(self._known) > _KEPT:
                _, oldest = self._known.popitem(last=False)
                if oldest is not None:
                    oldest.finish()  # its memory is free to others after this
            return run(src, bgr) if replay is None else replay(src, bgr)

    def _try_to_capture(self, run: Run, src: Tensor, bgr: Tensor) -> Replay | None:
        try:
            return self._capture(run, src, bgr)
        except RuntimeError as error:
            self._failed = True
            reason = str(error).split("\n")[0]
            warnings.warn(
                f"this network runs without CUDA graphs, which is slower: {reason}", stacklevel=4
            )
            return None


class CudaReplay:
    """A computation in a CUDA graph, with its own inputs and outputs in the device's memory.

    Args:
        run: has static shapes and never waits for the device.
        src: a frame on the device.
        bgr: its plate.

    Raises:
        RuntimeError: when it can't be captured.
    """

    @torch.inference_mode(False)  # its memory is written outside inference mode, too
    @torch.no_grad()
    def __init__(self, run: Run, src: Tensor, bgr: Tensor) -> None:
        self._inputs = tuple(torch.empty_like(picture).copy_(picture) for picture in (src, bgr))
        self._graph = torch.cuda.CUDAGraph()
        self._done = torch.cuda.Event()
        benchmark = torch.backends.cudnn.benchmark
        torch.backends.cudnn.benchmark = True  # the shapes recur, so the search pays
        try:
            here, side = torch.cuda.current_stream(), torch.cuda.Stream()
            side.wait_stream(here)
            with torch.cuda.stream(side):  # finds algorithms, which can't be done while capturing
                run(*self._inputs)
            here.wait_stream(side)
            # Other threads may copy frames meanwhile.
            with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
                self._outputs = run(*self._inputs)
        finally:
            torch.backends.cudnn.benchmark = benchmark
        self._done.record()

    def __call__(self, src: Tensor, bgr: Tensor) -> RefineOutput:
        """See `Replay`."""
        # Another thread's stream may still read the outputs of its call.
        torch.cuda.current_stream().wait_event(self._done)
        for buffer, picture in zip(self._inputs, (src, bgr), strict=True):
            buffer.copy_(picture)
        self._graph.replay()
        outputs = RefineOutput(*(output.clone() for output in self._outputs))
        self._done.record()
        return outputs

    def finish(self) -> None:
        """See `Replay`."""
        self._done.synchronize()
