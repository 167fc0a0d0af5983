"""The live loop on clips: plate, new backgrounds, mirror, keys, what is lost and what is kept."""

from fractions import Fraction
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from PIL import Image

from matting.plate.prepare import Preprocess, prepare_plate
from matting.prediction import Prediction
from matting.quality import HD, Budget
from matting.summary import RunSummary
from matting.video.stream import FrameMatter
from matting.video.target import TargetSettings
from matting.webcam.camera import CameraError, CameraFacts, ClipCamera, Locks, Shot
from matting.webcam.capture import Capture
from matting.webcam.controls import Backgrounds, ScriptedKeys
from matting.webcam.live import Live
from matting.webcam.outputs import Outputs, RecordSettings
from matting.webcam.plate import PlateSettings
from matting.webcam.summary import Journal

PLATE = (40, 60, 200)
SUBJECT = (205, 60, 40)


class FakeClock:
    """Time that passes only when somebody waits, and by `step` when somebody looks."""

    def __init__(self) -> None:
        self.time, self.step = 100.0, 0.0

    def perf_counter(self) -> float:
        self.time += self.step
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    fake = FakeClock()
    for module in ("camera", "capture", "live"):
        monkeypatch.setattr(f"matting.webcam.{module}.time", fake)
    return fake


class FakePredictor:
    """Alpha is 1 where the frame differs from the plate."""

    prepared = 0

    def prepare(self, picture: np.ndarray) -> np.ndarray:
        self.prepared += 1
        self.picture = picture
        return picture

    def predict(self, src: np.ndarray, bgr: np.ndarray, budget: object) -> Prediction:
        apart = np.abs(src.astype(int) - bgr).max(axis=-1) > 30
        return Prediction(
            apart.astype(np.float32), (src / 255).astype(np.float32), apart * 0.0, apart & False
        )


class FakeCamera:
    """Gives pictures at 10 a second, then ends or fails."""

    def __init__(self, pictures: list[np.ndarray], error: Exception | None = None) -> None:
        self.facts = CameraFacts("fake", *pictures[0].shape[:2], Fraction(10), live=False)
        self.calls: list[str] = []
        self._pictures = pictures
        self._error = error
        self._number = 0

    def read(self) -> Shot | None:
        if self._number == len(self._pictures):
            if self._error:
                raise self._error
            return None
        shot = Shot(self._pictures[self._number], Fraction(self._number, 10), 100.0)
        self._number += 1
        return shot

    def lock(self) -> Locks:
        self.calls.append("lock")
        return {"focus": None, "exposure": "the driver can't"}

    def unlock(self) -> None:
        self.calls.append("unlock")

    def close(self) -> None:
        self.calls.append("close")


class FakeCapture:
    """A camera of 10 pictures a second by the clock, of which only the newest is kept."""

    locks, wants_lock = None, False

    def __init__(self, clock: FakeClock, seconds: float) -> None:
        self.facts = CameraFacts("fake", 48, 64, Fraction(10))
        self.captured = self.dropped = 0
        self._clock, self._start, self._seconds = clock, clock.time, seconds

    @property
    def ended(self) -> bool:
        return self._clock.time - self._start > self._seconds

    def take(self, timeout: float) -> Shot:
        number = int(10 * (self._clock.time - self._start) + 1e-6)
        if number == self.captured - 1:  # wait for the next
            number += 1
            self._clock.time = self._start + number / 10
        self.dropped += number - self.captured
        self.captured = number + 1
        return Shot(scene(), Fraction(number, 10), self._clock.time)

    def close(self) -> None:
        pass


class FakeWindow:
    """Keeps what it is shown."""

    def __init__(self) -> None:
        self.closed = False
        self.shown: list[np.ndarray] = []

    def show(self, picture: np.ndarray) -> None:
        self.shown.append(np.array(picture))

    def pressed(self, time: Fraction) -> list[str]:
        return []

    def close(self) -> None:
        self.closed = True


