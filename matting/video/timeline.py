"""Finding the frame of another video that belongs to a moment."""

from collections.abc import Callable
from fractions import Fraction

import numpy as np

from media.frames import Frame, VideoSource

from .settings import TargetLoop


class TimelineEnded(Exception):  # noqa: N818 - the end is no error
    """The other video has no more frames, and is not to be held or repeated."""


class Timeline:
    """Follows another video by time, whatever its frame rate; both begin at 0.

    Args:
        reopen: opens the video at its first frame.
        at_end: what to show behind its last frame: `loop` begins again, `hold` keeps it, `stop`
            raises.

    Attributes:
        ended: whether its end was passed.
    """

    def __init__(self, reopen: Callable[[], VideoSource], at_end: TargetLoop) -> None:
        self._reopen = reopen
        self._at_end = at_end
        self._base = Fraction(0)  # when this turn began, seconds
        self.ended = False
        self._next: Frame | None = None
        self._begin()

    def at(self, time: Fraction) -> np.ndarray:
        """Gives the picture that is shown at a time.

        Args:
            time: seconds since the beginning; never before that of the last call.

        Returns:
            (H, W, 3) uint8 or uint16, RGB; the same object until another frame is due.

        Raises:
            TimelineEnded: behind the end with `stop`.
            VideoError: when a frame can't be read.
        """
        while time >= self._end():
            if self._next is not None:
                self._current, self._next = self._next, self._source.read()
                continue
            self.ended = True
            if self._at_end == "hold":
                break
            if self._at_end == "stop":
                raise TimelineEnded
            self._base = self._end()
            self._source.close()
            self._begin()
        return self._current.pixels

    def close(self) -> None:
        """Closes the video."""
        self._source.close()

    def _begin(self) -> None:
        self._source = self._reopen()
        first = self._source.read()
        assert first is not None  # noqa: S101 - a source holds a frame
        self._first, self._current = first.pts, first
        self._next = self._source.read()

    def _end(self) -> Fraction:
        """When the current frame ends, seconds."""
        current = self._current
        pts = current.pts + current.duration if self._next is None else self._next.pts
        return self._base + (pts - self._first) * self._source.info.time_base
