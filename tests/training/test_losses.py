"""Losses: values by hand, gradients where they belong."""

import pytest
import torch

from model import BaseOutput, RefineOutput
from training.metrics import base_loss, error_loss, refine_loss


def constant(value: float, channels: int = 1, side: int = 8) -> torch.Tensor:
    return torch.full((2, channels, side, side), value)


def test_terms_of_constants_by_hand() -> None:
    output = BaseOutput(constant(0.75), constant(0.5, 3), constant(0.1), constant(0, 32))
    terms = base_loss(output, constant(0.25), constant(0.125, 3))
    # Sobel of a constant is 0 on both sides; the error should be 0.5 and is 0.1.
    wanted = {"pha_l1": 0.5, "pha_sobel": 0.0, "fgr_l1": 0.375, "err_mse": 0.16}
    assert {name: round(term.item(), 6) for name, term in terms.items()} == wanted


def test_sobel_term_of_an_edge_by_hand() -> None:
    """A step of 1 across columns: kornia's normalised kernel gives 1/2 on both sides of it."""
    true = torch.zeros(1, 1, 6, 8)
    true[..., 4:] = 1
    output = BaseOutput(torch.zeros_like(true), torch.zeros(1, 3, 6, 8), true * 0, true * 0)
    term = base_loss(output, true, torch.zeros(1, 3, 6, 8))["pha_sobel"]
    # 2 of 8 columns; kornia adds 1e-6 under the root, which is 1e-3 where the slope is 0.
    assert term.item() == pytest.approx(0.5 * 2 / 8, abs=2e-3)


def test_foreground_counts_only_where_it_shows() -> None:
    true_pha = torch.zeros(1, 1, 4, 4)
    true_pha[..., :1, :] = 0.01
    output = BaseOutput(true_pha, torch.ones(1, 3, 4, 4), true_pha * 0, true_pha * 0)
    assert base_loss(output, true_pha, torch.zeros(1, 3, 4, 4))["fgr_l1"].item() == 0.25


def test_error_sends_no_gradient_into_alpha() -> None:
    pha, err = constant(0.5).requires_grad_(), constant(0.0).requires_grad_()
    error_loss(err, pha, constant(0.0)).backward()
    assert pha.grad is None
    assert err.grad.lt(0).all(), "the predicted error is too small"


def test_refine_terms_compare_the_coarse_output_at_its_size() -> None:
    # Alternating columns: at half the size their mean, 0.5.
    true_pha = torch.zeros(1, 1, 8, 8)
    true_pha[..., ::2] = 1
    output = RefineOutput(
        pha=true_pha,
        fgr=torch.zeros(1, 3, 8, 8),
        pha_sm=torch.full((1, 1, 4, 4), 0.5),
        fgr_sm=torch.full((1, 3, 4, 4), 0.25),
        err_sm=torch.full((1, 1, 4, 4), 0.5),
        ref_sm=torch.zeros(1, 1, 2, 2),
    )
    terms = refine_loss(output, true_pha, torch.zeros(1, 3, 8, 8))
    assert {name: round(term.item(), 6) for name, term in terms.items()} == {
        "pha_l1": 0.0,
        "pha_sobel": 0.0,
        "fgr_l1": 0.0,
        "pha_l1_sm": 0.0,
        "pha_sobel_sm": 0.0,
        "fgr_l1_sm": 0.25,
        "err_mse_sm": 0.25,
    }
