"""The capture thread: it keeps the newest picture and lets older ones go."""

from threading import Condition, Thread

from .camera import Camera, CameraError, Lock, Shot

# A driver that hangs is not waited for at the end, seconds.
_PATIENCE = 2.0
# Without a picture for so long, the camera counts as lost, seconds.
LOST_AFTER = 5.0


class Capture:
    """Reads a camera in a thread of its own, so that what is shown is never old.

    Of a live camera only the newest picture is kept: one that nobody took in time is dropped and
    counted. Of a clip that is read frame by frame none is dropped; the thread waits instead.

    Args:
        camera: read, locked and closed by the thread alone.

    Attributes:
        facts: of the camera.
        captured: pictures that came.
        dropped: pictures that a newer one replaced.
    """

    def __init__(self, camera: Camera) -> None:
        self.facts = camera.facts
        self.captured = 0
        self.dropped = 0
        self._locks: tuple[Lock, ...] | None = None
        self._camera = camera
        self._shot: Shot | None = None
        self._error: Exception | None = None
        self._ended = False
        self._stopping = False
        self._wish: bool | None = None
        self._changed = Condition()
        self._thread = Thread(target=self._run, name="camera", daemon=True)
        self._thread.start()

    def take(self, timeout: float) -> Shot | None:
        """Takes the newest picture, and waits for one if there is none that is new.

        Args:
            timeout: seconds to wait at most.

        Returns:
            The picture, or None when none came in time or `ended`.

        Raises:
            ValueError: what ended the camera, after its last picture was taken.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._shot or self._error or self._ended, timeout)
            shot, self._shot = self._shot, None
            self._changed.notify_all()
            if shot is None and self._error is not None:
                raise self._error
            return shot

    @property
    def ended(self) -> bool:
        """Whether a clip's last picture was taken; an error is no end."""
        with self._changed:
            return self._ended and self._shot is None and self._error is None

    def lock(self) -> None:
        """Asks the thread to lock the camera's automatics before its next picture."""
        with self._changed:
            self._wish = True

    def unlock(self) -> None:
        """Asks the thread to give them back to the driver."""
        with self._changed:
            self._wish = False

    def take_locks(self) -> tuple[Lock, ...] | None:
        """Hands over what became of `lock`, once; None until then."""
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
                self._heed_wish()
                shot = self._camera.read()
                if shot is None:
                    break
                self._put(shot)
        except Exception as error:  # `take` raises it
            known = isinstance(error, (ValueError, OSError))
            self._error = error if known else CameraError(f"{self._camera.facts.name}: {error!r}")
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()
            self._camera.close()

    def _put(self, shot: Shot) -> None:
        with self._changed:
            if not self._camera.facts.live:
                self._changed.wait_for(lambda: self._shot is None or self._stopping)
            self.captured += 1
            self.dropped += self._shot is not None
            self._shot = shot
            self._changed.notify_all()

    def _heed_wish(self) -> None:
        with self._changed:
            wish, self._wish = self._wish, None
        if wish:
            self._locks = self._camera.lock()
        elif wish is not None:
            self._camera.unlock()
