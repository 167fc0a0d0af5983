"""What a format is, and what several formats need to be written and run."""

import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from torch import Tensor
from torch.fx import GraphModule

from matting.exported.runtimes import Run
from runtime.device import Precision

from .network import Graph, Mode

# How often each kind of operator occurs.
Operators = dict[str, int]


@dataclass(frozen=True)
class Writer:
    """A format.

    Attributes:
        suffix: of its file.
        write: writes a graph to a file, and returns its operators.
        open: opens a file to compute in a precision; None if it can't be run here.
        bounds: the largest difference from PyTorch that is allowed, by precision.
        packages: that writing and running need, beside the requirements.
        dynamic: whether height and width can be left open.
        modes: that its operators allow.
        corrects_alpha: whether its operators allow the correction of alpha.
        not_run: what was not run here, and what was done in its place.
    """

    suffix: str
    write: Callable[[Graph, Path], Operators]
    open: Callable[[Path, Precision], Run] | None
    bounds: dict[Precision, float]
    packages: tuple[str, ...] = ()
    dynamic: bool = True
    modes: tuple[Mode, ...] = get_args(Mode)
    corrects_alpha: bool = True
    not_run: str | None = None


def as_run(module: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> Run:
    """Runs a function of tensors on arrays."""

    @torch.no_grad()
    def run(src: np.ndarray, bgr: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        pha, fgr = module(torch.from_numpy(src), torch.from_numpy(bgr))
        return pha.numpy(), fgr.numpy()

    return run


def trace(graph: Graph) -> torch.jit.ScriptModule:
    """Traces a graph of fixed size for TorchScript."""
    with torch.no_grad(), warnings.catch_warnings():
        # Tracing is deprecated, and fixes every size, which is what is asked for.
        warnings.simplefilter("ignore")
        return torch.jit.trace(graph.module, graph.example, check_trace=False)


def count_program(program: GraphModule) -> Operators:
    """Counts the operators of an exported program, with those of the graphs in it."""
    modules = [module for module in program.modules() if isinstance(module, GraphModule)]
    nodes = [node for m in modules for node in m.graph.nodes if node.op == "call_function"]
    return count(getattr(node.target, "__name__", str(node.target)) for node in nodes)


def count(names: Iterable[str]) -> Operators:
    """Counts names, in alphabetical order."""
    return dict(sorted(Counter(names).items()))
