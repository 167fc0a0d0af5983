"""What a live run is made of: plate, capture, driver, keys, meter, outputs that are missing."""

import io
import sys
import time
from fractions import Fraction
from pathlib import Path
from threading import Event
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image

from matting.video.target import TargetSettings
from matting.webcam.camera import (
    CameraError,
    CameraFacts,
    CameraSettings,
    ClipCamera,
    DriverCamera,
    Shot,
    open_camera,
)
from matting.webcam.capture import Capture
from matting.webcam.controls import Backgrounds, ScriptedKeys, checkerboard, choose_keys
from matting.webcam.outputs import Outputs, RecordSettings, open_virtual_camera
from matting.webcam.plate import PlateSettings, PlateTaker
from matting.webcam.summary import Meter
from matting.webcam.window import draw_text, open_window

FACTS = CameraFacts("fake", 48, 64, Fraction(25))


def take(settings: PlateSettings, pictures: list[np.ndarray], step: Fraction = Fraction(1, 10)):
    """Hands pictures to a plate taker; the plate, and the texts on the way."""
    taker, texts = PlateTaker(settings), []
    for number, pixels in enumerate(pictures):
        plate = taker.add(Shot(pixels, number * step, 0.0))
        if plate is not None:
            return plate, texts
        texts.append(taker.text)
    return None, texts


def noisy(count: int, sigma: float = 6) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    scene = np.full((96, 128, 3), 100.4)
    noise = generator.normal(0, sigma, (count, *scene.shape))
    return list((scene + noise).round().clip(0, 255).astype(np.uint8))


def test_countdown_waits_then_lets_the_camera_settle() -> None:
    pictures = [np.full((48, 64, 3), n, np.uint8) for n in range(60)]
    plate, texts = take(PlateSettings(countdown=2, frames=3), pictures)
    assert texts[0] == "Step out of the picture: plate in 2"
    assert texts[10] == "Step out of the picture: plate in 1"
    assert texts[-1] == "Taking the plate, keep out: 2 of 3"
    # 2 s, and half a second to settle: the frames 25, 26, 27.
    assert np.unique(plate.pixels).tolist() == [26]


def test_mean_lowers_noise_by_the_root_of_the_frames() -> None:
    plate, _ = take(PlateSettings(countdown=0, frames=16), noisy(16))
    error = plate.pixels.astype(float) - 100.4
    # 6 / sqrt(16), a little more without the extremes, and rounding's 1/sqrt(12).
    assert error.std() == pytest.approx(1.5, abs=0.2)
    assert abs(error.mean()) < 0.1
    assert (plate.frames, plate.notes) == (16, ())


def test_what_flits_by_leaves_no_trace_but_a_note() -> None:
    pictures = noisy(16, 1)
    pictures[7][24:40, 32:48] = 255
    plate, _ = take(PlateSettings(countdown=0, frames=16), pictures)
    assert np.abs(plate.pixels.astype(int) - 100).max() <= 2
    assert plate.moved == pytest.approx(16 * 16 / (96 * 128))
    assert "something moved" in plate.notes[0]
    assert "key b" in plate.notes[0]


def test_changed_light_is_told() -> None:
    pictures = [np.full((48, 64, 3), 100 + 3 * n, np.uint8) for n in range(10)]
    plate, _ = take(PlateSettings(countdown=0, frames=10), pictures)
    assert "the light changed or the camera moved" in plate.notes[0]


class Gate:
    """A live camera whose pictures come when the test says so."""

    facts = FACTS

    def __init__(self, count: int) -> None:
        self.count, self.given, self.open = count, 0, Event()
        self.done = Event()

    def read(self) -> Shot | None:
        if self.given == 1:
            self.done.set()
            self.open.wait(5)
        if self.given == self.count:
            return None
        self.given += 1
        return Shot(np.full((2, 2, 3), self.given, np.uint8), Fraction(self.given), 0.0)

    def close(self) -> None:
        self.done.set()


def test_only_the_newest_picture_is_kept() -> None:
    gate = Gate(9)
    capture = Capture(gate)
    assert gate.done.wait(5)
    assert capture.take(5).time == 1
    assert capture.take(0.01) is None
    assert not capture.ended
    gate.done.clear()
    gate.open.set()
    assert gate.done.wait(5)
    assert capture.take(5).time == 9
    assert (capture.captured, capture.dropped, capture.ended) == (9, 7, True)
    capture.close()


