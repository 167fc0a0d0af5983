"""Outputs besides the preview: a recorded file and a virtual camera."""

import importlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from media.frames import Frame
from runtime.settings import settings_group

from ..video.settings import Codec, EncodingSettings
from ..video.writer import Layout, VideoWriter
from .camera import CameraFacts

_CODECS: dict[str, Codec] = {".mp4": "h264", ".mov": "prores", ".webm": "vp9"}
_TICK = Fraction(1, 90_000)  # seconds, unit of time stamps in recordings: MPEG's own
_WAITING = 4  # pictures that wait for the encoder before the camera's are dropped


@settings_group("record")
class RecordSettings:
    """How to record. The file's extension chooses the codec."""

    crf: int | None = None
    """Quality, lower is better; default 18 (.mp4) or 24 (.webm)."""
    bit_rate: float | None = None
    """Megabits per second, instead of a quality; not for .mov."""
    preset: str = "veryfast"
    """Encoder speed of .mp4, from ultrafast to veryslow. It must keep up with the camera."""

    def encoding(self, path: Path) -> EncodingSettings:
        """Chooses the codec of a .mp4, .mov or .webm; ValueError for others, or wrong settings."""
        codec = _CODECS.get(path.suffix.lower())
        if codec is None:
            raise ValueError(
                f"--record {path}: the extension must be one of {', '.join(_CODECS)}, got "
                f"{path.suffix or 'none'}"
            )
        return EncodingSettings(codec, self.crf, self.bit_rate, self.preset)


class Outputs:
    """A virtual camera and a recording, each of which may be missing.

    A thread encodes the pictures. Each is shown for as long as it was live; gaps (the countdown, a
    pause) are left out. The file has its name when it is whole. ValueError when one can't open.
    """

    def __init__(
        self, record: Path | None, settings: RecordSettings, virtual: str | None, facts: CameraFacts
    ) -> None:
        self.recorded: int | None = None  # pictures; None without a recording
        self.file: Path | None = None  # in the end: the recording, or what there is of it
        self.notes: list[str] = []  # what a user should know
        self._virtual = open_virtual_camera(virtual, facts) if virtual is not None else None
        self._writer: VideoWriter | None = None
        if record is not None:  # last, so that no file is left behind where the other fails
            layout = Layout(facts.height, facts.width, _TICK, facts.rate)
            self._writer = VideoWriter(record, layout, settings.encoding(record))
            self.recorded, self.notes = 0, self._writer.notes
        self._step = max(1, round(1 / (facts.rate * _TICK)))
        self._shift: int | None = None  # from the camera's time to the file's
        self._last = -self._step
        self._encoder = ThreadPoolExecutor(1, "recorder")
        self._waiting: deque[Future[None]] = deque()

    def send(self, picture: np.ndarray, time: Fraction) -> None:
        """Hands on (H, W, 3) uint8, RGB; waits for the encoder if too many wait. VideoError."""
        if self._virtual is not None:
            self._virtual.send(picture)
        if self._writer is None or self.recorded is None:
            return
        ticks = round(time / _TICK)
        if self._shift is None:
            self._shift = self._last + self._step - ticks
        self._last = pts = max(self._last + 1, ticks + self._shift)
        frame = Frame(self.recorded, f"{self.recorded:06}", picture, pts, self._step)
        while self._waiting and (self._waiting[0].done() or len(self._waiting) >= _WAITING):
            self._waiting.popleft().result()
        self._waiting.append(self._encoder.submit(self._writer.write, picture, frame))
        self.recorded += 1

    def cut(self) -> None:
        """There is a gap: the next picture follows the last by one step of the frame rate."""
        self._shift = None

    def close(self) -> None:
        """Ends each, and reads the recording back; raises VideoError when it is not whole."""
        if self._virtual is not None:
            self._virtual.close()
        try:
            while self._waiting:
                self._waiting.popleft().result()
            if self._writer is not None and self.recorded:
                self._writer.finish()
                self.file = self._writer.path
        finally:
            self._encoder.shutdown()
            if self._writer is not None and self.file is None:
                self.file = self._writer.abandon()


def open_virtual_camera(name: str, facts: CameraFacts) -> Any:
    """Opens pyvirtualcam's camera (`auto`: the first); ValueError says what is missing."""
    try:
        module: Any = importlib.import_module("pyvirtualcam")
    except ImportError as error:
        raise ValueError(
            "--virtual-camera needs the package pyvirtualcam; run `pip install pyvirtualcam`"
        ) from error
    device, rate = None if name == "auto" else name, float(facts.rate)
    try:
        return module.Camera(width=facts.width, height=facts.height, fps=rate, device=device)
    except RuntimeError as error:
        raise ValueError(
            f"--virtual-camera {name} can't be opened: {error}. It needs the kernel module "
            "v4l2loopback on Linux, and OBS with its virtual camera on Windows and macOS"
        ) from error
