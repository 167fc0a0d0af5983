"""Live cameras: OpenCV's driver, or a clip instead of one."""

import sys
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal

import cv2
import numpy as np
from pydantic import Field

from media.aspect import to_aspect
from media.pictures import to_8_bits
from runtime.settings import settings_group

from ..video.open import open_video
from ..video.settings import Side

Pace = Literal["live", "each"]

_RATES = (1.0, 1000.0)  # plausible frames/s from a driver; some return 0 or a million
_NEARLY = 0.9  # of the requested rate
# Name, switch and value property of each automatic control.
_AUTOMATICS = (
    ("focus", cv2.CAP_PROP_AUTOFOCUS, cv2.CAP_PROP_FOCUS),
    ("exposure", cv2.CAP_PROP_AUTO_EXPOSURE, cv2.CAP_PROP_EXPOSURE),
    ("white balance", cv2.CAP_PROP_AUTO_WB, cv2.CAP_PROP_WB_TEMPERATURE),
)
_PERMISSIONS = {
    "linux": " (on Linux: the group video)",
    "darwin": " (on macOS: System Settings, Privacy, Camera)",
}


@settings_group("camera")
class CameraSettings:
    """Settings of the camera."""

    size: tuple[Side, Side] = (1280, 720)
    """Width and height to ask the driver for, in pixels. It may deliver others."""
    rate: Annotated[float, Field(gt=0, le=1000)] = 30.0
    """Frames per second to ask for."""
    format: Annotated[str, Field(min_length=4, max_length=4)] | None = None
    """Four letters of the camera's stream format, as MJPG, which many cameras need for HD at 30
    frames per second. The driver chooses if not given."""
    lock: bool = True
    """Lock focus, exposure and white balance when the plate is taken, if the driver can."""
    pace: Pace = "live"
    """For a clip used instead of a camera: live plays it at its own rate and drops late frames;
    each mattes every frame, one after another."""


class CameraError(ValueError):
    """A camera that can't be opened or was lost; the message says which, why and what to do."""


@dataclass(frozen=True)
class Shot:
    """A picture from a camera."""

    pixels: np.ndarray  # (H, W, 3) uint8, RGB
    time: Fraction  # seconds since the camera's first picture, by the camera
    captured: float  # `time.perf_counter` when it arrived; latency counts from here


# By control (focus, exposure, white balance), why it could not be locked; None if it was.
Locks = dict[str, str | None]


@dataclass(frozen=True)
class CameraFacts:
    """A camera's name, the size of its pictures in pixels, and its rate in frames/s."""

    name: str
    height: int
    width: int
    rate: Fraction
    live: bool = True  # whether frames that are not read in time are lost
    notes: tuple[str, ...] = ()  # notes for the user

    def describe(self) -> dict[str, Any]:
        """Returns the facts for JSON."""
        return {
            "name": self.name,
            "width": self.width,
            "height": self.height,
            "frames_per_second": round(float(self.rate), 3),
            "live": self.live,
        }


class ClipCamera:
    """Plays a video file or a folder of numbered pictures (25 frames/s) as if a camera took it.

    Raises VideoError when it can't be read.
    """

    def __init__(self, path: Path, pace: Pace) -> None:
        self._source = open_video(path, "--camera")
        self._first: int | None = None
        self._start = 0.0
        info, live = self._source.info, pace == "live"
        # Windows, virtual cameras and snapshots support square pixels only.
        empty = np.zeros((info.height, info.width), np.uint8)
        height, width = to_aspect(empty, info.pixel_aspect).shape
        self.facts = CameraFacts(str(path), height, width, info.rate, live, info.notes)

    def read(self) -> Shot | None:
        """Waits until the time of the next frame; None at the end. VideoError if unreadable."""
        frame = self._source.read()
        if frame is None:
            return None
        self._source.take_audio()
        if self._first is None:
            self._first, self._start = frame.pts, time.perf_counter()
        moment = (frame.pts - self._first) * self._source.info.time_base
        wait = self._start + float(moment) - time.perf_counter()
        if self.facts.live and wait > 0:
            time.sleep(wait)
        pixels = to_8_bits(to_aspect(frame.pixels, self._source.info.pixel_aspect))
        return Shot(pixels, moment, time.perf_counter())

    def lock(self) -> Locks:
        """Does nothing, because a clip has no automatic controls."""
        return {}

    def unlock(self) -> None:
        """Does nothing."""

    def close(self) -> None:
        """Closes the file."""
        self._source.close()


