"""The formats: how each is written, run and how exact it must be."""

import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.fx import GraphModule

from matting.exported.card import Format
from matting.exported.runtimes import Run, open_onnx, open_openvino, openvino_core
from runtime.device import Precision

from .network import Graph

# How often each kind of operator occurs.
Operators = dict[str, int]


@dataclass(frozen=True)
class Writer:
    """A format.

    Attributes:
        suffix: of its file.
        write: writes a graph to a file, and returns its operators.
        open: opens a file to compute in a precision.
        bounds: the largest difference from PyTorch that is allowed, by precision.
        packages: that writing and running need, beside the requirements.
        dynamic: whether height and width can be left open.
    """

    suffix: str
    write: Callable[[Graph, Path], Operators]
    open: Callable[[Path, Precision], Run]
    bounds: dict[Precision, float]
    packages: tuple[str, ...] = ()
    dynamic: bool = True


def _write_onnx(graph: Graph, path: Path) -> Operators:
    import onnx

    onnx.save(graph.onnx, path)
    return _count(node.op_type for node in graph.onnx.graph.node)


def _write_openvino(graph: Graph, path: Path) -> Operators:
    import openvino

    model = openvino_core().read_model(graph.onnx.SerializeToString())
    openvino.save_model(model, path, compress_to_fp16=False)
    return _count(node.get_type_name() for node in model.get_ordered_ops())


def _write_program(graph: Graph, path: Path) -> Operators:
    torch.export.save(graph.program, path)
    return _count_program(graph)


def _open_program(path: Path, precision: Precision) -> Run:
    return _as_run(torch.export.load(path).module())


def _write_torchscript(graph: Graph, path: Path) -> Operators:
    with torch.no_grad(), warnings.catch_warnings():
        # Tracing is deprecated, and fixes every size, which is what is asked for.
        warnings.simplefilter("ignore")
        traced = torch.jit.freeze(torch.jit.trace(graph.module, graph.example, check_trace=False))
    traced.save(path)
    return _count(node.kind().removeprefix("aten::") for node in traced.inlined_graph.nodes())


def _open_torchscript(path: Path, precision: Precision) -> Run:
    return _as_run(torch.jit.load(path))


def _as_run(module: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> Run:
    @torch.no_grad()
    def run(src: np.ndarray, bgr: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        pha, fgr = module(torch.from_numpy(src), torch.from_numpy(bgr))
        return pha.numpy(), fgr.numpy()

    return run


def _count_program(graph: Graph) -> Operators:
    modules = [m for m in graph.program.graph_module.modules() if isinstance(m, GraphModule)]
    nodes = [node for m in modules for node in m.graph.nodes if node.op == "call_function"]
    return _count(getattr(node.target, "__name__", str(node.target)) for node in nodes)


def _count(names: Iterable[str]) -> Operators:
    return dict(sorted(Counter(names).items()))


FORMATS: dict[Format, Writer] = {
    "onnx": Writer(
        ".onnx",
        _write_onnx,
        open_onnx,
        {"float32": 1e-4, "float16": 5e-3},
        ("onnx", "onnxscript", "onnxruntime"),
    ),
    "openvino": Writer(
        ".xml",
        _write_openvino,
        open_openvino,
        {"float32": 1e-4, "bfloat16": 1e-2},
        ("onnx", "onnxscript", "openvino"),
    ),
    "torch-export": Writer(".pt2", _write_program, _open_program, {"float32": 1e-5}),
    "torchscript": Writer(
        ".pt", _write_torchscript, _open_torchscript, {"float32": 1e-5}, dynamic=False
    ),
}
