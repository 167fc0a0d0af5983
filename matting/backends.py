"""Backends: what computes the coarse network, the largest part of the work on a CPU.

All but PyTorch are optional packages. The refiner is the same with all of them (`FastMatting`).
"""

import importlib.util
import warnings
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import torch
from torch import Tensor, nn

from model import MattingBase, MattingRefine
from model.fast.coarse import Coarse, CoarseNetwork
from model.fast.folding import fold_batch_norms
from model.fast.refine import FastMatting
from runtime.device import Precision

Backend = Literal["pytorch", "compile", "onnxruntime", "openvino"]

_PACKAGES = {"onnxruntime": ("onnxruntime", "onnx"), "openvino": ("openvino",)}
_PRECISIONS = {
    "compile": ("float32", "bfloat16"),
    "onnxruntime": ("float32",),
    "openvino": ("float32", "bfloat16"),
}


def check_backend(
    backend: Backend, network: MattingBase, device: torch.device, precision: Precision
) -> None:
    """Checks that a backend can do what is asked.

    Args:
        backend: `pytorch` can do everything.
        network: to run.
        device: to run on.
        precision: of the convolutions.

    Raises:
        ValueError: when it is not installed or does not know the device, network or precision.
    """
    if backend == "pytorch":
        return
    missing = [p for p in _PACKAGES.get(backend, ()) if importlib.util.find_spec(p) is None]
    if missing:
        raise ValueError(
            f"--backend {backend} needs {' and '.join(missing)}; run `pip install "
            f"{' '.join(missing)}` or use --backend pytorch"
        )
    if device.type != "cpu":
        raise ValueError(
            f"--backend {backend} runs on the CPU, got device {device.type}; use --device cpu or "
            "--backend pytorch"
        )
    if not isinstance(network, MattingRefine):
        raise ValueError(
            f"--backend {backend} takes a mattingrefine, got a mattingbase; use --backend pytorch"
        )
    if precision not in _PRECISIONS[backend]:
        raise ValueError(
            f"--backend {backend} computes in {' or '.join(_PRECISIONS[backend])}, got {precision}"
        )


def build_fast(network: MattingRefine, backend: Backend, precision: Precision) -> FastMatting:
    """Builds a network whose coarse part runs in a backend.

    Args:
        network: in evaluation mode, on the CPU; see `check_backend`.
        backend: other than `pytorch`.
        precision: of the convolutions.

    Returns:
        What computes the network's predictions.
    """
    convert = {
        "compile": _compile,
        "onnxruntime": _to_onnxruntime,
        "openvino": _to_openvino,
    }[backend]
    return FastMatting(network, convert(CoarseNetwork(fold_batch_norms(network)), precision))


@torch.no_grad()
def measure_parity(network: MattingRefine, fast: FastMatting) -> float:
    """Compares a backend with PyTorch on noise.

    Args:
        network: in evaluation mode.
        fast: of the same network, in a backend.

    Returns:
        The largest absolute difference of the coarse alpha, (1, 1, 96, 160), before it is clamped.
    """
    pair = torch.rand(2, 1, 3, 96, 160, generator=torch.Generator().manual_seed(0))
    expected = network.fold().coarse(*pair)[0]
    return float((fast.coarse(*pair)[0].float() - expected)[:, 0].abs().max())


def _compile(coarse: nn.Module, precision: Precision) -> Coarse:
    compiled: Coarse = torch.compile(coarse)
    return compiled


def _to_onnxruntime(coarse: nn.Module, precision: Precision) -> Coarse:
    import onnxruntime

    axes = {0: "batch", 2: "height", 3: "width"}
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        # The exporter that is not deprecated takes 17 times as long: 27 s.
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


def _to_openvino(coarse: nn.Module, precision: Precision) -> Coarse:
    import openvino
    from openvino.preprocess import PrePostProcessor

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tracing
        converted = openvino.convert_model(coarse, example_input=tuple(_example()))
    processor = PrePostProcessor(converted)
    # As the refiner wants them.
    processor.output(1).model().set_layout(openvino.Layout("NCHW"))
    processor.output(1).tensor().set_layout(openvino.Layout("NHWC"))
    converted = processor.build()
    options = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bfloat16" else "f32",
    }

    # A request for each size: a network of one size is faster than of any. Few sizes come often.
    @lru_cache(maxsize=8)
    def request(shape: torch.Size) -> Callable[..., dict[int, object]]:
        converted.reshape({0: list(shape), 1: list(shape)})
        built = _openvino_core().compile_model(converted, "CPU", options).create_infer_request()
        infer: Callable[..., dict[int, object]] = built.infer
        return infer

    def run(src: Tensor, bgr: Tensor) -> tuple[Tensor, Tensor]:
        # The outputs share the request's memory, which the next call overwrites.
        outputs = request(src.shape)(
            [src.numpy(), bgr.numpy()], share_inputs=True, share_outputs=True
        )
        predicted, features = (torch.from_numpy(outputs[i]) for i in (0, 1))
        return predicted, features.permute(0, 3, 1, 2)

    return run


@lru_cache(maxsize=1)
def _openvino_core() -> Any:
    """OpenVINO's runtime, kept as long as the program runs.

    Once it is gone, a signal that comes ends the program with a segmentation fault (seen with
    OpenVINO 2026.4, Python 3.11, Linux).
    """
    import openvino

    return openvino.Core()


def _example() -> Tensor:
    return torch.rand(2, 1, 3, 64, 96)


def _channels_last(features: Tensor) -> Tensor:
    return features.contiguous(memory_format=torch.channels_last)
