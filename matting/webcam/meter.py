"""How fast a live run is: latency and frames a second, now and over all."""

from array import array
from collections import deque
from typing import Any

import numpy as np

_RECENT = 30  # pictures


class Meter:
    """Counts pictures and their latency, from the arrival of a picture to its being shown.

    Attributes:
        frames: that were shown.
    """

    def __init__(self) -> None:
        self.frames = 0
        self._latencies = array("d")
        self._recent: deque[tuple[float, float]] = deque(maxlen=_RECENT)
        self._active = 0.0  # seconds between pictures that followed each other
        self._pairs = 0

    def add(self, captured: float, shown: float) -> None:
        """Counts a picture.

        Args:
            captured: when it arrived, seconds by the clock.
            shown: when all outputs had it.
        """
        if self._recent:
            self._active += shown - self._recent[-1][1]
            self._pairs += 1
        self.frames += 1
        self._latencies.append(shown - captured)
        self._recent.append((captured, shown))

    def cut(self) -> None:
        """There is a gap before the next picture, which does not count."""
        self._recent.clear()

    @property
    def text(self) -> str:
        """Latency and frames a second of the last pictures, for the screen."""
        if len(self._recent) < 2:
            return ""
        latency = sum(shown - captured for captured, shown in self._recent) / len(self._recent)
        span = self._recent[-1][1] - self._recent[0][1]
        rate = (len(self._recent) - 1) / max(span, 1e-9)
        return f"{1000 * latency:.0f} ms  {rate:.1f} frames/s"

    def describe(self) -> dict[str, Any]:
        """The numbers of the run, for the file.

        Returns:
            Frames, frames a second without gaps, and percentiles of the latency in ms; None where
            there is nothing to tell.
        """
        p50, p95 = (
            np.percentile(self._latencies, (50, 95)).tolist() if self.frames else (None, None)
        )
        return {
            "frames": self.frames,
            "frames_per_second": round(self._pairs / self._active, 3) if self._active else None,
            "latency_p50_ms": None if p50 is None else round(1000 * p50, 2),
            "latency_p95_ms": None if p95 is None else round(1000 * p95, 2),
        }
