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

# Scales of the coarse input to draw from, evenly spaced.
_SCALES = 3
# What is left of the learning rates at the end of a cosine schedule.
_LAST_FACTOR = 0.01

TrainingPrecision = Literal["auto", "float32", "float16", "bfloat16"]

CoarseScale = Annotated[float, Field(gt=0, le=MAX_BACKBONE_SCALE)]
Count = Annotated[int, Field(ge=1)]
NotNegative = Annotated[int, Field(ge=0)]
Rate = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@settings_group("model")
class BaseModelSettings:
    """The network, and where its weights come from."""

    name: str = REQUIRED
    """Names the run: checkpoints are kept in CHECKPOINT_DIR/NAME, logs in LOG_DIR/NAME."""
    backbone: Backbone = "mobilenetv2"
    """Of the encoder."""
    pretrain_initialization: Path | None = None
    """DeepLabV3 weights for encoder and ASPP."""
    initial_checkpoint: Path | None = None
    """Weights to begin with: a checkpoint of an earlier stage, of this program or of the authors'.
    """
    last_checkpoint: str | None = None
    """What to go on with: auto for the newest checkpoint of this run, if there is one, or a file. A
    file of a run of another name gives its weights only."""

    def __post_init__(self) -> None:
        if isinstance(self.name, str) and (not self.name or Path(self.name).name != self.name):
            raise ValueError(f"model name must be a plain name for a folder, got {self.name!r}")
        if self.pretrain_initialization and self.initial_checkpoint:
            raise ValueError(
                "give either --model-pretrain-initialization (DeepLabV3 weights) or "
                "--model-initial-checkpoint (weights of this network), not both"
            )

    def draw_arguments(self, seed: int, step: int) -> dict[str, float]:
        """Arguments of a step's call of the network, beside its pictures; MattingBase has none."""
        return {}


@settings_group("model")
class RefineModelSettings(BaseModelSettings):
    """The network with its refiner, and where its weights come from."""

    backbone_scale: CoarseScale = 0.25
    """Size of the coarse input as a fraction of the crop's, in (0, 1/2]."""
    backbone_scale_largest: CoarseScale | None = None
    """Where given, each step draws its scale: backbone_scale, this one or the one between, so that
    one refiner serves small and large pictures."""
    refine_mode: RefineMode = "sampling"
    """How refined cells are chosen."""
    refine_sample_pixels: int = 80_000
    """Pixels of each picture to refine in mode sampling."""
    refine_threshold: float = 0.1
    """Predicted error in [0, 1], for mode thresholding."""
    refine_kernel_size: Literal[3, 1] = 3
    """Of the refiner's convolutions."""
    corrects_alpha: bool = False
    """Bring refined alpha nearer to the compositing equation, as inference does by default: the
    foreground then learns to serve that."""

    def __post_init__(self) -> None:
        super().__post_init__()
        largest = self.backbone_scale_largest
        if largest is not None and largest < self.backbone_scale:
            raise ValueError(
                f"backbone_scale_largest must be at least backbone_scale, {self.backbone_scale}, "
                f"and at most {MAX_BACKBONE_SCALE}, got {largest}"
            )

    def draw_arguments(self, seed: int, step: int) -> dict[str, float]:
        """Draws a step's scale of the coarse input, the same for all processes.

        Source: ours; three of them, because a GPU is slow on each size that it meets for the first
            time.
        """
        largest = self.backbone_scale_largest or self.backbone_scale
        place = np.random.default_rng((seed, step)).integers(_SCALES) / (_SCALES - 1)
        scale = self.backbone_scale + (largest - self.backbone_scale) * place
        return {"backbone_scale": float(scale)}


@settings_group("learning-rate")
class LearningRates:
    """Adam's learning rates of the network's parts; 0 freezes a part, its statistics too."""

    backbone: Rate = REQUIRED
    """Of the encoder."""
    aspp: Rate = REQUIRED
    """Of the pyramid pooling."""
    decoder: Rate = REQUIRED
    """Of the decoder."""
    refiner: Rate | None = None
    """Of the refiner; MattingBase has none."""


