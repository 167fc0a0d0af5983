"""The live loop: newest picture, matte, new background, out."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Literal

import numpy as np

from ..pictures.compose import composite, quantise, render
from ..plate.check import Problem
from ..plate.prepare import Preparation, Preprocess, PreprocessMode, predict_prepared, prepare_plate
from ..prediction import Prediction
from ..predictor import Predictor, Prepared
from ..quality import Budget
from .camera import Shot
from .capture import Capture
from .controls import KEYS, NUMBERS, Backgrounds, Keys
from .outputs import Outputs
from .plate import PlateSettings, PlateTaker
from .summary import Journal, Meter
from .window import Window, draw_text

Mirror = Literal["none", "preview", "all"]

_WAIT = 0.05  # seconds; keys are heard so often where no picture comes
_NEXT_MIRROR: dict[Mirror, Mirror] = {"none": "preview", "preview": "all", "all": "none"}
# A plate is checked against the first picture; while that shows nothing else, again so often.
_CHECKS = 5
_CHECK_EVERY = 2  # seconds
_EMPTY = Problem.NO_DIFFERENCE


@dataclass(frozen=True)
class FittedPlate:
    """A plate that fits the pictures: (H, W, 3) uint8, RGB, and as the network takes it."""

    bgr: np.ndarray
    prepared: Prepared

    @cached_property
    def mirrored(self) -> np.ndarray:
        """Left and right turned; the same object every time, which is blurred only once then."""
        return np.ascontiguousarray(self.bgr[:, ::-1])


@dataclass(kw_only=True)
class Live:
    """Mattes a camera until the end of the clip, an error, or a wish to stop."""

    capture: Capture
    predictor: Predictor
    budget: Budget
    keys: Sequence[Keys]
    backgrounds: Backgrounds
    mirror: Mirror
    outputs: Outputs
    window: Window | None
    journal: Journal
    taking: PlateSettings
    lock: bool  # whether to lock the camera when a plate is taken or given
    preprocess: PreprocessMode
    meter: Meter = field(default_factory=Meter, init=False)

    def __post_init__(self) -> None:
        self._paused = self._quit = self._snapshot = False
        self._text = True  # latency and frames/s on the preview
        self._taker: PlateTaker | None = None
        self._captured: np.ndarray | None = None  # the plate as it was taken or given
        self._fitted: FittedPlate | None = None
        self._checks = 0  # of this plate
        self._check_at: float | Fraction = 0
        self._time = Fraction(0)

    def run(self, should_stop: Callable[[], bool], bgr: np.ndarray | None = None) -> None:
        """Runs until the end; `should_stop` is asked before every picture.

        Args:
            should_stop: whether somebody wants to end it.
            bgr: (h, w, 3) uint8 or uint16, RGB, the plate, which is fitted to the first frame;
                without one the camera takes it first.

        Raises:
            ValueError: when the camera or an output fails, or the plate does not fit.
        """
        if bgr is None:
            self._begin_plate()
        else:
            self._captured = bgr
            self.capture.wants_lock = self.lock
        while not (should_stop() or self.capture.ended):
            self._hear_keys()
            if self._quit or (self.window is not None and self.window.closed):
                break
            shot = self.capture.take(_WAIT)
            if (locks := self.capture.take_locks()) is not None:
                self.journal.take_locks(locks)
            if shot is None:
                continue
            self._time = shot.time
            if self._paused:
                continue
            if self._taker is not None:
                self._continue_plate(self._taker, shot)
            else:
                self._show(shot)

    def _hear_keys(self) -> None:
        """Does what the keys say that were pressed since the last call."""
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
                    self.backgrounds.next()
                case "snapshot":
                    self._snapshot = True
                case "pause":
                    self._paused = not self._paused
                    self._cut()
                case "text":
                    self._text = not self._text

    def _begin_plate(self) -> None:
        """Begins the countdown; what was locked may adjust itself until its end."""
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
            self._taker = self._fitted = None
            self._captured, self._checks = plate.pixels, 0
            self.journal.take_plate(plate)

    def _show(self, shot: Shot) -> None:
        """Mattes a picture and hands it to the outputs and the window."""
        matte, plate = self._predict(shot)
        bgr = plate.bgr
        if self.mirror == "all":
            # The subject alone: writing in the new background stays readable.
            parts = (matte.pha, matte.fgr, matte.err, matte.ref)
            matte, bgr = Prediction(*(part[:, ::-1] for part in parts)), plate.mirrored
        picture = quantise(composite(matte, self.backgrounds.at(shot.time, bgr)), 8)
        self.outputs.send(picture, shot.time)
        if self.window is not None:
            self.window.show(self._preview(picture))
        self.meter.add(shot.captured, time.perf_counter())
        if self._snapshot:
            self._snapshot = False
            alone = self.backgrounds.transparent
            self.journal.keep("snapshot", render("com", matte, None, 8) if alone else picture)

    def _predict(self, shot: Shot) -> tuple[Prediction, FittedPlate]:
        """The matte of a picture, and the plate; a new plate is first made to fit the picture."""
        plate = self._fitted
        if plate is not None and shot.time < self._check_at:
            return self.predictor.predict(shot.pixels, plate.prepared, self.budget), plate
        assert self._captured is not None  # noqa: S101 - there is a plate before a picture is shown
        preparation = prepare_plate(shot.pixels, self._captured, Preprocess(self.preprocess))
        preparation, matte = predict_prepared(self.predictor, shot.pixels, preparation, self.budget)
        self._fitted = FittedPlate(preparation.bgr, self.predictor.prepare(preparation.bgr))
        self._conclude_check(shot, preparation)
        return matte, self._fitted

    def _conclude_check(self, shot: Shot, preparation: Preparation) -> None:
        """Tells what the check found; a picture without the subject says nothing of the plate."""
        self._checks += 1
        empty = preparation.capture is not None and preparation.capture.problems == (_EMPTY,)
        again = empty and self._checks < _CHECKS
        self._check_at = shot.time + _CHECK_EVERY if again else math.inf
        self.journal.take_preparation(preparation)
        if not again:
            self.journal.note(*preparation.notes)

    def _preview(self, picture: np.ndarray) -> np.ndarray:
        shown = picture[:, ::-1] if self.mirror == "preview" else picture
        if not self._text:
            return shown
        numbers = f"{self.meter.text}  {self.capture.dropped} dropped"
        return draw_text(shown, [numbers, self.backgrounds.name])

    def _cut(self) -> None:
        self.meter.cut()
        self.outputs.cut()
