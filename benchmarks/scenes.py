"""Clips with known alpha in which islands come and go beside a moving subject."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import cv2
import numpy as np

from benchmarks.composites import Subject

NOISE = 2.0  # grey levels, standard deviation, independent in every frame
SUBJECT_HEIGHT = 0.75  # of the frame
_BAR = 0.06  # of the width: a light bar, a post


class Scene(NamedTuple):
    """A frame of a clip.

    Attributes:
        src: (H, W, 3) uint8, RGB.
        pha: (H, W) float32 in [0, 1], of all that belongs to subjects.
    """

    src: np.ndarray
    pha: np.ndarray


class Stage:
    """A plate, and a subject that walks before it.

    Args:
        subject: what moves, see `Subject`.
        other: a second one.
        plate: (H, W, 3) uint8, RGB.
        count: number of frames.
    """

    def __init__(self, subject: Subject, other: Subject, plate: np.ndarray, count: int) -> None:
        self.bgr, self.count = plate, count
        self.height, self.width = plate.shape[:2]
        self.subject, self.other = (self._fit(one) for one in (subject, other))
        self._rng = np.random.default_rng(0)

    def play(self, name: str) -> Iterator[Scene]:
        """Yields the frames of one of `SCENES`."""
        for number in range(self.count):
            src, pha = SCENES[name](self, number / (self.count - 1))
            noise = self._rng.normal(0, NOISE, src.shape)
            yield Scene((src + noise).clip(0, 255).round().astype(np.uint8), pha)

    def walk(self, time: float) -> tuple[np.ndarray, np.ndarray]:
        """The subject alone: frame (H, W, 3) float32 in [0, 255] and alpha, at a time in [0, 1]."""
        return self.put(self.bgr.astype(np.float32), None, self.subject, 0.2 + 0.2 * time)

    def put(
        self, src: np.ndarray, pha: np.ndarray | None, subject: Subject, place: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Puts a subject before a frame, its middle at a fraction of the width."""
        left = round(place * self.width - subject.pha.shape[1] / 2)
        top = self.height - subject.pha.shape[0]
        shift = np.array(((1, 0, left), (0, 1, top)), np.float32)
        size = self.width, self.height
        own = cv2.warpAffine(subject.pha, shift, size).astype(np.float32) / 255
        fgr = cv2.warpAffine(subject.fgr, shift, size, borderMode=cv2.BORDER_REPLICATE)
        src = src + own[..., None] * (fgr - src)
        return src, own if pha is None else 1 - (1 - pha) * (1 - own)

    def _fit(self, subject: Subject) -> Subject:
        """Crops a subject to what is visible of it, and resizes it."""
        left, top, wide, high = cv2.boundingRect((subject.pha > 12).astype(np.uint8))
        scale = min(SUBJECT_HEIGHT * self.height / high, 0.4 * self.width / wide)
        size = max(1, round(wide * scale)), max(1, round(high * scale))
        fgr, pha = (
            cv2.resize(
                part[top : top + high, left : left + wide], size, interpolation=cv2.INTER_AREA
            )
            for part in (subject.fgr, subject.pha)
        )
        return Subject(subject.name, fgr, pha)


Played = tuple[np.ndarray, np.ndarray]


def _alone(stage: Stage, time: float) -> Played:
    return stage.walk(time)


def _light(stage: Stage, time: float) -> Played:
    """A bar of light wanders over the wall and brightens it by 10 to 25%."""
    src, pha = stage.walk(time)
    x = np.arange(stage.width) / stage.width - (0.9 - 0.25 * time)
    bar = np.clip(1.5 - np.abs(x) / (_BAR / 2), 0, 1)
    gain = 1 + (0.175 + 0.075 * np.sin(12 * time)) * bar[None, :, None] * (1 - pha[..., None])
    return src * gain, pha


def _dust(stage: Stage, time: float) -> Played:
    """Twelve soft specks of light, of 2 to 8 pixels, at other places in every frame."""
    src, pha = stage.walk(time)
    rng = np.random.default_rng(round(1000 * time))
    specks = np.zeros(pha.shape, np.float32)
    for x, y in rng.uniform((0.55, 0), 1, (12, 2)):
        where = round(x * stage.width), round(y * stage.height)
        cv2.circle(specks, where, int(rng.integers(1, 5)), float(rng.uniform(0.3, 0.8)), -1)
    specks = cv2.GaussianBlur(specks, (0, 0), 1.2)[..., None] * (1 - pha[..., None])
    return src + specks * (240 - src), pha


def _board(moved: float) -> Callable[[Stage, float], Played]:
    """A picture on the wall hangs elsewhere than on the plate, by a fraction of the width."""

    def play(stage: Stage, time: float) -> Played:
        high, wide = round(0.3 * stage.height), round(0.15 * stage.width)
        top, left = round(0.2 * stage.height), round(0.75 * stage.width)
        board = stage.bgr[top : top + high, left : left + wide]
        frame = stage.bgr.copy()
        beside = stage.bgr[top : top + high, left - wide : left]
        frame[top : top + high, left : left + wide] = beside[:, ::-1]
        shift = round(moved * stage.width)
        frame[top : top + high, left + shift : left + shift + wide] = board
        return stage.put(frame.astype(np.float32), None, stage.subject, 0.2 + 0.2 * time)

    return play


def _second(stage: Stage, time: float) -> Played:
    """Another subject comes in from the right."""
    return stage.put(*stage.walk(time), stage.other, 1.2 - 0.45 * time)


def _ball(stage: Stage, time: float) -> Played:
    """A ball of 3% of the height starts at the subject and flies to the right."""
    src, pha = stage.walk(time)
    ball = np.zeros(pha.shape, np.float32)
    rows, columns = np.nonzero(pha[: stage.height // 2] > 0.5)
    right = int(columns.argmax()) if columns.size else 0
    x, y = (columns[right], rows[right]) if columns.size else (0, 0)
    flown = 0.5 * stage.width * time
    centre = round(x + flown), round(y - 0.3 * stage.height * time * (1 - time))
    cv2.circle(ball, centre, round(0.015 * stage.height), 1.0, -1, cv2.LINE_AA)
    src = src + ball[..., None] * (np.array((230, 120, 20)) - src)
    return src, np.maximum(pha, ball)


def _post(stage: Stage, time: float) -> Played:
    """A post of the plate stands before the subject and cuts it in two."""
    src, pha = stage.walk(time)
    left = round(0.36 * stage.width)
    columns = slice(left, left + round(_BAR / 2 * stage.width))
    src[:, columns], pha[:, columns] = stage.bgr[:, columns], 0
    return src, pha


SCENES: dict[str, Callable[[Stage, float], Played]] = {
    "alone": _alone,
    "light bar": _light,
    "dust": _dust,
    "board moved 1%": _board(0.01),
    "board moved 10%": _board(0.1),
    "second enters": _second,
    "ball": _ball,
    "post": _post,
}
