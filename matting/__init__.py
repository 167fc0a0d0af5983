"""Background matting as a library: `from matting import Matting`.

The networks, for tensors, are handed on from `model`, which stands elsewhere where the package is
installed: `MattingBase`, `MattingRefine`, `load_network` and `accelerate`.
"""

from model import MattingBase, MattingRefine
from model.fast import accelerate
from model.weights import load_network
from runtime.version import VERSION

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
