"""Taking the plate with the camera: a countdown, then the mean of some frames."""

from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Annotated

import cv2
import numpy as np
from pydantic import Field

from runtime.settings import settings_group

from .camera import Shot

_SETTLE = Fraction(1, 2)  # seconds after locking until a camera's picture is stable
_SQUARE = 8  # pixels; side of squares for detecting movement, averaged against noise
_STILL = 12  # grey levels; changes of a square up to this are flicker of lamps and noise
_MOVED = 0.002  # fraction of the squares; a hand at the edge of the picture exceeds it
_EVERYWHERE = 0.5


@settings_group("plate")
class PlateSettings:
    """Settings for taking the plate with the camera."""

    countdown: Annotated[float, Field(ge=0, le=600)] = 5.0
    """Countdown in seconds, to step out of the picture."""
    frames: Annotated[int, Field(ge=1, le=1000)] = 20
    """Number of frames to average, against noise."""
    save: bool = True
    """Save every plate as OUTPUT_DIR/plate-TIME.png."""


@dataclass(frozen=True)
class TakenPlate:
    """A plate that the camera took: the mean of `frames` frames."""

    pixels: np.ndarray  # (H, W, 3) uint8, RGB
    frames: int
    moved: float  # fraction of the picture that changed in the meantime
    notes: tuple[str, ...]  # notes for the user


class PlateTaker:
    """Counts down and averages frames, using the camera's time.

    With five frames or more, the mean of every pixel leaves out its darkest and brightest value, so
    that an object in a single frame leaves no trace. Memory does not depend on the number of
    frames.

    Source: ours; the mean of N frames has noise of 1/sqrt(N).
    """

    def __init__(self, settings: PlateSettings) -> None:
        self.due = False  # whether the countdown has ended and the camera should be locked
        self._settings = settings
        self._start: Fraction | None = None
        self._left = Fraction(0)
        self._frames = 0
        self._sum = np.zeros(1, np.uint32)
        self._low, self._high = np.full(1, 255, np.uint8), np.zeros(1, np.uint8)
        self._small_low, self._small_high = self._low, self._high

    def add(self, shot: Shot) -> TakenPlate | None:
        """Adds the next frame; the first starts the countdown, and the last returns a plate."""
        if self._start is None:
            self._start = shot.time
        countdown = Fraction(self._settings.countdown).limit_denominator(1000)
        self._left = self._start + countdown - shot.time
        self.due = self._left <= 0
        # Without a countdown nobody had to leave, so do not wait for the camera to settle.
        if self._left > (-_SETTLE if countdown else 0):
            return None
        pixels = shot.pixels
        rows, columns = (max(1, side // _SQUARE) for side in pixels.shape[:2])
        small = cv2.resize(pixels, (columns, rows), interpolation=cv2.INTER_AREA)
        self._sum = self._sum + pixels
        self._low, self._high = np.minimum(self._low, pixels), np.maximum(self._high, pixels)
        self._small_low = np.minimum(self._small_low, small)
        self._small_high = np.maximum(self._small_high, small)
        self._frames += 1
        return self._finish() if self._frames == self._settings.frames else None

    @property
    def text(self) -> str:
        """Instruction for the screen."""
        if self._left > 0:
            return f"Step out of the picture: plate in {ceil(self._left)}"
        return f"Taking the plate, keep out: {self._frames} of {self._settings.frames}"

    def _finish(self) -> TakenPlate:
        total, count = self._sum, self._frames
        if count >= 5:
            total, count = total - self._low - self._high, count - 2
        pixels = ((total + count // 2) // count).astype(np.uint8)
        changed = (self._small_high - self._small_low).max(axis=-1) > _STILL
        moved, notes = float(changed.mean()), []
        if moved > _EVERYWHERE:
            what = "the light changed or the camera moved"
            notes.append(f"{what} while the plate was taken; take it again (key b)")
        elif moved > _MOVED:
            what = f"something moved in {moved:.1%} of the picture"
            notes.append(f"{what} while the plate was taken; take it again (key b) if it shows")
        return TakenPlate(pixels, self._frames, moved, tuple(notes))