class Sink:
    """Keeps what it is sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[Fraction, np.ndarray]] = []
        self.cuts = 0

    def send(self, picture: np.ndarray, time: Fraction) -> None:
        self.sent.append((time, picture))

    def cut(self) -> None:
        self.cuts += 1


def empty() -> np.ndarray:
    return np.full((48, 64, 3), PLATE, np.uint8)


def scene() -> np.ndarray:
    """The subject stands on the left."""
    picture = empty()
    picture[10:40, 4:24] = SUBJECT
    return picture


class Rig:
    """A live loop with everything around it replaced."""

    def __init__(self, tmp_path: Path, camera: object, **options: object) -> None:
        self.capture = camera if isinstance(camera, FakeCapture) else Capture(camera)
        targets = options.get("targets", ("green", "white", "none"))
        self.outputs = options.get("outputs") or Sink()
        self.window = FakeWindow()
        self.report = RunSummary({})
        self.journal = Journal(self.report, "fake", tmp_path, save_plates=True)
        self.predictor = FakePredictor()
        self.live = Live(
            capture=self.capture,
            matter=FrameMatter(
                self.predictor,
                HD,
                Preprocess(options.get("preprocess", "auto")),
                keep_attached=bool(options.get("keep_attached", False)),
            ),
            keys=[ScriptedKeys(options.get("keys", ())).pressed],
            backgrounds=Backgrounds(targets, options.get("target", TargetSettings())),
            mirror=options.get("mirror", "preview"),
            outputs=self.outputs,
            window=self.window,
            journal=self.journal,
            taking=PlateSettings(options.get("countdown", 0), options.get("frames", 2)),
            lock=options.get("lock", True),
            faster=options.get("faster"),
        )

    def run(self, plate: np.ndarray | None = None) -> "Rig":
        try:
            self.live.run(lambda: False, plate)
        finally:
            self.capture.close()
        return self


def test_plate_then_every_frame_of_a_clip(tmp_path: Path) -> None:
    camera = FakeCamera([empty()] * 2 + [scene()] * 5)
    rig = Rig(tmp_path, camera).run()
    assert [time for time, _ in rig.outputs.sent] == [Fraction(n, 10) for n in range(2, 7)]
    picture = rig.outputs.sent[0][1]
    np.testing.assert_array_equal(picture[20, 10], SUBJECT)
    np.testing.assert_array_equal(picture[20, 50], (0, 177, 64))
    assert (rig.capture.captured, rig.capture.dropped, rig.live.meter.frames) == (7, 0, 5)
    assert rig.predictor.prepared == 1
    assert camera.calls[-1] == "close"
    assert len(rig.window.shown) == 7, "the countdown is shown as well"


@pytest.mark.parametrize("keep_attached", [False, True])
def test_islands_are_emptied_if_asked_also_after_a_new_plate(
    tmp_path: Path, keep_attached: bool
) -> None:
    dusty = scene()
    dusty[5:8, 51] = SUBJECT
    camera = FakeCamera([empty()] * 2 + [dusty] * 3 + [empty()] * 2 + [dusty] * 3)
    options = {"keep_attached": keep_attached, "keys": ("0.4:b",)}
    rig = Rig(tmp_path, camera, **options).run()
    assert len(rig.outputs.sent) == 6
    for _, picture in rig.outputs.sent:
        np.testing.assert_array_equal(picture[20, 10], SUBJECT)
        np.testing.assert_array_equal(picture[6, 51], (0, 177, 64) if keep_attached else SUBJECT)


def test_lock_at_the_end_of_the_countdown_and_report(tmp_path: Path, capsys) -> None:
    camera = FakeCamera([empty()] * 40)
    rig = Rig(tmp_path, camera, countdown=1, keys=["2:b"]).run()
    assert camera.calls == ["lock", "unlock", "lock", "close"]
    assert rig.journal.entry.details["locks"] == {"focus": True, "exposure": False}
    out = capsys.readouterr().out
    assert "locked: focus" in out
    assert "exposure could not be locked: the driver can't" in out


def test_lock_can_be_declined(tmp_path: Path) -> None:
    camera = FakeCamera([empty()] * 5)
    Rig(tmp_path, camera, lock=False).run()
    assert camera.calls == ["close"]


def test_new_backgrounds_by_key(tmp_path: Path) -> None:
    camera = FakeCamera([scene()] * 8)
    rig = Rig(tmp_path, camera, keys=["0.2:t", "0.4:t", "0.5:1", "0.6:2"]).run(empty())
    corners = [tuple(picture[0, 63]) for _, picture in rig.outputs.sent]
    green, white = (0, 177, 64), (255, 255, 255)
    # A key is heard before the picture that follows the one of its time.
    assert corners[:3] == [green] * 3
    assert corners[3:5] == [white] * 2
    assert corners[5] not in (green, white)
    assert corners[6:] == [green, white]
    assert rig.predictor.prepared == 1


def test_mirror_of_preview_and_of_all(tmp_path: Path) -> None:
    camera = FakeCamera([scene()] * 6)
    rig = Rig(tmp_path, camera, keys=["0:h", "0.1:m", "0.3:m"]).run(empty())
    subject = [
        (tuple(sent[20, 10]) == SUBJECT, tuple(shown[20, 10]) == SUBJECT)
        for (_, sent), shown in zip(rig.outputs.sent, rig.window.shown, strict=True)
    ]
    preview, everything, nothing = (True, False), (False, False), (True, True)
    assert subject == [preview] * 2 + [everything] * 2 + [nothing] * 2


def test_mirror_leaves_the_new_background_readable(tmp_path: Path, photographs) -> None:
    writing = np.zeros((48, 64, 3), np.uint8)
    writing[:, 32:] = 255
    path = photographs.save(tmp_path / "writing.png", writing)
    camera = FakeCamera([scene()] * 2)
    rig = Rig(tmp_path, camera, mirror="all", targets=(str(path),)).run(empty())
    picture = rig.outputs.sent[0][1]
    assert tuple(picture[0, 2]) == (0, 0, 0)
    assert tuple(picture[0, 60]) == (255, 255, 255)
    assert tuple(picture[20, 50]) == SUBJECT


def test_blur_shows_the_plate_mirrored_with_the_subject(tmp_path: Path) -> None:
    plate = empty()
    plate[:, :32] = 0
    frame = plate.copy()
    frame[10:40, 4:24] = SUBJECT
    rig = Rig(tmp_path, FakeCamera([frame] * 2), mirror="all", targets=("blur",)).run(plate)
    picture = rig.outputs.sent[1][1]
    assert tuple(picture[2, 62]) == (0, 0, 0)
    assert tuple(picture[2, 2]) == PLATE


def test_video_behind_goes_on_only_while_it_is_shown(tmp_path: Path, clips) -> None:
    greys = [np.full((48, 64, 3), 50 * n, np.uint8) for n in range(5)]
    path = clips.write(tmp_path / "b.mp4", greys, time_base=Fraction(1, 10), crf="1")
    camera = FakeCamera([scene()] * 7)
    rig = Rig(tmp_path, camera, targets=(str(path), "green"), keys=["0.1:t", "0.4:t"]).run(empty())
    levels = [int(p[0, 63, 0]) for _, p in rig.outputs.sent]
    # The time between two pictures counts for what the second shows.
    wanted = [0, 50, 0, 0, 0, 100, 150]
    assert np.abs(np.array(levels) - wanted).max() <= 4


def test_pause_cuts_and_snapshot_is_transparent_without_background(tmp_path: Path) -> None:
    camera = FakeCamera([scene()] * 10)
    keys = ["0.2:p", "0.5:p", "0.6:3", "0.6:s"]
    rig = Rig(tmp_path, camera, keys=keys).run(empty())
    times = [round(10 * time) for time, _ in rig.outputs.sent]
    assert times == [0, 1, 2, 6, 7, 8, 9]
    assert rig.outputs.cuts == 2
    (name,) = rig.journal.entry.outputs.values()
    picture = np.asarray(Image.open(tmp_path / name))
    assert picture.shape == (48, 64, 4)
    assert (picture[20, 10, 3], picture[20, 50, 3]) == (255, 0)


def test_quit_by_key_and_by_closing_the_window(tmp_path: Path) -> None:
    rig = Rig(tmp_path, FakeCamera([scene()] * 50), keys=["0.3:q"]).run(empty())
    assert len(rig.outputs.sent) == 4
    rig = Rig(tmp_path, FakeCamera([scene()] * 50))
    rig.window.closed = True
    assert rig.run(empty()).outputs.sent == []


def test_plate_of_another_shape_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="different aspect ratios"):
        Rig(tmp_path, FakeCamera([scene()])).run(np.zeros((48, 48, 3), np.uint8))


def test_lost_camera_is_an_error_and_the_recording_whole(tmp_path: Path, clips) -> None:
    path = tmp_path / "talk.mp4"
    camera = FakeCamera([scene()] * 6, CameraError("camera 0 gives no picture any more"))
    outputs = Outputs(path, RecordSettings(preset="ultrafast"), None, camera.facts)
    rig = Rig(tmp_path, camera, outputs=outputs)
    with pytest.raises(CameraError, match="no picture any more"):
        rig.run(empty())
    outputs.close()
    assert clips.times(path) == [Fraction(n, 10) for n in range(6)]


def test_silent_camera_counts_as_lost(tmp_path: Path, clock: FakeClock) -> None:
    camera, hangs = FakeCamera([scene()] * 2), Event()
    read = camera.read
    camera.read = lambda: read() if camera._number < 2 else hangs.wait(5) and None
    rig = Rig(tmp_path, camera)
    rig.capture.take(1)
    rig.capture.take(1)
    clock.step = 1  # second a look, and it is looked once for every vain wait
    with pytest.raises(CameraError, match="no picture for 6 s; is it still plugged in"):
        rig.live.run(lambda: False, empty())
    hangs.set()
    rig.capture.close()


def test_recording_leaves_gaps_out(tmp_path: Path, clips) -> None:
    path = tmp_path / "talk.mp4"
    camera = FakeCamera([scene()] * 10)
    outputs = Outputs(path, RecordSettings(preset="ultrafast"), None, camera.facts)
    Rig(tmp_path, camera, outputs=outputs, keys=["0.2:p", "0.5:p"]).run(empty())
    outputs.close()
    assert clips.times(path) == [Fraction(n, 10) for n in range(7)]


def test_clip_plays_at_its_own_rate(tmp_path: Path, clips) -> None:
    path = clips.write(tmp_path / "a.mp4", clips.moving(5), time_base=Fraction(1, 10))
    camera = ClipCamera(path, "live")
    shots = [camera.read() for _ in range(5)]
    assert [shot.captured for shot in shots] == pytest.approx([100, 100.1, 100.2, 100.3, 100.4])
    assert camera.read() is None
    camera.close()
    camera = ClipCamera(path, "each")
    assert [camera.read().captured for _ in range(5)] == pytest.approx([100.4] * 5)
    camera.close()


def moved_scene(photographs, shift: int) -> tuple[np.ndarray, np.ndarray]:
    """A frame, and its plate from a camera that stood `shift` pixels beside."""
    wide = photographs.plate(240, 320 + shift)
    return photographs.frame(wide[:, shift:]), np.ascontiguousarray(wide[:, :320])


def test_given_plate_is_aligned_by_the_first_picture_as_for_photographs(
    tmp_path: Path, photographs, capsys
) -> None:
    frame, plate = moved_scene(photographs, 6)
    rig = Rig(tmp_path, FakeCamera([frame] * 3), lock=False).run(plate)
    wanted = prepare_plate(frame, plate, Preprocess())
    assert wanted.alignment.applied
    np.testing.assert_array_equal(rig.predictor.picture, wanted.bgr)
    assert rig.predictor.prepared == 3, "it is followed from picture to picture"
    assert "note: the camera moved by up to 6" in capsys.readouterr().out
    assert rig.report.notes == list(wanted.notes)
    details = rig.journal.entry.details
    assert details["alignment"]["applied"]
    assert "camera moved" in details["capture"]["problems"]


FAST = Budget(1 / 6, 40_000)


class SlowPredictor(FakePredictor):
    """Takes a time by the budget's pixels, and another at some frames."""

    def __init__(self, clock: FakeClock, seconds: dict[Budget, float], stalls: float = 0) -> None:
        self.budgets: list[Budget] = []
        self._clock, self._seconds, self._stalls = clock, seconds, stalls

    def predict(self, src: np.ndarray, bgr: np.ndarray, budget: Budget) -> Prediction:
        stalls = len(self.budgets) % 10 == 0
        self.budgets.append(budget)
        self._clock.time += self._stalls if stalls else self._seconds[budget]
        return super().predict(src, bgr, budget)


