"""Writing a picture for each frame."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from av import Packet

from media.frames import Frame
from media.writing import write_jpeg, write_png

from .settings import PictureFormat
from .verify import verify_pictures


class SequenceWriter:
    """Writes a folder of pictures, each of which appears whole.

    Args:
        folder: where.
        picture_format: `png` or `jpeg`.

    Attributes:
        path: the folder.
        frames: written or found so far.
        notes: what a user should know, in words.
    """

    def __init__(self, folder: Path, picture_format: PictureFormat) -> None:
        self.path = folder
        self.frames = 0
        self.notes: list[str] = []
        self._jpeg = picture_format == "jpeg"
        self._names: list[str] = []

    def file(self, name: str) -> Path:
        """The file of a frame."""
        return self.path / f"{name}{'.jpg' if self._jpeg else '.png'}"

    def write(self, pixels: np.ndarray, frame: Frame) -> None:
        """Writes a picture.

        Args:
            pixels: (H, W), (H, W, 3) RGB or (H, W, 4) RGBA, uint8 or uint16.
            frame: whose name it gets.

        Raises:
            OSError: when that fails.
        """
        (write_jpeg if self._jpeg else write_png)(self.file(frame.name), pixels)
        self.keep(frame)

    def keep(self, frame: Frame) -> None:
        """Counts a picture that is there already."""
        self.frames += 1
        self._names.append(frame.name)

    def finish(self, audio: Sequence[Packet] = ()) -> None:
        """Looks whether all is there.

        Args:
            audio: left out; pictures have no sound.

        Raises:
            VideoError: when something is missing or can't be read.
        """
        verify_pictures([self.file(name) for name in self._names])
        strange = {path.name for path in self.path.iterdir()}
        strange -= {self.file(name).name for name in self._names}
        if strange:
            self.notes.append(
                f"{self.path} holds {len(strange)} files that are not of this run, as "
                f"{min(strange)}"
            )

    def abandon(self) -> Path | None:
        """The folder, if a picture is in it; `--resume` continues it."""
        return self.path if self.frames else None
