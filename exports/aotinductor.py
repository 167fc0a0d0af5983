"""AOTInductor: compiled to a library in a package, for C++ or Python with PyTorch."""

from pathlib import Path

import torch

from matting.exported.runtimes import Run
from runtime.device import Precision

from .network import Graph
from .writer import Operators, as_run, count_program


def write_aotinductor(graph: Graph, path: Path) -> Operators:
    """Compiles a graph for the instructions of this computer's CPU. Needs a C++ compiler."""
    torch._inductor.aoti_compile_and_package(graph.program, package_path=str(path))
    return count_program(graph.program.graph_module)


def open_aotinductor(path: Path, precision: Precision) -> Run:
    """Opens a package; it holds machine code."""
    return as_run(torch._inductor.aoti_load_package(str(path)))
