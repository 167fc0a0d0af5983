"""TensorRT: an ONNX file of the operators and types that its parser documents."""

from pathlib import Path
from typing import Any

from .network import Graph
from .writer import Operators, count

_FLOATS = {"FLOAT", "FLOAT16", "BFLOAT16"}
_NUMBERS = _FLOATS | {"INT32", "INT64"}
_ALL = _NUMBERS | {"BOOL"}
# The operators that exports have, with the types that their first input may have. Source:
# "Supported ONNX Operators" of onnx-tensorrt for TensorRT 10.15.
_SUPPORTED = {
    "And Not Or Xor": {"BOOL"},
    "AveragePool BatchNormalization Ceil Clip Conv CumSum Floor Resize": _FLOATS,
    "Abs Add Div Equal Greater GreaterOrEqual Less LessOrEqual Max Min Mod Mul Pad Pow Range "
    "ReduceMax ReduceMean ReduceMin ReduceSum Relu Sub TopK": _NUMBERS,
    "Cast Concat Constant ConstantOfShape Expand Gather Identity Reshape Shape Slice Split Squeeze "
    "Tile Transpose Unsqueeze Where": _ALL,
}
_MAX_TOP_K = 3840  # "must be less than"


def write_tensorrt(graph: Graph, path: Path) -> Operators:
    """Writes a graph.

    Raises:
        ValueError: when an operator, its type or a top-k is outside of what is documented.
    """
    import onnx

    model = onnx.ModelProto()
    model.CopyFrom(graph.onnx)
    _rewrite(model)
    onnx.checker.check_model(model, full_check=True)
    refused = find_refused(model)
    if refused:
        raise ValueError(f"TensorRT does not document {', '.join(refused)}")
    onnx.save(model, path)
    return count(node.op_type for node in model.graph.node)


def find_refused(model: Any) -> list[str]:
    """Lists the operators of an `onnx.ModelProto` that TensorRT does not document."""
    import onnx

    types, refused = _find_types(model), set()
    allowed = {name: kinds for names, kinds in _SUPPORTED.items() for name in names.split()}
    for node in model.graph.node:
        kind = types.get(node.input[0]) if node.input else None
        if node.op_type not in allowed or (kind and kind not in allowed[node.op_type]):
            refused.add(f"{node.op_type} of {kind}")
    values = {value.name: value for value in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "TopK":
            size = values.get(node.input[1])
            k = None if size is None else int(onnx.numpy_helper.to_array(size).item())
            if k is None or k >= _MAX_TOP_K:
                refused.add(f"TopK of {k or 'a dynamic number of'} values")
    return sorted(refused)


def _rewrite(model: Any) -> None:
    """Replaces operators on integers and truth values that are documented for others only."""
    from onnx import TensorProto, helper

    types, nodes = _find_types(model), []
    for node in model.graph.node:
        kind, (result, *_) = types.get(node.input[0] if node.input else ""), node.output
        inner = f"{result}.inner"
        if node.op_type == "CumSum" and kind == "INT64":
            # A float32 holds the sums, which are counts of blocks.
            before, after = TensorProto.FLOAT, TensorProto.INT64
            given, node.input[0], node.output[0] = node.input[0], f"{result}.given", inner
            nodes += [
                helper.make_node("Cast", [given], [node.input[0]], to=before),
                node,
                helper.make_node("Cast", [inner], [result], to=after),
            ]
        elif node.op_type == "Clip" and kind not in _FLOATS:
            low, high = [*node.input[1:], "", ""][:2]
            if low and high:
                nodes.append(helper.make_node("Max", [node.input[0], low], [inner]))
                nodes.append(helper.make_node("Min", [inner, high], [result]))
            else:
                kept = [node.input[0], low or high]
                nodes.append(helper.make_node("Max" if low else "Min", kept, [result]))
        elif node.op_type == "Equal" and kind == "BOOL":
            nodes.append(helper.make_node("Xor", node.input, [inner]))
            nodes.append(helper.make_node("Not", [inner], [result]))
        else:
            nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _find_types(model: Any) -> dict[str, str]:
    """Names the types of a model's values."""
    import onnx

    graph = onnx.shape_inference.infer_shapes(model).graph
    found = {value.name: value.data_type for value in graph.initializer}
    for value in (*graph.value_info, *graph.input, *graph.output):
        found[value.name] = value.type.tensor_type.elem_type
    return {name: onnx.TensorProto.DataType.Name(kind) for name, kind in found.items()}
