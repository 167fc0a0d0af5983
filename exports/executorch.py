"""ExecuTorch with XNNPACK: for phones and other devices with ARM or x86 CPUs."""

from pathlib import Path

import numpy as np
import torch

from matting.exported.runtimes import Run
from runtime.device import Precision

from .network import Graph
from .writer import Operators, count_program


def write_executorch(graph: Graph, path: Path) -> Operators:
    """Writes a graph; XNNPACK computes what it supports, ExecuTorch's own kernels the rest."""
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    with torch.no_grad():
        lowered = to_edge_transform_and_lower(graph.program, partitioner=[XnnpackPartitioner()])
        written = lowered.to_executorch()
    path.write_bytes(written.buffer)
    return count_program(written.exported_program().graph_module)


def open_executorch(path: Path, precision: Precision) -> Run:
    """Opens a program in ExecuTorch's runtime."""
    from executorch.runtime import Runtime

    method = Runtime.get().load_program(path).load_method("forward")

    def run(src: np.ndarray, bgr: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        # Copied: the runtime reuses the memory of its results.
        pha, fgr = method.execute([torch.from_numpy(src), torch.from_numpy(bgr)])
        return pha.numpy().copy(), fgr.numpy().copy()

    return run
