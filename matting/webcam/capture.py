"""What a camera is, and the thread that reads it: it keeps the newest picture alone."""

import time
from dataclasses import dataclass
from fractions import Fraction
from threading import Condition, Thread
from typing import Any

import numpy as np

_LOST_AFTER = 5.0  # seconds without a picture after which the camera counts as lost
_PATIENCE = 2.0  # seconds that a driver which hangs is waited for at the end


class CameraError(ValueError):
    """A camera that can't be opened or was lost; the message says which, why and what to do."""


@dataclass(frozen=True)
class Shot:
    """A picture that a camera took."""

    pixels: np.ndarray  # (H, W, 3) uint8, RGB
    time: Fraction  # seconds since the camera's first picture, by the camera
    captured: float  # `time.perf_counter` when it arrived; latency counts from here


@dataclass(frozen=True)
class Lock:
    """Whether the driver says that an automatic (focus, exposure, white balance) is locked."""

    name: str
    locked: bool
    reason: str = ""  # why not


@dataclass(frozen=True)
class CameraFacts:
    """A camera's name, the size of its pictures in pixels, and its rate in frames/s."""

    name: str
    height: int
    width: int
    rate: Fraction
    live: bool = True  # whether a frame is lost that nobody takes in time
    notes: tuple[str, ...] = ()  # what a user should know

    def describe(self) -> dict[str, Any]:
        """The facts as JSON holds them."""
        return {
            "name": self.name,
            "width": self.width,
            "height": self.height,
            "frames_per_second": round(float(self.rate), 3),
            "live": self.live,
        }


class Camera:
    """A camera, or what stands in for one. One thread reads and locks."""

    facts: CameraFacts

    def read(self) -> Shot | None:
        """Waits for the next picture; None at the end of a clip. ValueError when it is lost."""

    def lock(self) -> tuple[Lock, ...]:
        """Holds focus, exposure and white balance where they are, as far as there are any."""
        return ()

    def unlock(self) -> None:
        """Gives what `lock` has locked back to the driver."""

    def close(self) -> None:
        """Releases the camera."""


class Capture:
    """Reads, locks and closes a camera in a thread of its own, so that what is shown is never old.

    Of a live camera only the newest picture is kept: one that nobody took in time is dropped and
    counted. Of a clip that is read frame by frame none is dropped; the thread waits instead.
    """

    def __init__(self, camera: Camera) -> None:
        self.facts = camera.facts
        self.captured = 0  # pictures that came
        self.dropped = 0  # pictures that a newer one replaced
        self._camera = camera
        self._shot: Shot | None = None
        self._error: Exception | None = None
        self._ended = self._stopping = False
        self._heard = time.perf_counter()  # when a picture was last taken
        self.wants_lock = False  # whether the thread is to lock the camera's automatics
        self._locked = False
        self._locks: tuple[Lock, ...] | None = None
        self._changed = Condition()
        self._thread = Thread(target=self._run, name="camera", daemon=True)
        self._thread.start()

    def take(self, timeout: float) -> Shot | None:
        """Takes the newest picture; waits up to `timeout` seconds for one that is new.

        None when none came in time or `ended`. Raises what ended the camera, after its last picture
        was taken, and CameraError when it has given none for seconds.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._shot or self._error or self._ended, timeout)
            now, shot, self._shot = time.perf_counter(), self._shot, None
            self._changed.notify_all()
            if shot is not None:
                self._heard = now
            elif self._error is not None:
                raise self._error
            elif not self._ended and now - self._heard > _LOST_AFTER:
                raise CameraError(
                    f"the camera has given no picture for {now - self._heard:.0f} s; is it still "
                    "plugged in?"
                )
            return shot

    @property
    def ended(self) -> bool:
        """Whether a clip's last picture was taken; an error is no end."""
        with self._changed:
            return self._ended and self._shot is None and self._error is None

    def take_locks(self) -> tuple[Lock, ...] | None:
        """Hands over what became of locking, once; None until then."""
        locks, self._locks = self._locks, None
        return locks

    def close(self) -> None:
        """Ends the thread, which closes the camera; one that hangs is left behind."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(_PATIENCE)

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._set_lock()
                shot = self._camera.read()
                if shot is None:
                    break
                self._put(shot)
        except Exception as error:  # `take` raises it
            known = isinstance(error, (ValueError, OSError))
            self._error = error if known else CameraError(f"{self.facts.name}: {error!r}")
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()
            self._camera.close()

    def _put(self, shot: Shot) -> None:
        with self._changed:
            if not self.facts.live:
                self._changed.wait_for(lambda: self._shot is None or self._stopping)
            self.captured += 1
            self.dropped += self._shot is not None
            self._shot = shot
            self._changed.notify_all()

    def _set_lock(self) -> None:
        if self.wants_lock == self._locked:
            return
        self._locked = not self._locked
        if self._locked:
            self._locks = self._camera.lock()
        else:
            self._camera.unlock()
