"""What frames come from live: the interface of a camera, and a clip that stands in for one."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from media.frames import Frame

from ..video.open import open_video
from .settings import CameraSettings, Pace


class CameraError(ValueError):
    """A camera that can't be opened or was lost; the message says which, why and what to do."""


class Clock(Protocol):
    """Where time comes from."""

    def now(self) -> float:
        """Seconds since some moment; never goes back."""

    def sleep(self, seconds: float) -> None:
        """Waits."""


class RealClock:
    """The machine's own."""

    def now(self) -> float:
        """See `Clock`."""
        return time.perf_counter()

    def sleep(self, seconds: float) -> None:
        """See `Clock`."""
        time.sleep(seconds)


@dataclass(frozen=True)
class Shot:
    """A picture that a camera took.

    Attributes:
        pixels: (H, W, 3) uint8, RGB.
        time: since the camera's first, seconds, by the camera: the scene's time.
        captured: the clock's reading when it arrived, from which latency counts.
    """

    pixels: np.ndarray
    time: Fraction
    captured: float


@dataclass(frozen=True)
class Lock:
    """What became of locking one of a camera's automatics.

    Attributes:
        name: focus, exposure or white balance.
        locked: whether the driver says that it is.
        reason: why not, in words.
    """

    name: str
    locked: bool
    reason: str = ""


@dataclass(frozen=True)
class CameraFacts:
    """What a camera says of itself.

    Attributes:
        name: for messages.
        height: of its pictures, pixels.
        width: of its pictures, pixels.
        rate: frames a second, as far as known.
        live: whether a frame is lost that nobody takes in time.
        notes: what a user should know, in words.
    """

    name: str
    height: int
    width: int
    rate: Fraction
    live: bool = True
    notes: tuple[str, ...] = field(default=())


class Camera(Protocol):
    """A camera, or what stands in for one. One thread reads and locks."""

    facts: CameraFacts

    def read(self) -> Shot | None:
        """Waits for the next picture.

        Returns:
            The picture, or None at the end of a clip.

        Raises:
            CameraError: when there is none any more.
            VideoError: when a clip can't be read.
        """

    def lock(self) -> tuple[Lock, ...]:
        """Holds focus, exposure and white balance where they are.

        Returns:
            What became of each; nothing where there is nothing to lock.
        """

    def unlock(self) -> None:
        """Gives what `lock` has locked back to the driver."""

    def close(self) -> None:
        """Lets the camera go."""


class ClipCamera:
    """Plays a clip as if a camera took it.

    Args:
        path: a video file, or a folder of numbered pictures (25 frames a second).
        pace: see `CameraSettings`.
        clock: that a live pace follows.

    Attributes:
        facts: see `CameraFacts`.

    Raises:
        VideoError: when it can't be read; says why.
    """

    def __init__(self, path: Path, pace: Pace, clock: Clock) -> None:
        self._source = open_video(path, "--camera")
        self._clock = clock
        self._first: int | None = None
        self._start = 0.0
        info = self._source.info
        self.facts = CameraFacts(
            str(path), info.height, info.width, info.rate, pace == "live", info.notes
        )

    def read(self) -> Shot | None:
        """Waits until the next frame is due; see `Camera`."""
        frame = self._source.read()
        if frame is None:
            return None
        self._source.take_audio()
        time = self._time(frame)
        if self.facts.live:
            wait = self._start + float(time) - self._clock.now()
            if wait > 0:
                self._clock.sleep(wait)
        pixels = frame.pixels
        if pixels.dtype == np.uint16:
            pixels = cv2.convertScaleAbs(pixels, alpha=1 / 257)
        return Shot(pixels, time, self._clock.now())

    def lock(self) -> tuple[Lock, ...]:
        """Nothing: a clip is as it is."""
        return ()

    def unlock(self) -> None:
        """Nothing was locked."""

    def close(self) -> None:
        """Closes the file."""
        self._source.close()

    def _time(self, frame: Frame) -> Fraction:
        if self._first is None:
            self._first, self._start = frame.pts, self._clock.now()
        return (frame.pts - self._first) * self._source.info.time_base


OpenDriver = Callable[[str, CameraSettings, Clock], Camera]


def open_camera(name: str, settings: CameraSettings, clock: Clock, driver: OpenDriver) -> Camera:
    """Opens what a user names as the camera.

    Args:
        name: a number (0 is the first camera), a device (/dev/video2), an address (rtsp://...), or
            the path of a clip or a folder of numbered pictures.
        settings: how.
        clock: that pictures get their time from.
        driver: opens the first three.

    Returns:
        The camera.

    Raises:
        ValueError: when it can't be opened; says why.
    """
    path = Path(name)
    if name.isdecimal() or "://" in name or path.is_char_device():
        return driver(name, settings, clock)
    if not path.exists():
        raise CameraError(
            f"--camera {name} is neither the number of a camera (0 is the first), nor a device, "
            "nor a clip that exists"
        )
    return ClipCamera(path, settings.pace, clock)
