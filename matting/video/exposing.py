"""Matching of a plate's exposure to every frame of an automatic camera, without flicker.

Each frame's gain and bias are found by themselves (exposure.py), exact to a part of a grey level,
and followed (following.py) as the alignment is.
"""

from collections import Counter

import numpy as np

from ..plate.background import reduce_colours
from ..plate.exposure import ExposureReport, apply_exposure, estimate_exposure
from .following import HELD_FRAMES, follow

# Grey levels by which the match of a mid grey differs by the fit's error alone.
_TREMOR = 1.0
_MID_GREY = 128.0
# Grey levels; a match that changes a mid grey by less is not made.
_NOTHING = 0.25
# Gain and bias, RGB, that leave a plate as it is.
_IDENTITY = np.array([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]])


class ExposureTracker:
    """Matches a plate to frames in their order; called with plate and frame.

    Attributes:
        counts: frames whose plate was `matched`, or `held` (matched as the frame before), or `kept`
            as captured.
        reasons: why plates were held or kept, in words, without numbers, and how often.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self._match = _IDENTITY
        self._misses = 0

    def __call__(self, bgr: np.ndarray, src: np.ndarray) -> np.ndarray:
        """Brings a plate to the next frame's exposure.

        Args:
            bgr: (H, W, 3) uint8 or uint16, RGB; the plate, which lies on the frame.
            src: same shape and dtype, RGB; the frame.

        Returns:
            The plate, same shape and dtype; `bgr` itself where there is nothing to do.
        """
        report = estimate_exposure(reduce_colours(src), reduce_colours(bgr))
        found = _match_of(report)
        if found is None:
            self._misses += 1
            self.reasons[report.reason.split(":")[0]] += 1
            if self._misses > HELD_FRAMES:
                self._match = _IDENTITY
        else:
            self._misses = 0
            self._follow(found)
        gain, bias = self._match
        if np.abs(gain * _MID_GREY + bias - _MID_GREY).max() < _NOTHING:
            self.counts["kept"] += 1
            return bgr
        self.counts["held" if found is None else "matched"] += 1
        match = ExposureReport(True, "matched", tuple(gain.tolist()), tuple(bias.tolist()))
        return apply_exposure(bgr, match)

    def _follow(self, found: np.ndarray) -> None:
        gain, bias = found - self._match
        changed = float(np.abs(gain * _MID_GREY + bias).max())
        self._match = follow(self._match, found, changed, _TREMOR)


def _match_of(report: ExposureReport) -> np.ndarray | None:
    """Gain and bias (2, 3) of a report; None where it could not tell."""
    if report.applied and report.gain is not None and report.bias is not None:
        return np.array([report.gain, report.bias])
    if report.reason.startswith("already matched"):
        return _IDENTITY
    return None
