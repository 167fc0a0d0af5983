"""Settings that inference scripts share: network, work, device and outputs."""

from pathlib import Path
from typing import Literal

from model.build import NetworkType
from model.matting import MAX_BACKBONE_SCALE, Backbone
from model.refiner import RefineMode
from runtime.device import DeviceName, Precision
from runtime.settings import REQUIRED, settings_group

from .backends import Backend
from .pictures.compose import BitDepth, OutputType

DEFAULT_CHECKPOINT = (
    Path(__file__).resolve().parents[1] / "weights" / "mattingrefine_mobilenetv2.safetensors"
)


@settings_group("model")
class ModelSettings:
    """Network, and the work that it does on a picture.

    Attributes:
        checkpoint: Weights (.pth state dict or .safetensors).
        type: Expected network type; read from the checkpoint when not given. mattingbase on a
            MattingRefine checkpoint uses its coarse network alone.
        backbone: Expected backbone; read from the checkpoint when not given.
        backbone_scale: Size of the coarse input as a fraction of the picture's, in (0, 1/2];
            chosen by --quality when not given.
        refine_mode: sampling refines the most error-prone pixels, thresholding all of predicted
            error above the threshold, full everything.
        refine_sample_pixels: Pixels of each picture to refine in mode sampling; chosen by
            --quality when not given.
        refine_threshold: Predicted error in [0, 1], for mode thresholding.
        refine_kernel_size: Expected kernel size of the refiner; read from the checkpoint when not
            given.
        corrects_alpha: True brings refined alpha nearer to the compositing equation, False leaves
            it as the network predicts it; chosen by --quality when not given.
    """

    checkpoint: Path = DEFAULT_CHECKPOINT
    type: NetworkType | None = None
    backbone: Backbone | None = None
    backbone_scale: float | None = None
    refine_mode: RefineMode = "sampling"
    refine_sample_pixels: int | None = None
    refine_threshold: float = 0.1
    refine_kernel_size: Literal[3, 1] | None = None
    corrects_alpha: bool | None = None

    def __post_init__(self) -> None:
        scale, pixels = self.backbone_scale, self.refine_sample_pixels
        if scale is not None and not 0 < scale <= MAX_BACKBONE_SCALE:
            raise ValueError(
                f"backbone_scale must be above 0 and at most {MAX_BACKBONE_SCALE}, got {scale}"
            )
        if pixels is not None and pixels < 0:
            raise ValueError(f"refine_sample_pixels must be 0 or more, got {pixels}")
        if not 0 <= self.refine_threshold <= 1:
            raise ValueError(f"refine_threshold must lie in [0, 1], got {self.refine_threshold}")


@settings_group("images")
class ImagesSettings:
    """What to read.

    Attributes:
        src: Frames: a picture, or a folder that is searched with its subfolders.
        bgr: Captured background plates, without the subject (not the new background, see
            --target-bgr): one picture for all frames, or a folder whose pictures have the frames'
            relative paths and stems.
    """

    src: Path = REQUIRED
    bgr: Path = REQUIRED


@settings_group("output")
class OutputSettings:
    """What to write.

    Attributes:
        dir: Folder for the outputs, one subfolder a type, inside like the source.
        types: com: foreground with alpha (RGBA PNG, straight alpha), or composited over
            --target-bgr; pha: alpha; fgr: foreground; err: predicted error; ref: refined cells;
            sheet: all of these in one picture.
        bit_depth: Bits a channel of com, pha and fgr.
    """

    dir: Path = REQUIRED
    types: tuple[OutputType, ...] = ("com", "pha")
    bit_depth: BitDepth = 8

    def __post_init__(self) -> None:
        if not self.types:
            raise ValueError("types must name at least one output type")


@settings_group("")
class ComputeSettings:
    """Where and how to compute.

    Attributes:
        device: auto takes CUDA, then MPS, then the CPU.
        precision: Of the convolutions; pictures and weights stay float32.
        backend: What computes the coarse network on a CPU; onnxruntime and openvino are packages
            of that name.
        num_workers: Threads that read and as many that write beside the computation; 0 does one
            thing after the other.
    """

    device: DeviceName = "auto"
    precision: Precision = "float32"
    backend: Backend = "pytorch"
    num_workers: int = 2

    def __post_init__(self) -> None:
        if self.num_workers < 0:
            raise ValueError(f"num_workers must be 0 or more, got {self.num_workers}")
