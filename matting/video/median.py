"""The plate of a camera that stands still: the median of its frames."""

from dataclasses import dataclass

import numpy as np

from media.frames import VideoError, VideoSource

# Bytes of frames that are held: 172 of HD, 43 of 4K with 8 bits.
_HELD = 1024**3
_FEWEST = 5  # below, what moves a little leaves traces
_STRIP = 2**22  # values that the median is taken of at a time
# Grey levels around the median in which a frame agrees with it: noise and compression.
_AGREES = 12
_SHARE = 0.6  # of the frames; with fewer, something else was there almost as often


@dataclass(frozen=True)
class MedianPlate:
    """A plate and how sure it is.

    Attributes:
        pixels: (H, W, 3) uint8 or uint16, RGB.
        frames: that it was taken from.
        unsure: fraction of its pixels that fewer than 60% of the frames agree with.
    """

    pixels: np.ndarray
    frames: int
    unsure: float


def median_plate(source: VideoSource, frames: int) -> MedianPlate:
    """Takes the median of frames that are spread evenly over a video of unknown length.

    Every frame is read, every n-th is held; when too many are held, every second of them is let go
    and n doubles. So memory is bounded, and no frame count is trusted.

    Args:
        source: at its first frame; it is read to its end.
        frames: to take it from, half as many at least if the video has them.

    Returns:
        See `MedianPlate`. Where something stands in front for less than half of the time, the
        median shows what is behind it.

    Raises:
        VideoError: when the video can't be read.

    Source: ours; the median over time is the oldest model of a background.
    """
    held: list[np.ndarray] = []
    every = 1
    while (frame := source.read()) is not None:
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
