"""Backends compute the coarse network, the largest part of the work on a CPU.

All but PyTorch are optional packages. The refiner is the same for all of them (`FastMatting`). To
add one, add its name to `Backend`, its requirements and precisions to `_PACKAGES` and
`_PRECISIONS`, and a function to `_CONVERT`.
"""

import warnings
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import torch
from torch import Tensor, nn

from model import MattingBase, MattingRefine
from model.fast import FastMatting
from model.fast.coarse import CoarseFunction
from runtime.device import Precision

from .exported.runtimes import check_packages, openvino_core

Backend = Literal["pytorch", "onnxruntime", "openvino"]

_PACKAGES = {"onnxruntime": ("onnxruntime", "onnx"), "openvino": ("openvino",)}
_PRECISIONS = {
    "onnxruntime": ("float32",),
    "openvino": ("float32", "bfloat16"),
}


def check_backend(
    backend: Backend, network: MattingBase, device: torch.device, precision: Precision
) -> None:
    """Checks that a backend other than `pytorch` supports device, network and precision.

    Raises:
        ValueError: when it is not installed or does not support them.
    """
    check_packages(_PACKAGES.get(backend, ()), f"--backend {backend}", " or use --backend pytorch")
    if device.type != "cpu":
        raise ValueError(
            f"--backend {backend} runs on the CPU, got device {device.type}; use --device cpu or "
            "--backend pytorch"
        )
    if not isinstance(network, MattingRefine):
        raise ValueError(
            f"--backend {backend} needs a mattingrefine, got a mattingbase; use --backend pytorch"
        )
    if precision not in _PRECISIONS[backend]:
        raise ValueError(
            f"--backend {backend} computes in {' or '.join(_PRECISIONS[backend])}, got {precision}"
        )


def accelerate_by(
    backend: Backend, network: MattingBase, precision: Precision
) -> tuple[FastMatting, float]:
    """Lets a backend compute the coarse part of a network that `check_backend` accepted.

    Returns:
        The function that computes the network's predictions, and its difference from PyTorch's; see
        `measure_parity`.
    """
    assert isinstance(network, MattingRefine)  # noqa: S101 - checked before
    plain = FastMatting(network)
    assert isinstance(plain.coarse, nn.Module)  # noqa: S101 - PyTorch's own
    fast = FastMatting(network, _CONVERT[backend](plain.coarse, precision))
    return fast, measure_parity(plain, fast)


@torch.no_grad()
def measure_parity(plain: FastMatting, fast: FastMatting) -> float:
    """Returns the largest difference of two coarse alphas on noise, before they are clamped."""
    pair = torch.rand(2, 1, 3, 96, 160, generator=torch.Generator().manual_seed(0))
    difference = fast.coarse(*pair)[0].float() - plain.coarse(*pair)[0]
    return float(difference[:, 0].abs().max())


def _to_onnxruntime(coarse: nn.Module, precision: Precision) -> CoarseFunction:
    import onnxruntime

    axes = {0: "batch", 2: "height", 3: "width"}
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        # The newer exporter, which is not deprecated, takes 17 times longer: 27 s.
        warnings.simplefilter("ignore")
        path = Path(folder) / "coarse.onnx"
        torch.onnx.export(
            coarse,
            tuple(_example()),
            path,
            input_names=["src", "bgr"],
            output_names=["predicted", "features"],
            dynamic_axes=dict.fromkeys(("src", "bgr", "predicted", "features"), axes),
            dynamo=False,
        )
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(src: Tensor, bgr: Tensor) -> tuple[Tensor, Tensor]:
        predicted, features = session.run(None, {"src": src.numpy(), "bgr": bgr.numpy()})
        return torch.from_numpy(predicted), _channels_last(torch.from_numpy(features))

    return run


def _to_openvino(coarse: nn.Module, precision: Precision) -> CoarseFunction:
    import openvino
    from openvino.preprocess import PrePostProcessor

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings of tracing
        converted = openvino.convert_model(coarse, example_input=tuple(_example()))
    processor = PrePostProcessor(converted)
    # The memory format of the refiner.
    processor.output(1).model().set_layout(openvino.Layout("NCHW"))
    processor.output(1).tensor().set_layout(openvino.Layout("NHWC"))
    converted = processor.build()
    options = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bfloat16" else "f32",
    }

    # One request per size, because a network of fixed size is faster, and few sizes are frequent.
    @lru_cache(maxsize=8)
    def request(shape: torch.Size) -> Callable[..., dict[int, object]]:
        converted.reshape({0: list(shape), 1: list(shape)})
        built = openvino_core().compile_model(converted, "CPU", options).create_infer_request()
        infer: Callable[..., dict[int, object]] = built.infer
        return infer

    def run(src: Tensor, bgr: Tensor) -> tuple[Tensor, Tensor]:
        # Copied, because the next call overwrites the request's memory.
        outputs = request(src.shape)(
            [src.numpy(), bgr.numpy()], share_inputs=True, share_outputs=True
        )
        predicted, features = (torch.from_numpy(outputs[i]) for i in (0, 1))
        return predicted, features.permute(0, 3, 1, 2)

    return run


def _example() -> Tensor:
    return torch.rand(2, 1, 3, 64, 96)


def _channels_last(features: Tensor) -> Tensor:
    return features.contiguous(memory_format=torch.channels_last)


_CONVERT = {"onnxruntime": _to_onnxruntime, "openvino": _to_openvino}