def test_unexpected_error_names_the_camera() -> None:
    def fail() -> None:
        raise RuntimeError("bang")

    capture = Capture(SimpleNamespace(facts=FACTS, read=fail, close=lambda: None))
    with pytest.raises(CameraError, match=r"fake: RuntimeError\('bang'\)"):
        capture.take(5)
    assert not capture.ended
    capture.close()


class FakeVideoCapture:
    """What OpenCV's would be, with a driver that keeps what it can."""

    def __init__(self, fixed: dict[int, float], pictures: int = 3, backend: str = "V4L2") -> None:
        self.values = {cv2.CAP_PROP_FPS: 30.0} | fixed
        self.refused: set[int] = set()
        self.fixed, self.pictures, self.backend = set(fixed), pictures, backend
        self.released = False

    def isOpened(self) -> bool:  # noqa: N802
        return self.pictures >= 0

    def read(self) -> tuple[bool, np.ndarray | None]:
        self.pictures -= 1
        picture = np.zeros((48, 64, 3), np.uint8)
        picture[..., 0] = 200  # blue in OpenCV's order
        return self.pictures >= 0, picture if self.pictures >= 0 else None

    def set(self, key: int, value: float) -> bool:
        if key in self.refused:
            return False
        if key not in self.fixed:
            self.values[key] = value
        return True

    def get(self, key: int) -> float:
        return self.values.get(key, -1.0)

    def getBackendName(self) -> str:  # noqa: N802
        return self.backend

    def release(self) -> None:
        self.released = True


@pytest.fixture
def open_driver(monkeypatch: pytest.MonkeyPatch):
    def open_(capture: FakeVideoCapture, **settings: object) -> DriverCamera:
        monkeypatch.setattr(cv2, "VideoCapture", lambda number: capture if number == 0 else None)
        return DriverCamera("0", CameraSettings(**settings))

    return open_


def test_driver_tells_what_it_gives(open_driver) -> None:
    camera = open_driver(FakeVideoCapture({cv2.CAP_PROP_FPS: 10.0}))
    assert (camera.facts.height, camera.facts.width, camera.facts.rate) == (48, 64, 10)
    assert camera.facts.notes == (
        "the camera gives 64 x 48 pixels instead of 1280 x 720",
        "the camera gives 10 frames/s instead of 30; --camera-format MJPG may be faster",
    )
    shot = camera.read()
    assert tuple(shot.pixels[0, 0]) == (0, 0, 200)
    assert shot.time == 0


def test_locks_are_read_back(open_driver) -> None:
    capture = FakeVideoCapture({cv2.CAP_PROP_AUTO_WB: 1.0})
    capture.values[cv2.CAP_PROP_AUTO_EXPOSURE] = 3.0
    capture.values[cv2.CAP_PROP_EXPOSURE] = 156.0
    capture.refused = {cv2.CAP_PROP_AUTOFOCUS}
    camera = open_driver(capture)
    assert camera.lock() == {
        "focus": "the driver (V4L2) does not support it",
        "exposure": None,
        "white balance": "the driver (V4L2) returns 1, not 0",
    }
    assert capture.values[cv2.CAP_PROP_AUTO_EXPOSURE] == 1.0
    assert capture.values[cv2.CAP_PROP_EXPOSURE] == 156.0
    camera.unlock()
    assert capture.values[cv2.CAP_PROP_AUTO_EXPOSURE] == 3.0


def test_driver_that_fails_is_told(open_driver) -> None:
    with pytest.raises(CameraError, match="camera 0 can't be opened: is it plugged in"):
        open_driver(FakeVideoCapture({}, -1))
    capture = FakeVideoCapture({}, 0)
    with pytest.raises(CameraError, match="opened but gives no picture"):
        open_driver(capture)
    assert capture.released
    camera = open_driver(FakeVideoCapture({}, 2))
    camera.read()
    with pytest.raises(CameraError, match="stopped giving pictures after 1 frames"):
        camera.read()


def test_names_of_cameras(tmp_path: Path, clips, monkeypatch: pytest.MonkeyPatch) -> None:
    def driver(name: str, *rest: object) -> str:
        return f"driver {name}"

    settings = CameraSettings()
    monkeypatch.setattr("matting.webcam.camera.DriverCamera", driver)
    assert open_camera("0", settings) == "driver 0"
    assert open_camera("rtsp://a/b", settings) == "driver rtsp://a/b"
    clip = clips.write(tmp_path / "a.mp4", clips.moving(2))
    camera = open_camera(str(clip), settings)
    assert isinstance(camera, ClipCamera)
    camera.close()
    with pytest.raises(CameraError, match="--camera nope.mp4 is neither the number of a camera"):
        open_camera("nope.mp4", settings)


