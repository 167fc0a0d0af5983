"""Reads pictures as videos: folders of numbered pictures, and animated GIF, WebP, PNG and AVIF."""

import re
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from PIL import Image, UnidentifiedImageError

from .colour import ColourTags, guess_matrix
from .frames import Frame, VideoError, VideoInfo
from .listing import list_pictures
from .pictures import PictureError, read_picture
from .reader import explain_size

_NUMBER = re.compile(r"(\d+)(?!.*\d)")  # the last number of a name
_SHOWN = 3  # gaps that a note lists
_ANIMATED = ("GIF", "WEBP", "PNG", "AVIF")  # as Pillow names them
# Milliseconds for which browsers and FFmpeg display a GIF's frame that states 10 or less.
_SHORTEST, _USUAL = 10, 100
_MILLISECOND = Fraction(1, 1000)


class PictureReader:
    """Reads a folder's pictures in the order of the numbers in their names; see `VideoSource`.

    Subfolders and other files are ignored. `rate` is frames per second, because pictures have none.

    Raises:
        VideoError: when there is no picture, one can't be used, or the first can't be read.
    """

    def __init__(self, folder: Path, rate: Fraction) -> None:
        try:
            found = list_pictures(folder, subfolders=False)
        except PictureError as error:
            raise VideoError(
                f"{folder}: holds no pictures; name a video, or a folder of frames ({error})"
            ) from error
        for path, reason in sorted(found.left_out.items()):
            raise VideoError(f"{path}: {reason}; a clip needs each of its frames")
        self._paths = sorted(found.pictures, key=_order)
        stems = [path.stem for path in self._paths]
        twice = next((a for a, b in pairwise(stems) if a == b), None)
        if twice is not None:
            raise VideoError(f"{folder}: holds several pictures named {twice}; keep one of them")
        self._count, self._end = 0, len(self._paths)
        self._said: dict[str, str] = {}  # what was changed on reading, and the first such picture
        first = self._pixels(self._paths[0])
        height, width = first.shape[:2]
        self.info = VideoInfo(
            height,
            width,
            1 / rate,
            rate,
            bits=8 * first.itemsize,
            colour=ColourTags(guess_matrix(height), primaries=1, transfer=13),  # sRGB, as most are
            duration=float(len(self._paths) / rate),
            notes=_find_gaps(self._paths),
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What was changed on reading."""
        return tuple(f"{name}: {note}" for note, name in self._said.items())

    def read(self) -> Frame | None:
        """Reads the next picture."""
        if self._count >= self._end:
            return None
        path = self._paths[self._count]
        pixels = self._pixels(path)
        if pixels.shape[:2] != (self.info.height, self.info.width):
            raise VideoError(f"{path}: {explain_size(pixels, self.info)}")
        number, self._count = self._count, self._count + 1
        return Frame(number, path.stem, pixels, number, 1)

    @property
    def names(self) -> list[str]:
        """The frames' names, in their order."""
        return [path.stem for path in self._paths]

    def limit(self, first: int, end: int) -> None:
        """Reads only the frames with the numbers from `first` to `end - 1`."""
        self._count, self._end = first, end

    def take_audio(self) -> tuple[av.Packet, ...]:
        """Returns nothing, because pictures have no sound."""
        return ()

    def close(self) -> None:
        """Does nothing, because no file stays open."""

    def _pixels(self, path: Path) -> np.ndarray:
        try:
            picture = read_picture(path)
        except PictureError as error:
            raise VideoError(f"{path}: {error}") from error
        for note in picture.notes:
            self._said.setdefault(note, path.name)
        return picture.in_profile(None).pixels


def is_animation(path: Path) -> bool:
    """Whether a file is an animated picture that `AnimationReader` reads."""
    try:
        with Image.open(path, formats=_ANIMATED) as image:
            return getattr(image, "n_frames", 1) > 1
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError):
        return False
    except Image.DecompressionBombError:
        return False


class AnimationReader:
    """Reads the frames of an animated picture once, with their durations; see `VideoSource`.

    Transparency is dropped, as for pictures. All frames have the size of the first.

    Raises:
        VideoError: when it can't be read.
    """

    notes: tuple[str, ...] = ()

    def __init__(self, path: Path) -> None:
        self._path = path
        self._number = self._pts = 0
        try:
            self._image = Image.open(path, formats=_ANIMATED)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise VideoError(f"{path}: not an animation that can be read: {error}") from error
        # A PNG may begin with a picture for programs without support for animations.
        self._poster = int(getattr(self._image, "default_image", False))
        self._count = getattr(self._image, "n_frames", 1) - self._poster
        width, height = self._image.size
        notes = ["alpha channel dropped"] if self._image.has_transparency_data else []
        duration = self._duration() if self._seek() else _USUAL
        self.info = VideoInfo(
            height,
            width,
            _MILLISECOND,
            Fraction(1000, duration),
            colour=ColourTags(guess_matrix(height), primaries=1, transfer=13),
            notes=tuple(notes),
        )

    def read(self) -> Frame | None:
        """Reads the next frame."""
        if not self._seek():
            return None
        duration, number, pts = self._duration(), self._number, self._pts
        pixels = np.array(self._image.convert("RGB"))
        self._number, self._pts = number + 1, pts + duration
        return Frame(number, f"{number:06}", pixels, pts, duration)

    def take_audio(self) -> tuple[av.Packet, ...]:
        """Returns nothing, because pictures have no sound."""
        return ()

    def close(self) -> None:
        """Closes the file."""
        self._image.close()

    def _seek(self) -> bool:
        """Decodes the next frame; returns whether there is one."""
        if self._number >= self._count:
            return False
        try:
            self._image.seek(self._number + self._poster)
            self._image.load()
        except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
            reason = f"can't be decoded: {error}; the file is cut off or damaged"
            raise VideoError(f"{self._path}: frame {self._number} {reason}") from error
        return True

    def _duration(self) -> int:
        """Duration of the decoded frame in milliseconds."""
        stored = self._image.info.get("duration") or 0
        return round(stored) if stored > _SHORTEST else _USUAL


def _order(path: Path) -> tuple[str, int, str]:
    """Sort key: `img_9` comes before `img_10`; names without numbers are sorted by name."""
    number = _NUMBER.search(path.stem)
    if number is None:
        return path.stem, -1, path.name
    return path.stem[: number.start()], int(number[1]), path.name


def _find_gaps(paths: list[Path]) -> tuple[str, ...]:
    orders = [_order(path)[:2] for path in paths]
    gaps = [a for (x, a), (y, b) in pairwise(orders) if x == y and 0 <= a < b - 1]
    if not gaps:
        return ()
    shown = ", ".join(str(number) for number in gaps[:_SHOWN])
    more = ", ..." if len(gaps) > _SHOWN else ""
    return (
        f"numbers are missing after {shown}{more}; the frames around a gap are read as consecutive",
    )
