"""Reading videos from first to last frame: files, pipes and folders of numbered pictures."""

import re
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import chain, pairwise
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np

from .clips import FFMPEG_ERRORS, explain, open_clip
from .colour import ColourTags, ToRgb, count_bits, guess_matrix, read_tags
from .frames import Frame, VideoError, VideoInfo
from .listing import list_pictures
from .pictures import PictureError, read_picture

USUAL_RATE = Fraction(25)  # frames a second, where nothing says

_RATES = (Fraction(1, 1000), Fraction(1000))  # frames a second that are believed
# A file that ends so much before its own word, and by so much of it, may be cut off.
_MISSING_S, _MISSING_SHARE = 1.0, 0.05
_NUMBER = re.compile(r"(\d+)(?!.*\d)")  # the last one of a name
_SHOWN = 3  # gaps that a note names


class ClipReader:
    """Reads a video file or a pipe once, from the first frame to the last; see `VideoSource`.

    What the file says of its number of frames is not asked. Frames that have no time stamp, or
    none above the one before, follow it by one step of the frame rate; `notes` says how many.
    Memory does not depend on the length. For one thread at a time.

    Args:
        file, name, raw: see `clips.open_clip`.
        audio: whether to hand over audio packets.

    Raises:
        VideoError: when it is no video that can be read or holds no frame.
    """

    def __init__(
        self,
        file: Path | BinaryIO,
        name: str,
        raw: dict[str, str] | None = None,
        audio: bool = False,
    ) -> None:
        self._name = name
        self._container, self._stream = open_clip(file, name, raw)
        self._stream.thread_type = "AUTO"
        self._audio_streams = tuple(self._container.streams.audio) if audio else ()
        self._packets: list[av.Packet] = []
        self._to_rgb = ToRgb()
        self._number = 0
        self._last: int | None = None
        self._untimed = 0
        self._ended = False
        self._error: VideoError | None = None
        frames = self._decode()
        try:
            first = next(frames, None)
            if first is None:
                raise VideoError(
                    f"{name}: holds no frame; it may be cut off, or was never finished"
                )
        except VideoError:
            self.close()
            raise
        self.info = self._describe(first)
        self._frames = chain((first,), frames)

    def read(self) -> Frame | None:
        """Reads the next frame; an error is raised again by every later call."""
        if self._error:
            raise self._error
        decoded = next(self._frames, None)
        if decoded is None:
            self._ended = True
            return None
        pixels = self._to_rgb(decoded)
        if pixels.shape[:2] != (self.info.height, self.info.width):
            raise self._failed(f"{_explain_size(pixels, self.info)}; cut the video there")
        step = self._step()
        pts, last = decoded.pts, self._last
        if pts is None or (last is not None and pts <= last):
            pts = 0 if last is None else last + step
            self._untimed += 1
        self._last = pts
        number, self._number = self._number, self._number + 1
        duration = max(1, decoded.duration or step)
        return Frame(number, f"{number:06}", pixels, pts, duration, self.take_audio())

    @property
    def notes(self) -> tuple[str, ...]:
        """What came out while reading, in words."""
        notes = []
        if self._untimed:
            notes.append(f"{self._untimed} frames had no time of their own and follow the rate")
        end = float(((self._last or 0) + self._step()) * self.info.time_base)
        claimed = self.info.duration
        if self._ended and claimed and claimed - end > max(_MISSING_S, _MISSING_SHARE * claimed):
            found = f"its frames end at {end:.1f} s: it may be cut off"
            notes.append(f"the file says it lasts {claimed:.1f} s, but {found}")
        return tuple(notes)

    def take_audio(self) -> tuple[av.Packet, ...]:
        """Hands over the packets that were read since."""
        packets, self._packets = self._packets, []
        return tuple(packets)

    def close(self) -> None:
        """Closes the file."""
        self._container.close()

    def _decode(self) -> Iterator[av.VideoFrame]:
        packets = self._container.demux([self._stream, *self._audio_streams])
        reason = ""
        while not reason:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                if packet.stream is not self._stream:
                    self._packets += [packet] if packet.size else []
                elif packet.size and packet.is_corrupt:
                    reason = "is not whole"
                else:
                    yield from self._stream.decode(packet)
            except FFMPEG_ERRORS as error:
                reason = f"can't be decoded: {explain(error)}"
        # The frames before it, which the decoder still holds.
        with suppress(*FFMPEG_ERRORS):
            yield from self._stream.decode(None)
        raise self._failed(f"{reason}; the file is cut off or damaged")

    def _failed(self, reason: str) -> VideoError:
        self._error = VideoError(f"{self._name}: frame {self._number} {reason}")
        return self._error

    def _step(self) -> int:
        return max(1, round(1 / (self.info.rate * self.info.time_base)))

    def _describe(self, first: av.VideoFrame) -> VideoInfo:
        stream, colour, notes = self._stream, read_tags(first), []
        rates = (stream.average_rate, stream.guessed_rate, stream.base_rate)
        rate = next((r for r in rates if r and _RATES[0] <= r <= _RATES[1]), USUAL_RATE)
        height, width = self._to_rgb(first).shape[:2]
        aspect = max(stream.sample_aspect_ratio or Fraction(0), Fraction(0)) or Fraction(1)
        turned = (height, width) != (first.height, first.width)
        if colour.hdr:
            notes.append(
                f"the source is HDR ({colour.hdr}): its values are kept and tagged, but the "
                "network has learned from ordinary pictures, and so is a new background"
            )
        if first.interlaced_frame:
            notes.append("the source is interlaced; its frames are taken as they are")
        if self._container.streams.subtitles:
            notes.append("subtitles are not copied")
        duration = (self._container.duration or 0) / av.time_base
        if stream.duration and stream.time_base:
            duration = float(stream.duration * stream.time_base)
        return VideoInfo(
            height,
            width,
            stream.time_base or 1 / rate,
            rate,
            count_bits(first),
            colour,
            1 / aspect if turned else aspect,
            duration or None,
            self._audio_streams,
            tuple(notes),
        )


class PictureReader:
    """Reads a folder's pictures in the order of the numbers in their names; see `VideoSource`.

    Subfolders and other files are left out. `rate` is frames a second, since pictures have none.

    Raises:
        VideoError: when there is no picture, one can't be taken, or the first can't be read.
    """

    notes: tuple[str, ...] = ()

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
        self._count = 0
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

    def read(self) -> Frame | None:
        """Reads the next picture."""
        if self._count == len(self._paths):
            return None
        path = self._paths[self._count]
        pixels = self._pixels(path)
        if pixels.shape[:2] != (self.info.height, self.info.width):
            raise VideoError(f"{path}: {_explain_size(pixels, self.info)}")
        number, self._count = self._count, self._count + 1
        return Frame(number, path.stem, pixels, number, 1)

    def take_audio(self) -> tuple[av.Packet, ...]:
        """Nothing: pictures have no sound."""
        return ()

    def close(self) -> None:
        """Nothing is open."""

    @staticmethod
    def _pixels(path: Path) -> np.ndarray:
        try:
            return read_picture(path).in_profile(None).pixels
        except PictureError as error:
            raise VideoError(f"{path}: {error}") from error


def _explain_size(pixels: np.ndarray, before: VideoInfo) -> str:
    height, width = pixels.shape[:2]
    return f"has {width} x {height} pixels, those before {before.width} x {before.height}"


def _order(path: Path) -> tuple[str, int, str]:
    """`img_9` comes before `img_10`; what has no number is sorted by name."""
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
    return (f"numbers are missing behind {shown}{more}; the frames around follow each other",)
