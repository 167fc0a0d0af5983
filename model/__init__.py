"""The matting networks: tensors in, tensors out."""

from .matting import MattingBase, MattingRefine
from .outputs import BaseOutput, RefineOutput

__all__ = ["BaseOutput", "MattingBase", "MattingRefine", "RefineOutput"]
