"""The one place that assembles a network."""

from dataclasses import dataclass
from typing import Literal

from .matting import Backbone, MattingBase, MattingRefine
from .refiner import RefineMode

NetworkType = Literal["mattingbase", "mattingrefine"]


@dataclass(frozen=True)
class NetworkConfig:
    """What a network is made of. Values are checked by the modules that they configure.

    Attributes:
        type: `mattingbase`, or `mattingrefine` with the refiner.
        backbone: `resnet50`, `resnet101` or `mobilenetv2`.
        backbone_scale: see `MattingRefine`, as are the following; unused by `mattingbase`.
        refine_mode: `sampling`, `thresholding` or `full`.
        refine_sample_pixels: pixels of each frame to refine.
        refine_threshold: predicted error in [0, 1].
        refine_kernel_size: 1 or 3.
        corrects_alpha: whether refined alpha is brought nearer to the compositing equation.
    """

    type: NetworkType = "mattingrefine"
    backbone: Backbone = "mobilenetv2"
    backbone_scale: float = 0.25
    refine_mode: RefineMode = "sampling"
    refine_sample_pixels: int = 80_000
    refine_threshold: float = 0.1
    refine_kernel_size: int = 3
    corrects_alpha: bool = False


def build_network(config: NetworkConfig) -> MattingBase | MattingRefine:
    """Builds a network with random weights, in training mode.

    Args:
        config: what to build.

    Returns:
        `MattingRefine` for the type `mattingrefine`, else `MattingBase`.

    Raises:
        ValueError: for an unknown type or a value that a module refuses.
    """
    if config.type == "mattingbase":
        return MattingBase(config.backbone)
    if config.type == "mattingrefine":
        return MattingRefine(
            config.backbone,
            backbone_scale=config.backbone_scale,
            refine_mode=config.refine_mode,
            refine_sample_pixels=config.refine_sample_pixels,
            refine_threshold=config.refine_threshold,
            refine_kernel_size=config.refine_kernel_size,
            corrects_alpha=config.corrects_alpha,
        )
    raise ValueError(f"network type must be mattingbase or mattingrefine, got {config.type!r}")
