"""Devices and precisions, checked before anything runs."""

import platform
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch

DeviceName = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["float32", "float16", "bfloat16"]

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def resolve_device(name: DeviceName) -> torch.device:
    """Finds a device; `auto` means CUDA, else Apple's MPS, else the CPU.

    Args:
        name: the requested device.

    Returns:
        An available device.

    Raises:
        ValueError: when the device is not available.
    """
    present = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        name = next(device for device in ("cuda", "mps", "cpu") if present[device])
    if not present[name]:
        found = ", ".join(device for device, there in present.items() if there)
        reason = "" if name == "mps" or torch.version.cuda else " (PyTorch was built without CUDA)"
        raise ValueError(
            f"device {name} is not available{reason}; available: {found}. Use one of these or "
            "--device auto"
        )
    return torch.device(name)


def describe_device(device: torch.device) -> str:
    """Names a device for the log.

    Args:
        device: an available device.

    Returns:
        Its type and model.
    """
    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    if device.type == "cpu":
        threads = torch.get_num_threads()
        return f"cpu ({platform.processor() or platform.machine()}, {threads} threads)"
    return device.type


def precision_note(device: torch.device, precision: Precision) -> str | None:
    """Warns if a precision is only emulated on a device.

    Args:
        device: where the network runs.
        precision: precision of its convolutions.

    Returns:
        A sentence for the user, or None if the device computes in this precision.
    """
    if device.type != "cpu" or precision == "float32" or not torch.backends.mkldnn.is_available():
        return None
    supported = {
        "bfloat16": torch.ops.mkldnn._is_mkldnn_bf16_supported,
        "float16": torch.ops.mkldnn._is_mkldnn_fp16_supported,
    }
    if supported[precision]():
        return None
    return f"this CPU has no {precision} arithmetic; float32 is many times faster here"


def fast_precision(device: torch.device) -> Precision:
    """Chooses the precision in which a device computes convolutions fastest.

    That is float16 on CUDA, and bfloat16 on a CPU that multiplies in it (AMX, AVX-512 BF16). On
    other CPUs it is float32.
    """
    if device.type == "cuda":
        return "float16"
    capabilities: dict[str, object] = getattr(
        torch.cpu, "get_capabilities", dict
    )()  # PyTorch 2.6 has none
    multiplies = any(capabilities.get(name) is True for name in ("amx_bf16", "avx512_bf16"))
    lowers = device.type == "cpu" and multiplies and precision_note(device, "bfloat16") is None
    return "bfloat16" if lowers else "float32"


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    """Runs convolutions in a precision; weights and pictures stay float32.

    Pictures are not rounded, so the foreground (frame plus residual) keeps its full depth.

    Args:
        device: where the network is.
        precision: `float32` changes nothing.

    Returns:
        A context manager.
    """
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=DTYPES[precision])
