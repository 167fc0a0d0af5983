"""The outputs of the networks."""

from typing import NamedTuple

from torch import Tensor


class BaseOutput(NamedTuple):
    """Output of MattingBase, at the input's size.

    Attributes:
        pha: (B, 1, H, W) alpha in [0, 1].
        fgr: (B, 3, H, W) foreground, RGB in [0, 1].
        err: (B, 1, H, W) predicted absolute error of alpha in [0, 1].
        hid: (B, 32, H, W) hidden features, at least 0.
    """

    pha: Tensor
    fgr: Tensor
    err: Tensor
    hid: Tensor


class RefineOutput(NamedTuple):
    """Output of MattingRefine, at the input's size and at the coarse size (`_sm`).

    Attributes:
        pha: (B, 1, H, W) alpha in [0, 1].
        fgr: (B, 3, H, W) foreground, RGB in [0, 1].
        pha_sm: (B, 1, h, w) coarse alpha in [0, 1].
        fgr_sm: (B, 3, h, w) coarse foreground, RGB in [0, 1].
        err_sm: (B, 1, h, w) predicted absolute error of the coarse alpha in [0, 1].
        ref_sm: (B, 1, H / 4, W / 4) 1 where a 4x4-pixel cell was refined, else 0.
    """

    pha: Tensor
    fgr: Tensor
    pha_sm: Tensor
    fgr_sm: Tensor
    err_sm: Tensor
    ref_sm: Tensor
