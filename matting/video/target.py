"""The new background over time."""

from fractions import Fraction

import numpy as np

from media.pictures import resize, resize_to_cover
from runtime.settings import settings_group

from ..pictures.compose import blur, to_float
from ..pictures.target import parse_target
from .open import open_by_time
from .settings import RECIPES, EncodingSettings, TargetFit, TargetLoop, VideoOutputSettings


@settings_group("target")
class TargetSettings:
    """How to fit a new background to the frames."""

    fit: TargetFit = "crop"
    """For a picture or video of another shape: crop covers the frame and cuts the rest, stretch
    distorts, pad adds black bars."""
    loop: TargetLoop = "loop"
    """For a video that is shorter than the source: loop starts again, hold keeps its last frame,
    stop ends the outputs with it. A longer video is cut."""


class TargetFeed:
    """Gives every frame its new background: a colour, a picture, a video, `blur`, or None.

    None makes the composite transparent; `aspect` is the frames' pixel aspect. ValueError if the
    text (given by `flag`) is none of these or can't be read.
    """

    def __init__(
        self,
        text: str | None,
        settings: TargetSettings,
        flag: str = "--video-target-bgr",
        aspect: Fraction = Fraction(1),
    ) -> None:
        target = parse_target(text)
        self.transparent = target.kind == "none"
        self._settings = settings
        colour, path = target.colour, target.path
        self._colour = None if colour is None else np.array(colour, np.float32) / 255
        self._shown_at = None if path is None else open_by_time(path, flag, settings.loop, aspect)
        self._last: tuple[np.ndarray, np.ndarray] | None = None  # as opened, as fitted

    def at(self, time: Fraction, bgr: np.ndarray) -> np.ndarray | None:
        """The new background, (H, W, 3) float32 in [0, 1], or None; `time` is since frame 0.

        `blur` blurs the plate, (H, W, 3) uint8 or uint16, which has no colours of the subject.
        TimelineEnded after the end of a video with `stop`, VideoError if it can't be read.
        """
        if self.transparent:
            return None
        shown = bgr if self._colour is None else self._colour
        if self._shown_at is not None:
            shown = self._shown_at(time)
        if self._last is None or self._last[0] is not shown or self._last[1].shape != bgr.shape:
            self._last = shown, self._make(shown, bgr)
        return self._last[1]

    def _make(self, shown: np.ndarray, bgr: np.ndarray) -> np.ndarray:
        if shown is self._colour:
            # A full array, because broadcast values take several times longer to composite.
            return np.broadcast_to(shown, bgr.shape).copy()
        if shown is bgr:
            return blur(to_float(bgr))
        return to_float(fit_target(shown, bgr.shape[0], bgr.shape[1], self._settings.fit))


def fit_target(picture: np.ndarray, height: int, width: int, fit: TargetFit) -> np.ndarray:
    """Fits a new background (h, w, 3) to the frames' size in pixels; see `TargetSettings`."""
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
    aspect: Fraction = Fraction(1),
) -> tuple[TargetFeed, list[str]]:
    """Opens the new background; without one, uses green and a note if `com` has no alpha."""
    opaque = output.picture_format == "jpeg"
    if output.format == "video":
        opaque = RECIPES[encoding.codec].alpha_format is None
    if text is not None or not opaque or "com" not in output.types:
        return TargetFeed(text, settings, aspect=aspect), []
    note = (
        "com has a green background, because its format has no transparency: name a new background "
        "with --video-target-bgr, or use --codec prores or vp9, or PNG image sequences"
    )
    return TargetFeed("green", settings), [note]
