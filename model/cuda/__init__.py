"""The published predictions on a GPU, in operators of static shape that CUDA graphs hold."""

from .graphs import Graphs
from .network import CudaMatting

__all__ = ["CudaMatting", "Graphs"]
