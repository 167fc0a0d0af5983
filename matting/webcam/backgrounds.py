"""The new backgrounds of a live camera, one of which is shown."""

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

import numpy as np

from ..video.target import TargetFeed, TargetSettings

NONE = "none"
_SQUARE = 0.02  # side of a square of the checkerboard, of the picture's longer side
_LIGHT, _DARK = 1.0, 0.8


class Backgrounds:
    """Holds new backgrounds, all opened at the beginning, and switches between them.

    A video goes on from where it was when it is shown again.

    Args:
        texts: `none` for a checkerboard, or what `TargetFeed` takes.
        settings: how they meet the frames.

    Attributes:
        index: of the one that is shown, from 0.

    Raises:
        ValueError: when there is none, or one can't be read or is to end the program.
    """

    def __init__(self, texts: Sequence[str], settings: TargetSettings) -> None:
        if not texts:
            raise ValueError("--targets must name at least one new background")
        if settings.loop == "stop":
            raise ValueError("--target-loop stop is for videos; a camera takes loop or hold")
        self.index = 0
        self._names = tuple(texts)
        self._feeds = [None if t == NONE else TargetFeed(t, settings, "--targets") for t in texts]
        self._shown = [Fraction(0)] * len(texts)  # how long each was, seconds
        self._last: Fraction | None = None

    @property
    def name(self) -> str:
        """As the user named the one that is shown."""
        return self._names[self.index]

    @property
    def transparent(self) -> bool:
        """Whether the one that is shown stands for nothing."""
        return self._feeds[self.index] is None

    def next(self) -> None:
        """Goes on to the next, and from the last to the first."""
        self.choose((self.index + 1) % len(self._names))

    def choose(self, index: int) -> None:
        """Shows one by its number, from 0; one that there is not changes nothing."""
        if 0 <= index < len(self._names):
            self.index = index

    def at(self, time: Fraction, bgr: np.ndarray) -> np.ndarray:
        """Makes the new background of a frame.

        Args:
            time: of the camera, seconds.
            bgr: (H, W, 3) uint8, the plate, which `blur` blurs.

        Returns:
            (H, W, 3) float32, RGB in [0, 1].

        Raises:
            VideoError: when a frame of a video can't be read.
        """
        if self._last is not None:
            self._shown[self.index] += time - self._last
        self._last = time
        feed = self._feeds[self.index]
        shown = None if feed is None else feed.at(self._shown[self.index], bgr)
        return checkerboard(*bgr.shape[:2]) if shown is None else shown


@lru_cache(maxsize=2)
def checkerboard(height: int, width: int) -> np.ndarray:
    """Draws what transparency is shown as.

    Args:
        height: pixels.
        width: pixels.

    Returns:
        (height, width, 3) float32 in [0, 1]; the same array for the same size.
    """
    side = max(2, round(_SQUARE * max(height, width)))
    odd = (np.arange(height)[:, None] // side + np.arange(width) // side) % 2
    grey = np.where(odd, np.float32(_DARK), np.float32(_LIGHT))
    return np.repeat(grey[..., None], 3, axis=2)
