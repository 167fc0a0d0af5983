"""Opens videos, and reads one by time."""

import os
import stat
import sys
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from media.aspect import has_shape, to_aspect
from media.containers import Stream, check_file
from media.frames import Frame, VideoError, VideoSource
from media.pictures import PictureError, read_picture
from media.pipes import InterruptedRead, Pipe
from media.reader import USUAL_RATE, ClipReader
from media.sequences import AnimationReader, PictureReader, is_animation

from .settings import TargetLoop, VideoSettings

PIPE = Path("-")


def is_pipe(path: Path) -> bool:
    """Whether frames come from a pipe, `-` or a named one, which can be read only once."""
    return path == PIPE or path.is_fifo()


def open_source(settings: VideoSettings, audio: bool = False) -> VideoSource:
    """Opens the frames to matte; see `open_video`."""
    rate = settings.exact_rate
    if is_pipe(settings.src):
        named = settings.src != PIPE
        file = Pipe(settings.src.open("rb")) if named else standard_input()
        name = str(settings.src) if named else "standard input"
        return read_pipe(settings.size, settings.pixel_format, rate, file, name)
    if settings.size is not None:
        raise VideoError("--video-size is for a pipe of raw frames, --video-src -")
    return open_video(settings.src, "--video-src", rate, audio)


def open_video(
    path: Path, flag: str, rate: Fraction | None = None, audio: bool = False
) -> VideoSource:
    """Opens a video file, an animated picture or a folder of numbered pictures, given by `flag`.

    `rate` is frames per second of a folder, by default 25; with `audio`, packets of sound are
    returned too. Raises VideoError with the reason if it can't be read.
    """
    if path.is_dir():
        return PictureReader(path, rate or USUAL_RATE)
    if not path.exists() and not path.is_symlink():
        raise VideoError(f"{flag} {path}: no such file or folder")
    check_file(path, f"{flag} {path}")
    if rate is not None:
        raise VideoError(
            f"--video-rate is for pictures and raw frames; {path} has its own time stamps"
        )
    return AnimationReader(path) if is_animation(path) else ClipReader(path, str(path), audio=audio)


def open_by_time(
    path: Path,
    flag: str,
    at_end: TargetLoop = "hold",
    aspect: Fraction = Fraction(1),
    stored: tuple[int, int] | None = None,
) -> Callable[[Fraction], np.ndarray]:
    """Opens a picture, or a video as `open_video`, to be read by time; see `Timeline`.

    Returns `Timeline.at` or an equivalent function. Pictures get the given pixel aspect; one with
    the proportions of `stored` (height, width) has it already. Raises ValueError with the reason if
    it is neither or can't be read.
    """
    reason: PictureError | None = None
    if path.is_file() and not is_animation(path):
        try:
            pixels = read_picture(path).in_profile(None).pixels
        except PictureError as error:
            reason = error
        else:
            if stored is None or not has_shape(pixels, *stored):
                pixels = to_aspect(pixels, Fraction(1), aspect)
            return lambda _: pixels
    try:
        return Timeline(lambda: open_video(path, flag), at_end, aspect).at
    except VideoError as error:
        if reason is None:
            raise
        raise ValueError(
            f"{flag} {path} is not a video ({error}) nor a picture ({reason})"
        ) from error


class TimelineEnded(Exception):  # noqa: N818 - not an error
    """The other video has no more frames, and is neither held nor repeated."""


class Timeline:
    """Reads another video by time, at any frame rate; both begin at 0.

    After its last frame, `loop` starts again, `hold` keeps that frame, and `stop` raises
    TimelineEnded.
    """

    def __init__(
        self,
        reopen: Callable[[], VideoSource],
        at_end: TargetLoop,
        aspect: Fraction = Fraction(1),
    ) -> None:
        self._reopen = reopen
        self._at_end = at_end
        self._aspect = aspect  # of the pixels
        self._base = Fraction(0)  # start of this repetition, in seconds
        self._next: Frame | None = None
        self._begin()

    def at(self, time: Fraction) -> np.ndarray:
        """Returns the picture, (H, W, 3) uint8 or uint16, RGB, at `time` seconds.

        `time` must never decrease. The same object is returned until the next frame. VideoError if
        a frame can't be read.
        """
        while time >= self._end():
            if self._next is not None:
                self._current, self._next = self._next, self._read()
                continue
            if self._at_end == "hold":
                break
            if self._at_end == "stop":
                raise TimelineEnded
            self._base = self._end()
            self._source.close()
            self._begin()
        return self._current.pixels

    def _begin(self) -> None:
        self._source = self._reopen()
        first = self._read()
        assert first is not None  # noqa: S101 - a source holds a frame
        self._first, self._current = first.pts, first
        self._next = self._read()

    def _read(self) -> Frame | None:
        frame, have = self._source.read(), self._source.info.pixel_aspect
        self._source.take_audio()
        return frame and replace(frame, pixels=to_aspect(frame.pixels, have, self._aspect))

    def _end(self) -> Fraction:
        """End of the current frame, in seconds."""
        current = self._current
        pts = current.pts + current.duration if self._next is None else self._next.pts
        return self._base + (pts - self._first) * self._source.info.time_base


def read_pipe(
    size: tuple[int, int] | None,
    pixel_format: str,
    rate: Fraction | None,
    file: Stream,
    name: str = "standard input",
) -> ClipReader:
    """Reads raw frames from a pipe: width and height in pixels, FFmpeg's format, frames per second.

    Without a size, reads a video in a format that needs no seeking (Matroska, NUT, MPEG-TS). Raises
    VideoError as `ClipReader`, and KeyboardInterrupt after an interrupt before the first frame.
    """
    try:
        return _read_pipe(size, pixel_format, rate, file, name)
    except InterruptedRead as error:
        raise KeyboardInterrupt from error


def _read_pipe(
    size: tuple[int, int] | None,
    pixel_format: str,
    rate: Fraction | None,
    file: Stream,
    name: str,
) -> ClipReader:
    if size is None:
        return ClipReader(file, name, audio=True)
    try:
        av.VideoFormat(pixel_format)
    except ValueError as error:
        raise VideoError(
            f"--video-pixel-format {pixel_format} is not supported by FFmpeg; use rgb24, bgr24, "
            "yuv420p or another that `ffmpeg -pix_fmts` lists"
        ) from error
    options = {
        "video_size": f"{size[0]}x{size[1]}",
        "pixel_format": pixel_format,
        "framerate": str(rate or USUAL_RATE),
    }
    return ClipReader(file, name, options)


def standard_input() -> Stream:
    """Returns the pipe on standard input; raises VideoError if it is a terminal."""
    if sys.stdin is None or sys.stdin.isatty():
        raise VideoError(
            "--video-src - reads frames from a pipe, but there is none; use it as in: "
            "ffmpeg -i CLIP -f nut - | matting video --video-src - ..."
        )
    file = sys.stdin.buffer
    return file if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else Pipe(file)
