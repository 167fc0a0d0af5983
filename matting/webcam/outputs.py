"""What takes the finished pictures: a recorded file, a virtual camera."""

import importlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from media.frames import Frame

from ..video.settings import EncodingSettings
from ..video.writer import Layout, VideoWriter
from .camera import CameraFacts
from .settings import RecordSettings

# Unit of time stamps in recordings, seconds: MPEG's own.
_TICK = Fraction(1, 90_000)
_WAITING = 4  # pictures that wait for the encoder before the camera's are dropped


class LiveOutput(Protocol):
    """Takes finished pictures."""

    def send(self, picture: np.ndarray, time: Fraction) -> None:
        """Takes a picture.

        Args:
            picture: (H, W, 3) uint8, RGB.
            time: of the camera, seconds.

        Raises:
            ValueError: when it can't be taken.
        """

    def cut(self) -> None:
        """There is a gap before the next picture."""


class Outputs:
    """All outputs beside the preview, each of which may be missing.

    Args:
        record: file to record into, or None.
        settings: how.
        virtual: name of a virtual camera, or `auto`, or None.
        facts: of the camera.

    Attributes:
        recorder: writes the file, or None.
        notes: what a user should know, in words.

    Raises:
        ValueError: when one can't be opened.
    """

    def __init__(
        self, record: Path | None, settings: RecordSettings, virtual: str | None, facts: CameraFacts
    ) -> None:
        # The file last, so that none is left behind where the other fails.
        self._virtual = None if virtual is None else VirtualCamera(virtual, facts)
        self.recorder = (
            None if record is None else Recorder(record, facts, settings.encoding(record))
        )
        found = (self._virtual, self.recorder)
        self._all: list[LiveOutput] = [output for output in found if output is not None]
        self.notes = [] if self.recorder is None else self.recorder.notes

    def send(self, picture: np.ndarray, time: Fraction) -> None:
        """Hands a picture to each; see `LiveOutput`."""
        for output in self._all:
            output.send(picture, time)

    def cut(self) -> None:
        """Tells each of a gap; see `LiveOutput`."""
        for output in self._all:
            output.cut()

    def close(self) -> None:
        """Ends each.

        Raises:
            VideoError: when the recording is not whole.
        """
        if self._virtual is not None:
            self._virtual.close()
        if self.recorder is not None:
            self.recorder.finish()


class Recorder:
    """Encodes pictures into a file, in a thread of its own.

    A picture is shown for as long as it was live; gaps (the countdown, a pause) are left out.

    Args:
        path: the final name, which the file has when it is whole.
        facts: of the camera.
        encoding: codec and quality.

    Attributes:
        path: the final name.
        frames: pictures that were taken.
        file: what there is of it in the end: whole, or under a partial name; None without frames.
        notes: what a user should know, in words.

    Raises:
        VideoError: when the file can't be made.
    """

    def __init__(self, path: Path, facts: CameraFacts, encoding: EncodingSettings) -> None:
        layout = Layout(facts.height, facts.width, _TICK, facts.rate)
        self._writer = VideoWriter(path, layout, encoding)
        self.path = path
        self.frames = 0
        self.file: Path | None = None
        self.notes = self._writer.notes
        self._step = max(1, round(1 / (facts.rate * _TICK)))
        self._shift: int | None = None  # from the camera's time to the file's
        self._last = -self._step
        self._pool = ThreadPoolExecutor(1, "recorder")
        self._waiting: deque[Future[None]] = deque()

    def send(self, picture: np.ndarray, time: Fraction) -> None:
        """Hands a picture to the encoder, and waits while too many do; see `LiveOutput`."""
        ticks = round(time / _TICK)
        if self._shift is None:
            self._shift = self._last + self._step - ticks
        self._last = pts = max(self._last + 1, ticks + self._shift)
        frame = Frame(self.frames, f"{self.frames:06}", picture, pts, self._step)
        while self._waiting and (self._waiting[0].done() or len(self._waiting) >= _WAITING):
            self._waiting.popleft().result()
        self._waiting.append(self._pool.submit(self._writer.write, picture, frame))
        self.frames += 1

    def cut(self) -> None:
        """The next picture follows the last by one step of the frame rate."""
        self._shift = None

    def finish(self) -> None:
        """Writes what waits, reads the file back and gives it its final name.

        Raises:
            VideoError: when that fails; what could be saved has a partial name then.
        """
        try:
            while self._waiting:
                self._waiting.popleft().result()
            if self.frames:
                self._writer.finish()
                self.file = self.path
        finally:
            self._pool.shutdown()
            if self.file is None:
                self.file = self._writer.abandon()


class VirtualCamera:
    """Sends pictures to a virtual camera, which other programs choose as their camera.

    Args:
        device: its name, or `auto` for the first that there is.
        facts: of the camera.

    Attributes:
        device: its name.

    Raises:
        ValueError: when the package or the virtual camera is missing; says what to do.
    """

    def __init__(self, device: str, facts: CameraFacts) -> None:
        try:
            module: Any = importlib.import_module("pyvirtualcam")
        except ImportError as error:
            raise ValueError(
                "--virtual-camera needs the package pyvirtualcam; run `pip install pyvirtualcam`"
            ) from error
        name = None if device == "auto" else device
        try:
            self._camera = module.Camera(
                width=facts.width, height=facts.height, fps=float(facts.rate), device=name
            )
        except RuntimeError as error:
            raise ValueError(
                f"--virtual-camera {device} can't be opened: {error}. It needs the kernel module "
                "v4l2loopback on Linux, and OBS with its virtual camera on Windows and macOS"
            ) from error
        self.device = str(self._camera.device)

    def send(self, picture: np.ndarray, time: Fraction) -> None:
        """Sends a picture at once; see `LiveOutput`."""
        self._camera.send(picture)

    def cut(self) -> None:
        """Nothing: other programs see the last picture."""

    def close(self) -> None:
        """Lets the virtual camera go."""
        self._camera.close()
