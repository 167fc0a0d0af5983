"""A camera through OpenCV."""

import sys
from fractions import Fraction
from typing import Any

import cv2
import numpy as np

from .camera import CameraError, CameraFacts, Clock, Lock, Shot
from .settings import CameraSettings

_BUFFERED = 1  # frames; more would be old when they come
# Rates that a driver's word is believed in; some answer 0 or a million.
_RATES = (1.0, 1000.0)
_NEARLY = 0.9  # of the rate that was asked for

# The value that turns an automatic off, by OpenCV's name of the driver: V4L2 counts kinds of
# exposure (1 is manual), the others ask whether it is automatic.
_MANUAL_EXPOSURE = {"V4L2": 1.0}
_AUTOMATIC_EXPOSURE = {"V4L2": 3.0}


class DriverCamera:
    """A camera that OpenCV opens.

    Args:
        name: its number, device or address.
        settings: what to ask for.
        clock: that tells when a picture came.
        capture: an open `cv2.VideoCapture`; made from the name when not given.

    Attributes:
        facts: what the driver gave, which may not be what was asked for.

    Raises:
        CameraError: when it can't be opened or gives no picture.
    """

    def __init__(
        self, name: str, settings: CameraSettings, clock: Clock, capture: Any = None
    ) -> None:
        self._name = f"camera {name}"
        self._clock = clock
        self._start: float | None = None
        self._frames = 0
        self._released: list[tuple[int, float]] = []
        self._capture = _open(name) if capture is None else capture
        if not self._capture.isOpened():
            self.close()
            raise CameraError(
                f"{self._name} can't be opened: is it plugged in, is another program using it, may "
                f"this one use it{_permission()}? --camera takes a number (0 is the first), a "
                "device, an address or a clip"
            )
        self._ask(settings)
        first = self._grab()
        if first is None:
            self.close()
            raise CameraError(
                f"{self._name} was opened but gives no picture; another program may be using it, "
                "or it does not know this size: try another --camera-size or --camera-format MJPG"
            )
        self.facts = self._describe(settings, first)

    def read(self) -> Shot | None:
        """Waits for the next picture; see `Camera`."""
        pixels = self._grab()
        now = self._clock.now()
        if pixels is None:
            raise CameraError(
                f"{self._name} gives no picture any more after {self._frames} frames; is it still "
                "plugged in?"
            )
        if self._start is None:
            self._start = now
        self._frames += 1
        return Shot(pixels, Fraction(now - self._start).limit_denominator(1_000_000), now)

    def lock(self) -> tuple[Lock, ...]:
        """Turns the automatics off, and asks the driver whether they are; see `Camera`."""
        manual = _MANUAL_EXPOSURE.get(self._backend(), 0.0)
        automatic = _AUTOMATIC_EXPOSURE.get(self._backend(), 1.0)
        return (
            self._turn_off("focus", cv2.CAP_PROP_AUTOFOCUS, 0.0, 1.0, cv2.CAP_PROP_FOCUS),
            self._turn_off(
                "exposure",
                cv2.CAP_PROP_AUTO_EXPOSURE,
                manual,
                automatic,
                cv2.CAP_PROP_EXPOSURE,
            ),
            self._turn_off(
                "white balance", cv2.CAP_PROP_AUTO_WB, 0.0, 1.0, cv2.CAP_PROP_WB_TEMPERATURE
            ),
        )

    def unlock(self) -> None:
        """Turns the automatics on that were on before; see `Camera`."""
        for switch, before in self._released:
            self._capture.set(switch, before)
        self._released.clear()

    def close(self) -> None:
        """Lets the camera go."""
        self._capture.release()

    def _ask(self, settings: CameraSettings) -> None:
        # The coding first: it decides which sizes and rates there are.
        if settings.format is not None:
            self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*settings.format))
        self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, settings.size[0])
        self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, settings.size[1])
        self._capture.set(cv2.CAP_PROP_FPS, settings.rate)
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, _BUFFERED)

    def _grab(self) -> np.ndarray | None:
        came, picture = self._capture.read()
        if not came or picture is None:
            return None
        return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)

    def _describe(self, settings: CameraSettings, first: np.ndarray) -> CameraFacts:
        notes = []
        height, width = first.shape[:2]
        if (width, height) != settings.size:
            notes.append(
                f"the camera gives {width} x {height} pixels instead of {settings.size[0]} x "
                f"{settings.size[1]}"
            )
        rate = float(self._capture.get(cv2.CAP_PROP_FPS))
        if not _RATES[0] <= rate <= _RATES[1]:
            rate = settings.rate
            notes.append("the driver does not tell the camera's frame rate")
        elif rate < _NEARLY * settings.rate:
            hint = "" if settings.format else "; --camera-format MJPG may be faster"
            notes.append(f"the camera gives {rate:g} frames/s instead of {settings.rate:g}{hint}")
        exact = Fraction(rate).limit_denominator(1001)
        return CameraFacts(self._name, height, width, exact, notes=tuple(notes))

    def _turn_off(self, name: str, switch: int, off: float, on: float, value: int) -> Lock:
        """Turns one automatic off, keeps the value it had found, and reads the switch back."""
        before, found = self._capture.get(switch), self._capture.get(value)
        if not self._capture.set(switch, off):
            return Lock(name, False, f"the driver ({self._backend()}) can't")
        after = self._capture.get(switch)
        if after != off:
            return Lock(
                name, False, f"the driver ({self._backend()}) answers {after:g}, not {off:g}"
            )
        if found > 0:
            self._capture.set(value, found)
        self._released.append((switch, on if before < 0 else before))  # -1: not known
        return Lock(name, True)

    def _backend(self) -> str:
        try:
            return str(self._capture.getBackendName())
        except cv2.error:
            return "unknown"


def _open(name: str) -> Any:
    return cv2.VideoCapture(int(name) if name.isdecimal() else name)


def _permission() -> str:
    hints = {
        "linux": " (on Linux: the group video)",
        "darwin": " (on macOS: System Settings, Privacy, Camera)",
    }
    return hints.get(sys.platform, "")
