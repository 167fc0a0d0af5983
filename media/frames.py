"""The interface between readers and writers: a video's properties and its frames."""

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
    """Properties of all frames of a video."""

    height: int  # upright, pixels
    width: int
    time_base: Fraction  # unit of time stamps, seconds
    rate: Fraction  # average frames per second, if known; a hint, never used for timing
    bits: int = 8  # of each channel
    colour: ColourTags = field(default_factory=ColourTags)
    pixel_aspect: Fraction = Fraction(1)  # width of a pixel over its height
    duration: float | None = None  # duration in seconds as stated by the file; never trusted
    audio: tuple[AudioStream, ...] = ()  # streams to be copied
    notes: tuple[str, ...] = ()  # warnings for the user


@dataclass(frozen=True)
class Frame:
    """One frame of a video."""

    number: int  # from 0
    name: str  # name without extension, for outputs that are pictures
    pixels: np.ndarray  # (H, W, 3) uint8 or uint16 RGB, upright
    pts: int  # display time, in the video's time base
    duration: int  # in the same unit; at least 1
    audio: tuple[Packet, ...] = ()  # packets read since the frame before


class VideoSource(Protocol):
    """A source of frames: a file, a pipe, a folder of pictures, or a camera."""

    info: VideoInfo

    @property
    def notes(self) -> tuple[str, ...]:
        """Warnings that were found while reading."""

    def read(self) -> Frame | None:
        """Reads the next frame; None at the end. A VideoError names a frame that can't be read."""

    def take_audio(self) -> tuple[Packet, ...]:
        """Returns the packets after the last frame."""

    def close(self) -> None:
        """Closes files."""