@settings_group("schedule")
class ScheduleSettings:
    """How learning rates change over the run. The published recipe keeps them constant."""

    kind: Literal["constant", "cosine"] = "constant"
    """constant, or cosine from the full rates to a hundredth of them at the last step."""
    warm_up: NotNegative = 0
    """Steps over which the rates grow from 0."""
    clip_norm: Annotated[float, Field(gt=0)] | None = None
    """Largest norm of the gradient; null does not clip."""

    def factor_of_step(self, step: int, total_steps: int, place: int | None = None) -> float:
        """Computes the factor of all learning rates in a step, from 0, of the whole run's steps.

        Where the size of a step has changed since the run began, `place` is the number of steps of
        the present size that the samples so far would have been: so the cosine follows the samples.

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
    """Length of the run, and where and how to compute."""

    batch_size: Count = REQUIRED
    """Samples of each process in a step."""
    pairings: int = 1
    """Backgrounds of the batch that each of its foregrounds meets. With 2, a step has twice
    batch_size samples, for which only batch_size were read or drawn."""
    num_workers: NotNegative = 2
    """Processes that prepare samples, beside each training process."""
    epoch_start: NotNegative = 0
    """First epoch of a new run; a resumed one goes on where it was."""
    epoch_end: int = REQUIRED
    """Epoch before which the run ends."""
    seed: NotNegative = 0
    """Decides weights, order, crops and augmentation."""
    device: DeviceName = "auto"
    """auto takes CUDA, then MPS, then the CPU."""
    precision: TrainingPrecision = "auto"
    """Of the convolutions; auto is float16 on CUDA, bfloat16 on a CPU that computes in it, else
    float32."""
    sync_batch_norm: bool = True
    """Normalise over the samples of all processes, on CUDA. Without, and on CPUs, each process
    normalises over its own and the first one's running statistics are kept."""
    freeze_batch_norm: bool = False
    """Normalise by the running statistics of the weights that the run began with, and keep them:
    for going on with few samples a step."""
    batch_norm_samples: NotNegative = 0
    """Samples over which batch norm's running statistics are counted anew when the last epoch has
    ended; 0 keeps what the steps have left, as the published recipe does. With epoch_end equal to
    epoch_start nothing else is done: so are those of a mean of weights made."""
    channels_last: bool = False
    """Memory format of network and pictures."""
    compile: bool = False
    """Compile the network with torch.compile."""
    checkpoint_dir: Path = Path("checkpoint")
    """Parent of the runs' folders of checkpoints."""
    checkpoint_interval: Count = 5000
    """Steps between checkpoints; one is also written at each epoch's end."""
    checkpoint_keep: Count = 3
    """Newest checkpoints to keep beside the best one."""

    def __post_init__(self) -> None:
        if isinstance(self.batch_size, int) and not 1 <= self.pairings <= self.batch_size:
            raise ValueError(
                "pairings must be from 1 to batch_size, so that each is with another background, "
                f"got {self.pairings} of {self.batch_size}"
            )
        if self.freeze_batch_norm and self.batch_norm_samples:
            raise ValueError(
                "running statistics are either kept (freeze_batch_norm) or counted anew, got "
                f"batch_norm_samples {self.batch_norm_samples} beside it; give one of them"
            )
        first_end = self.epoch_start + (self.batch_norm_samples == 0)
        if isinstance(self.epoch_end, int) and self.epoch_end < first_end:
            raise ValueError(
                "epoch_end must be above epoch_start (or equal to it, to count running statistics "
                f"alone: batch_norm_samples above 0), got {self.epoch_start} to {self.epoch_end}"
            )


@settings_group("log")
class LogSettings:
    """What is logged, in steps."""

    dir: Path = Path("log")
    """Parent of the runs' TensorBoard folders."""
    train_loss_interval: Count = 10
    """Steps between scalars."""
    train_images_interval: Count = 2000
    """Steps between pictures of the training batch."""
    valid_interval: Count = 5000
    """Steps between validations; one is also made at the run's end."""


@settings_group("valid")
class ValidationSettings:
    """Fixed samples on which the network is judged; the same at every validation."""

    samples: Count = 64
    """Number of samples; fewer if the validation set is smaller."""
    size: Annotated[int, Field(ge=32, multiple_of=4)] = 512
    """Height and width of their crops in pixels."""
    batch_size: Count = 4
    """Samples of each process at a time."""
    seed: int = 0
    """Chooses backgrounds, crops and disturbances."""


@settings_group()
class TrainingSettings:
    """What both training scripts share."""

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
