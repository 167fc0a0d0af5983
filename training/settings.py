"""Settings of the training scripts."""

from dataclasses import field
from pathlib import Path
from typing import Literal

import numpy as np

from dataset.augmentation import AugmentationSettings
from dataset.batches import CropSettings
from dataset.settings import DatasetSettings
from model.matting import MAX_BACKBONE_SCALE, Backbone
from model.refiner import CELL, RefineMode
from runtime.device import DeviceName
from runtime.settings import REQUIRED, settings_group

from .optimiser import LearningRates, ScheduleSettings

# Scales of the coarse input to draw from, evenly spaced.
_SCALES = 3

# auto: float16 on CUDA, bfloat16 on a CPU that computes in it, else float32.
TrainingPrecision = Literal["auto", "float32", "float16", "bfloat16"]


@settings_group("model")
class BaseModelSettings:
    """The network, and where its weights come from.

    Attributes:
        name: Names the run: checkpoints are kept in CHECKPOINT_DIR/NAME, logs in LOG_DIR/NAME.
        backbone: Of the encoder.
        pretrain_initialization: DeepLabV3 weights for encoder and ASPP.
        initial_checkpoint: Weights to begin with: a checkpoint of an earlier stage, of this program
            or of the authors'.
        last_checkpoint: What to go on with: auto for the newest checkpoint of this run, if there is
            one, or a file. A file of a run of another name gives its weights only.
    """

    name: str = REQUIRED
    backbone: Backbone = "mobilenetv2"
    pretrain_initialization: Path | None = None
    initial_checkpoint: Path | None = None
    last_checkpoint: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.name, str) and (not self.name or Path(self.name).name != self.name):
            raise ValueError(f"model name must be a plain name for a folder, got {self.name!r}")
        if self.pretrain_initialization and self.initial_checkpoint:
            raise ValueError(
                "give either --model-pretrain-initialization (DeepLabV3 weights) or "
                "--model-initial-checkpoint (weights of this network), not both"
            )


@settings_group("model")
class RefineModelSettings(BaseModelSettings):
    """The network with its refiner, and where its weights come from.

    Attributes:
        backbone_scale: Size of the coarse input as a fraction of the crop's, in (0, 1/2].
        backbone_scale_largest: Where given, each step draws its scale: backbone_scale, this one or
            the one between, so that one refiner serves small and large pictures.
        refine_mode: How refined cells are chosen.
        refine_sample_pixels: Pixels of each picture to refine in mode sampling.
        refine_threshold: Predicted error in [0, 1], for mode thresholding.
        refine_kernel_size: Of the refiner's convolutions.
        corrects_alpha: Bring refined alpha nearer to the compositing equation, as inference does by
            default: the foreground then learns to serve that.
    """

    backbone_scale: float = 0.25
    backbone_scale_largest: float | None = None
    refine_mode: RefineMode = "sampling"
    refine_sample_pixels: int = 80_000
    refine_threshold: float = 0.1
    refine_kernel_size: Literal[3, 1] = 3
    corrects_alpha: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.backbone_scale <= MAX_BACKBONE_SCALE:
            raise ValueError(
                f"backbone_scale must be above 0 and at most {MAX_BACKBONE_SCALE}, got "
                f"{self.backbone_scale}"
            )
        largest = self.backbone_scale_largest
        if largest is not None and not self.backbone_scale <= largest <= MAX_BACKBONE_SCALE:
            raise ValueError(
                f"backbone_scale_largest must be at least backbone_scale, {self.backbone_scale}, "
                f"and at most {MAX_BACKBONE_SCALE}, got {largest}"
            )

    def scale_of_step(self, seed: int, step: int) -> float:
        """Draws the scale of the coarse input, the same for all processes.

        Args:
            seed: of the run.
            step: of the run, from 0.

        Returns:
            `backbone_scale`, `backbone_scale_largest` (by default the same) or the one between.

        Source: ours; three of them, because a GPU is slow on each size that it meets for the first
            time.
        """
        largest = self.backbone_scale_largest or self.backbone_scale
        place = np.random.default_rng((seed, step)).integers(_SCALES) / (_SCALES - 1)
        return float(self.backbone_scale + (largest - self.backbone_scale) * place)