def run_slowly(
    tmp_path: Path, clock: FakeClock, seconds: float, stalls: float = 0, **options: object
) -> Rig:
    predictor = SlowPredictor(clock, {HD: seconds, FAST: 0.09}, stalls or seconds)
    rig = Rig(tmp_path, FakeCapture(clock, 6), preprocess="none", lock=False, **options)
    rig.predictor = rig.live.matter.predictor = predictor
    return rig.run(empty())


def test_camera_that_is_too_fast_gets_the_faster_budget_once_and_is_told(
    tmp_path: Path, clock: FakeClock, capsys
) -> None:
    rig = run_slowly(tmp_path, clock, 0.25, faster=FAST)
    budgets = rig.predictor.budgets
    assert budgets == [HD] * 6 + [FAST] * (len(budgets) - 6)
    assert len(budgets) > 40
    (note,) = rig.report.notes
    assert "before 6 of the last 6 pictures, others were dropped. Quality fast is used" in note
    assert f"note: {note}" in capsys.readouterr().out


def test_budget_stays_where_the_network_keeps_up_or_stalls_at_times(
    tmp_path: Path, clock: FakeClock
) -> None:
    for seconds, stalls in ((0.09, 0.09), (0.09, 0.95)):
        rig = run_slowly(tmp_path, clock, seconds, stalls, faster=FAST)
        assert set(rig.predictor.budgets) == {HD}
        assert rig.report.notes == []


