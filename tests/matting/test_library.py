"""The library: the script's bits, every kind of picture, errors."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from matting import Matte, Matting
from matting.pictures.given import open_picture
from media.pictures import read_picture
from media.profiles import bring, build_profile

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


@pytest.mark.slow
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
    script += ["--temporal-smoothing", "0.4", "--keep-attached"]
    subprocess.run(script, check=True, capture_output=True)
    written = sorted((tmp_path / "out" / "pha").iterdir())
    for source in (str(folder), iter(frames)):
        mattes = list(matting.video(source, pair[1], smoothing=0.4, keep_attached=True))
        assert len(mattes) == len(written) == 5
        for path, matte in zip(written, mattes, strict=True):
            assert np.array_equal(np.asarray(Image.open(path)), matte.render("pha"))
    with pytest.raises(ValueError, match=r"smoothing must lie in \[0, 0.95\], got 1"):
        next(matting.video(iter(frames), pair[1], smoothing=1))


def test_arguments_of_a_clip_are_checked_at_the_call(
    matting: Matting, pair: tuple[np.ndarray, np.ndarray], tmp_path: Path, clips
) -> None:
    clip = clips.write(tmp_path / "a.mp4", clips.moving(2))
    for arguments, choices, message in (
        ((tmp_path / "no.mp4", pair[1]), {}, r"no\.mp4: no such file"),
        (([pair[0]], tmp_path / "no.png"), {}, "no.png"),
        (([pair[0]], pair[1]), {"smoothing": 2}, "smoothing must lie in"),
        (([pair[0]], pair[1]), {"quality": "worst"}, "quality must be"),
        (([pair[0]], pair[1]), {"backbone_scale": 3}, "backbone_scale must be a number above 0"),
        ((clip, clips.moving(1, 48, 96)[0]), {}, "different aspect ratios"),
    ):
        with pytest.raises(ValueError, match=message):
            matting.video(*arguments, **choices)


def test_a_frame_of_another_size_is_named_by_its_number(
    matting: Matting, pair: tuple[np.ndarray, np.ndarray]
) -> None:
    frames = [pair[0], pair[0], pair[0][:-2]]
    with pytest.raises(ValueError, match=r"frame 2 has \d+ x \d+ pixels, those before"):
        list(matting.video(frames, pair[1]))


def test_pixels_of_a_clip_become_square(matting: Matting, tmp_path: Path, clips) -> None:
    tags = {"sample_aspect_ratio": Fraction(4, 3)}
    clip = clips.write(tmp_path / "a.mp4", clips.moving(2), tags=tags)
    for width in (64, 85):  # a plate as stored, and as shown
        plate = np.asarray(Image.fromarray(clips.moving(1)[0]).resize((width, 48)))
        assert [m.alpha.shape for m in matting.video(clip, plate)] == [(48, 85)] * 2


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
    with pytest.raises(ValueError, match="must be auto, best, fast, hd or 4k"):
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


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (3, "new background: a picture must be an array .*got int"),
        ({}, "got dict"),
        ([0, 0, 0], "new background: a picture must be an array"),
        (np.zeros((4, 4), np.uint8), "for grey pixels, pass"),
        (np.zeros((4, 4, 4), np.uint8), "for RGBA, pass"),
        (np.zeros((4, 4, 3)), "float64"),
        (np.zeros((0, 4, 3), np.uint8), "without pixels"),
        ("", "the name is empty"),
        (Path("demo"), "not a file but a folder"),
        ("demo", "must be one picture, not the folder demo"),
        ((0, 0), "integers from 0 to 255"),
        ((0, 0, 0.5), "integers from 0 to 255"),
        (("a", 0, 0), "integers from 0 to 255"),
        ((0, 0, 256), "integers from 0 to 255"),
        (Image.new("F", (4, 4)), "32 bits per channel .mode F."),
    ],
)
def test_wrong_new_backgrounds_are_refused_in_the_librarys_words(
    matte: Matte, target: object, message: str
) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        matte.composite(target)
    assert "--" not in str(caught.value)


@pytest.mark.parametrize(
    ("target", "bit_depth", "message"),
    [
        ("green", 8, "target must be a result of render_target"),
        (np.zeros((4, 4, 3), np.float32), 8, r"got one of shape \(4, 4, 3\)"),
        (np.full((480, 640, 3), 2, np.float32), 8, "got "),
        (None, 12, "bit_depth must be 8 or 16, got 12"),
    ],
)
def test_wrong_renderings_are_refused(
    matte: Matte, target: object, bit_depth: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        matte.render("com", target, bit_depth)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"backbone_scale": "x"}, "backbone_scale must be a number .* at most 0.5, got 'x'"),
        ({"backbone_scale": float("nan")}, "at most 0.5, got nan"),
        ({"backbone_scale": True}, "got True"),
        ({"refine_sample_pixels": -1}, "integer of 0 or more, got -1"),
        ({"refine_sample_pixels": 1.5}, "got 1.5"),
        ({"corrects_alpha": "no"}, "corrects_alpha must be True or False, got 'no'"),
    ],
)
def test_choices_of_a_wrong_type_are_refused(
    matting: Matting, pair: tuple[np.ndarray, np.ndarray], choices: dict, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        matting(*pair, **choices)


def test_loading_and_smoothing_take_no_nonsense(
    matting: Matting, pair: tuple[np.ndarray, np.ndarray]
) -> None:
    for checkpoint in (None, 3, ""):
        with pytest.raises(ValueError, match="checkpoint must be the path of weights"):
            Matting.load(checkpoint)
    for smoothing in ("a", None, float("nan")):
        with pytest.raises(ValueError, match="smoothing must lie in"):
            next(matting.video(iter(pair), pair[1], smoothing=smoothing))
    for keep in (None, 1, "no"):
        with pytest.raises(ValueError, match="keep_attached must be True or False, got"):
            next(matting.video(iter(pair), pair[1], keep_attached=keep))


def test_pillow_pictures_are_treated_as_their_files(
    matting: Matting, pair: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    wide = build_profile((0.3127, 0.329), (0.68, 0.32, 0.265, 0.69, 0.15, 0.06), 2.2)
    pixels = bring(pair[0], None, wide)
    Image.fromarray(pixels).save(tmp_path / "a.png", icc_profile=wide)
    from_file = matting(tmp_path / "a.png", pair[1])
    with Image.open(tmp_path / "a.png") as image:
        from_pillow = matting(image, pair[1])
    assert from_file.icc_profile == from_pillow.icc_profile == wide
    assert np.array_equal(from_file.alpha, from_pillow.alpha)
    assert from_file.notes == from_pillow.notes
    assert from_file.notes[0] == "plate converted to the colour profile of the frame"
    # The network sees other numbers for the same colours; unconverted, it was 0.05 and more.
    assert np.abs(from_file.alpha - matting(*pair).alpha).mean() <= 0.005
    green = from_file.composite((0, 128, 0))
    assert np.abs(bring(green, wide, None)[from_file.alpha == 0] - [0, 128, 0]).max() <= 2


def test_pillow_modes_are_right_or_refused() -> None:
    colours = np.random.default_rng(0).integers(40, 200, (20, 30, 3), np.uint8)
    image = Image.fromarray(colours)
    spaces = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    lab = ImageCms.profileToProfile(image, *spaces, 1, "LAB")
    assert np.abs(open_picture(lab).pixels.astype(int) - colours).mean() <= 1  # 8 bits of Lab
    for mode in ("YCbCr", "RGBA", "RGBX", "HSV"):
        off = open_picture(image.convert(mode)).pixels.astype(int) - colours
        assert np.abs(off).mean() <= 3, mode  # HSV has 256 hues
    assert "CMYK without" in open_picture(image.convert("CMYK")).notes[0]
    for mode in ("I", "F"):
        with pytest.raises(ValueError, match=f"mode {mode}"):
            open_picture(Image.new(mode, (4, 4)))


def test_the_order_of_bytes_of_an_array_does_not_count() -> None:
    deep = np.arange(2 * 3 * 3, dtype=np.uint16).reshape(2, 3, 3) * 1000
    pixels = open_picture(deep.astype(">u2")).pixels
    assert pixels.dtype == np.uint16
    assert (pixels == deep).all()
