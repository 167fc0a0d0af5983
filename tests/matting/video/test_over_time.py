"""Plates, new backgrounds and alpha over time."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from matting.video.open import Timeline, TimelineEnded
from matting.video.plate import median_plate
from matting.video.smoothing import AlphaSmoother
from matting.video.target import fit_target
from media.frames import Frame, VideoInfo


class Listed:
    """A source of pictures in memory."""

    notes: tuple[str, ...] = ()

    def __init__(self, pictures: list[np.ndarray], pts: list[int] | None = None) -> None:
        height, width = pictures[0].shape[:2]
        self.info = VideoInfo(height, width, Fraction(1, 10), Fraction(10))
        self._pictures = pictures
        self._pts = pts or list(range(len(pictures)))
        self._next = 0

    def read(self) -> Frame | None:
        if self._next == len(self._pictures):
            return None
        number, self._next = self._next, self._next + 1
        return Frame(number, str(number), self._pictures[number], self._pts[number], 1)

    def take_audio(self) -> tuple:
        return ()

    def close(self) -> None:
        pass


def grey(*levels: int) -> list[np.ndarray]:
    return [np.full((4, 6, 3), level, np.uint8) for level in levels]


@pytest.mark.parametrize(
    ("at_end", "wanted"),
    [("loop", [1, 1, 2, 3, 1, 2]), ("hold", [1, 1, 2, 3, 3, 3]), ("stop", [1, 1, 2, 3])],
)
def test_timeline_follows_time_not_numbers(at_end, wanted: list[int]) -> None:
    """Shown from 0.0, 0.2 and 0.3 s to 0.4 s; asked every tenth of a second and more."""
    timeline = Timeline(lambda: Listed(grey(1, 2, 3), [5, 7, 8]), at_end)
    found = []
    for time in (0, 0.1, 0.2, 0.3, 0.5, 0.6):
        try:
            found.append(int(timeline.at(Fraction(time).limit_denominator(10))[0, 0, 0]))
        except TimelineEnded:
            break
    assert found == wanted


def test_median_sees_behind_what_passes(photographs) -> None:
    plate = photographs.plate(40, 60)
    frames = []
    for index in range(100):
        frame = plate.copy()
        frame[:, index % 60 : index % 60 + 12] = 255
        frames.append(frame)
    median = median_plate(Listed(frames), 20)
    assert np.array_equal(median.pixels, plate)
    assert 10 <= median.frames <= 20
    assert median.unsure < 0.05


def test_median_is_unsure_where_nothing_stays() -> None:
    noise = list(np.random.default_rng(0).integers(0, 256, (30, 8, 8, 3), np.uint8))
    assert median_plate(Listed(noise), 30).unsure > 0.9


@pytest.mark.parametrize(("fit", "corner"), [("crop", 200), ("stretch", 200), ("pad", 0)])
def test_fit_of_a_target(fit, corner: int) -> None:
    fitted = fit_target(np.full((10, 10, 3), 200, np.uint8), 10, 30, fit)
    assert fitted.shape == (10, 30, 3)
    assert fitted[0, 0, 0] == corner
    assert fitted[5, 15, 0] == 200


def test_smoothing_calms_still_areas_and_follows_motion() -> None:
    """One value of alpha 0.5 s later by the formula: 0.4 + 0.5 (0.8 - 0.4)."""
    smoother = AlphaSmoother(0.5)
    still = np.full((20, 40, 3), 100, np.uint8)
    moved = still.copy()
    moved[:, 20:] = 200
    smoother.smooth(still, np.full((20, 40), 0.8, np.float32))
    smooth = smoother.smooth(moved, np.full((20, 40), 0.4, np.float32))
    assert np.allclose(smooth[:, :17], 0.6, atol=1e-6)
    assert np.allclose(smooth[:, 23:], 0.4, atol=1e-6)
    flicker = smoother.flicker()
    assert flicker == {"before": 40.0, "after": 20.0}


def test_missing_path_of_a_target_is_told(tmp_path: Path) -> None:
    from matting.video.target import TargetFeed, TargetSettings

    (tmp_path / "a.mp4").write_text("not a video")
    with pytest.raises(ValueError, match=r"a\.mp4 is not a video .* nor a picture"):
        TargetFeed(str(tmp_path / "a.mp4"), TargetSettings())
