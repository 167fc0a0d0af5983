"""What is compared with TensorRT's documentation."""

from pathlib import Path

import pytest

pytest.importorskip("onnx", reason="the extra onnx is not installed")
import numpy as np
import onnxruntime
from onnx import ModelProto, TensorProto, checker, helper, numpy_helper

from exports.tensorrt import _rewrite, find_refused
from matting.quality import UHD_4K
from model import MattingRefine

KINDS = {"f": TensorProto.FLOAT, "i": TensorProto.INT64, "b": TensorProto.BOOL}


def model(
    op: str, inputs: str, output: str, *constants: np.ndarray, **attributes: int
) -> ModelProto:
    """One operator, of inputs of five values and constants."""
    given = [helper.make_tensor_value_info(f"x{i}", KINDS[k], [5]) for i, k in enumerate(inputs)]
    values = [numpy_helper.from_array(value, f"c{i}") for i, value in enumerate(constants)]
    names = [value.name for value in (*given, *values)]
    node = helper.make_node(op, names, ["y"], **attributes)
    result = helper.make_tensor_value_info("y", KINDS[output], [None])
    graph = helper.make_graph([node], "one", given, [result], values)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def run(network: ModelProto, *inputs: np.ndarray) -> np.ndarray:
    checker.check_model(network, full_check=True)
    session = onnxruntime.InferenceSession(network.SerializeToString())
    return session.run(None, {f"x{i}": value for i, value in enumerate(inputs)})[0]


X = np.array([3, -7, 9, 0, 2])
YES, NO = X > 0, np.array([True, True, False, False, True])


@pytest.mark.parametrize(
    ("network", "inputs", "refused"),
    [
        (model("CumSum", "i", "i", np.array(0)), [X], "CumSum of INT64"),
        (model("Clip", "i", "i", np.array(-2), np.array(4)), [X], "Clip of INT64"),
        (model("Clip", "i", "i", np.array(1)), [X], "Clip of INT64"),
        (model("Equal", "bb", "b"), [YES, NO], "Equal of BOOL"),
    ],
)
def test_types_that_are_not_documented_are_replaced(
    network: ModelProto, inputs: list[np.ndarray], refused: str
) -> None:
    assert find_refused(network) == [refused]
    expected = run(network, *inputs)
    _rewrite(network)
    assert find_refused(network) == []
    assert np.array_equal(run(network, *inputs), expected)


def test_what_is_documented_stays() -> None:
    network = model("Clip", "f", "f", np.float32(0), np.float32(1))
    before = network.SerializeToString()
    _rewrite(network)
    assert network.SerializeToString() == before


def test_other_operators_are_refused() -> None:
    assert find_refused(model("Det", "f", "f")) == ["Det of FLOAT"]
    assert find_refused(model("NonZero", "f", "i")) == ["NonZero of FLOAT"]


@pytest.mark.parametrize(("k", "refused"), [(3839, []), (3840, ["TopK of 3840 values"])])
def test_top_k_is_limited(k: int, refused: list[str]) -> None:
    network = model("TopK", "f", "f", np.array([k]))
    network.graph.node[0].output.append("places")
    assert find_refused(network) == refused


def test_the_blocks_of_4k_are_within_the_limit() -> None:
    refiner = MattingRefine("mobilenetv2", refine_mode="blocks").refiner
    assert 1000 < refiner.count_blocks(2160, 3840, UHD_4K.refine_sample_pixels) < 3840


@pytest.mark.slow
def test_the_file_for_tensorrt_is_checked_and_compared(tmp_path: Path) -> None:
    from exports.settings import NetworkSettings
    from exports.write import Order, write_export

    order = Order(NetworkSettings(refine_sample_pixels=1600), (96, 128), "blocks", "float32")
    refused = find_refused(order.plain.onnx)
    assert {"CumSum of INT64", "Clip of INT64"} <= set(refused)
    card = write_export(order, "tensorrt", tmp_path)
    assert "not run in TensorRT" in (card.parity.reason or "")
    assert "onnxruntime" in (card.parity.runtime or "")
    assert max(frame.pha.largest for frame in card.parity.frames) <= 1e-4
    assert card.operators["TopK"] >= 2
