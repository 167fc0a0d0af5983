"""Opens video files, only local ones and by their literal names, and chooses a track."""

import io
import stat
from pathlib import Path
from typing import BinaryIO

import av
import av.error
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from runtime.files import explain_failure

from .frames import VideoError

FFMPEG_ERRORS = (av.error.FFmpegError, OSError, EOFError)
Stream = BinaryIO | io.RawIOBase

_PICTURES = ("_pipe", "image2")  # ends of names of FFmpeg's demuxers of single pictures
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe, which only --video-src reads"),
    (stat.S_ISSOCK, "a socket"),
    (lambda _: True, "a device"),
)


def file_url(path: Path) -> str:
    """Returns a URL that FFmpeg opens as a file, even if the name has a colon or `http:`."""
    return f"file:{path}"


def check_file(path: Path, name: str) -> None:
    """Raises VideoError, starting with `name`, unless a path is a regular file."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise VideoError(f"{name}: not a video that can be read: {error.strerror}") from error
    if not stat.S_ISREG(mode):
        kind = next(kind for test, kind in _KINDS if test(mode))
        raise VideoError(f"{name}: not a video that can be read: it is {kind}, not a file")


def open_clip(
    file: Path | Stream, name: str, raw: dict[str, str] | None = None
) -> tuple[InputContainer, VideoStream]:
    """Opens a video and chooses its track; see `choose_track`.

    Raises VideoError, starting with `name`, with the reason if it can't be read. `raw` are FFmpeg's
    `rawvideo` options, for frames without a container.
    """
    if isinstance(file, Path):
        check_file(file, name)
    # Entries of a playlist are opened only if they are files too.
    options = {**(raw or {}), "protocol_whitelist": "file"}
    try:
        source = file_url(file) if isinstance(file, Path) else file
        container = av.open(source, format="rawvideo" if raw else None, options=options)
    except (*FFMPEG_ERRORS, ValueError) as error:
        raise VideoError(
            f"{name}: not a video that can be read: {explain_failure(error)}"
        ) from error
    assert isinstance(container, InputContainer)  # noqa: S101 - opened for reading
    if any(part in container.format.name for part in _PICTURES):
        container.close()
        raise VideoError(f"{name}: a picture, not a video; `matting images` mattes pictures")
    if tracks := find_tracks(container):
        return container, choose_track(tracks)
    kinds = " and ".join(sorted({stream.type for stream in container.streams}))
    container.close()
    found = f", only {kinds}" if kinds else "; it was never finished or is damaged"
    raise VideoError(f"{name}: holds no video{found}")


def find_tracks(container: InputContainer) -> list[VideoStream]:
    """Finds the decodable tracks that are not an album cover or still preview."""
    stills = Disposition.attached_pic | Disposition.timed_thumbnails
    tracks = container.streams.video
    return [track for track in tracks if track.codec_context and not track.disposition & stills]


def choose_track(tracks: list[VideoStream]) -> VideoStream:
    """Chooses the track with the default flag, else the largest; the first of equals.

    A default flag on only the first track is ignored, because muxers set it automatically.
    """
    flagged = [track for track in tracks[1:] if track.disposition & Disposition.default]
    return max(
        flagged
        if len(flagged) == 1 and not tracks[0].disposition & Disposition.default
        else tracks,
        key=lambda track: (track.width or 0) * (track.height or 0),
    )
