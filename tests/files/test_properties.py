"""Properties that hold for any size, depth, name and setting."""

import os
import unicodedata
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import inference_images
from matting.images.plan import plan_jobs
from matting.pictures.target import Target
from media.pictures import read_picture, write_png
from runtime.settings import parse_settings, to_plain, to_yaml
from tests.test_inference_video_resume import KILL, read_outputs

# The same inputs every time; no limit on the first of them, which imports decoders.
steady = settings(max_examples=60, derandomize=True, deadline=None)

sizes = st.tuples(st.integers(1, 40), st.integers(1, 40))
# What a file system takes as part of a name, and no surrogates, which are no text.
letters = st.characters(exclude_characters="/\0", exclude_categories=("Cs",))
names = st.text(letters, min_size=1, max_size=30).filter(
    lambda name: name.strip(".") and not name.startswith(".") and len(name.encode()) < 200
)


@steady
@given(sizes, st.sampled_from(("uint8", "uint16")), st.sampled_from((1, 3, 4)), st.data())
def test_what_is_written_is_read(size: tuple, depth: str, channels: int, data) -> None:
    seed = data.draw(st.integers(0, 2**32 - 1))
    shape = size if channels == 1 else (*size, channels)
    limit = np.iinfo(depth).max
    pixels = np.random.default_rng(seed).integers(0, limit, shape, depth, endpoint=True)
    with TemporaryDirectory() as folder:
        path = Path(folder, "a.png")
        write_png(path, pixels)
        read = read_picture(path)
    wanted = np.stack([pixels] * 3, -1) if channels == 1 else pixels[..., :3]
    assert read.pixels.dtype == depth
    np.testing.assert_array_equal(read.pixels, wanted)


@steady
@given(sizes, st.integers(1, 8), st.sampled_from((".png", ".tif", ".webp")))
def test_pictures_are_turned_once(size: tuple, orientation: int, suffix: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    # Counted by hand from EXIF 2.32, table 4.6.4: what the stored rows and columns are.
    upright = {
        **{1: pixels, 2: pixels[:, ::-1], 3: pixels[::-1, ::-1], 4: pixels[::-1]},
        **{5: pixels.swapaxes(0, 1), 6: np.rot90(pixels, -1)},
        **{7: np.rot90(pixels, 2).swapaxes(0, 1), 8: np.rot90(pixels)},
    }[orientation]
    with TemporaryDirectory() as folder:
        path = Path(folder, f"a{suffix}")
        Image.fromarray(pixels).save(path, exif=exif, lossless=True)
        np.testing.assert_array_equal(read_picture(path).pixels, upright)


@steady
@given(st.sets(names, min_size=1, max_size=5))
def test_no_two_outputs_have_one_name(stems: set[str]) -> None:
    if len({unicodedata.normalize("NFC", stem).casefold() for stem in stems}) < len(stems):
        return  # one name for some file systems
    _, encoded = cv2.imencode(".png", np.zeros((2, 3, 3), np.uint8))
    with TemporaryDirectory() as folder:
        src, plate = Path(folder, "src"), Path(folder, "plate.png")
        src.mkdir()
        plate.write_bytes(encoded.tobytes())
        for stem in stems:
            for suffix in (".png", ".PNG.jpg"):
                (src / f"{stem}{suffix}").write_bytes(encoded.tobytes())
        plan = plan_jobs(src, plate, Target("none"), Path(folder, "out"), ("pha",), "error")
        outputs = [path for job in plan for path in job.outputs.values()]
        assert len({str(path).casefold() for path in outputs}) == len(outputs) == 2 * len(stems)
        assert all(path.is_relative_to(Path(folder, "out", "pha")) for path in outputs)


@steady
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "quality": st.sampled_from(("auto", "best", "fast", "hd", "4k")),
            "preprocess": st.sampled_from(("auto", "none")),
            "preprocess-alignment": st.booleans(),
            "target-bgr": names.filter(lambda name: not name.startswith("-")),
            "model-backbone-scale": st.floats(0.01, 0.5),
            "num-workers": st.integers(0, 64),
            "output-types": st.lists(
                st.sampled_from(("com", "pha", "fgr", "err", "ref", "sheet")), min_size=1
            ),
            "output-bit-depth": st.sampled_from((8, 16)),
        },
    )
)
def test_settings_survive_their_file(flags: dict) -> None:
    line = ["--images-src", "a", "--images-bgr", "b", "--output-dir", "c"]
    for flag, value in flags.items():
        if isinstance(value, bool):
            line.append(f"--{'' if value else 'no-'}{flag}")
        else:
            values = value if isinstance(value, list) else [value]
            line += [f"--{flag}", *map(str, values)]
    given_settings = parse_settings(inference_images.Settings, "", line)
    with TemporaryDirectory() as folder:
        path = Path(folder, "a.yaml")
        path.write_text(to_yaml(given_settings), encoding="utf-8")
        read = parse_settings(inference_images.Settings, "", ["--config", str(path)])
    first, second = (to_plain(value) | {"config": None} for value in (given_settings, read))
    assert first == second


@pytest.fixture(scope="module")
def video_case(tmp_path_factory: pytest.TempPathFactory, clips, photographs, run_video) -> tuple:
    """Flags of a clip of 6 frames, the program, and its pictures by strength of smoothing."""
    folder = tmp_path_factory.mktemp("video")
    src = clips.write(folder / "a.mp4", clips.moving(6))
    bgr = photographs.save(folder / "plate.png", photographs.plate(48, 64))
    line = ("--video-src", src, "--video-bgr", bgr, "--output-format", "image_sequences")
    wanted = {}
    for smoothing in (0.0, 0.5):
        out = folder / str(smoothing)
        run_video(*line, "--output-dir", out, "--temporal-smoothing", smoothing).check(0)
        wanted[smoothing] = read_outputs(out)
    return line, run_video, wanted


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no kill -9")
@settings(max_examples=8, derandomize=True, deadline=None)
@given(st.integers(1, 12), st.sampled_from((0.0, 0.5)))
def test_resuming_at_any_kill_point(video_case: tuple, writes: int, smoothing: float) -> None:
    line, run_video, wanted = video_case
    with TemporaryDirectory() as folder:
        flags = (*line, "--output-dir", folder, "--temporal-smoothing", smoothing)
        assert run_video(*flags, before=KILL.format(after=writes)).code in (-9, 0)
        run_video(*flags, "--resume").check(0)
        assert read_outputs(Path(folder)) == wanted[smoothing]