def test_deep_clip_becomes_eight_bits(tmp_path: Path, clips) -> None:
    ramp = np.full((48, 64, 3), 100 * 257, np.uint16)
    path = clips.write(tmp_path / "a.mkv", [ramp], pixel_format="yuv444p10le", crf="1")
    camera = ClipCamera(path, "each")
    pixels = camera.read().pixels
    camera.close()
    assert pixels.dtype == np.uint8
    assert np.abs(pixels.astype(int) - 100).max() <= 1


def test_pixels_of_a_clip_become_square(tmp_path: Path, clips) -> None:
    tags = {"sample_aspect_ratio": Fraction(4, 3)}
    path = clips.write(tmp_path / "a.mp4", clips.moving(2), tags=tags)
    camera = ClipCamera(path, "each")
    assert (camera.facts.width, camera.facts.height) == (85, 48)
    assert camera.read().pixels.shape == (48, 85, 3)
    camera.close()


def test_animated_background_moves(tmp_path: Path) -> None:
    pictures = [Image.new("RGB", (64, 48), colour) for colour in ("red", "blue")]
    path = tmp_path / "a.webp"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=200, lossless=True)
    backgrounds = Backgrounds([str(path)], TargetSettings())
    bgr = np.zeros((48, 64, 3), np.uint8)
    found = [backgrounds.at(Fraction(time, 10), bgr)[0, 0].tolist() for time in (0, 1, 3, 5)]
    assert found == [[1, 0, 0], [1, 0, 0], [0, 0, 1], [1, 0, 0]]


def test_keys_come_at_their_time_and_once() -> None:
    keys = ScriptedKeys(["2:q", "0.5:t", "0.5:m"])
    assert keys.pressed(Fraction(0)) == []
    assert keys.pressed(Fraction(1)) == ["m", "t"]
    assert keys.pressed(Fraction(1)) == []
    assert keys.pressed(Fraction(3)) == ["q"]


@pytest.mark.parametrize("press", ["t", "1:x", "-1:t", "1/0:t", "soon:t"])
def test_keys_that_make_no_sense_are_refused(press: str) -> None:
    with pytest.raises(ValueError, match="must be a time in seconds and a key"):
        ScriptedKeys([press])


def test_meter_counts_latency_and_leaves_gaps_out() -> None:
    meter = Meter()
    assert meter.describe()["latency_p50_ms"] is None
    for number in range(11):
        meter.add(number * 0.1, number * 0.1 + 0.02)
    meter.cut()
    meter.add(60.0, 60.12)
    assert meter.describe() == {
        "frames": 12,
        "frames_per_second": 10.0,
        "latency_p50_ms": 20.0,
        "latency_p95_ms": pytest.approx(65.0, abs=0.1),  # between 20 and 120, interpolated
    }
    meter.add(60.2, 60.26)
    assert meter.text == "90 ms  7.1 frames/s"


def test_text_is_drawn_on_a_copy() -> None:
    picture = np.full((240, 320, 3), 128, np.uint8)
    drawn = draw_text(picture[:, ::-1], ["12 ms  30.0 frames/s", "caf\u00e9"])
    assert (picture == 128).all()
    assert drawn.shape == picture.shape
    assert drawn[:30].max() > 240
    assert (drawn[60:] == 128).all()


def test_checkerboard() -> None:
    board = checkerboard(100, 200)
    assert board.shape == (100, 200, 3)
    assert board[0, 0, 0] == board[4, 4, 0] == 1
    assert board[0, 4, 0] == board[4, 0, 0] == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("texts", "loop", "message"),
    [
        ((), "loop", "at least one new background"),
        (("green",), "stop", "a camera takes loop or hold"),
        (("gren",), "loop", "neither blur, nor a colour"),
    ],
)
def test_backgrounds_that_make_no_sense_are_refused(texts, loop, message) -> None:
    with pytest.raises(ValueError, match=message):
        Backgrounds(texts, TargetSettings(loop=loop))


