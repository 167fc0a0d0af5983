"""Opening what a user names as a video, and following one by time."""

import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np

from media.frames import Frame, VideoError, VideoSource
from media.pictures import PictureError, read_picture
from media.reader import USUAL_RATE, ClipReader, PictureReader

from .settings import TargetLoop, VideoSettings

PIPE = Path("-")


def open_source(settings: VideoSettings, audio: bool = False) -> VideoSource:
    """Opens the frames that are to be matted; see `open_video`."""
    rate = settings.exact_rate
    if settings.src == PIPE:
        return read_pipe(settings.size, settings.pixel_format, rate, standard_input())
    if settings.size is not None:
        raise VideoError("--video-size is for a pipe of raw frames, --video-src -")
    return open_video(settings.src, "--video-src", rate, audio)


def open_video(
    path: Path, flag: str, rate: Fraction | None = None, audio: bool = False
) -> VideoSource:
    """Opens a video file or a folder of numbered pictures, which `flag` named.

    `rate` is frames a second of a folder, 25 when not given; with `audio`, packets of sound are
    handed over. VideoError when it can't be read; says why.
    """
    if path.is_dir():
        return PictureReader(path, rate or USUAL_RATE)
    if not path.exists():
        raise VideoError(f"{flag} {path}: no such file or folder")
    if rate is not None:
        raise VideoError(
            f"--video-rate is for pictures and raw frames; {path} has its own time stamps"
        )
    return ClipReader(path, str(path), audio=audio)


def open_by_time(
    path: Path, flag: str, at_end: TargetLoop = "hold"
) -> Callable[[Fraction], np.ndarray]:
    """Opens a picture, or a video or folder of pictures that is followed by time; see `Timeline`.

    Returns `Timeline.at` or its like. ValueError when it is neither or can't be read; says why.
    """
    reason: PictureError | None = None
    if path.is_file():
        try:
            pixels = read_picture(path).in_profile(None).pixels
        except PictureError as error:
            reason = error
        else:
            return lambda _: pixels
    try:
        return Timeline(lambda: open_video(path, flag), at_end).at
    except VideoError as error:
        if reason is None:
            raise
        raise ValueError(
            f"{flag} {path} is not a video ({error}) nor a picture ({reason})"
        ) from error


class TimelineEnded(Exception):  # noqa: N818 - the end is no error
    """The other video has no more frames, and is not to be held or repeated."""


class Timeline:
    """Follows another video by time, whatever its frame rate; both begin at 0.

    Behind its last frame `loop` begins again, `hold` keeps that, `stop` raises TimelineEnded.
    """

    def __init__(self, reopen: Callable[[], VideoSource], at_end: TargetLoop) -> None:
        self._reopen = reopen
        self._at_end = at_end
        self._base = Fraction(0)  # when this turn began, seconds
        self._next: Frame | None = None
        self._begin()

    def at(self, time: Fraction) -> np.ndarray:
        """The picture, (H, W, 3) uint8 or uint16, RGB, at `time` seconds; time never goes back.

        The same object until another frame is due. VideoError when a frame can't be read.
        """
        while time >= self._end():
            if self._next is not None:
                self._current, self._next = self._next, self._source.read()
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
        first = self._source.read()
        assert first is not None  # noqa: S101 - a source holds a frame
        self._first, self._current = first.pts, first
        self._next = self._source.read()

    def _end(self) -> Fraction:
        """When the current frame ends, seconds."""
        current = self._current
        pts = current.pts + current.duration if self._next is None else self._next.pts
        return self._base + (pts - self._first) * self._source.info.time_base


def read_pipe(
    size: tuple[int, int] | None, pixel_format: str, rate: Fraction | None, file: BinaryIO
) -> ClipReader:
    """Reads raw frames from a pipe: width and height in pixels, FFmpeg's format, frames a second.

    Without a size it holds a video in a format that needs no seeking (Matroska, NUT, MPEG-TS).
    VideoError as `ClipReader`.
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
        "framerate": str(rate or USUAL_RATE),
    }
    return ClipReader(file, "standard input", options)


def standard_input() -> BinaryIO:
    """The pipe that the program was given; a VideoError when it is a keyboard."""
    if sys.stdin is None or sys.stdin.isatty():
        raise VideoError(
            "--video-src - reads frames from a pipe, but there is none; use it as in: "
            "ffmpeg -i CLIP -f nut - | python inference_video.py --video-src - ..."
        )
    return sys.stdin.buffer
