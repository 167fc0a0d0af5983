"""Reading a folder of numbered pictures as a video."""

import re
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
from av import Packet

from .colour import ColourTags, guess_matrix
from .frames import Frame, VideoError, VideoInfo
from .pictures import EXTENSIONS, PictureError, read_picture

_NUMBER = re.compile(r"(\d+)(?!.*\d)")  # the last one of a name
_SHOWN = 3


class PictureReader:
    """Reads the pictures of a folder in the order of the numbers in their names.

    Args:
        folder: pictures; subfolders and other files are left out.
        rate: frames a second, since pictures have none.

    Attributes:
        info: see `VideoInfo`.
        notes: nothing more comes out while reading.

    Raises:
        VideoError: when there is no picture, or the first can't be read.
    """

    notes: tuple[str, ...] = ()

    def __init__(self, folder: Path, rate: Fraction) -> None:
        found = [p for p in folder.iterdir() if p.suffix.lower() in EXTENSIONS]
        self._paths = sorted((p for p in found if not p.name.startswith(".")), key=_order)
        if not self._paths:
            raise VideoError(f"{folder}: holds no pictures; name a video, or a folder of frames")
        stems = [path.stem for path in self._paths]
        twice = next((a for a, b in pairwise(stems) if a == b), None)
        if twice is not None:
            raise VideoError(f"{folder}: holds several pictures named {twice}; keep one of them")
        self._count = 0
        first = self._pixels(self._paths[0])
        height, width = first.shape[:2]
        bits = 16 if first.dtype == np.uint16 else 8
        # What most pictures are in.
        colour = ColourTags(guess_matrix(height), primaries=1, transfer=13)
        notes = _find_gaps(self._paths)
        length = float(len(self._paths) / rate)
        self.info = VideoInfo(
            *(height, width, 1 / rate, rate, bits, colour), duration=length, notes=notes
        )

    def read(self) -> Frame | None:
        """Reads the next frame; see `VideoSource`."""
        if self._count == len(self._paths):
            return None
        path = self._paths[self._count]
        pixels = self._pixels(path)
        if pixels.shape[:2] != (self.info.height, self.info.width):
            raise VideoError(
                f"{path}: has {pixels.shape[1]} x {pixels.shape[0]} pixels, those before "
                f"{self.info.width} x {self.info.height}"
            )
        number, self._count = self._count, self._count + 1
        return Frame(number, path.stem, pixels, number, 1)

    def take_audio(self) -> tuple[Packet, ...]:
        """Nothing: pictures have no sound."""
        return ()

    def close(self) -> None:
        """Nothing is open."""

    @staticmethod
    def _pixels(path: Path) -> np.ndarray:
        try:
            return read_picture(path).pixels
        except PictureError as error:
            raise VideoError(f"{path}: {error}") from error


def _order(path: Path) -> tuple[str, int, str]:
    """`img_9` comes before `img_10`; what has no number is sorted by name."""
    number = _NUMBER.search(path.stem)
    if number is None:
        return path.stem, -1, path.name
    return path.stem[: number.start()], int(number[1]), path.name


def _find_gaps(paths: list[Path]) -> tuple[str, ...]:
    orders = [_order(path)[:2] for path in paths]
    gaps = [
        before[1]
        for before, after in pairwise(orders)
        if before[0] == after[0] and before[1] >= 0 and after[1] > before[1] + 1
    ]
    if not gaps:
        return ()
    shown = ", ".join(str(number) for number in gaps[:_SHOWN])
    more = ", ..." if len(gaps) > _SHOWN else ""
    return (f"numbers are missing behind {shown}{more}; the frames around follow each other",)
