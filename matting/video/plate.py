"""The captured plate over time: one picture, a video, a frame of the source, or its median."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import numpy as np

from media.frames import VideoError, VideoSource
from media.pictures import PictureError, read_picture

from ..plate.fit import fit_plate
from .exposing import ExposureTracker
from .median import median_plate
from .open import open_video
from .timeline import Timeline
from .tracking import PlateTracker

MEDIAN = "median"
_UNSURE = 0.05  # fraction of the pixels; a passer-by who stops leaves less


class CapturedPlate(Protocol):
    """Plates as captured."""

    def at(self, time: Fraction) -> np.ndarray:
        """The plate of a moment, seconds; (h, w, 3) uint8 or uint16, RGB."""


class StillPlate:
    """One picture for all frames."""

    def __init__(self, pixels: np.ndarray) -> None:
        self._pixels = pixels

    def at(self, time: Fraction) -> np.ndarray:
        """The picture, whenever; see `CapturedPlate`."""
        return self._pixels


class PlateFeed:
    """Gives every frame its plate: fitted, and aligned and matched where that is asked for.

    Args:
        captured: plates as captured.
        tracker: aligns them to a hand-held camera, or None.
        exposure: matches them to an automatic camera after that, or None.

    Attributes:
        tracker: as given.
        exposure: as given.
        notes: what was changed, in words.
    """

    def __init__(
        self,
        captured: CapturedPlate,
        tracker: PlateTracker | None = None,
        exposure: ExposureTracker | None = None,
    ) -> None:
        self.tracker, self.exposure = tracker, exposure
        self.notes: tuple[str, ...] = ()
        self._captured = captured
        self._last: tuple[np.ndarray, np.ndarray] | None = None

    def at(self, time: Fraction, src: np.ndarray) -> np.ndarray:
        """Makes the plate of a frame.

        Args:
            time: since the first frame, seconds.
            src: (H, W, 3) uint8 or uint16, RGB, the frame.

        Returns:
            (H, W, 3) of the frame's type; the same object as before if nothing has changed.

        Raises:
            ValueError: when it can't be read or does not fit.
        """
        captured = self._captured.at(time)
        if self._last is None or self._last[0] is not captured:
            fitted, notes = fit_plate(captured, src)
            self._last, self.notes = (captured, fitted), notes
        bgr = self._last[1]
        if self.tracker is not None:
            bgr = self.tracker.align(src, bgr)
        return bgr if self.exposure is None else self.exposure(bgr, src)


def open_plate(
    bgr: str | None,
    from_frame: int | None,
    median_frames: int,
    reopen_source: Callable[[], VideoSource] | None,
) -> tuple[CapturedPlate, list[str]]:
    """Opens what a user names as the plate.

    Args:
        bgr: path of a picture or a video, or `median`.
        from_frame: number of the source's frame that is the plate, from 0, instead.
        median_frames: that the median is taken of.
        reopen_source: opens the source once more, or None where it can be read only once.

    Returns:
        The plate, and what a user should know, in words.

    Raises:
        ValueError: when none or two are named, or it can't be read.
    """
    if (bgr is None) == (from_frame is None):
        raise ValueError(
            "a background plate is needed, the scene without the subject (not the new background): "
            "name one of --video-bgr PICTURE_OR_VIDEO, --bgr-from-frame N for a frame of the "
            "source in which the subject is away, or --video-bgr median for a camera that stands "
            "still while the subject moves"
        )
    if from_frame is None and bgr != MEDIAN:
        return _open_file(Path(str(bgr))), []
    if reopen_source is None:
        raise ValueError(
            "a pipe can be read only once, so its plate can't come from its own frames; name a "
            "picture or video with --video-bgr"
        )
    source = reopen_source()
    try:
        if from_frame is not None:
            return StillPlate(_read_frame(source, from_frame)), []
        median = median_plate(source, median_frames)
    finally:
        source.close()
    notes = [f"plate: median of {median.frames} frames"]
    if median.unsure > _UNSURE:
        notes.append(
            f"the median is unsure of {median.unsure:.0%} of the plate: the camera moves, or "
            "something stands still for half of the time; a captured plate is better"
        )
    return StillPlate(median.pixels), notes


def _open_file(path: Path) -> CapturedPlate:
    if path.is_file():
        try:
            return StillPlate(read_picture(path).pixels)
        except PictureError as error:
            reason = error
    try:
        return Timeline(lambda: open_video(path, "--video-bgr"), "hold")
    except VideoError as error:
        if not path.is_file():
            raise
        raise ValueError(
            f"--video-bgr {path} is neither a picture ({reason}) nor a video ({error})"
        ) from error


def _read_frame(source: VideoSource, number: int) -> np.ndarray:
    while (frame := source.read()) is not None:
        source.take_audio()
        if frame.number == number:
            return frame.pixels
        last = frame.number
    raise ValueError(f"--bgr-from-frame {number}: the source has the frames 0 to {last}")
