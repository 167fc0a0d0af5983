"""Random pictures, and a network whose outputs vary."""

import numpy as np
import pytest
import torch

from matting.predictor import Predictor
from model import MattingBase, MattingRefine

CPU = torch.device("cpu")
RNG = np.random.default_rng(0)


def random_pair(height: int, width: int) -> np.ndarray:
    """A frame and a plate, (2, H, W, 3) uint8."""
    return RNG.integers(0, 256, (2, height, width, 3), dtype=np.uint8)


def spread(network: MattingBase) -> MattingBase:
    """Makes outputs vary, so that equality means something."""
    torch.nn.init.normal_(network.decoder.conv4.weight, std=0.05)
    torch.nn.init.constant_(network.decoder.conv4.bias, 0.3)
    return network


@pytest.fixture(scope="module")
def network() -> MattingRefine:
    """With random weights."""
    torch.manual_seed(0)
    return spread(MattingRefine("mobilenetv2"))


@pytest.fixture(scope="module")
def predictor(network: MattingRefine) -> Predictor:
    """Of that network."""
    return Predictor(network, CPU)