class DriverCamera:
    """A camera opened by OpenCV; `facts` has the driver's actual size and rate.

    Raises CameraError when it can't be opened or gives no picture.
    """

    def __init__(self, name: str, settings: CameraSettings) -> None:
        self._name = f"camera {name}"
        self._start: float | None = None
        self._frames = 0
        self._released: list[tuple[int, float]] = []
        capture = self._capture = cv2.VideoCapture(int(name) if name.isdecimal() else name)
        if not capture.isOpened():
            self.close()
            raise CameraError(
                f"{self._name} can't be opened: is it plugged in, is another program using it, "
                f"is this one allowed to use it{_PERMISSIONS.get(sys.platform, '')}? --camera "
                "takes a number (0 is the first), a device, an address or a clip"
            )
        # The format first, because available sizes and rates depend on it.
        if settings.format is not None:
            capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*settings.format))
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, settings.size[0])
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, settings.size[1])
        capture.set(cv2.CAP_PROP_FPS, settings.rate)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # a larger buffer would delay pictures
        first = self._grab()
        if first is None:
            self.close()
            raise CameraError(
                f"{self._name} was opened but gives no picture; another program may be using it, "
                "or it does not support this size: try another --camera-size or --camera-format "
                "MJPG"
            )
        self.facts = self._describe(settings, *first.shape[:2])

    def read(self) -> Shot | None:
        """Waits for the next picture; CameraError if there are no more."""
        pixels = self._grab()
        now = time.perf_counter()
        if pixels is None:
            raise CameraError(
                f"{self._name} stopped giving pictures after {self._frames} frames; is it still "
                "plugged in?"
            )
        self._start = now if self._start is None else self._start
        self._frames += 1
        return Shot(pixels, Fraction(now - self._start).limit_denominator(1_000_000), now)

    def lock(self) -> Locks:
        """Turns automatic controls off, and checks the driver's state."""
        return {name: self._turn_off(name, *keys) for name, *keys in _AUTOMATICS}

    def unlock(self) -> None:
        """Turns on the automatic controls that were on before."""
        for switch, before in self._released:
            self._capture.set(switch, before)
        self._released.clear()

    def close(self) -> None:
        """Releases the camera."""
        self._capture.release()

    def _grab(self) -> np.ndarray | None:
        came, picture = self._capture.read()
        return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB) if came and picture is not None else None

    def _describe(self, settings: CameraSettings, height: int, width: int) -> CameraFacts:
        notes = []
        if (width, height) != settings.size:
            asked = f"{settings.size[0]} x {settings.size[1]}"
            notes.append(f"the camera gives {width} x {height} pixels instead of {asked}")
        rate = float(self._capture.get(cv2.CAP_PROP_FPS))
        if not _RATES[0] <= rate <= _RATES[1]:
            rate = settings.rate
            notes.append("the driver does not report the camera's frame rate")
        elif rate < _NEARLY * settings.rate:
            hint = "" if settings.format else "; --camera-format MJPG may be faster"
            notes.append(f"the camera gives {rate:g} frames/s instead of {settings.rate:g}{hint}")
        exact = Fraction(rate).limit_denominator(1001)
        return CameraFacts(self._name, height, width, exact, notes=tuple(notes))

    def _turn_off(self, name: str, switch: int, value: int) -> str | None:
        """Turns one automatic off at the value it had found, and reads the switch back."""
        try:
            backend = str(self._capture.getBackendName())
        except cv2.error:
            backend = "unknown"
        # In V4L2, exposure mode 1 is manual and 3 automatic.
        off, on = (1.0, 3.0) if (backend, name) == ("V4L2", "exposure") else (0.0, 1.0)
        before, found = self._capture.get(switch), self._capture.get(value)
        if not self._capture.set(switch, off):
            return f"the driver ({backend}) does not support it"
        if (after := self._capture.get(switch)) != off:
            return f"the driver ({backend}) returns {after:g}, not {off:g}"
        if found > 0:
            self._capture.set(value, found)
        self._released.append((switch, on if before < 0 else before))  # -1 means unknown
        return None


Camera = ClipCamera | DriverCamera


def open_camera(name: str, settings: CameraSettings) -> Camera:
    """Opens a number (0 is the first), device, address or clip; ValueError when it can't."""
    path = Path(name)
    if name.isdecimal() or "://" in name or path.is_char_device():
        return DriverCamera(name, settings)
    if not path.exists():
        raise CameraError(
            f"--camera {name} is neither the number of a camera (0 is the first), nor a device, "
            "nor a clip that exists"
        )
    return ClipCamera(path, settings.pace)
