"""Settings that inference scripts share: network, work, device and outputs."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from model.matting import MAX_BACKBONE_SCALE, Backbone
from model.refiner import RefineMode
from model.weights import NetworkType
from runtime.device import DeviceName, Precision
from runtime.files import SHIPPED
from runtime.settings import REQUIRED, settings_group

from .backends import Backend
from .pictures.compose import BitDepth, OutputType

DEFAULT_CHECKPOINT = SHIPPED / "weights" / "mattingrefine_mobilenetv2.safetensors"


@settings_group("model")
class ModelSettings:
    """Network, and the work that it does on a picture."""

    checkpoint: Path = DEFAULT_CHECKPOINT
    """Weights (.pth state dict or .safetensors)."""
    type: NetworkType | None = None
    """Expected network type; read from the checkpoint when not given. mattingbase on a
    MattingRefine checkpoint uses its coarse network alone."""
    backbone: Backbone | None = None
    """Expected backbone; read from the checkpoint when not given."""
    backbone_scale: Annotated[float, Field(gt=0, le=MAX_BACKBONE_SCALE)] | None = None
    """Size of the coarse input as a fraction of the picture's, in (0, 1/2]; chosen by --quality
    when not given."""
    refine_mode: RefineMode = "sampling"
    """sampling refines the most error-prone pixels, thresholding all of predicted error above the
    threshold, full everything."""
    refine_sample_pixels: Annotated[int, Field(ge=0)] | None = None
    """Pixels of each picture to refine in mode sampling; chosen by --quality when not given."""
    refine_threshold: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Predicted error in [0, 1], for mode thresholding."""
    refine_kernel_size: Literal[3, 1] | None = None
    """Expected kernel size of the refiner; read from the checkpoint when not given."""
    corrects_alpha: bool | None = None
    """True corrects refined alpha by the compositing equation, False leaves it as the network
    predicts it; chosen by --quality when not given."""


@settings_group("images")
class ImagesSettings:
    """What to read."""

    src: Path = REQUIRED
    """Frames: a picture, or a folder that is searched with its subfolders."""
    bgr: Path = REQUIRED
    """Captured background plates, without the subject (not the new background, see --target-bgr):
    one picture for all frames, or a folder whose pictures have the frames' relative paths and
    stems."""


@settings_group("output")
class OutputSettings:
    """What to write."""

    dir: Path = REQUIRED
    """Folder for the outputs, one subfolder a type, inside like the source."""
    types: Annotated[tuple[OutputType, ...], Field(min_length=1)] = ("com", "pha")
    """com: foreground with alpha (RGBA PNG, straight alpha), or composited over --target-bgr; pha:
    alpha; fgr: foreground; err: predicted error; ref: refined cells; sheet: all of these in one
    picture."""
    bit_depth: BitDepth = 8
    """Bits a channel of com, pha and fgr."""


@settings_group("")
class ComputeSettings:
    """Where and how to compute."""

    device: DeviceName = "auto"
    """auto takes CUDA, then MPS, then the CPU."""
    precision: Precision = "float32"
    """Of the convolutions; pictures and weights stay float32."""
    backend: Backend = "pytorch"
    """What computes the coarse network on a CPU; onnxruntime and openvino are packages of that
    name."""
    num_workers: Annotated[int, Field(ge=0)] = 2
    """Threads that read and as many that write beside the computation; 0 does one thing after the
    other."""
