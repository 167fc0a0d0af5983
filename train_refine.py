"""Stages 2 to 4: train MattingRefine, the coarse network and its refiner, at full resolution.

Example: python train_refine.py --config configs/synthetic_refine.yaml
Several GPUs: torchrun --nproc-per-node 4 train_refine.py --config configs/...
"""

import sys

import torch

from model import MattingRefine
from training.data import open_data
from training.loop import fit
from training.metrics import refine_loss
from training.processes import Processes, run_command
from training.run import start
from training.settings import RefineSettings


def train(settings: RefineSettings, processes: Processes) -> bool:
    """Trains the coarse network and its refiner jointly, with losses at both sizes.

    Returns:
        Whether the last epoch has ended; False after an interrupt.
    """
    data = open_data(settings, processes)

    torch.manual_seed(settings.run.seed)  # the same weights in every process
    network = build(settings)

    # Weights, optimiser and counters, from stage 1, new, or from a checkpoint.
    with start(settings, processes, data, network, refine_loss) as (run, state):
        return fit(run, state)


def build(settings: RefineSettings) -> MattingRefine:
    """Builds the network with random weights."""
    model = settings.model
    return MattingRefine(
        model.backbone,
        backbone_scale=model.backbone_scale,
        refine_mode=model.refine_mode,
        refine_sample_pixels=model.refine_sample_pixels,
        refine_threshold=model.refine_threshold,
        refine_kernel_size=model.refine_kernel_size,
        corrects_alpha=model.corrects_alpha,
    )


def main() -> int:
    """Runs the script; returns its exit code: 0 when the last epoch has ended."""
    return run_command(RefineSettings, __doc__, train)


if __name__ == "__main__":
    sys.exit(main())
