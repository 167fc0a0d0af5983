"""The new background over time."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np

from media.pictures import PictureError, read_picture
from runtime.settings import settings_group

from ..pictures.compose import blur, to_float
from ..pictures.target import parse_target
from ..plate.fit import resize, resize_to_cover
from .open import Timeline, open_video
from .settings import (
    RECIPES,
    EncodingSettings,
    TargetFit,
    TargetLoop,
    VideoOutputSettings,
)

GREEN = "rgb(120,255,155)"  # the authors', where a format of `com` has no alpha


@settings_group("target")
class TargetSettings:
    """How a new background meets the frames."""

    fit: TargetFit = "crop"
    """Of a picture or video of another shape: crop covers the frame and cuts what stands over,
    stretch distorts, pad shows all of it between black bars."""
    loop: TargetLoop = "loop"
    """Of a video that is shorter than the source: loop begins again, hold keeps its last frame,
    stop ends the outputs with it. A longer one is cut."""


class TargetFeed:
    """Gives every frame its new background.

    Args:
        text: a colour, a picture, a video, `blur`, or None for a transparent composite.
        settings: how it meets the frames.
        flag: that named it, for messages.

    Attributes:
        timeline: the video that it follows, or None.

    Raises:
        ValueError: when it is none of these or can't be read.
    """

    def __init__(
        self, text: str | None, settings: TargetSettings, flag: str = "--video-target-bgr"
    ) -> None:
        self.timeline: Timeline | None = None
        self._settings = settings
        self._flag = flag
        self._colour: np.ndarray | None = None
        self._picture: np.ndarray | None = None
        self._last: tuple[object, np.ndarray] | None = None
        target = parse_target(text)
        self.transparent = target.kind == "none"
        if target.kind == "colour":
            self._colour = np.array(target.colour, np.float32) / 255
        elif target.kind in ("picture", "folder"):
            assert target.path is not None  # noqa: S101 - of these kinds
            self._open(target.path)

    def at(self, time: Fraction, bgr: np.ndarray) -> np.ndarray | None:
        """Makes the new background of a frame.

        Args:
            time: since the first frame, seconds.
            bgr: (H, W, 3) uint8 or uint16, the frame's plate, which `blur` blurs: there, no colour
                of the subject can leak.

        Returns:
            (H, W, 3) float32, RGB in [0, 1]; or None for a transparent composite.

        Raises:
            TimelineEnded: behind the end of a video that is to be stopped at.
            VideoError: when a frame of it can't be read.
        """
        if self.transparent:
            return None
        if self._colour is not None:
            if self._last is None or self._last[1].shape != bgr.shape:
                # In full: values that share memory take several times longer to composite.
                self._last = None, np.broadcast_to(self._colour, bgr.shape).copy()
            return self._last[1]
        if self.timeline is not None:
            return self._once(self.timeline.at(time), lambda shown: self._fit(shown, bgr))
        if self._picture is not None:
            return self._once(self._picture, lambda shown: self._fit(shown, bgr))
        return self._once(bgr, lambda shown: blur(to_float(shown)))

    def _open(self, path: Path) -> None:
        reason = None
        if path.is_file():
            try:
                self._picture = read_picture(path).pixels
            except PictureError as error:
                reason = error
            else:
                return
        try:
            self.timeline = Timeline(lambda: open_video(path, self._flag), self._settings.loop)
        except ValueError as error:
            pictured = f" nor a picture ({reason})" if reason else ""
            raise ValueError(f"{self._flag} {path} is not a video ({error}){pictured}") from error

    def _once(self, shown: np.ndarray, make: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Makes the same of the same only once."""
        if self._last is None or self._last[0] is not shown:
            self._last = shown, make(shown)
        return self._last[1]

    def _fit(self, picture: np.ndarray, bgr: np.ndarray) -> np.ndarray:
        return to_float(fit_target(picture, bgr.shape[0], bgr.shape[1], self._settings.fit))


def fit_target(picture: np.ndarray, height: int, width: int, fit: TargetFit) -> np.ndarray:
    """Brings a new background to the size of the frames.

    Args:
        picture: (h, w, 3) uint8 or uint16.
        height: wanted, pixels.
        width: wanted, pixels.
        fit: see `TargetSettings`.

    Returns:
        (height, width, 3) of the same type.
    """
    if fit == "crop":
        return resize_to_cover(picture, height, width)
    if fit == "stretch":
        return resize(picture, height, width)
    scale = min(height / picture.shape[0], width / picture.shape[1])
    rows, columns = (max(1, round(side * scale)) for side in picture.shape[:2])
    padded = np.zeros((height, width, 3), picture.dtype)
    top, left = (height - rows) // 2, (width - columns) // 2
    padded[top : top + rows, left : left + columns] = resize(picture, rows, columns)
    return padded


def open_target(
    text: str | None,
    settings: TargetSettings,
    output: VideoOutputSettings,
    encoding: EncodingSettings,
) -> tuple[TargetFeed, list[str]]:
    """Opens the new background; green where `com` has no alpha and none is named, with a note."""
    opaque = output.picture_format == "jpeg"
    if output.format == "video":
        opaque = RECIPES[encoding.codec].alpha_format is None
    if text is not None or not opaque or "com" not in output.types:
        return TargetFeed(text, settings), []
    note = (
        "com stands over green, as its format has no transparency: name a new background with "
        "--video-target-bgr, or use --codec prores or vp9, or PNG image sequences"
    )
    return TargetFeed(GREEN, settings), [note]
