"""A visitor's camera: the plate is taken, then every picture is matted."""

import time
from base64 import b64decode, b64encode
from fractions import Fraction
from functools import partial
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from media.pictures import encode_jpeg, read_picture, resize

from ..pictures.compose import composite, quantise
from ..pictures.target import Target, render_target
from ..plate.prepare import Preprocess
from ..predictor import Predictor
from ..quality import resolve_budget
from ..video.stream import FrameMatter
from ..webcam.camera import Shot
from ..webcam.controls import checkerboard
from ..webcam.plate import PlateSettings, PlateTaker
from ..webcam.summary import Meter
from .limits import check_size

_NO_PLATE = "No plate yet: press “Take the plate” and step out of the view"
_FRAMES = 10  # of the plate: a browser sends fewer a second than a camera's driver
_LONGEST = 1280  # side of a picture, pixels; larger ones are reduced
_MEGAPIXELS = 9  # that a camera's picture may have; 4K has 8.3
encode = partial(encode_jpeg, name="the live picture", quality=85)  # for the page


class LiveCamera:
    """One camera; `take_plate` may be called by another thread than `show`."""

    def __init__(self) -> None:
        self.notes: tuple[str, ...] = ()  # of the plate and the capture, in words
        self.meter = Meter()
        self._taker: PlateTaker | None = None
        self._plate: np.ndarray | None = None
        self._matter: FrameMatter | None = None
        self._target: tuple[Target, np.ndarray, np.ndarray] | None = None

    def take_plate(self, countdown: float) -> None:
        """Begins the countdown, seconds; the next pictures make the plate."""
        self._taker = PlateTaker(PlateSettings(countdown=countdown, frames=_FRAMES))

    def forget(self) -> None:
        """Forgets the plate."""
        self._taker = self._plate = self._matter = self._target = None
        self.notes = ()

    def show(self, pixels: np.ndarray, predictor: Predictor, target: Target) -> tuple[bytes, str]:
        """Takes or mattes a picture.

        Args:
            pixels: (H, W, 3) uint8, RGB.
            predictor: the network.
            target: the new background.

        Returns:
            A JPEG to show, and what to say with it.

        Raises:
            ValueError: where the plate does not fit any more; it is forgotten.
        """
        captured = time.perf_counter()
        if (largest := max(pixels.shape[:2])) > _LONGEST:
            height, width = (round(side * _LONGEST / largest) for side in pixels.shape[:2])
            pixels = resize(pixels, height, width)
        try:
            if self._taker is not None:
                return encode(pixels), self._continue_plate(self._taker, pixels, captured)
            if self._plate is None:
                return encode(pixels), _NO_PLATE
            picture = self._matte(pixels, self._plate, predictor, target)
        except ValueError:
            self.forget()
            raise
        self.meter.add(captured, time.perf_counter())
        return encode(picture), self.meter.text.replace("  ", ", ")

    def _continue_plate(self, taker: PlateTaker, pixels: np.ndarray, captured: float) -> str:
        moment = Fraction(captured).limit_denominator(1000)
        taken = taker.add(Shot(np.ascontiguousarray(pixels), moment, captured))
        if taken is not None:
            self._plate, self.notes = taken.pixels, taken.notes
            self._taker = self._matter = self._target = None
            self.meter.cut()
        return taker.text

    def _matte(
        self, pixels: np.ndarray, plate: np.ndarray, predictor: Predictor, target: Target
    ) -> np.ndarray:
        if self._matter is None:
            height, width = pixels.shape[:2]
            budget = resolve_budget(height, width, quality="auto")
            self._matter = FrameMatter(predictor, budget, Preprocess())
        preparation, prepared = self._matter.prepare(pixels, plate)
        self.notes += preparation.notes
        matte = self._matter.predict(pixels, prepared)
        behind = self._render(target, preparation.bgr)
        return quantise(composite(matte, behind), 8)

    def _render(self, target: Target, bgr: np.ndarray) -> np.ndarray:
        """The new background, made once for each choice and plate."""
        last = self._target
        if last is None or last[0] != target or last[1] is not bgr:
            picture = None
            if target.path is not None:
                picture = read_picture(Path(target.path)).in_profile(None).pixels
            made = render_target(target, picture, bgr)
            made = checkerboard(*bgr.shape[:2]) if made is None else np.ascontiguousarray(made)
            self._target = last = (target, bgr, made)
        return last[2]


def decode(url: str) -> np.ndarray:
    """A picture as a browser sends it, `data:image/jpeg;base64,...`; (H, W, 3) uint8, RGB.

    ValueError when it is none.
    """
    head, _, text = url.partition(",")
    if head != "data:image/jpeg;base64":
        raise ValueError("the camera's picture is no JPEG")
    data = b64decode(text)
    try:
        size = Image.open(BytesIO(data), formats=["JPEG"]).size
    except (OSError, Image.DecompressionBombError):
        size = (0, 0)
    check_size(*size, _MEGAPIXELS, "the camera's picture")
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if all(size) else None
    if picture is None:
        raise ValueError("the camera's picture can't be decoded")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def as_html(picture: bytes, text: str) -> str:
    """The picture and the words below it, as the page shows them; `text` is markup already."""
    data = b64encode(picture).decode()
    image = f'<img src="data:image/jpeg;base64,{data}" alt="Live composite">'
    return f'<figure class="live">{image}<figcaption>{text}</figcaption></figure>'
