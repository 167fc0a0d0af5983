"""The prediction of a network for a picture, as arrays."""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Prediction:
    """The prediction for a picture of H x W pixels.

    Attributes:
        pha: (H, W) float32, alpha in [0, 1].
        fgr: (H, W, 3) float32, foreground, RGB in [0, 1]; meaningful where alpha is above 0.
        err: (H, W) float32, predicted absolute error of the coarse alpha in [0, 1]; None from an
            exported network.
        ref: (H, W) bool, True where the refiner has computed; all False without a refiner, None
            from an exported network.
    """

    pha: np.ndarray
    fgr: np.ndarray
    err: np.ndarray | None = None
    ref: np.ndarray | None = None

    def mirror(self) -> "Prediction":
        """The prediction for the mirrored picture, as views."""
        parts = vars(self).items()
        mirrored: dict[str, Any] = {k: v if v is None else v[:, ::-1] for k, v in parts}
        return Prediction(**mirrored)
