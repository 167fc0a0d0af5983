"""Reading video files and pipes as a stream of upright RGB frames with their own time stamps."""

import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
import av.error
from av.container import InputContainer
from av.stream import Disposition

from .colour import ToRgb, count_bits, read_tags
from .frames import Frame, VideoError, VideoInfo

# FFmpeg's demuxers of single pictures end so.
_PICTURES = ("_pipe", "image2")
_RATES = (Fraction(1, 1000), Fraction(1000))  # frames a second that are believed
_USUAL_RATE = Fraction(25)
# A file that ends so much before its own word, and by so much of it, may be cut off.
_MISSING_S, _MISSING_SHARE = 1.0, 0.05

FFMPEG_ERRORS = (av.error.FFmpegError, OSError, EOFError)


class ClipReader:
    """Reads a video file or a pipe once, from the first frame to the last.

    What the file says of its number of frames is not asked. Frames that have no time stamp, or
    none above the one before, follow it by one step of the frame rate; `notes` says how many.
    Memory does not depend on the length. For one thread at a time.

    Args:
        file: a path or an open binary file.
        name: for messages.
        format: FFmpeg's name of the format; found from the content when not given.
        options: for the format, as FFmpeg names them.
        audio: whether to hand over audio packets.

    Attributes:
        info: see `VideoInfo`.

    Raises:
        VideoError: when it is no video that can be read or holds no frame.
    """

    def __init__(
        self,
        file: Path | BinaryIO,
        name: str,
        format: str | None = None,
        options: dict[str, str] | None = None,
        audio: bool = False,
    ) -> None:
        self._name = name
        self._container = _open(file, name, format, options or {})
        # An album's cover is no video.
        cover = Disposition.attached_pic
        video = [s for s in self._container.streams.video if not s.disposition & cover]
        if not video:
            found = _explain_streams(self._container)
            self.close()
            raise VideoError(f"{name}: holds no video{found}")
        self._stream = video[0]
        self._stream.thread_type = "AUTO"
        self._audio_streams = tuple(self._container.streams.audio) if audio else ()
        self._packets: list[av.Packet] = []
        self._frames = self._decode()
        self._to_rgb = ToRgb()
        self._number = 0
        self._last: int | None = None
        self._untimed = 0
        self._ended = False
        self._error: VideoError | None = None
        try:
            self._next = self._advance()
        except VideoError:
            self.close()
            raise
        if self._next is None:
            self.close()
            raise VideoError(f"{name}: holds no frame; it may be cut off, or was never finished")
        self.info = self._describe(self._next)

    def read(self) -> Frame | None:
        """Reads the next frame; see `VideoSource`."""
        if self._error:
            raise self._error
        decoded, self._next = self._next, None
        if decoded is None:
            decoded = self._advance()
        if decoded is None:
            self._ended = True
            return None
        pixels = self._to_rgb(decoded)
        if pixels.shape[:2] != (self.info.height, self.info.width):
            raise self._failed(
                f"has {pixels.shape[1]} x {pixels.shape[0]} pixels, those before {self.info.width} "
                f"x {self.info.height}; cut the video there"
            )
        step = self._step()
        pts, last = decoded.pts, self._last
        if pts is None or (last is not None and pts <= last):
            pts = 0 if last is None else last + step
            self._untimed += 1
        self._last = pts
        number, self._number = self._number, self._number + 1
        return Frame(
            number, f"{number:06}", pixels, pts, max(1, decoded.duration or step), self.take_audio()
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What came out while reading, in words."""
        notes = []
        if self._untimed:
            notes.append(f"{self._untimed} frames had no time of their own and follow the rate")
        end = float(((self._last or 0) + self._step()) * self.info.time_base)
        claimed = self.info.duration
        if self._ended and claimed and claimed - end > max(_MISSING_S, _MISSING_SHARE * claimed):
            notes.append(
                f"the file says it lasts {claimed:.1f} s, but its frames end at {end:.1f} s: it "
                "may be cut off"
            )
        return tuple(notes)

    def take_audio(self) -> tuple[av.Packet, ...]:
        """Hands over the packets that were read since; see `VideoSource`."""
        packets, self._packets = self._packets, []
        return tuple(packets)

    def close(self) -> None:
        """Closes the file."""
        self._container.close()

    def _advance(self) -> av.VideoFrame | None:
        return next(self._frames, None)

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
        """The error, which every later call raises again."""
        self._error = VideoError(f"{self._name}: frame {self._number} {reason}")
        return self._error

    def _step(self) -> int:
        return max(1, round(1 / (self.info.rate * self.info.time_base)))

    def _describe(self, first: av.VideoFrame) -> VideoInfo:
        stream, notes = self._stream, []
        rates = (stream.average_rate, stream.guessed_rate, stream.base_rate)
        rate = next((r for r in rates if r and _RATES[0] <= r <= _RATES[1]), _USUAL_RATE)
        height, width = self._to_rgb(first).shape[:2]
        aspect = stream.sample_aspect_ratio or Fraction(1)
        aspect = aspect if aspect > 0 else Fraction(1)
        turned = (height, width) != (first.height, first.width)
        info = VideoInfo(
            height,
            width,
            stream.time_base or 1 / rate,
            rate,
            count_bits(first),
            read_tags(first),
            1 / aspect if turned else aspect,
            self._claimed_duration(),
            self._audio_streams,
        )
        if info.colour.hdr:
            notes.append(
                f"the source is HDR ({info.colour.hdr}): its values are kept and tagged, but the "
                "network has learned from ordinary pictures, and so is a new background"
            )
        if first.interlaced_frame:
            notes.append("the source is interlaced; its frames are taken as they are")
        if self._container.streams.subtitles:
            notes.append("subtitles are not copied")
        return replace(info, notes=tuple(notes))

    def _claimed_duration(self) -> float | None:
        if self._stream.duration and self._stream.time_base:
            return float(self._stream.duration * self._stream.time_base)
        return self._container.duration / av.time_base if self._container.duration else None


def explain(error: Exception) -> str:
    """FFmpeg's reason, without the name of its function."""
    return getattr(error, "strerror", None) or str(error)


def read_pipe(
    size: tuple[int, int] | None, pixel_format: str, rate: Fraction | None, file: BinaryIO
) -> ClipReader:
    """Reads a pipe.

    Args:
        size: width and height of raw frames, pixels; without it the pipe holds a video in a format
            that needs no seeking (Matroska, NUT, MPEG-TS).
        pixel_format: of raw frames, as FFmpeg names it.
        rate: frames a second of raw frames; 25 when not given.
        file: standard input.

    Returns:
        The reader.

    Raises:
        VideoError: as `ClipReader`.
    """
    if size is None:
        return ClipReader(file, "standard input", audio=True)
    try:
        av.VideoFormat(pixel_format)
    except ValueError as error:
        raise VideoError(
            f"--video-pixel-format {pixel_format} is none that FFmpeg knows; use rgb24, bgr24, "
            "yuv420p or another that `ffmpeg -pix_fmts` lists"
        ) from error
    options = {
        "video_size": f"{size[0]}x{size[1]}",
        "pixel_format": pixel_format,
        "framerate": str(rate or _USUAL_RATE),
    }
    return ClipReader(file, "standard input", "rawvideo", options)


def standard_input() -> BinaryIO:
    """The pipe that the program was given.

    Raises:
        VideoError: when it is a keyboard.
    """
    if sys.stdin is None or sys.stdin.isatty():
        raise VideoError(
            "--video-src - reads frames from a pipe, but there is none; use it as in: "
            "ffmpeg -i CLIP -f nut - | python inference_video.py --video-src - ..."
        )
    return sys.stdin.buffer


def _open(
    file: Path | BinaryIO, name: str, format: str | None, options: dict[str, str]
) -> InputContainer:
    try:
        container = av.open(
            str(file) if isinstance(file, Path) else file, format=format, options=options
        )
    except (*FFMPEG_ERRORS, ValueError) as error:
        raise VideoError(f"{name}: not a video that can be read: {explain(error)}") from error
    if any(part in container.format.name for part in _PICTURES):
        container.close()
        raise VideoError(f"{name}: a picture, not a video; inference_images.py mattes pictures")
    assert isinstance(container, InputContainer)  # noqa: S101 - opened for reading
    return container


def _explain_streams(container: InputContainer) -> str:
    kinds = sorted({stream.type for stream in container.streams})
    return f", only {' and '.join(kinds)}" if kinds else "; it was never finished or is damaged"
