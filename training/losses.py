"""The losses of the two stages, as dicts of named terms to be added up.

All are means over pixels and channels. The predicted error learns from the true error of alpha,
which is a constant there: no gradient flows through it into alpha (the release does so in one of
its two scripts; here it holds in both stages).

Source: the paper, training.
"""

from collections.abc import Callable
from typing import Any

from kornia.filters import sobel
from torch import Tensor
from torch.nn import functional as F

from model import BaseOutput, RefineOutput

# From output, true alpha and true foreground to named terms.
Loss = Callable[[Any, Tensor, Tensor], dict[str, Tensor]]


class NonFiniteLossError(ArithmeticError):
    """The loss is infinite or not a number; the message names step and samples."""


def base_loss(output: BaseOutput, true_pha: Tensor, true_fgr: Tensor) -> dict[str, Tensor]:
    """Loss of stage 1.

    Args:
        output: the prediction of `MattingBase`.
        true_pha: (B, 1, H, W) float in [0, 1].
        true_fgr: (B, 3, H, W) float, RGB in [0, 1].

    Returns:
        The scalar terms `pha_l1`, `pha_sobel`, `fgr_l1` and `err_mse`.

    Source: the paper, training of the base network.
    """
    return {
        **_matte_terms(output.pha, output.fgr, true_pha, true_fgr),
        "err_mse": error_loss(output.err, output.pha, true_pha),
    }


def refine_loss(output: RefineOutput, true_pha: Tensor, true_fgr: Tensor) -> dict[str, Tensor]:
    """Loss of the later stages: the matte at full size, and the base's terms at the coarse size.

    Args:
        output: the prediction of `MattingRefine`.
        true_pha: (B, 1, H, W) float in [0, 1].
        true_fgr: (B, 3, H, W) float, RGB in [0, 1].

    Returns:
        The scalar terms `pha_l1`, `pha_sobel` and `fgr_l1`; with `_sm` the same of the coarse
        output, and `err_mse_sm`.

    Source: the paper, joint training.
    """
    size = output.pha_sm.shape[2:]
    true_pha_sm, true_fgr_sm = (
        F.interpolate(true, size, mode="bilinear", align_corners=False)
        for true in (true_pha, true_fgr)
    )
    coarse = _matte_terms(output.pha_sm, output.fgr_sm, true_pha_sm, true_fgr_sm)
    return {
        **_matte_terms(output.pha, output.fgr, true_pha, true_fgr),
        **{f"{name}_sm": term for name, term in coarse.items()},
        "err_mse_sm": error_loss(output.err_sm, output.pha_sm, true_pha_sm),
    }


def error_loss(pred_err: Tensor, pred_pha: Tensor, true_pha: Tensor) -> Tensor:
    """Mean squared difference of predicted and true error of alpha, (B, 1, H, W) in [0, 1] each.

    Source: the paper, training of the base network; alpha gets no gradient.
    """
    return F.mse_loss(pred_err, (pred_pha.detach() - true_pha).abs())


def _matte_terms(
    pred_pha: Tensor, pred_fgr: Tensor, true_pha: Tensor, true_fgr: Tensor
) -> dict[str, Tensor]:
    shown = true_pha > 0  # nothing can be learned about a foreground that does not show
    return {
        "pha_l1": F.l1_loss(pred_pha, true_pha),
        "pha_sobel": F.l1_loss(sobel(pred_pha), sobel(true_pha)),
        "fgr_l1": F.l1_loss(pred_fgr * shown, true_fgr * shown),
    }
