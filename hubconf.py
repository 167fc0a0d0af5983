"""Entry points of `torch.hub`.

Example: torch.hub.load("path/to/this/checkout", "matting_mobilenetv2", source="local")
"""

import sys
import zlib
from importlib import import_module
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

# What is imported: torch.hub names all that is missing at once.
dependencies = ["torch", "torchvision", "numpy", "cv2", "av", "PIL", "tifffile", "imagecodecs"]
dependencies += ["safetensors", "tyro", "pydantic", "yaml", "tqdm"]

_ROOT = Path(__file__).resolve().parent
# Imported below a prefix, because a program that calls torch.hub may have its own module `model`.
_NAME = f"background_matting_{zlib.crc32(str(_ROOT).encode()):08x}"


def matting_mobilenetv2(**arguments: Any) -> Any:
    """The network MattingRefine with MobileNetV2 and the shipped weights, for tensors.

    Args:
        arguments: arguments of `MattingRefine`, such as `backbone_scale` and `corrects_alpha`.

    Returns:
        The network on the CPU, in evaluation mode: see `MattingRefine.forward`.
    """
    path = _load("settings").DEFAULT_CHECKPOINT
    network = _load("model").MattingRefine("mobilenetv2", **arguments)
    state = _load("model.reading").read_state_dict(path)
    _load("model.loading").load_weights(network, state, path.name)
    return network.eval()


def predictor(**arguments: Any) -> Any:
    """The library with the shipped weights: pictures and videos in, mattes out.

    Args:
        arguments: arguments of `Matting.load`.

    Returns:
        See `Matting`.
    """
    return _load("library").Matting.load(**arguments)


def _load(module: str) -> ModuleType:
    """Imports a module of this checkout, even if another module has the same name."""
    if _NAME not in sys.modules:
        file = _ROOT / "runtime" / "one_name.py"
        one_name = ModuleType(f"{_NAME}_imports")
        one_name.__file__ = str(file)
        SourceFileLoader(one_name.__name__, str(file)).exec_module(one_name)
        one_name.install(_NAME)
    return import_module(f"{_NAME}.{module}")
