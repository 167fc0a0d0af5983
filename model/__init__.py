"""The matting networks: tensors in, tensors out."""

from .build import NetworkConfig, build_network
from .matting import MattingBase, MattingRefine
from .outputs import BaseOutput, RefineOutput

__all__ = [
    "BaseOutput",
    "MattingBase",
    "MattingRefine",
    "NetworkConfig",
    "RefineOutput",
    "build_network",
]
