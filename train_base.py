"""Stage 1: train MattingBase, the coarse network.

Example: python train_base.py --config configs/synthetic_base.yaml
Several GPUs: torchrun --nproc-per-node 4 train_base.py --config configs/...
"""

import sys

from model import MattingBase
from model.build import NetworkConfig, build_network
from training.command import run_command
from training.losses import base_loss
from training.settings import BaseSettings


def build(settings: BaseSettings) -> MattingBase:
    """Builds the coarse network with random weights."""
    network = build_network(NetworkConfig(type="mattingbase", backbone=settings.model.backbone))
    network.predicts_hidden = False
    return network


if __name__ == "__main__":
    sys.exit(run_command(BaseSettings, __doc__, build, base_loss))
