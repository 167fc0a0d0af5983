"""Videos whose plate is not as it should be, from real photographs: mended or told."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
CLIP = ROOT.parent / "shared" / "data" / "video" / "static_camera.avi"
PAIRS = ROOT.parent / "shared" / "data" / "real_pairs"
FRAMES = 8

pytestmark = pytest.mark.slow


def read(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


def shift(picture: np.ndarray, across: float) -> np.ndarray:
    move = np.array([[1, 0, across], [0, 1, 0]], float)
    size = (picture.shape[1], picture.shape[0])
    return cv2.warpAffine(picture, move, size, borderMode=cv2.BORDER_REFLECT)


def save_clip(folder: Path, frames: list[np.ndarray]) -> Path:
    folder.mkdir()
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{number:03}.png")
    return folder


def film(name: str) -> list[np.ndarray]:
    """A photograph of the demo, with new noise in every frame."""
    picture, generator = read(ROOT / "demo" / "src" / f"{name}.jpg"), np.random.default_rng(0)
    noise = generator.normal(0, 1.5, (FRAMES, *picture.shape))
    return [np.clip(np.rint(picture + one), 0, 255).astype(np.uint8) for one in noise]


def matte(run_video, src: Path, out: Path, *flags: object) -> tuple[np.ndarray, dict]:
    """Alpha (N, H, W) in [0, 1] of each frame, and the clip's entry in the summary."""
    run_video(
        *("--video-src", src, "--output-dir", out, "--output-types", "pha", *flags),
        *("--output-format", "image_sequences"),
        timeout=600,
    ).check(0)
    alphas = [np.asarray(Image.open(path)) / 255 for path in sorted((out / "pha").iterdir())]
    entry = json.loads((out / "summary.json").read_text("utf-8"))["images"][0]
    return np.stack(alphas), entry


@pytest.mark.parametrize("name", ["portrait", "walk"])
def test_plate_moved_by_12_pixels_is_aligned(tmp_path: Path, run_video, name: str) -> None:
    """Mean alpha was 0.84 without a word; as with the plate in its place, it is 0.2 and 0.03."""
    src = save_clip(tmp_path / "src", film(name))
    plate = read(ROOT / "demo" / "bgr" / f"{name}.jpg")
    Image.fromarray(plate).save(tmp_path / "good.png")
    Image.fromarray(shift(plate, 12)).save(tmp_path / "moved.png")
    good, quiet = matte(run_video, src, tmp_path / "good", "--video-bgr", tmp_path / "good.png")
    moved, told = matte(run_video, src, tmp_path / "moved", "--video-bgr", tmp_path / "moved.png")
    assert quiet["notes"] == []
    assert "the camera moved by up to 12" in told["notes"][0]
    assert told["details"]["alignment"]["frames"].keys() == {"aligned", "still"}
    difference = np.abs(moved - good).mean(axis=(1, 2))
    print(name, good.mean(), difference.max())
    assert difference.max() < 0.003


def test_plate_of_another_crop_is_told(tmp_path: Path, run_video) -> None:
    src = save_clip(tmp_path / "src", film("portrait"))
    plate = Image.fromarray(read(ROOT / "demo" / "bgr" / "portrait.jpg"))
    width, height = plate.size
    box = (width // 3, height // 3, width // 3 + width // 2, height // 3 + height // 2)
    plate.resize(plate.size, box=box).save(tmp_path / "crop.png")
    flags = ("--video-bgr", tmp_path / "crop.png")
    pha, entry = matte(run_video, src, tmp_path / "out", *flags)
    assert pha.mean() > 0.9, "what the note is for"
    assert "don't show the same scene" in entry["notes"][0]
    _, entry = matte(run_video, src, tmp_path / "none", *flags, "--preprocess", "none")
    assert entry["notes"] == []


@pytest.mark.skipif(not CLIP.is_file(), reason="needs ../shared/data/video")
def test_people_in_the_plate_are_told_and_a_median_is_not_doubted(tmp_path, run_video) -> None:
    capture = cv2.VideoCapture(str(CLIP))
    frames = [cv2.cvtColor(capture.read()[1], cv2.COLOR_BGR2RGB) for _ in range(60)]
    src = save_clip(tmp_path / "src", frames)
    _, entry = matte(run_video, src, tmp_path / "first", "--bgr-from-frame", 0)
    assert any("the plate has a subject in it" in note for note in entry["notes"])
    whole = ("--video-bgr", tmp_path / "plate.png")
    middle = np.median(np.stack(frames[::2]), axis=0).astype(np.uint8)
    Image.fromarray(middle).save(tmp_path / "plate.png")
    auto, entry = matte(run_video, src, tmp_path / "auto", *whole)
    assert not {"camera moved", "exposure changed", "white balance changed"} & set(
        entry["details"]["capture"]["problems"]
    )
    none, _ = matte(run_video, src, tmp_path / "none", *whole, "--preprocess", "none")
    np.testing.assert_array_equal(auto, none)


@pytest.mark.skipif(not PAIRS.is_dir(), reason="needs ../shared/data/real_pairs")
def test_hand_held_photographs_as_a_clip(tmp_path: Path, run_video) -> None:
    """Two frames of one clip, 960 x 540: each is found, though nothing asks for alignment."""
    size = (960, 540)
    frames = [
        cv2.resize(read(PAIRS / f"{name}_src.png"), size, interpolation=cv2.INTER_AREA)
        for name in ("0001", "0500")
    ]
    src = save_clip(tmp_path / "src", frames)
    pha, entry = matte(run_video, src, tmp_path / "out", "--video-bgr", PAIRS / "plate.png")
    assert any("the plate is aligned" in note for note in entry["notes"])
    for name, alpha in zip(("0001", "0500"), pha, strict=True):
        true = cv2.resize(read(PAIRS / f"{name}_reference.png")[..., 0], size) / 255
        error = np.abs(alpha - true).mean()
        print(f"{name}: {error:.4f} from the reference")
        assert error < 0.01
