"""Metrics of alpha: by hand, and against filters of OpenCV."""

import cv2
import numpy as np
import pytest
import torch

from training.metrics import gradient_error, mean_absolute_difference, mean_squared_error


def test_means_by_hand_are_per_picture() -> None:
    true = torch.zeros(2, 1, 4, 4)
    pred = true.clone()
    pred[1, 0, 0, 0], pred[1, 0, 0, 1] = 1.0, 0.5
    assert mean_absolute_difference(pred, true).tolist() == [0, 1.5 / 16]
    assert mean_squared_error(pred, true).tolist() == [0, 1.25 / 16]


def gradient_magnitude(pha: np.ndarray) -> np.ndarray:
    """The benchmark's two-dimensional filters, made and applied separately."""
    sigma, size = 1.4, 4
    x = np.arange(-size, size + 1)
    smooth = np.exp(-(x**2) / (2 * sigma**2)) / (sigma * np.sqrt(2 * np.pi))
    slope = -x * smooth / sigma**2
    across = np.outer(smooth, slope)
    across /= np.sqrt((across**2).sum())
    parts = [
        cv2.filter2D(pha, cv2.CV_64F, kernel, borderType=cv2.BORDER_REPLICATE)
        for kernel in (across, across.T)
    ]
    return np.hypot(*parts)


def test_gradient_equals_an_independent_computation() -> None:
    rng = np.random.default_rng(0)
    pred, true = rng.random((2, 40, 50))
    wanted = ((gradient_magnitude(pred) - gradient_magnitude(true)) ** 2).sum() / 1000
    got = gradient_error(*(torch.from_numpy(a)[None, None] for a in (pred, true)))
    assert got.item() == pytest.approx(wanted, rel=1e-9)


def test_gradient_of_equal_and_constant_pictures_is_zero() -> None:
    pha = torch.rand(1, 1, 20, 20)
    assert gradient_error(pha, pha).item() == 0
    flat = torch.zeros(1, 1, 20, 20)
    assert gradient_error(flat + 1, flat).item() == pytest.approx(0, abs=1e-9)


def test_a_blurred_edge_is_worse_than_a_sharp_one() -> None:
    edge = torch.zeros(1, 1, 20, 20)
    edge[..., 10:] = 1
    blurred = torch.nn.functional.avg_pool2d(edge, 7, 1, 3, count_include_pad=False)
    assert gradient_error(blurred, edge).item() > 0.001
