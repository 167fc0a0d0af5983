"""The thread that reads a camera and keeps only the newest picture."""

import time
from threading import Condition, Thread

from .camera import Camera, CameraError, Locks, Shot

_LOST_AFTER = 5.0  # seconds without a picture after which the camera counts as lost
_PATIENCE = 2.0  # seconds to wait at the end for a driver that hangs


class Capture:
    """Reads, locks and closes a camera in its own thread, so that pictures are never outdated.

    For a live camera only the newest picture is kept; pictures not taken in time are dropped and
    counted. For a clip that is read frame by frame, the thread waits instead.
    """

    def __init__(self, camera: Camera) -> None:
        self.facts = camera.facts
        self.captured = 0  # pictures received
        self.dropped = 0  # pictures that a newer one replaced
        self._camera = camera
        self._shot: Shot | None = None
        self._error: Exception | None = None
        self._ended = self._stopping = False
        self._heard = time.perf_counter()  # when a picture was last taken
        self.wants_lock = False  # whether the thread should lock the camera's controls
        self._locked = False
        self.locks: Locks | None = None  # result of locking; the reader sets it back to None
        self._changed = Condition()
        self._thread = Thread(target=self._run, name="camera", daemon=True)
        self._thread.start()

    def take(self, timeout: float) -> Shot | None:
        """Takes the newest picture; None when none came in `timeout` seconds, or `ended`.

        Raises the camera's error after its last picture, and CameraError after 5 s without one.
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
        """Whether a clip's last picture was taken; False after an error."""
        with self._changed:
            return self._ended and self._shot is None and self._error is None

    def close(self) -> None:
        """Ends the thread, which closes the camera; abandons a thread that hangs."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(_PATIENCE)

    def _run(self) -> None:
        try:
            while not self._stopping:
                if self.wants_lock and not self._locked:
                    self.locks, self._locked = self._camera.lock(), True
                elif self._locked and not self.wants_lock:
                    self._locked = False
                    self._camera.unlock()
                if (shot := self._camera.read()) is None:
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
