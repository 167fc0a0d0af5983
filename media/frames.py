"""What readers give and writers take: a video's facts and its frames."""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Protocol

import numpy as np
from av import AudioStream, Packet

from . import MediaError
from .colour import ColourTags


class VideoError(MediaError):
    """A video that can't be read or written; the message says which, why and what to do."""


@dataclass(frozen=True)
class VideoInfo:
    """What holds for all frames of a video."""

    height: int  # upright, pixels
    width: int
    time_base: Fraction  # unit of time stamps, seconds
    rate: Fraction  # frames a second on average, as far as known; a hint, never a clock
    bits: int = 8  # of each channel
    colour: ColourTags = field(default_factory=ColourTags)
    pixel_aspect: Fraction = Fraction(1)  # width of a pixel over its height
    duration: float | None = None  # seconds that the file claims to last; never trusted
    audio: tuple[AudioStream, ...] = ()  # streams to be copied
    notes: tuple[str, ...] = ()  # what a user should know, in words


@dataclass(frozen=True)
class Frame:
    """One frame."""

    number: int  # from 0
    name: str  # its own, without extension, for outputs that are pictures
    pixels: np.ndarray  # (H, W, 3) uint8 or uint16 RGB, upright
    pts: int  # when it is shown, in the video's time base
    duration: int  # how long, in the same; 1 at least
    audio: tuple[Packet, ...] = ()  # packets that were read since the frame before


class VideoSource(Protocol):
    """What frames come from: a file, a pipe, a folder of pictures, or a camera."""

    info: VideoInfo

    @property
    def notes(self) -> tuple[str, ...]:
        """What came out while reading, in words."""

    def read(self) -> Frame | None:
        """Reads the next frame; None at the end. A VideoError names a frame that can't be read."""

    def take_audio(self) -> tuple[Packet, ...]:
        """Hands over the packets behind the last frame."""

    def close(self) -> None:
        """Closes files."""