def test_budget_that_was_chosen_stays_whatever_is_dropped(tmp_path: Path, clock: FakeClock) -> None:
    rig = run_slowly(tmp_path, clock, 0.25)
    assert set(rig.predictor.budgets) == {HD}
    assert rig.capture.dropped > 30
    assert rig.report.notes == []


def test_faster_budget_outlives_a_new_plate(tmp_path: Path, clock: FakeClock) -> None:
    rig = run_slowly(tmp_path, clock, 0.25, faster=FAST, keys=["3:b"])
    assert set(rig.predictor.budgets[6:]) == {FAST}
    assert rig.journal.entry.details["plate"]["frames"] == 2


def test_plate_stays_as_it_is_without_preprocessing(tmp_path: Path, photographs) -> None:
    frame, plate = moved_scene(photographs, 6)
    rig = Rig(tmp_path, FakeCamera([frame] * 3), preprocess="none", lock=False).run(plate)
    np.testing.assert_array_equal(rig.predictor.picture, plate)
    assert rig.report.notes == []
    assert rig.journal.entry.details["capture"] is None


def test_camera_that_is_pushed_while_it_runs_gets_its_plate_aligned(
    tmp_path: Path, photographs
) -> None:
    moved, plate = moved_scene(photographs, 6)
    pictures = [photographs.frame(plate)] * 12 + [moved] * 30
    rig = Rig(tmp_path, FakeCamera(pictures), lock=False).run(plate)
    (note,) = rig.report.notes
    assert "the camera moved by up to 6" in note
    wanted = prepare_plate(moved, plate, Preprocess())
    apart = np.abs(rig.predictor.picture.astype(int) - wanted.bgr)
    assert apart.mean() < 1
    assert rig.journal.entry.details["alignment"]["applied"]


