"""The captured plate over time: one picture, a video, a frame of the source, or its median."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from media.aspect import has_shape
from media.frames import VideoError, VideoInfo, VideoSource
from media.pictures import resize
from runtime.progress import show_progress

from .open import open_by_time

# Returns the plate by time in seconds since the first frame: (h, w, 3) uint8 or uint16, RGB.
PlateAt = Callable[[Fraction], np.ndarray]

MEDIAN = "median"
_UNSURE = 0.05  # fraction of the pixels; a person who stops briefly causes less
# Bytes of frames in memory: 172 HD frames or 43 4K frames of 8 bits.
_HELD = 1024**3
_FEWEST = 5  # with fewer, small movements leave traces
_STRIP = 2**22  # values per computation of the median
# Grey levels within which a frame agrees with the median, for noise and compression.
_AGREES = 12
_SHARE = 0.6  # of the frames; with fewer, another value was almost as frequent


def open_plate(
    bgr: str | None,
    from_frame: int | None,
    median_frames: int,
    reopen_source: Callable[[], VideoSource] | None,
    frames: VideoInfo,
) -> tuple[PlateAt, list[str]]:
    """Opens a plate given as a path, `median`, or the number of a frame, from 0.

    `reopen_source` is None if the source can be read only once; `frames` has the size and pixel
    aspect of the frames to matte. Returns the plate by time, and notes for the user. ValueError if
    none or two are given, or it can't be read.
    """
    if (bgr is None) == (from_frame is None):
        raise ValueError(
            "a background plate is needed, the scene without the subject (not the new background): "
            "name one of --video-bgr PICTURE_OR_VIDEO, --bgr-from-frame N for a frame of the "
            "source in which the subject is away, or --video-bgr median for a camera that stands "
            "still while the subject moves"
        )
    if from_frame is None and bgr != MEDIAN:
        stored = frames.height, frames.width
        aspect = frames.pixel_aspect
        return open_by_time(Path(str(bgr)), "--video-bgr", aspect=aspect, stored=stored), []
    if reopen_source is None:
        raise ValueError(
            "a pipe can be read only once, so its plate can't come from its own frames; name a "
            "picture or video with --video-bgr"
        )
    with closing(reopen_source()) as source:
        if from_frame is not None:
            pixels = _fit(_read_frame(source, from_frame), frames)
            return lambda _: pixels, []
        median = median_plate(source, median_frames)
        pixels = _fit(median.pixels, frames)
    notes = [f"plate: median of {median.frames} frames"]
    if median.unsure > _UNSURE:
        notes.append(
            f"the median is uncertain in {median.unsure:.0%} of the plate: the camera moves, or "
            "something is still for half of the time; use a captured plate"
        )
    return lambda _: pixels, notes


def _fit(pixels: np.ndarray, frames: VideoInfo) -> np.ndarray:
    """Resizes a plate from the source's frames if the frames to matte have other proportions."""
    same = has_shape(pixels, frames.height, frames.width)
    return pixels if same else resize(pixels, frames.height, frames.width)


def _read_frame(source: VideoSource, number: int) -> np.ndarray:
    for frame in show_progress(iter(source.read, None), "reading the plate", unit="frame"):
        source.take_audio()
        if frame.number == number:
            return frame.pixels
        last = frame.number
    raise ValueError(f"--bgr-from-frame {number}: the source has the frames 0 to {last}")


@dataclass(frozen=True)
class MedianPlate:
    """A median plate, its number of frames, and its uncertain fraction."""

    pixels: np.ndarray  # (H, W, 3) uint8 or uint16, RGB
    frames: int
    unsure: float  # fraction of the pixels with which fewer than 60% of the frames agree


def median_plate(source: VideoSource, frames: int) -> MedianPlate:
    """Computes the median of frames spread evenly over a video of unknown length.

    Reads all frames and keeps every n-th. If more than `frames` are kept, drops every second one
    and doubles n. So memory is bounded, and the stated frame count is not needed. Where something
    covers the background for less than half of the time, the median shows the background. Raises
    VideoError if the video can't be read.

    Source: ours; the temporal median is a classic background model.
    """
    held: list[np.ndarray] = []
    every = 1
    for frame in show_progress(iter(source.read, None), "taking the median", unit="frame"):
        source.take_audio()
        if frame.number % every:
            continue
        held.append(frame.pixels)
        if len(held) > max(_FEWEST, min(frames, _HELD // frame.pixels.nbytes)):
            held, every = held[::2], 2 * every
    if not held:
        raise VideoError("a median needs at least one frame, got none")
    height, width = held[0].shape[:2]
    pixels = np.empty_like(held[0])
    agrees = _AGREES * (257 if pixels.dtype == np.uint16 else 1)
    unsure = 0
    rows = max(1, _STRIP // (width * 3 * len(held)))
    for top in range(0, height, rows):
        strip = np.stack([picture[top : top + rows] for picture in held])
        middle = np.sort(strip, axis=0)[(len(held) - 1) // 2]
        pixels[top : top + rows] = middle
        far = np.abs(strip.astype(np.int32) - middle).max(axis=-1)
        unsure += int(((far <= agrees).mean(axis=0) < _SHARE).sum())
    return MedianPlate(pixels, len(held), unsure / (height * width))