@settings_group("")
class RunSettings:
    """Length of the run, and where and how to compute.

    Attributes:
        batch_size: Samples of each process in a step.
        pairings: Backgrounds of the batch that each of its foregrounds meets. With 2, a step has
            twice batch_size samples, for which only batch_size were read or drawn.
        num_workers: Processes that prepare samples, beside each training process.
        epoch_start: First epoch of a new run; a resumed one goes on where it was.
        epoch_end: Epoch before which the run ends.
        seed: Decides weights, order, crops and augmentation.
        device: auto takes CUDA, then MPS, then the CPU.
        precision: Of the convolutions; auto is float16 on CUDA, bfloat16 on a CPU that computes in
            it, else float32.
        sync_batch_norm: Normalise over the samples of all processes. Without, each process
            normalises over its own and the first one's running statistics are kept: faster on CPUs,
            where the processes else wait for each other in every layer.
        freeze_batch_norm: Normalise by the running statistics of the weights that the run began
            with, and keep them: for going on with few samples a step.
        batch_norm_samples: Samples over which batch norm's running statistics are counted anew when
            the last epoch has ended; 0 keeps what the steps have left, as the published recipe
            does. With as many epochs as have been, nothing else is done: so are those of a mean of
            weights made.
        channels_last: Memory format of network and pictures.
        compile: Compile the network with torch.compile.
        checkpoint_dir: Parent of the runs' folders of checkpoints.
        checkpoint_interval: Steps between checkpoints; one is also written at each epoch's end.
        checkpoint_keep: Newest checkpoints to keep beside the best one.
    """

    batch_size: int = REQUIRED
    pairings: int = 1
    num_workers: int = 2
    epoch_start: int = 0
    epoch_end: int = REQUIRED
    seed: int = 0
    device: DeviceName = "auto"
    precision: TrainingPrecision = "auto"
    sync_batch_norm: bool = True
    freeze_batch_norm: bool = False
    batch_norm_samples: int = 0
    channels_last: bool = False
    compile: bool = False
    checkpoint_dir: Path = Path("checkpoint")
    checkpoint_interval: int = 5000
    checkpoint_keep: int = 3

    def __post_init__(self) -> None:
        for name, least in (
            *(("batch_size", 1), ("num_workers", 0), ("epoch_start", 0), ("seed", 0)),
            *(("checkpoint_interval", 1), ("checkpoint_keep", 1), ("batch_norm_samples", 0)),
        ):
            value = getattr(self, name)
            if isinstance(value, int) and value < least:
                raise ValueError(f"{name} must be {least} or more, got {value}")
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
    """What is logged, in steps.

    Attributes:
        dir: Parent of the runs' TensorBoard folders.
        train_loss_interval: Steps between scalars.
        train_images_interval: Steps between pictures of the training batch.
        valid_interval: Steps between validations; one is also made at the run's end.
    """

    dir: Path = Path("log")
    train_loss_interval: int = 10
    train_images_interval: int = 2000
    valid_interval: int = 5000

    def __post_init__(self) -> None:
        for name in ("train_loss_interval", "train_images_interval", "valid_interval"):
            if getattr(self, name) < 1:
                raise ValueError(f"log {name} must be 1 or more, got {getattr(self, name)}")


@settings_group("valid")
class ValidationSettings:
    """Fixed samples on which the network is judged; the same at every validation.

    Attributes:
        samples: Number of samples; fewer if the validation set is smaller.
        size: Height and width of their crops in pixels.
        batch_size: Samples of each process at a time.
        seed: Chooses backgrounds, crops and disturbances.
    """

    samples: int = 64
    size: int = 512
    batch_size: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.samples, self.batch_size) < 1 or self.size < 32 or self.size % 4:
            raise ValueError(
                "validation needs samples and batch_size of 1 or more and a size of 32 or more "
                f"that is a multiple of 4, got {self.samples}, {self.batch_size}, {self.size}"
            )


@settings_group()
class TrainingSettings:
    """What both training scripts share.

    Attributes:
        config: YAML file of settings; the command line wins over it.
        print_config: Print the resolved settings as YAML and stop.
    """

    dataset: DatasetSettings = field(default_factory=DatasetSettings)
    augmentation: AugmentationSettings = field(default_factory=AugmentationSettings)
    crop: CropSettings = field(default_factory=CropSettings)
    learning_rates: LearningRates = field(default_factory=LearningRates)
    schedule: ScheduleSettings = field(default_factory=ScheduleSettings)
    run: RunSettings = field(default_factory=RunSettings)
    log: LogSettings = field(default_factory=LogSettings)
    validation: ValidationSettings = field(default_factory=ValidationSettings)
    config: Path | None = None
    print_config: bool = False


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
