"""Opening what a user names as a video."""

import sys
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av

from media.frames import VideoError, VideoSource
from media.reader import USUAL_RATE, ClipReader, PictureReader

from .settings import VideoSettings

PIPE = Path("-")


def open_source(settings: VideoSettings, audio: bool = False) -> VideoSource:
    """Opens the frames that are to be matted.

    Args:
        settings: names them.
        audio: whether to hand over the packets of sound.

    Returns:
        The source, at its first frame.

    Raises:
        VideoError: when they can't be read; says why.
    """
    rate = settings.exact_rate
    if settings.src == PIPE:
        return read_pipe(settings.size, settings.pixel_format, rate, standard_input())
    if settings.size is not None:
        raise VideoError("--video-size is for a pipe of raw frames, --video-src -")
    return open_video(settings.src, "--video-src", rate, audio)


def open_video(
    path: Path, flag: str, rate: Fraction | None = None, audio: bool = False
) -> VideoSource:
    """Opens a video file or a folder of numbered pictures.

    Args:
        path: where.
        flag: that named it, for messages.
        rate: frames a second of a folder of pictures; 25 when not given.
        audio: whether to hand over the packets of sound.

    Returns:
        The source, at its first frame.

    Raises:
        VideoError: when it can't be read; says why.
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
