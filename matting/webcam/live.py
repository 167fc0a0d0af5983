"""The live loop: newest picture, matte, new background, out."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Protocol

import numpy as np

from ..pictures.compose import composite, quantise, render
from ..plate.fit import fit_plate
from ..predictor import Matte, Predictor, Prepared
from ..quality import Budget
from .camera import CameraError, Clock, Lock, Shot
from .capture import LOST_AFTER, Capture
from .controls import Controls
from .meter import Meter
from .outputs import LiveOutput
from .overlay import draw_text
from .plate import PlateTaker, TakenPlate
from .settings import PlateSettings
from .window import Window

# Keys are heard so often where no picture comes, seconds.
_WAIT = 0.05


class Listener(Protocol):
    """Is told what happens."""

    def take_plate(self, plate: TakenPlate) -> None:
        """A plate was taken."""

    def take_snapshot(self, picture: np.ndarray) -> None:
        """A snapshot was wanted: (H, W, 3), or (H, W, 4) with straight alpha; uint8."""

    def take_locks(self, locks: tuple[Lock, ...]) -> None:
        """The camera was locked, as far as it can be."""

    def note(self, text: str) -> None:
        """Something that a user should know."""


class Live:
    """Mattes a camera until the end of the clip, an error, or a wish to stop.

    Args:
        capture: newest pictures.
        predictor: computes the mattes.
        budget: work for each.
        controls: what a user can change.
        outputs: take finished pictures, beside the window.
        window: shows them, or None.
        listener: see `Listener`.
        plate: how plates are taken.
        lock: whether to lock the camera when one is taken.
        clock: latency is counted by it.

    Attributes:
        meter: see `Meter`.
    """

    def __init__(
        self,
        capture: Capture,
        predictor: Predictor,
        budget: Budget,
        controls: Controls,
        outputs: LiveOutput,
        window: Window | None,
        listener: Listener,
        plate: PlateSettings,
        lock: bool,
        clock: Clock,
    ) -> None:
        self.meter = Meter()
        self._capture = capture
        self._predictor = predictor
        self._budget = budget
        self._controls = controls
        self._outputs = outputs
        self._window = window
        self._listener = listener
        self._plate = plate
        self._lock = lock
        self._clock = clock
        self._locked = False
        self._taker: PlateTaker | None = None
        self._bgr: np.ndarray | None = None
        self._prepared: Prepared | None = None
        self._mirrored_bgr: np.ndarray | None = None
        self._time = Fraction(0)
        self._heard = clock.now()  # when the camera last gave a picture

    def use_plate(self, pixels: np.ndarray) -> None:
        """Takes a picture for the plate, instead of one of the camera's own.

        Args:
            pixels: (h, w, 3) uint8 or uint16, RGB; it is fitted to the first frame.
        """
        self._bgr, self._prepared = pixels, None
        self._lock_camera()

    def run(self, should_stop: Callable[[], bool]) -> None:
        """Runs; see the class. Without `use_plate` it begins with taking the plate.

        Args:
            should_stop: asked before every picture.

        Raises:
            ValueError: when the camera or an output fails, or the plate does not fit.
        """
        if self._bgr is None:
            self._begin_plate()
        while not (should_stop() or self._capture.ended):
            self._heed(self._controls.hear(self._time))
            if self._controls.quit or (self._window is not None and self._window.closed):
                break
            shot = self._capture.take(_WAIT)
            if (locks := self._capture.take_locks()) is not None:
                self._listener.take_locks(locks)
            if shot is None:
                self._check_alive()
                continue
            self._heard, self._time = self._clock.now(), shot.time
            if self._controls.paused:
                continue
            if self._taker is not None:
                self._go_on_with_plate(self._taker, shot)
            else:
                self._show(shot)

    def _heed(self, actions: Sequence[str]) -> None:
        if "plate" in actions:
            self._begin_plate()
        if "pause" in actions:
            self._cut()

    def _check_alive(self) -> None:
        silent = self._clock.now() - self._heard
        if silent > LOST_AFTER and not self._capture.ended:
            raise CameraError(
                f"the camera has given no picture for {silent:.0f} s; is it still plugged in?"
            )

    def _begin_plate(self) -> None:
        """Begins the countdown; what was locked may adjust itself until its end."""
        if self._locked:
            self._capture.unlock()
        self._locked = False
        self._taker = PlateTaker(self._plate)
        self._cut()

    def _go_on_with_plate(self, taker: PlateTaker, shot: Shot) -> None:
        plate = taker.add(shot)
        if taker.due and not self._locked:
            self._lock_camera()
        if self._window is not None:
            shown = shot.pixels if self._controls.mirror == "none" else shot.pixels[:, ::-1]
            self._window.show(draw_text(shown, [taker.text]))
        if plate is not None:
            self._taker, self._bgr, self._prepared = None, plate.pixels, None
            self._listener.take_plate(plate)

    def _show(self, shot: Shot) -> None:
        """Mattes a picture and hands it to the outputs and the window."""
        bgr, prepared = self._prepare(shot)
        matte = self._predictor.predict(shot.pixels, prepared, self._budget)
        if self._controls.mirror == "all":
            # The subject alone: writing in the new background stays readable.
            matte, bgr = mirror_matte(matte), self._mirror_plate(bgr)
        target = self._controls.backgrounds.at(shot.time, bgr)
        picture = quantise(composite(matte, target), 8)
        self._outputs.send(picture, shot.time)
        if self._window is not None:
            self._window.show(self._preview(picture))
        self.meter.add(shot.captured, self._clock.now())
        if self._controls.snapshot:
            self._controls.snapshot = False
            alone = self._controls.backgrounds.transparent
            self._listener.take_snapshot(render("com", matte, None, 8) if alone else picture)

    def _prepare(self, shot: Shot) -> tuple[np.ndarray, Prepared]:
        """The plate as it fits the pictures, made once."""
        assert self._bgr is not None  # noqa: S101 - there is a plate before the first picture
        if self._prepared is None:
            self._bgr, notes = fit_plate(src=shot.pixels, bgr=self._bgr)
            self._prepared = self._predictor.prepare(self._bgr)
            self._mirrored_bgr = None
            for note in notes:
                self._listener.note(note)
        return self._bgr, self._prepared

    def _mirror_plate(self, bgr: np.ndarray) -> np.ndarray:
        """The same object for the same plate, which is blurred only once then."""
        if self._mirrored_bgr is None:
            self._mirrored_bgr = np.ascontiguousarray(bgr[:, ::-1])
        return self._mirrored_bgr

    def _preview(self, picture: np.ndarray) -> np.ndarray:
        shown = picture[:, ::-1] if self._controls.mirror == "preview" else picture
        if not self._controls.text:
            return shown
        numbers = f"{self.meter.text}  {self._capture.dropped} dropped"
        return draw_text(shown, [numbers, self._controls.backgrounds.name])

    def _cut(self) -> None:
        self.meter.cut()
        self._outputs.cut()

    def _lock_camera(self) -> None:
        self._locked = True
        if self._lock:
            self._capture.lock()


def mirror_matte(matte: Matte) -> Matte:
    """Turns left and right.

    Args:
        matte: the prediction.

    Returns:
        A view of it.
    """
    return Matte(*(part[:, ::-1] for part in (matte.pha, matte.fgr, matte.err, matte.ref)))
