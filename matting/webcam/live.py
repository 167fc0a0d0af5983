"""The live loop: take the newest picture, matte it, composite it, output it."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Literal

import numpy as np

from ..pictures.compose import composite, quantise, render
from ..quality import Budget
from ..video.stream import FrameMatter
from .camera import Shot
from .capture import Capture
from .controls import KEYS, NUMBERS, Backgrounds, Keys
from .outputs import Outputs
from .plate import PlateSettings, PlateTaker
from .summary import Journal, Meter
from .window import Window, draw_text

Mirror = Literal["none", "preview", "all"]

_WAIT = 0.05  # seconds between checks of keys without pictures
# The camera is too fast if pictures were dropped before more than _TOO_MANY of the last _LAST shown
# ones. The first pictures and those on which the plate is checked take longer; they are fewer.
_LAST, _TOO_MANY = 20, 5
_NEXT_MIRROR: dict[Mirror, Mirror] = {"none": "preview", "preview": "all", "all": "none"}


@dataclass(kw_only=True)
class Live:
    """Mattes a camera until the end of the clip, an error, or a request to stop."""

    capture: Capture
    matter: FrameMatter
    keys: Sequence[Keys]
    backgrounds: Backgrounds
    mirror: Mirror
    outputs: Outputs
    window: Window | None
    journal: Journal
    taking: PlateSettings
    lock: bool  # whether to lock the camera when a plate is taken or given
    faster: Budget | None = None  # what is used from the time when the camera is too fast
    meter: Meter = field(default_factory=Meter, init=False)

    def __post_init__(self) -> None:
        self._paused = self._quit = self._snapshot = False
        self._text = True  # latency and frames/s on the preview
        self._taker: PlateTaker | None = None
        self._captured: np.ndarray | None = None  # the plate as it was taken or given
        # A plate and its mirror image: the same object every time, so that it is blurred only once.
        self._mirrored: tuple[np.ndarray, np.ndarray] | None = None
        self._time = Fraction(0)
        self._dropped: int | None = None  # before the last picture
        self._late: deque[bool] = deque(maxlen=_LAST)

    def run(self, should_stop: Callable[[], bool], bgr: np.ndarray | None = None) -> None:
        """Runs until the end; calls `should_stop` before every picture.

        Without a plate, (h, w, 3) uint8 or uint16, RGB, the camera takes it first. ValueError if
        the camera or an output fails, or the plate does not fit.
        """
        if bgr is None:
            self._begin_plate()
        else:
            self._captured = bgr
            self.capture.wants_lock = self.lock
        try:
            while not (should_stop() or self.capture.ended):
                self._hear_keys()
                if self._quit or (self.window is not None and self.window.closed):
                    break
                shot = self.capture.take(_WAIT)
                if (locks := self.capture.locks) is not None:
                    self.capture.locks = None
                    self.journal.take_locks(locks)
                self._time = self._time if shot is None else shot.time
                if shot is None or self._paused:
                    continue
                if self._taker is not None:
                    self._continue_plate(self._taker, shot)
                else:
                    self._show(shot)
        finally:
            self.journal.note(*self.matter.plates.conclude())

    def _hear_keys(self) -> None:
        """Handles the keys pressed since the last call."""
        for key in (key for source in self.keys for key in source(self._time)):
            if key in NUMBERS:
                self.backgrounds.choose(NUMBERS.index(key))
            match KEYS.get(key):
                case "quit":
                    self._quit = True
                case "plate":
                    self._paused = False
                    self._begin_plate()
                case "mirror":
                    self.mirror = _NEXT_MIRROR[self.mirror]
                case "next":
                    self.backgrounds.choose()
                case "snapshot":
                    self._snapshot = True
                case "pause":
                    self._paused = not self._paused
                    self._cut()
                case "text":
                    self._text = not self._text

    def _begin_plate(self) -> None:
        """Starts the countdown; unlocks the controls so that they can adjust until its end."""
        self.capture.wants_lock = False
        self._taker = PlateTaker(self.taking)
        self._cut()

    def _continue_plate(self, taker: PlateTaker, shot: Shot) -> None:
        plate = taker.add(shot)
        self.capture.wants_lock = self.lock and taker.due
        if self.window is not None:
            shown = shot.pixels if self.mirror == "none" else shot.pixels[:, ::-1]
            self.window.show(draw_text(shown, [taker.text]))
        if plate is not None:
            self._taker, self._captured = None, plate.pixels
            self.journal.note(*self.matter.plates.conclude())
            self.matter = replace(self.matter)  # discards the previous plate
            self.journal.take_plate(plate)

    def _show(self, shot: Shot) -> None:
        """Mattes a picture and passes it to the outputs and the window."""
        assert self._captured is not None  # noqa: S101 - a plate comes before the first picture
        self._keep_up()
        preparation, prepared = self.matter.prepare(shot.pixels, self._captured)
        self.journal.take_preparation(preparation)
        matte = self.matter.predict(shot.pixels, prepared)
        matte, bgr = self.matter.finish(shot.pixels, matte), preparation.bgr
        if self.mirror == "all":
            # Mirrors only the subject, so that text in the new background stays readable.
            matte = matte.mirror()
            if self._mirrored is None or self._mirrored[0] is not bgr:
                self._mirrored = bgr, np.ascontiguousarray(bgr[:, ::-1])
            bgr = self._mirrored[1]
        picture = quantise(composite(matte, self.backgrounds.at(shot.time, bgr)), 8)
        self.outputs.send(picture, shot.time)
        if self.window is not None:
            self.window.show(self._preview(picture))
        self.meter.add(shot.captured, time.perf_counter())
        if self._snapshot:
            self._snapshot = False
            alone = self.backgrounds.transparent
            self.journal.keep("snapshot", render("com", matte, None, 8) if alone else picture)

    def _keep_up(self) -> None:
        """Uses the budget `faster` as soon as the camera is too fast for the other; says so."""
        dropped = self.capture.dropped
        if self._dropped is not None:
            self._late.append(dropped > self._dropped)
        self._dropped = dropped
        if self.faster is not None and sum(self._late) > _TOO_MANY:
            self.matter.budget, self.faster = self.faster, None
            self.journal.note(
                f"quality auto is too slow for this camera: before {sum(self._late)} of the last "
                f"{len(self._late)} pictures, others were dropped. Quality fast is used from here "
                "on. No other quality changes by itself"
            )

    def _preview(self, picture: np.ndarray) -> np.ndarray:
        shown = picture[:, ::-1] if self.mirror == "preview" else picture
        numbers = f"{self.meter.text}  {self.capture.dropped} dropped"
        return draw_text(shown, [numbers, self.backgrounds.name]) if self._text else shown

    def _cut(self) -> None:
        self.meter.cut()
        self.outputs.cut()
        self._dropped = None
        self._late.clear()
