"""Taking the plate with the camera: a countdown, then the mean of some frames."""

from dataclasses import dataclass
from fractions import Fraction
from math import ceil

import cv2
import numpy as np

from .camera import Shot
from .settings import PlateSettings

# After locking, until a camera's picture stands, seconds.
_SETTLE = Fraction(1, 2)
# Movement is looked for in squares of so many pixels, in which noise is averaged away.
_SQUARE = 8
_STILL = 12  # grey levels that such a square may change by: flicker of lamps, rest of the noise
_MOVED = 0.002  # fraction of the squares; a hand at the edge of the picture is more
_EVERYWHERE = 0.5


@dataclass(frozen=True)
class TakenPlate:
    """A plate that the camera took.

    Attributes:
        pixels: (H, W, 3) uint8, RGB.
        frames: that it is the mean of.
        moved: fraction of the picture that changed meanwhile.
        notes: what a user should know, in words.
    """

    pixels: np.ndarray
    frames: int
    moved: float
    notes: tuple[str, ...] = ()


class PlateTaker:
    """Counts down and averages frames, by the camera's time.

    The mean of every pixel leaves out its darkest and brightest value where there are five frames
    or more, so that one frame in which something flits by leaves no trace. Memory does not depend
    on the number of frames.

    Args:
        settings: how long, how many.

    Attributes:
        due: whether the countdown has ended, so that the camera should be locked.

    Source: ours; the mean of N frames has noise of 1/sqrt(N).
    """

    def __init__(self, settings: PlateSettings) -> None:
        self.due = False
        self._settings = settings
        self._start: Fraction | None = None
        self._frames = 0
        self._left = Fraction(0)
        nothing: np.ndarray = np.empty(0)
        self._sum = self._low = self._high = nothing
        self._small_low = self._small_high = nothing

    def add(self, shot: Shot) -> TakenPlate | None:
        """Takes a frame into account.

        Args:
            shot: the next; the first begins the countdown.

        Returns:
            The plate when that was the last frame, else None.
        """
        if self._start is None:
            self._start = shot.time
        countdown = Fraction(self._settings.countdown).limit_denominator(1000)
        self._left = self._start + countdown - shot.time
        self.due = self._left <= 0
        # Without a countdown nobody had to leave, and what settles is not waited for.
        settle = _SETTLE if self._settings.countdown else Fraction(0)
        if self._left > -settle:
            return None
        self._average(shot.pixels)
        return self._finish() if self._frames == self._settings.frames else None

    @property
    def text(self) -> str:
        """What to do now, for the screen."""
        if self._left > 0:
            return f"Step out of the picture: plate in {ceil(self._left)}"
        return f"Taking the plate, keep out: {self._frames} of {self._settings.frames}"

    def _average(self, pixels: np.ndarray) -> None:
        rows, columns = (max(1, side // _SQUARE) for side in pixels.shape[:2])
        small = cv2.resize(pixels, (columns, rows), interpolation=cv2.INTER_AREA).astype(np.int16)
        if self._frames == 0:
            self._sum = pixels.astype(np.uint32)
            self._low, self._high = pixels, pixels
            self._small_low, self._small_high = small, small
        else:
            self._sum += pixels
            self._low, self._high = np.minimum(self._low, pixels), np.maximum(self._high, pixels)
            self._small_low = np.minimum(self._small_low, small)
            self._small_high = np.maximum(self._small_high, small)
        self._frames += 1

    def _finish(self) -> TakenPlate:
        total, count = self._sum, self._frames
        if count >= 5:
            total, count = total - self._low - self._high, count - 2
        pixels = ((total + count // 2) // count).astype(np.uint8)
        changed = (self._small_high - self._small_low).max(axis=-1) > _STILL
        moved = float(changed.mean())
        notes = []
        if moved > _EVERYWHERE:
            notes.append(
                "the light or the camera changed while the plate was taken; take it again (key b)"
            )
        elif moved > _MOVED:
            notes.append(
                f"something moved in {moved:.1%} of the picture while the plate was taken; take "
                "it again (key b) if it shows"
            )
        return TakenPlate(pixels, self._frames, moved, tuple(notes))