def test_missing_virtual_camera_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    with pytest.raises(ValueError, match="needs the package pyvirtualcam; run `pip install"):
        open_virtual_camera("auto", FACTS)

    def refuse(**options: object) -> None:
        raise RuntimeError("no v4l2loopback device")

    monkeypatch.setitem(sys.modules, "pyvirtualcam", SimpleNamespace(Camera=refuse))
    with pytest.raises(ValueError, match="--virtual-camera auto can't be opened: no v4l2loop"):
        open_virtual_camera("auto", FACTS)


def test_virtual_camera_gets_the_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[np.ndarray] = []
    made: list[dict] = []

    def make(**options: object) -> SimpleNamespace:
        made.append(options)
        return SimpleNamespace(device="/dev/video9", send=sent.append, close=lambda: None)

    monkeypatch.setitem(sys.modules, "pyvirtualcam", SimpleNamespace(Camera=make))
    outputs = Outputs(None, RecordSettings(), "/dev/video9", FACTS)
    outputs.send(np.zeros((48, 64, 3), np.uint8), Fraction(0))
    outputs.close()
    assert made == [{"width": 64, "height": 48, "fps": 25.0, "device": "/dev/video9"}]
    assert len(sent) == 1


def test_missing_window_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.setitem(sys.modules, "tkinter", None)
    window, notes = open_window("auto", other_outputs=True)
    assert window is None
    assert "no preview: a preview window needs tkinter" in notes[0]
    for preview, others in (("auto", False), ("yes", True)):
        with pytest.raises(ValueError, match="--preview no and --record"):
            open_window(preview, others)
    with pytest.raises(ValueError, match="there would be no output; add --record"):
        open_window("no", other_outputs=False)
    assert open_window("no", other_outputs=True) == (None, [])


class FakeTk:
    """What tkinter's window and label would be."""

    def __init__(self, *args: object, **options: object) -> None:
        self.bound: dict[str, object] = {}

    def bind(self, event: str, heard: object) -> None:
        self.bound[event] = heard

    protocol = bind

    def __getattr__(self, name: str) -> object:
        return lambda *args, **options: None


def test_window_shows_hears_keys_and_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    root, shown = FakeTk(), []

    class Photo:
        def __init__(self, image: Image.Image, master: object) -> None:
            self.paste(image)

        def paste(self, image: Image.Image) -> None:
            shown.append(image.size)

    fake = SimpleNamespace(Tk=lambda: root, Label=FakeTk, TclError=RuntimeError)
    monkeypatch.setitem(sys.modules, "tkinter", fake)
    monkeypatch.setitem(sys.modules, "PIL.ImageTk", SimpleNamespace(PhotoImage=Photo))
    monkeypatch.setattr("PIL.ImageTk", SimpleNamespace(PhotoImage=Photo), raising=False)
    window, notes = open_window("yes", other_outputs=False)
    assert notes == []
    for _ in range(2):
        window.show(np.zeros((48, 64, 3), np.uint8))
    assert shown == [(64, 48)] * 2
    root.bound["<Key>"](SimpleNamespace(keysym="Escape"))
    assert window.pressed(Fraction(0)) == ["escape"]
    assert window.pressed(Fraction(0)) == []
    assert not window.closed
    root.bound["WM_DELETE_WINDOW"]()
    assert window.closed


def test_typed_lines_are_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO("T\nmq\n")
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stdin", terminal)
    scripted = ScriptedKeys([]).pressed
    (typed, _), where = choose_keys(scripted, None)
    assert where == "here, then Enter"
    deadline, keys = time.monotonic() + 5, []
    while len(keys) < 3 and time.monotonic() < deadline:
        keys += typed(Fraction(0))
    assert keys == ["t", "m", "q"]
    terminal.isatty = lambda: False
    assert choose_keys(scripted, None) == ([scripted], "only --keys; Ctrl-C ends")
    assert choose_keys(scripted, typed) == ([typed, scripted], "in the window")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (lambda: CameraSettings(size=(0, 1)), "greater than or equal to 1, got 0"),
        (lambda: CameraSettings(rate=0), "'rate': Input should be greater than 0"),
        (lambda: CameraSettings(format="MJPEG"), "'format'.* at most 4 characters, got 'MJPEG'"),
        (lambda: PlateSettings(countdown=-1), "'countdown': .*greater than or equal to 0"),
        (lambda: PlateSettings(frames=0), "'frames': .*greater than or equal to 1"),
        (lambda: RecordSettings().encoding(Path("a.avi")), "must be one of .mp4, .mov, .webm"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        settings()
