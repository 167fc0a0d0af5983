"""Settings that inference scripts share: network, work, device and outputs."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from model.matting import MAX_BACKBONE_SCALE, Backbone
from model.refiner import RefineMode
from model.weights import NetworkType
from runtime.device import DeviceName, Precision
from runtime.files import SHIPPED
from runtime.settings import REQUIRED, settings_group
from storage.location import AnyLocation

from .backends import Backend
from .pictures.compose import BitDepth, OutputType

DEFAULT_CHECKPOINT = SHIPPED / "weights" / "mattingrefine_mobilenetv2.safetensors"


@settings_group("model")
class ModelSettings:
    """The network, and its scale and refinement per picture."""

    checkpoint: Path = DEFAULT_CHECKPOINT
    """Weights (.pth state dict or .safetensors), or an exported network (.onnx or .xml)."""
    type: NetworkType | None = None
    """Expected network type; read from the checkpoint if not given. mattingbase with a
    MattingRefine checkpoint uses its coarse network alone."""
    backbone: Backbone | None = None
    """Expected backbone; read from the checkpoint if not given."""
    backbone_scale: Annotated[float, Field(gt=0, le=MAX_BACKBONE_SCALE)] | None = None
    """Scale of the coarse network's input relative to the picture, in (0, 1/2]; chosen by --quality
    if not given."""
    refine_mode: RefineMode = "sampling"
    """Which pixels to refine: sampling, those of largest predicted error; thresholding, all whose
    predicted error is above the threshold; full, all; blocks, the squares of 16 x 16 pixels that
    hold the largest errors, in a form that can be exported."""
    refine_sample_pixels: Annotated[int, Field(ge=0)] | None = None
    """Number of pixels to refine per picture in mode sampling; mode blocks refines one square for
    every 160. Chosen by --quality if not given."""
    refine_threshold: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Threshold of predicted error, in [0, 1], for mode thresholding."""
    refine_kernel_size: Literal[3, 1] | None = None
    """Expected kernel size of the refiner; read from the checkpoint if not given."""
    corrects_alpha: bool | None = None
    """True corrects refined alpha by the compositing equation; False keeps it as predicted. Chosen
    by --quality if not given."""

    def __post_init__(self) -> None:
        # A path has one slash where a URL had two.
        if re.match(r"(s3|gs|https?):/", self.checkpoint.as_posix()):
            raise ValueError(
                f"the checkpoint is read from this machine; fetch {self.checkpoint} first"
            )

    @property
    def work(self) -> dict[str, Any]:
        """The settings that override a quality; see `resolve_budget`."""
        names = "backbone_scale", "refine_sample_pixels", "corrects_alpha"
        return {name: getattr(self, name) for name in names}


@settings_group("images")
class ImagesSettings:
    """Settings of the input."""

    src: AnyLocation = REQUIRED
    """Frames: a picture, or a folder with its subfolders; at a URL too (s3://, gs://, https://)."""
    bgr: AnyLocation = REQUIRED
    """Captured background plates, without the subject: one picture for all frames, or a folder
    paired with the frames by relative path and stem. The new background is --target-bgr."""


@settings_group("output")
class OutputSettings:
    """Settings of the output."""

    dir: AnyLocation = REQUIRED
    """Output folder, or its URL (s3://, gs://). Each output type gets a subfolder with the source's
    structure."""
    types: Annotated[tuple[OutputType, ...], Field(min_length=1)] = ("com", "pha")
    """com: foreground with alpha (RGBA PNG, straight alpha), or composited over --target-bgr; pha:
    alpha; fgr: foreground; err: predicted error; ref: refined cells; sheet: all of these in one
    picture."""
    bit_depth: BitDepth = 8
    """Bits per channel of com, pha and fgr."""


@settings_group("")
class ComputeSettings:
    """Device, precision and threads."""

    device: DeviceName = "auto"
    """auto takes CUDA, then MPS, then the CPU."""
    precision: Precision | None = None
    """Number format of the convolutions; pictures and weights stay float32. If not given: float32,
    and with --quality fast float16 on CUDA and bfloat16 on CPUs that multiply in it."""
    backend: Backend = "pytorch"
    """What computes the coarse network on a CPU; onnxruntime and openvino need the package of that
    name."""
    num_workers: Annotated[int, Field(ge=0)] = 2
    """Threads that read, and as many that write, while others compute. 0 runs everything in
    sequence."""
