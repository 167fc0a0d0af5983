"""What a visitor may hand over: how large, how long, and of which kinds."""

from pathlib import Path
from typing import Annotated

import av
from av import Packet
from pydantic import Field

from media.containers import FFMPEG_ERRORS, file_url
from media.decoding import open_picture
from media.frames import Frame, VideoError, VideoSource
from runtime.settings import settings_group

# FFmpeg's names of the files that hold their frames themselves; playlists name others.
_CONTAINERS = "mov,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,nut,mxf,ivf,gif,apng"


@settings_group("max")
class Limits:
    """What is refused."""

    megabytes: Annotated[int, Field(ge=1)] = 500
    """Size of an uploaded file."""
    megapixels: Annotated[int, Field(ge=1)] = 50
    """Size of a photograph; frames of a clip may have a quarter."""
    seconds: Annotated[int, Field(ge=1)] = 120
    """Length of a clip."""
    waiting: Annotated[int, Field(ge=1)] = 16
    """Jobs in the queue, of which one runs at a time."""


def check_size(width: int, height: int, megapixels: float, what: str) -> None:
    """Raises ValueError for more pixels than are allowed."""
    if width * height > megapixels * 1e6:
        raise ValueError(
            f"{what} has {width} x {height} pixels; this page takes {megapixels:g} megapixels at "
            "most. Make it smaller, or use the command line"
        )


def check_picture(path: Path, megapixels: float, what: str) -> None:
    """Raises ValueError, from the head of a file, where its picture is too large or none."""
    try:
        with open_picture(path) as opened:
            size = opened.image.size if opened.image is not None else (0, 0)
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from error
    check_size(*size, megapixels, what)


def check_container(path: Path) -> None:
    """Raises VideoError unless a file holds its frames itself.

    A playlist would make FFmpeg open the files that it names.
    """
    options = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"}
    try:
        with av.open(file_url(path), options=options):
            pass
    except (*FFMPEG_ERRORS, ValueError) as error:
        raise VideoError(
            f"{path}: not a video that can be read, or of a kind that this page does not take; "
            "use MP4, MOV, MKV, WebM or AVI"
        ) from error


class ShortSource:
    """A video source that ends in an error behind the longest clip that is taken."""

    def __init__(self, source: VideoSource, limits: Limits) -> None:
        self.info = source.info
        self._source, self._limits = source, limits
        self._first: int | None = None
        check_size(self.info.width, self.info.height, limits.megapixels / 4, "the clip")
        self._check(self.info.duration or 0)

    @property
    def notes(self) -> tuple[str, ...]:
        """What came out while reading, in words."""
        return self._source.notes

    def read(self) -> Frame | None:
        """Reads the next frame; see `VideoSource`. A VideoError for a clip that is too long."""
        if (frame := self._source.read()) is not None:
            self._first = frame.pts if self._first is None else self._first
            self._check(float((frame.pts - self._first) * self.info.time_base))
        return frame

    def take_audio(self) -> tuple[Packet, ...]:
        """Hands over the packets behind the last frame."""
        return self._source.take_audio()

    def close(self) -> None:
        """Closes files."""
        self._source.close()

    def _check(self, seconds: float) -> None:
        if seconds > self._limits.seconds:
            raise VideoError(
                f"the clip is longer than {self._limits.seconds} s, the most that this page takes. "
                "Cut it, or use the command line"
            )
