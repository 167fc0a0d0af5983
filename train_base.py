"""Stage 1: train MattingBase, the coarse network.

Example: python train_base.py --config configs/synthetic_base.yaml
Several GPUs: torchrun --nproc-per-node 4 train_base.py --config configs/...
"""

import sys

import torch

from model import MattingBase
from training.data import open_data
from training.loop import fit
from training.metrics import base_loss
from training.processes import Processes, run_command
from training.run import start
from training.settings import BaseSettings


def train(settings: BaseSettings, processes: Processes) -> bool:
    """Trains the coarse network.

    Returns:
        Whether the last epoch has ended; False after an interrupt.
    """
    data = open_data(settings, processes)

    torch.manual_seed(settings.run.seed)  # the same weights in every process
    network = build(settings)

    # Weights, optimiser and counters, new or from a checkpoint.
    with start(settings, processes, data, network, base_loss) as (run, state):
        return fit(run, state)


def build(settings: BaseSettings) -> MattingBase:
    """Builds the coarse network with random weights."""
    network = MattingBase(settings.model.backbone)
    network.predicts_hidden = False  # this stage does not train hidden features
    return network


def main() -> int:
    """Runs the script; returns its exit code: 0 when the last epoch has ended."""
    return run_command(BaseSettings, __doc__, train)


if __name__ == "__main__":
    sys.exit(main())
