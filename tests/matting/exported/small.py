"""An exported network that is a small graph."""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from matting.exported.card import Card, Parity, card_path

CARD = Card(
    format="onnx",
    file="small.onnx",
    sha256="",
    program="1",
    weights_sha256="0",
    network="mattingrefine with mobilenetv2 and kernel size 3",
    mode="blocks",
    precision="float32",
    size=None,
    least=64,
    backbone_scale=0.25,
    refine_sample_pixels=80_000,
    corrects_alpha=True,
    inputs={},
    outputs={},
    operators={},
    parity=Parity("test", 1e-4),
)


def write_small(path: Path, size: tuple[int, int] | None = None) -> Path:
    """An export whose alpha is the frame's first channel, and foreground the plate."""
    import onnx
    from onnx import TensorProto, helper

    height, width = size or ("H", "W")
    pictures = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, height, width])
        for name, channels in (("src", 3), ("bgr", 3), ("pha", 1), ("fgr", 3))
    ]
    constants = [
        helper.make_tensor(name, TensorProto.INT64, [1], [value])
        for name, value in (("start", 0), ("end", 1), ("axis", 1))
    ]
    nodes = [
        helper.make_node("Slice", ["src", "start", "end", "axis"], ["pha"]),
        helper.make_node("Identity", ["bgr"], ["fgr"]),
    ]
    graph = helper.make_graph(nodes, "small", pictures[:2], pictures[2:], constants)
    opset = helper.make_opsetid("", 18)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=10), path)
    card = replace(CARD, file=path.name, size=size, sha256=sha256(path.read_bytes()).hexdigest())
    card_path(path).write_bytes(card.to_json())
    return path
