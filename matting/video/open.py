"""Opening what a user names as a video."""

from fractions import Fraction
from pathlib import Path

from media.frames import VideoError, VideoSource
from media.numbered import PictureReader
from media.reader import ClipReader, read_pipe, standard_input

from .settings import VideoSettings

PIPE = Path("-")
_USUAL_RATE = Fraction(25)


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
        return PictureReader(path, rate or _USUAL_RATE)
    if not path.exists():
        raise VideoError(f"{flag} {path}: no such file or folder")
    if rate is not None:
        raise VideoError(
            f"--video-rate is for pictures and raw frames; {path} has its own time stamps"
        )
    return ClipReader(path, str(path), audio=audio)
