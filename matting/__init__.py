"""Background matting as a library: `from matting import Matting`.

The networks, for tensors, are handed on from `model`, which stands elsewhere where the package is
installed: `MattingBase`, `MattingRefine`, `load_network` and `accelerate`.

Each name is imported when it is first used, so that `matting --help` need not wait for PyTorch.
"""

from typing import TYPE_CHECKING, Any

from runtime.version import VERSION

if TYPE_CHECKING:
    from model import MattingBase, MattingRefine
    from model.fast import accelerate
    from model.weights import load_network

    from .library import Matte, Matting
    from .plate.prepare import Preprocess

__version__ = VERSION

__all__ = [
    "Matte",
    "Matting",
    "MattingBase",
    "MattingRefine",
    "Preprocess",
    "__version__",
    "accelerate",
    "load_network",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from model import fast, matting, weights

    from . import library
    from .plate import prepare

    return next(
        getattr(place, name)
        for place in (library, prepare, matting, weights, fast)
        if hasattr(place, name)
    )
