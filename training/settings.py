"""Settings of the training scripts."""

import math
from dataclasses import field
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from dataset.augmentation import AugmentationSettings
from dataset.batches import CropSettings
from dataset.settings import DatasetSettings
from model.matting import MAX_BACKBONE_SCALE, Backbone
from model.refiner import CELL, RefineMode
from runtime.device import DeviceName
from runtime.settings import REQUIRED, settings_group
from storage.location import AnyLocation, OptionalLocation, check_target

# Number of evenly spaced scales of the coarse input to draw from.
_SCALES = 3
# Factor of the learning rates at the end of a cosine schedule.
_LAST_FACTOR = 0.01

TrainingPrecision = Literal["auto", "float32", "float16", "bfloat16"]

CoarseScale = Annotated[float, Field(gt=0, le=MAX_BACKBONE_SCALE)]
Count = Annotated[int, Field(ge=1)]
NotNegative = Annotated[int, Field(ge=0)]
Rate = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@settings_group("model")
class BaseModelSettings:
    """The network and its initial weights."""

    name: str = REQUIRED
    """Name of the run. Checkpoints go to CHECKPOINT_DIR/NAME, logs to LOG_DIR/NAME."""
    backbone: Backbone = "mobilenetv2"
    """Backbone of the encoder."""
    pretrain_initialization: Path | None = None
    """DeepLabV3 weights for encoder and ASPP."""
    initial_checkpoint: OptionalLocation = None
    """Weights to start from: a checkpoint of an earlier stage, from this program or from the
    authors' release.
    """
    last_checkpoint: str | None = None
    """Checkpoint to continue from: auto for the newest one of this run, if there is one, or a file.
    From a run of another name only the weights are used."""

    def __post_init__(self) -> None:
        if isinstance(self.name, str) and (not self.name or Path(self.name).name != self.name):
            raise ValueError(f"model name must be a plain name for a folder, got {self.name!r}")
        if self.pretrain_initialization and self.initial_checkpoint:
            raise ValueError(
                "give either --model-pretrain-initialization (DeepLabV3 weights) or "
                "--model-initial-checkpoint (weights of this network), not both"
            )

    def draw_arguments(self, seed: int, step: int) -> dict[str, float]:
        """Arguments of the network in a step, except the pictures; MattingBase has none."""
        return {}


@settings_group("model")
class RefineModelSettings(BaseModelSettings):
    """The network with its refiner, and its initial weights."""

    backbone_scale: CoarseScale = 0.25
    """Scale of the coarse network's input relative to the crop, in (0, 1/2]."""
    backbone_scale_largest: CoarseScale | None = None
    """If given, each step draws its scale from backbone_scale, this value and their mean, so that
    one refiner works for small and large pictures."""
    refine_mode: RefineMode = "sampling"
    """How refined cells are chosen."""
    refine_sample_pixels: int = 80_000
    """Number of pixels to refine per picture in mode sampling; mode blocks refines one block for
    every 160."""
    refine_threshold: float = 0.1
    """Threshold of predicted error, in [0, 1], for mode thresholding."""
    refine_kernel_size: Literal[3, 1] = 3
    """Kernel size of the refiner's convolutions."""
    corrects_alpha: bool = False
    """Correct refined alpha by the compositing equation, as inference does by default, so that the
    foreground is trained for it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        largest = self.backbone_scale_largest
        if largest is not None and largest < self.backbone_scale:
            raise ValueError(
                f"backbone_scale_largest must be at least backbone_scale, {self.backbone_scale}, "
                f"and at most {MAX_BACKBONE_SCALE}, got {largest}"
            )

    def draw_arguments(self, seed: int, step: int) -> dict[str, float]:
        """Draws the coarse input's scale for a step, the same in all processes.

        Source: ours; only three values, because the first step of each size is slow on a GPU.
        """
        largest = self.backbone_scale_largest or self.backbone_scale
        place = np.random.default_rng((seed, step)).integers(_SCALES) / (_SCALES - 1)
        scale = self.backbone_scale + (largest - self.backbone_scale) * place
        return {"backbone_scale": float(scale)}


@settings_group("learning-rate")
class LearningRates:
    """Adam's learning rates by part of the network. 0 freezes a part and its running statistics."""

    backbone: Rate = REQUIRED
    """Learning rate of the encoder."""
    aspp: Rate = REQUIRED
    """Learning rate of the pyramid pooling."""
    decoder: Rate = REQUIRED
    """Learning rate of the decoder."""
    refiner: Rate | None = None
    """Learning rate of the refiner; MattingBase has none."""


@settings_group("schedule")
class ScheduleSettings:
    """How learning rates change during the run. The published recipe keeps them constant."""

    kind: Literal["constant", "cosine"] = "constant"
    """constant, or cosine: from the full rates to 1% of them at the last step."""
    warm_up: NotNegative = 0
    """Number of steps over which the rates rise from 0."""
    clip_norm: Annotated[float, Field(gt=0)] | None = None
    """Clip the gradient to this norm; null does not clip."""

    def factor_of_step(self, step: int, total_steps: int, place: int | None = None) -> float:
        """Computes the factor of all learning rates at a step of the run, from 0.

        If the number of samples per step has changed since the run began, `place` is the position
        in steps of the present size, so that the cosine follows the number of samples.

        Source: ours, because the published recipe has constant rates; cosine as in Loshchilov and
            Hutter, 2017.
        """
        if step < self.warm_up:
            return (step + 1) / self.warm_up
        if self.kind == "constant":
            return 1.0
        done = (step if place is None else place) - self.warm_up
        part = done / max(1, total_steps - self.warm_up)
        wave = (1 + math.cos(math.pi * min(1.0, max(0.0, part)))) / 2
        return _LAST_FACTOR + (1 - _LAST_FACTOR) * wave


