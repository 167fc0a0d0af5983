"""The library: its lines as README has them, the script's bits, every kind of picture, errors."""

import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from matting import Matte, Matting
from media.pictures import read_picture

ROOT = Path(__file__).resolve().parents[2]
SRC, BGR = (ROOT / "demo" / kind / "lawn.jpg" for kind in ("src", "bgr"))


@pytest.fixture(scope="module")
def matting() -> Matting:
    """With the shipped weights, at the quality that is fast."""
    return Matting.load(device="cpu", quality="auto")


@pytest.fixture(scope="module")
def pair() -> tuple[np.ndarray, np.ndarray]:
    """A small part of a real frame, and of its plate."""
    small = [Image.open(path).resize((480, 360)) for path in (SRC, BGR)]
    return np.asarray(small[0]), np.asarray(small[1])


@pytest.fixture(scope="module")
def matte(matting: Matting, pair: tuple[np.ndarray, np.ndarray]) -> Matte:
    return matting(*pair)


def test_readmes_lines_run_as_written(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = readme[readme.index("## In Python") :]
    lines = re.search(r"```python\n(.*?)```", section, re.DOTALL)[1]
    for name, size in (("frame.jpg", (320, 240)), ("plate.jpg", (320, 240))):
        source = SRC if name.startswith("frame") else BGR
        Image.open(source).resize(size).save(tmp_path / name, quality=95)
    Image.open(BGR).resize((200, 150)).save(tmp_path / "beach.jpg")
    write_clip = (
        "import av\n"
        "with av.open('clip.mp4', 'w') as out:\n"
        "    stream = out.add_stream('libx264', rate=5)\n"
        "    stream.width, stream.height = 320, 240\n"
        "    frame = av.VideoFrame.from_image(__import__('PIL.Image').Image.open('frame.jpg'))\n"
        "    for packet in [*stream.encode(frame), *stream.encode(None)]:\n"
        "        out.mux(packet)\n"
    )
    program = f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n{write_clip}{lines}"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("quality", ["auto", pytest.param("best", marks=pytest.mark.slow)])
def test_gives_the_scripts_bits(matting: Matting, tmp_path: Path, quality: str) -> None:
    script = [sys.executable, ROOT / "inference_images.py", "--images-src", SRC]
    script += ["--images-bgr", BGR, "--output-dir", tmp_path, "--quality", quality]
    script += ["--output-types", "com", "pha", "fgr", "--device", "cpu"]
    subprocess.run(script, check=True, capture_output=True)
    # As the script does with its default of workers: half of the cores for each of two lanes.
    matte = matting(SRC, BGR, quality=quality)
    for kind, picture in (
        ("pha", matte.render("pha")),
        ("fgr", matte.render("fgr")),
        ("com", matte.composite()),
    ):
        written = np.asarray(Image.open(tmp_path / kind / "lawn.png"))
        assert np.array_equal(written, picture), kind


def test_takes_arrays_pillow_pictures_and_files_alike(
    matting: Matting, pair: tuple[np.ndarray, np.ndarray], matte: Matte, tmp_path: Path
) -> None:
    for name, pixels in zip(("src.png", "bgr.png"), pair, strict=True):
        Image.fromarray(pixels).save(tmp_path / name)
    kinds = (
        [Image.fromarray(pixels) for pixels in pair],
        [tmp_path / "src.png", str(tmp_path / "bgr.png")],
        [read_picture(tmp_path / name) for name in ("src.png", "bgr.png")],
    )
    for kind in kinds:
        assert np.array_equal(matting(*kind).alpha, matte.alpha)
    deep = matting(*(pixels.astype(np.uint16) * 257 for pixels in pair))
    assert np.abs(deep.alpha - matte.alpha).max() < 1e-3
    assert matte.alpha.shape == pair[0].shape[:2]
    assert matte.foreground.shape == pair[0].shape
    assert matte.notes == ()


def test_a_call_passes_its_choices_and_leaves_no_trace(
    matting: Matting, pair: tuple[np.ndarray, np.ndarray], matte: Matte
) -> None:
    other = matting(*pair, backbone_scale=0.25, refine_sample_pixels=1600, corrects_alpha=False)
    assert (other.budget.backbone_scale, other.budget.refine_sample_pixels) == (0.25, 1600)
    assert other.prediction.ref.sum() == 1600
    assert matting(*pair, quality="hd").budget.refine_sample_pixels == 80_000
    assert np.array_equal(matting(*pair).alpha, matte.alpha)


def test_threads_share_one_library(
    matting: Matting, pair: tuple[np.ndarray, np.ndarray], matte: Matte
) -> None:
    def alpha(pixels: int | None) -> np.ndarray:
        return matting(*pair, refine_sample_pixels=pixels).alpha

    choices = [None, 160, 1600] * 3
    wanted = {choice: alpha(choice) for choice in set(choices)}
    with ThreadPoolExecutor(4) as pool:
        for choice, got in zip(choices, pool.map(alpha, choices), strict=True):
            assert np.array_equal(got, wanted[choice])


def test_a_prepared_plate_gives_the_same(
    matting: Matting, pair: tuple[np.ndarray, np.ndarray], matte: Matte
) -> None:
    prepared = matting.prepare(*pair)
    assert np.array_equal(matting(pair[0], prepared).alpha, matte.alpha)


def test_what_is_wrong_with_the_capture_stands_in_the_notes(
    matting: Matting, pair: tuple[np.ndarray, np.ndarray]
) -> None:
    moved = np.roll(pair[1], 9, axis=1)
    matte = matting(pair[0], moved)
    assert matte.notes
    assert matting(pair[0], moved, preprocess="none").notes == ()
    small = Image.fromarray(pair[1]).resize((240, 180))
    assert "plate resized to the frame" in matting(pair[0], small).notes


def test_a_clip_is_matted_as_by_the_script(
    matting: Matting, pair: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    folder = tmp_path / "clip"
    folder.mkdir()
    frames = [np.roll(pair[0], 2 * i, axis=1) for i in range(5)]
    for i, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{i:03}.png")
    Image.fromarray(pair[1]).save(tmp_path / "plate.png")
    script = [sys.executable, ROOT / "inference_video.py", "--video-src", folder]
    script += ["--video-bgr", tmp_path / "plate.png", "--output-dir", tmp_path / "out"]
    script += ["--output-format", "image_sequences", "--output-types", "pha", "--device", "cpu"]
    script += ["--temporal-smoothing", "0.4"]
    subprocess.run(script, check=True, capture_output=True)
    written = sorted((tmp_path / "out" / "pha").iterdir())
    for source in (str(folder), iter(frames)):
        mattes = list(matting.video(source, pair[1], smoothing=0.4))
        assert len(mattes) == len(written) == 5
        for path, matte in zip(written, mattes, strict=True):
            assert np.array_equal(np.asarray(Image.open(path)), matte.render("pha"))
    with pytest.raises(ValueError, match=r"smoothing must lie in \[0, 0.95\], got 1"):
        next(matting.video(iter(frames), pair[1], smoothing=1))


@pytest.mark.parametrize(
    "target", ["green", (0, 177, 64), "blur", "picture.png", "path", "array", "pillow"]
)
def test_composites_over_whatever_is_named(matte: Matte, tmp_path: Path, target: object) -> None:
    green = np.broadcast_to(np.array([0, 177, 64], np.uint8), (90, 120, 3))
    if target == "picture.png":
        Image.fromarray(green).save(tmp_path / "picture.png")
        target = str(tmp_path / "picture.png")
    elif target == "path":
        Image.fromarray(green).save(tmp_path / "picture.png")
        target = tmp_path / "picture.png"
    elif target in ("array", "pillow"):
        target = green if target == "array" else Image.fromarray(green)
    com = matte.composite(target)
    assert com.shape == (*matte.alpha.shape, 3)
    assert com.dtype == np.uint8
    empty = matte.alpha == 0
    assert empty.any()
    if isinstance(target, str) and target == "blur":
        plate = matte.preparation.bgr[empty].mean(0)
        assert np.abs(com[empty].mean(0) - plate).max() < 10  # levels; a blur moves colours a bit
    else:
        assert (com[empty] == (0, 177, 64)).all()
    solid = matte.alpha == 1
    assert np.abs(com[solid] - matte.foreground[solid] * 255).max() <= 0.51  # rounding


def test_without_a_target_the_composite_is_transparent(matte: Matte) -> None:
    com = matte.composite(bit_depth=16)
    assert com.dtype == np.uint16
    assert np.array_equal(com[..., 3], matte.render("pha", bit_depth=16))


@pytest.mark.parametrize(
    ("src", "bgr", "message"),
    [
        (np.zeros((8, 8, 3), np.float32), None, r"uint8 or uint16 in RGB.*got ndarray.*float32"),
        (np.zeros((8, 8), np.uint8), None, r"array \(H, W, 3\)"),
        ("missing.png", None, "missing.png: can't be read"),
        (None, np.zeros((100, 400, 3), np.uint8), "different aspect ratios"),
        (3, None, "got int"),
    ],
)
def test_wrong_pictures_are_refused(
    matting: Matting,
    pair: tuple[np.ndarray, np.ndarray],
    src: object,
    bgr: object,
    message: str,
) -> None:
    with pytest.raises(ValueError, match=message):
        matting(pair[0] if src is None else src, pair[1] if bgr is None else bgr)


def test_mirrored_and_reused_arrays_are_taken_as_they_are(
    matting: Matting, pair: tuple[np.ndarray, np.ndarray], matte: Matte
) -> None:
    flipped = [np.ascontiguousarray(pixels[:, ::-1]) for pixels in pair]
    got = matting(*(pixels[:, ::-1] for pixels in pair)).alpha
    assert np.array_equal(got, matting(*flipped).alpha)

    def frames() -> Iterator[np.ndarray]:
        buffer = np.empty_like(pair[0])
        for pixels in (pair[0], pair[1]) * 3:
            buffer[:] = pixels
            yield buffer

    means = [m.alpha.mean() for m in matting.video(frames(), pair[1], preprocess="none")]
    assert all(mean > 0.01 for mean in means[::2])
    assert all(mean < 0.001 for mean in means[1::2]), "a plate before itself has no subject"


def test_wrong_choices_are_refused(
    matting: Matting, pair: tuple[np.ndarray, np.ndarray], matte: Matte, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="must be auto, best, hd or 4k"):
        matting(*pair, quality="worst")
    with pytest.raises(ValueError, match="at most 0.5, got 0.7"):
        matting(*pair, backbone_scale=0.7)
    with pytest.raises(ValueError, match="must be one of .*auto.*got 'worst'"):
        Matting.load(quality="worst")
    for call in (matting, matting.prepare):
        with pytest.raises(ValueError, match="preprocess must be one of .*got 'Auto'"):
            call(*pair, preprocess="Auto")
    with pytest.raises(ValueError, match="preprocess must be one of .*got None"):
        next(matting.video([pair[0]], pair[1], preprocess=None))
    with pytest.raises(ValueError, match=r"a picture must be an array .*float64"):
        next(matting.video([pair[0] / 255], pair[1]))
    with pytest.raises(ValueError, match=r"from 0 to 255; got \(300, 0, 0\)"):
        matte.composite((300, 0, 0))
    with pytest.raises(ValueError, match="neither blur, nor a colour"):
        matte.composite("nothing of the kind")
    with pytest.raises(ValueError, match="does not exist"):
        Matting.load(tmp_path / "nothing.safetensors")
    with pytest.raises(ValueError, match="key 'device'"):
        Matting.load(device="tpu")
