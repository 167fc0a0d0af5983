"""Runtimes that run an exported network. Both formats hold operators and numbers, no code."""

import importlib.util
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from runtime.device import Precision

# Frame and plate (1, 3, H, W) float32 to alpha (1, 1, H, W) and foreground (1, 3, H, W) float32.
Run = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def open_onnx(path: Path, precision: Precision = "float32") -> Run:
    """Opens an ONNX file in ONNX Runtime, on the CPU; its precision is that of the file.

    Raises:
        ValueError: when the package is missing or refuses the file, the file has other inputs or
            outputs, or, when it is run, the package can't compute.
    """
    check_packages(["onnxruntime"], path)
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors; warnings are about the optimiser's own choices
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the package has a class of its own for every reason
        raise ValueError(f"ONNX Runtime can't open {path}: {error}") from error
    ends = session.get_inputs(), session.get_outputs()
    _check_ends(path, *({x.name: x.type == "tensor(float)" for x in end} for end in ends))

    def run(src: np.ndarray, bgr: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        try:
            pha, fgr = session.run(["pha", "fgr"], {"src": src, "bgr": bgr})
        except Exception as error:  # as above
            raise ValueError(f"ONNX Runtime can't run {path}: {error}") from error
        return pha, fgr

    return run


def open_openvino(path: Path, precision: Precision = "float32") -> Run:
    """Opens an OpenVINO file on the CPU, to compute convolutions in a precision.

    Raises:
        ValueError: as for `open_onnx`.
    """
    check_packages(["openvino"], path)
    options = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bfloat16" else "f32",
    }
    try:
        compiled = openvino_core().compile_model(path, "CPU", options)
    except RuntimeError as error:
        raise ValueError(f"OpenVINO can't open {path}: {error}") from error
    ends = compiled.inputs, compiled.outputs
    _check_ends(
        path,
        *(
            {n: x.element_type.to_dtype() == np.float32 for x in end for n in x.names}
            for end in ends
        ),
    )
    request = compiled.create_infer_request()

    def run(src: np.ndarray, bgr: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        try:
            found = request.infer({"src": src, "bgr": bgr})  # copied, so a later call is harmless
        except RuntimeError as error:
            raise ValueError(f"OpenVINO can't run {path}: {error}") from error
        return found["pha"], found["fgr"]

    return run


def _check_ends(path: Path, inputs: dict[str, bool], outputs: dict[str, bool]) -> None:
    """Checks the names of a file's inputs and outputs, and whether they are float32."""
    if (set(inputs), set(outputs)) != ({"src", "bgr"}, {"pha", "fgr"}):
        found = f"{', '.join(inputs)} to {', '.join(outputs)}"
        raise ValueError(f"{path} must compute src, bgr to pha, fgr; it computes {found}")
    others = [name for name, is_float32 in (inputs | outputs).items() if not is_float32]
    if others:
        raise ValueError(f"{path} must have float32 inputs and outputs; {others[0]} has another")


@lru_cache(maxsize=1)
def openvino_core() -> Any:
    """OpenVINO's runtime, kept until the program ends.

    After it is freed, a signal ends the program with a segmentation fault (seen with OpenVINO
    2026.4, Python 3.11, Linux).
    """
    import openvino

    return openvino.Core()


def check_packages(packages: Sequence[str], what: object, otherwise: str = "") -> None:
    """Checks that packages are installed; ValueError says what needs them, and what else to do."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        install = f"run `pip install {' '.join(missing)}`"
        raise ValueError(f"{what} needs {' and '.join(missing)}; {install}{otherwise}")
