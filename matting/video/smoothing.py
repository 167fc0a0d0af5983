"""Smooths alpha over time where nothing moves, and measures flicker there."""

from math import sqrt

import cv2
import numpy as np

from ..pictures.compose import to_float

MAX_SMOOTHING = 0.95  # strength; above it, errors persist for seconds
# Change of a neighbourhood by noise and compression alone, in grey levels of 255.
_STILL = 3.0
_WINDOW = 5  # pixels; window for averaging noise
_MOVED = 0.5  # stillness below which a pixel counts as moved when measuring flicker


class AlphaSmoother:
    """Blends alpha with that of the previous frame where the picture is still.

    alpha'_t = alpha_t + s g (alpha'_(t-1) - alpha_t), with the strength s and the stillness
    g = exp(-(d / 3)^2), where d is how much the frame's 5 x 5 neighbourhood has changed in grey
    levels. So moving edges leave no trail. The strength is in [0, 1).

    Source: ours; exponential smoothing gated by motion.
    """

    def __init__(self, strength: float) -> None:
        self._strength = strength
        self._src: np.ndarray | None = None
        self._pha: np.ndarray | None = None
        self._smooth: np.ndarray | None = None
        self._sums = np.zeros(2)
        self._pairs = 0

    def smooth(self, src: np.ndarray, pha: np.ndarray) -> np.ndarray:
        """Smoothes the alpha, (H, W) float32 in [0, 1], of the next frame, (H, W, 3) RGB."""
        grey = cv2.blur(to_float(cv2.cvtColor(src, cv2.COLOR_RGB2GRAY)) * 255, (_WINDOW, _WINDOW))
        smooth = pha
        if self._src is not None and self._smooth is not None and self._pha is not None:
            stillness = np.exp(-(((grey - self._src) / _STILL) ** 2))
            smooth = pha + self._strength * stillness * (self._smooth - pha)
            self._measure(stillness > _MOVED, (pha, smooth))
        self._src, self._pha, self._smooth = grey, pha, smooth
        return smooth

    def flicker(self) -> dict[str, float] | None:
        """Flicker of alpha `before` and `after` smoothing; None without a pair of frames.

        100 times the root of the mean squared change of alpha between frames over still pixels,
        averaged over the pairs: dtSSD (Erofeev et al. 2015, as used in video matting) without a
        true alpha, which is assumed not to change there.
        """
        if not self._pairs:
            return None
        before, after = 100 * self._sums / self._pairs
        return {"before": round(float(before), 4), "after": round(float(after), 4)}

    def _measure(self, still: np.ndarray, now: tuple[np.ndarray, np.ndarray]) -> None:
        if not still.any():
            return
        pairs = zip(now, (self._pha, self._smooth), strict=True)
        self._sums += [sqrt(float(np.square((a - b)[still]).mean())) for a, b in pairs]
        self._pairs += 1
