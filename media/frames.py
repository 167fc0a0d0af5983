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
    """What holds for all frames of a video.

    Attributes:
        height, width: upright, pixels.
        time_base: unit of time stamps, seconds.
        rate: frames a second on average, as far as known; a hint, never a clock.
        bits: of each channel.
        colour: what the numbers mean.
        pixel_aspect: width of a pixel over its height.
        duration: seconds that the file claims to last, or None; never trusted.
        audio: streams to be copied.
        notes: what a user should know, in words.
    """

    height: int
    width: int
    time_base: Fraction
    rate: Fraction
    bits: int = 8
    colour: ColourTags = field(default_factory=ColourTags)
    pixel_aspect: Fraction = Fraction(1)
    duration: float | None = None
    audio: tuple[AudioStream, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Frame:
    """One frame.

    Attributes:
        number: from 0.
        name: the frame's own name, without extension, for outputs that are pictures.
        pixels: (H, W, 3) uint8 or uint16 RGB, upright.
        pts: when it is shown, in the video's time base.
        duration: how long, in the same; 1 at least.
        audio: packets that were read since the frame before.
    """

    number: int
    name: str
    pixels: np.ndarray
    pts: int
    duration: int
    audio: tuple[Packet, ...] = ()


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
