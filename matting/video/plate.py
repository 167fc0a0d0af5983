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

# The plate of a moment, in seconds since the first frame: (h, w, 3) uint8 or uint16, RGB.
PlateAt = Callable[[Fraction], np.ndarray]

MEDIAN = "median"
_UNSURE = 0.05  # fraction of the pixels; a passer-by who stops leaves less
# Bytes of frames that are held: 172 of HD, 43 of 4K with 8 bits.
_HELD = 1024**3
_FEWEST = 5  # below, what moves a little leaves traces
_STRIP = 2**22  # values that the median is taken of at a time
# Grey levels around the median in which a frame agrees with it: noise and compression.
_AGREES = 12
_SHARE = 0.6  # of the frames; with fewer, something else was there almost as often


def open_plate(
    bgr: str | None,
    from_frame: int | None,
    median_frames: int,
    reopen_source: Callable[[], VideoSource] | None,
    frames: VideoInfo,
) -> tuple[PlateAt, list[str]]:
    """Opens the plate that a user names: a path, `median`, or the number of a frame, from 0.

    `reopen_source` is None where the source can be read only once; `frames` has their size and
    their pixels' aspect when they are matted. Returns the plate by time, and
    notes for the user. ValueError when none or two are named, or it can't be read.
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
            "something stands still for half of the time; a captured plate is better"
        )
    return lambda _: pixels, notes


def _fit(pixels: np.ndarray, frames: VideoInfo) -> np.ndarray:
    """Resizes a plate from frames of the source as these are, where their proportions change."""
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
    unsure: float  # fraction of the pixels that fewer than 60% of the frames agree with


def median_plate(source: VideoSource, frames: int) -> MedianPlate:
    """Takes the median of frames that are spread evenly over a video of unknown length.

    Every frame is read to the end, every n-th is held; when more than `frames` are held, every
    second of them is let go and n doubles. So memory is bounded, and no frame count is trusted.
    Where something stands in front for less than half of the time, the median shows what is behind.
    VideoError when the video can't be read.

    Source: ours; the median over time is the oldest model of a background.
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
        raise VideoError("a median needs a frame, and there is none")
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
