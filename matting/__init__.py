"""Background matting as a library: `from matting import Matting`."""

from .library import Matte, Matting
from .plate.prepare import Preprocess

__all__ = ["Matte", "Matting", "Preprocess"]
