"""Core ML: an ML program for Apple's systems, converted on any."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .network import Graph
from .writer import Operators, count

_INT32 = torch.iinfo(torch.int32)


def write_core_ml(graph: Graph, path: Path) -> Operators:
    """Writes a graph in float32, for iOS 17, macOS 14 and later."""
    import coremltools

    with torch.no_grad():
        program = graph.program.run_decompositions(_rewritten())
    model = coremltools.convert(
        program,
        outputs=[coremltools.TensorType(name=name) for name in ("pha", "fgr")],
        minimum_deployment_target=coremltools.target.iOS17,
        compute_precision=coremltools.precision.FLOAT32,
        convert_to="mlprogram",
    )
    model.save(str(path))
    main = model.get_spec().mlProgram.functions["main"]
    return count(step.type for step in main.block_specializations[main.opset].operations)


def _rewritten() -> dict[Any, Callable[..., Any]]:
    """Operators that coremltools 9.0 refuses or computes as floats, by others."""
    aten, decompositions = torch.ops.aten, torch.export.default_decompositions()
    return {
        aten.__and__.Tensor: torch.logical_and,
        aten.__or__.Tensor: torch.logical_or,
        aten.diff.default: decompositions[aten.diff.default],
        aten.addcmul.default: decompositions[aten.addcmul.default],
        aten.clamp.default: _clamp,
        aten.floor_divide.default: _floor_divide,
        aten.index_select.default: _index_select,
    }


def _clamp(x: Tensor, low: Any = None, high: Any = None) -> Tensor:
    # With one bound, integers would become floats.
    if x.is_floating_point() or not (low is None or high is None):
        return NotImplemented
    return torch.clamp(x, _INT32.min if low is None else low, _INT32.max if high is None else high)


def _floor_divide(x: Tensor, y: Any) -> Tensor:
    # The quotient of integers would stay a float. Below 2 ** 24 it is exact.
    return torch.div(x.float(), y, rounding_mode="floor").to(x.dtype)


def _index_select(x: Tensor, dim: int, index: Tensor) -> Tensor:
    # Truth values can't be gathered.
    if x.dtype != torch.bool:
        return NotImplemented
    return x.to(torch.int32).index_select(dim, index).to(torch.bool)
