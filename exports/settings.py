"""Settings of an export: the network, and what is left open in it."""

import re
from pathlib import Path
from typing import Annotated

from pydantic import Field

from matting.quality import Budget, resolve_budget
from matting.settings import DEFAULT_CHECKPOINT
from model.matting import MAX_BACKBONE_SCALE
from runtime.settings import settings_group

from .network import DYNAMIC_MIN

# Height and width in pixels; None for any.
SIZES = {"hd": (1080, 1920), "4k": (2160, 3840), "dynamic": None}
_MAX_SIDE = 8192


@settings_group("model")
class NetworkSettings:
    """The network to export."""

    checkpoint: Path = DEFAULT_CHECKPOINT
    """Weights (.pth state dict or .safetensors)."""
    backbone_scale: Annotated[float, Field(gt=0, le=MAX_BACKBONE_SCALE)] | None = None
    """Scale of the coarse network's input relative to the frame, in (0, 1/2]; chosen by the size if
    not given, as --quality auto does; with --size dynamic the file itself chooses scale and pixels,
    or both are given."""
    refine_sample_pixels: Annotated[int, Field(ge=0)] | None = None
    """Budget of mode blocks, which refines one block of 16 x 16 pixels for every 160 of it; chosen
    as the scale is."""
    corrects_alpha: bool | None = None
    """False leaves refined alpha as predicted; else it is corrected by the compositing equation, as
    --quality auto does."""

    def choose_budget(self, size: tuple[int, int] | None) -> Budget:
        """Chooses scale and pixels for frames of a size; for dynamic ones, as for HD."""
        height, width = size or (1080, 1920)
        scale, pixels = self.backbone_scale, self.refine_sample_pixels
        return resolve_budget(height, width, "auto", scale, pixels, self.corrects_alpha)


def parse_size(text: str) -> tuple[int, int] | None:
    """Reads `HD`, `4K`, `1280x720` (width x height) or `dynamic`.

    Returns:
        Height and width in pixels; None for `dynamic`.

    Raises:
        ValueError: for another text, or sides that the network does not take.
    """
    if text.lower() in SIZES:
        return SIZES[text.lower()]
    sides = re.fullmatch(r"([0-9]{1,5})x([0-9]{1,5})", text)
    if sides is None:
        raise ValueError(f"size must be HD, 4K, dynamic or such as 1280x720, got {text!r}")
    width, height = int(sides[1]), int(sides[2])
    if any(side % 4 or not DYNAMIC_MIN <= side <= _MAX_SIDE for side in (width, height)):
        raise ValueError(
            f"sides must be multiples of 4 from {DYNAMIC_MIN} to {_MAX_SIDE}, got {text}; pad "
            "frames to such a size, as all commands of this program do"
        )
    return height, width
