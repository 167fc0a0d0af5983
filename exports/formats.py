"""The formats: how each is written, run and how exact it must be."""

from pathlib import Path

import torch

from matting.exported.card import Format
from matting.exported.runtimes import Run, open_onnx, open_openvino, openvino_core
from runtime.device import Precision

from .aotinductor import open_aotinductor, write_aotinductor
from .core_ml import write_core_ml
from .executorch import open_executorch, write_executorch
from .ncnn import open_ncnn, write_ncnn
from .network import Graph
from .tensorrt import write_tensorrt
from .writer import Operators, Writer, as_run, count, count_program, trace


def _write_onnx(graph: Graph, path: Path) -> Operators:
    import onnx

    onnx.save(graph.onnx, path)
    return count(node.op_type for node in graph.onnx.graph.node)


def _write_openvino(graph: Graph, path: Path) -> Operators:
    import openvino

    model = openvino_core().read_model(graph.onnx.SerializeToString())
    openvino.save_model(model, path, compress_to_fp16=False)
    return count(node.get_type_name() for node in model.get_ordered_ops())


def _write_program(graph: Graph, path: Path) -> Operators:
    torch.export.save(graph.program, path)
    return count_program(graph.program.graph_module)


def _open_program(path: Path, precision: Precision) -> Run:
    return as_run(torch.export.load(path).module())


def _write_torchscript(graph: Graph, path: Path) -> Operators:
    traced = torch.jit.freeze(trace(graph))
    traced.save(path)
    return count(node.kind().removeprefix("aten::") for node in traced.inlined_graph.nodes())


def _open_torchscript(path: Path, precision: Precision) -> Run:
    return as_run(torch.jit.load(path))


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
    "aotinductor": Writer(
        ".aoti.pt2", write_aotinductor, open_aotinductor, {"float32": 1e-5}, dynamic=False
    ),
    "executorch": Writer(
        ".pte",
        write_executorch,
        open_executorch,
        {"float32": 1e-3},
        ("executorch",),
        dynamic=False,
    ),
    "ncnn": Writer(
        ".ncnn.param",
        write_ncnn,
        open_ncnn,
        {"float32": 1e-3},
        ("pnnx", "ncnn"),
        dynamic=False,
        modes=("full", "coarse"),
        corrects_alpha=False,
    ),
    "coreml": Writer(
        ".mlpackage",
        write_core_ml,
        None,
        {"float32": 1e-3},
        ("coremltools",),
        dynamic=False,
        not_run="converted, not run: Core ML runs on Apple's systems",
    ),
    "tensorrt": Writer(
        ".tensorrt.onnx",
        write_tensorrt,
        open_onnx,
        {"float32": 1e-4},
        ("onnx", "onnxscript", "onnxruntime"),
        dynamic=False,
        not_run="not run in TensorRT: its operators, their types and the sizes of top-k were "
        "compared with the documentation of TensorRT 10.15",
    ),
}
