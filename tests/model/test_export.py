"""The network in mode `blocks`, alpha corrected, through `torch.export`."""

from collections.abc import Iterator

import pytest
import torch
from torch.export import Dim, ExportedProgram, export
from torch.fx import GraphModule

from model import MattingRefine

from .test_equality import largest_differences, random_pair
from .test_fixed_blocks import in_blocks

# What runtimes lack, CUDA graphs can't hold, or an exporter keeps as a graph of its own.
REFUSED = (
    *("nonzero", "item", "_local_scalar_dense", "unique", "masked_select", "scatter", "index_put"),
    *("cond", "while_loop", "wrap_with_autocast", "wrap_with_set_grad_enabled"),
)


def build() -> MattingRefine:
    """In float32, with fewer blocks than the pictures have."""
    network = in_blocks(count=9).float()
    network.corrects_alpha = True
    return network


def operators(program: ExportedProgram) -> Iterator[str]:
    for module in program.graph_module.modules():
        if isinstance(module, GraphModule):
            for node in module.graph.nodes:
                if node.op == "call_function":
                    yield getattr(node.target, "__name__", str(node.target)).split(".")[0]


def check(program: ExportedProgram, network: MattingRefine, batch: int, size: tuple[int, int]):
    src, bgr = random_pair(batch, size)
    wanted = network(src, bgr)
    assert 0 < wanted.ref_sm.mean() < 1
    # The same operators; kernels may be chosen by the layout of memory.
    assert max(largest_differences(program.module()(src, bgr), wanted).values()) <= 1e-5, size


@torch.no_grad()
def test_a_fixed_size_is_exported() -> None:
    network = build()
    program = export(network, tuple(random_pair(2, (100, 148))))
    found = set(operators(program))
    assert {"topk", "index_select", "where"} <= found
    assert found.isdisjoint(REFUSED)
    check(program, network, 2, (100, 148))


@pytest.mark.slow
@torch.no_grad()
def test_height_width_and_batch_may_be_dynamic() -> None:
    network = build()
    sides = {0: Dim("batch", max=16), 2: 4 * Dim("h", min=16), 3: 4 * Dim("w", min=16)}
    program = export(
        network,
        tuple(random_pair(2, (96, 128))),
        dynamic_shapes=(sides, sides),
        prefer_deferred_runtime_asserts_over_guards=True,
    )
    assert set(operators(program)).isdisjoint(REFUSED)
    for batch, size in ((1, (100, 148)), (2, (128, 64)), (3, (64, 84)), (1, (132, 196))):
        check(program, network, batch, size)