@settings_group("")
class RunSettings:
    """Length, device and precision of the run."""

    batch_size: Count = REQUIRED
    """Samples per process and step."""
    pairings: int = 1
    """Number of the batch's backgrounds that each foreground is composited over. With 2, a step has
    twice batch_size samples, but only batch_size are read or drawn."""
    num_workers: NotNegative = 2
    """Worker processes that prepare samples, per training process."""
    epoch_start: NotNegative = 0
    """First epoch of a new run; a resumed run continues where it stopped."""
    epoch_end: int = REQUIRED
    """The run ends before this epoch."""
    seed: NotNegative = 0
    """Seed of weights, order, crops and augmentation."""
    device: DeviceName = "auto"
    """auto takes CUDA, then MPS, then the CPU."""
    precision: TrainingPrecision = "auto"
    """Number format of the convolutions; auto is float16 on CUDA, bfloat16 on a CPU that supports
    it, else float32."""
    sync_batch_norm: bool = True
    """On CUDA, batch norm uses the samples of all processes. Otherwise each process uses its own,
    and the running statistics of the first process are saved."""
    freeze_batch_norm: bool = False
    """Freeze batch norm's running statistics at those of the initial weights: for fine-tuning with
    few samples per step."""
    batch_norm_samples: NotNegative = 0
    """Number of samples over which batch norm's running statistics are computed again after the
    last epoch; 0 keeps those from training, as the published recipe does. With epoch_end equal to
    epoch_start only this is done, for example for a mean of weights."""
    channels_last: bool = False
    """Memory format of network and pictures."""
    compile: bool = False
    """Compile the network with torch.compile."""
    checkpoint_dir: AnyLocation = Path("checkpoint")
    """Folder that holds a folder of checkpoints for each run; may be a URL, such as s3://bucket/x.
    A run of several machines needs one that all of them can read and write."""
    checkpoint_interval: Count = 5000
    """Steps between checkpoints. One is also written at the end of each epoch."""
    checkpoint_keep: Count = 3
    """Number of newest checkpoints to keep, in addition to the best one."""

    def __post_init__(self) -> None:
        check_target(self.checkpoint_dir)
        if isinstance(self.batch_size, int) and not 1 <= self.pairings <= self.batch_size:
            raise ValueError(
                "pairings must be from 1 to batch_size, because each needs a different background, "
                f"got {self.pairings} with batch_size {self.batch_size}"
            )
        if self.freeze_batch_norm and self.batch_norm_samples:
            raise ValueError(
                "running statistics are either frozen (freeze_batch_norm) or computed again, got "
                f"batch_norm_samples {self.batch_norm_samples} as well; give one of them"
            )
        first_end = self.epoch_start + (self.batch_norm_samples == 0)
        if isinstance(self.epoch_end, int) and self.epoch_end < first_end:
            raise ValueError(
                "epoch_end must be above epoch_start (or equal to it, to compute only running "
                f"statistics: batch_norm_samples above 0), got {self.epoch_start} to "
                f"{self.epoch_end}"
            )


@settings_group("log")
class LogSettings:
    """What to log, and how often."""

    dir: Path = Path("log")
    """Folder that holds a TensorBoard folder for each run."""
    train_loss_interval: Count = 10
    """Steps between scalars."""
    train_images_interval: Count = 2000
    """Steps between pictures of the training batch."""
    valid_interval: Count = 5000
    """Steps between validations. One is also made at the end of the run."""


@settings_group("valid")
class ValidationSettings:
    """Fixed validation samples, the same at every validation."""

    samples: Count = 64
    """Number of samples; fewer if the validation set is smaller."""
    size: Annotated[int, Field(ge=32, multiple_of=4)] = 512
    """Height and width of their crops in pixels."""
    batch_size: Count = 4
    """Batch size per process."""
    seed: int = 0
    """Seed of backgrounds, crops and disturbances."""


@settings_group()
class TrainingSettings:
    """Settings that both training scripts share."""

    dataset: DatasetSettings = field(default_factory=DatasetSettings)
    augmentation: AugmentationSettings = field(default_factory=AugmentationSettings)
    crop: CropSettings = field(default_factory=CropSettings)
    learning_rates: LearningRates = field(default_factory=LearningRates)
    schedule: ScheduleSettings = field(default_factory=ScheduleSettings)
    run: RunSettings = field(default_factory=RunSettings)
    log: LogSettings = field(default_factory=LogSettings)
    validation: ValidationSettings = field(default_factory=ValidationSettings)
    config: Path | None = None
    """YAML file of settings. Flags on the command line override it."""
    print_config: bool = False
    """Print the resolved settings as YAML and exit."""


@settings_group()
class BaseSettings(TrainingSettings):
    """All settings of train_base.py."""

    model: BaseModelSettings = field(default_factory=BaseModelSettings)


@settings_group()
class RefineSettings(TrainingSettings):
    """All settings of train_refine.py."""

    model: RefineModelSettings = field(default_factory=RefineModelSettings)
    crop: CropSettings = field(default_factory=lambda: CropSettings(1024, 2048, CELL))

    def __post_init__(self) -> None:
        if self.crop.multiple % CELL:
            raise ValueError(
                f"crop multiple must be a multiple of {CELL}, the side of a refined cell, got "
                f"{self.crop.multiple}"
            )


Settings = BaseSettings | RefineSettings
