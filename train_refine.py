"""Stages 2 to 4: train MattingRefine, the coarse network and its refiner, at full resolution.

Example: python train_refine.py --config configs/synthetic_refine.yaml
Several GPUs: torchrun --nproc-per-node 4 train_refine.py --config configs/...
"""

import sys

from model import MattingBase
from model.build import NetworkConfig, build_network
from training.command import run_command
from training.losses import refine_loss
from training.settings import RefineSettings


def build(settings: RefineSettings) -> MattingBase:
    """Builds the network with random weights."""
    model = settings.model
    return build_network(
        NetworkConfig(
            type="mattingrefine",
            backbone=model.backbone,
            backbone_scale=model.backbone_scale,
            refine_mode=model.refine_mode,
            refine_sample_pixels=model.refine_sample_pixels,
            refine_threshold=model.refine_threshold,
            refine_kernel_size=model.refine_kernel_size,
            corrects_alpha=model.corrects_alpha,
        )
    )


if __name__ == "__main__":
    sys.exit(run_command(RefineSettings, __doc__, build, refine_loss))
