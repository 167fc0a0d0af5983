"""Outputs other than the preview: a recording and a virtual camera."""

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
_TICK = Fraction(1, 90_000)  # seconds, unit of time stamps in recordings, as in MPEG
_WAITING = 4  # pictures that may wait for the encoder; then the camera's are dropped


@settings_group("record")
class RecordSettings:
    """Settings of the recording. The file's extension chooses the codec."""

    crf: int | None = None
    """Quality, lower is better; default 18 (.mp4) or 24 (.webm)."""
    bit_rate: float | None = None
    """Megabits per second, instead of a quality; not for .mov."""
    preset: str = "veryfast"
    """Encoder speed of .mp4, from ultrafast to veryslow. It must keep up with the camera."""

    def encoding(self, path: Path) -> EncodingSettings:
        """Chooses the codec for .mp4, .mov or .webm; ValueError for others or invalid settings."""
        codec = _CODECS.get(path.suffix.lower())
        if codec is None:
            raise ValueError(
                f"--record {path}: the extension must be one of {', '.join(_CODECS)}, got "
                f"{path.suffix or 'none'}"
            )
        return EncodingSettings(codec, self.crf, self.bit_rate, self.preset)


class Outputs:
    """A virtual camera and a recording, both optional.

    A thread encodes the pictures. Their durations are those of the live display; gaps (the
    countdown, a pause) are left out. The file gets its name when it is complete. ValueError if one
    can't be opened.
    """

    def __init__(
        self, record: Path | None, settings: RecordSettings, virtual: str | None, facts: CameraFacts
    ) -> None:
        self.recorded: int | None = None  # pictures; None without a recording
        self.file: Path | None = None  # at the end: the recording, complete or not
        self.notes: list[str] = []  # notes for the user
        self._virtual = open_virtual_camera(virtual, facts) if virtual is not None else None
        self._writer: VideoWriter | None = None
        if record is not None:  # last, so that no file is left if the other fails
            layout = Layout(facts.height, facts.width, _TICK, facts.rate)
            self._writer = VideoWriter(record, layout, settings.encoding(record))
            self.recorded, self.notes = 0, self._writer.notes
        self._step = max(1, round(1 / (facts.rate * _TICK)))
        self._shift: int | None = None  # from the camera's time to the file's
        self._last = -self._step
        self._encoder = ThreadPoolExecutor(1, "recorder")
        self._waiting: deque[Future[None]] = deque()

    def send(self, picture: np.ndarray, time: Fraction) -> None:
        """Sends (H, W, 3) uint8, RGB; waits for the encoder if its queue is full. VideoError."""
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
        """Marks a gap: the next picture follows the last by one step of the frame rate."""
        self._shift = None

    def close(self) -> None:
        """Closes both, and checks the recording; raises VideoError if it is incomplete."""
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
    """Opens pyvirtualcam's camera (`auto`: the first); ValueError if something is missing."""
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