def test_taken_plate_is_checked_again_until_somebody_is_in_the_picture(
    tmp_path: Path, photographs
) -> None:
    plate = photographs.plate(240, 320)
    pictures = [plate] * 35 + [photographs.frame(plate)] * 20
    rig = Rig(tmp_path, FakeCamera(pictures), lock=False).run()
    # The pictures 0, 3, 10, 25 behind the plate and, with the subject in it, 50.
    assert rig.predictor.prepared == 1
    assert rig.report.notes == []
    assert rig.journal.entry.details["capture"]["problems"] == ()


def test_plate_of_an_empty_scene_is_told_of_once(tmp_path: Path, photographs) -> None:
    rig = Rig(tmp_path, FakeCamera([photographs.plate(240, 320)] * 150), lock=False).run()
    assert rig.predictor.prepared == 1
    (note,) = rig.report.notes
    assert "the frame shows only the plate" in note


def test_plate_that_is_taken_again_is_checked_again(tmp_path: Path, photographs) -> None:
    plate = photographs.plate(240, 320)
    pictures = [photographs.plate(240, 320, seed=1)] * 2 + [photographs.frame(plate)] * 5
    pictures += [plate] * 4 + [photographs.frame(plate)] * 5
    rig = Rig(tmp_path, FakeCamera(pictures), keys=["0.6:b"], lock=False).run()
    (note,) = rig.report.notes
    assert "don't show the same scene" in note
    np.testing.assert_array_equal(rig.predictor.picture, plate)
    assert rig.predictor.prepared >= 2
