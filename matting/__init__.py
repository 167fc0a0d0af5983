"""Background matting as a library: `from matting import Matting`."""

from model import MattingBase, MattingRefine
from runtime.version import VERSION

from .library import Matte, Matting
from .plate.prepare import Preprocess

__version__ = VERSION

__all__ = ["Matte", "Matting", "MattingBase", "MattingRefine", "Preprocess", "__version__"]
