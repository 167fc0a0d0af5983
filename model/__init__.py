"""The matting networks: tensors in, tensors out."""

from .build import NetworkConfig, build_network
from .matting import BaseOutput, MattingBase, MattingRefine, RefineOutput

__all__ = [
    "BaseOutput",
    "MattingBase",
    "MattingRefine",
    "NetworkConfig",
    "RefineOutput",
    "build_network",
]
