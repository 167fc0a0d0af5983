"""Sources of foregrounds: layouts, formats, sizes, and what is refused by name."""

import gc
import multiprocessing
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from dataset.settings import DatasetSettings, SourceSettings, SplitSettings
from dataset.sources import RUN_LENGTH, Backgrounds, DatasetError, open_source
from media.fast_pictures import EncodedPicture, read_rgb
from media.pictures import PictureError, read_picture
from runtime.settings import SettingsError

from ..media.test_clips import number_in, numbered, write_clip, write_numbered

RNG = np.random.default_rng(0)


def smooth(height: int, width: int, channels: int = 3) -> np.ndarray:
    """What JPEG keeps well."""
    small = RNG.integers(0, 256, (4, 5, channels), np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def save(path: Path, pixels: np.ndarray, **how) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **({"quality": 95} | how if path.suffix == ".jpg" else how))
    return path


def save_pair(root: Path, name: str = "a.png", height: int = 40, width: int = 60):
    fgr, pha = smooth(height, width), smooth(height, width, 1).reshape(height, width)
    save(root / "fgr" / name, fgr)
    save(root / "pha" / name, pha)
    return fgr, pha


def open_pairs(root: Path):
    return open_source(SourceSettings(fgr=root / "fgr", pha=root / "pha"))


def test_trees_are_paired_by_relative_path_and_read_exactly(tmp_path: Path) -> None:
    names = ("0000/1.png", "0000/2.png", "0001/1.png")
    wanted = {name: save_pair(tmp_path, name) for name in names}
    source = open_pairs(tmp_path)
    assert len(source) == 3
    assert source.runs == (range(0, 1), range(1, 2), range(2, 3))
    for index, (name, (fgr, pha)) in enumerate(wanted.items()):
        assert source.name(index) == str(tmp_path / "fgr" / name)
        got = source.read(index)
        assert [(a.dtype, a.shape) for a in got] == [("uint8", (40, 60, 3)), ("uint8", (40, 60))]
        assert np.array_equal(got[0], fgr)
        assert np.array_equal(got[1], pha)


def test_single_files_and_rgba_folders(tmp_path: Path) -> None:
    fgr, pha = save_pair(tmp_path, "a.png")
    (tmp_path / "pha/a.png").rename(tmp_path / "pha/other.png")
    single = SourceSettings(fgr=tmp_path / "fgr/a.png", pha=tmp_path / "pha/other.png")
    save(tmp_path / "rgba/deep/a.png", np.dstack((fgr, pha)))
    for settings in (single, SourceSettings(rgba=tmp_path / "rgba")):
        got = open_source(settings).read(0)
        assert np.array_equal(got[0], fgr)
        assert np.array_equal(got[1], pha)


def test_rgba_without_alpha_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "a.png", smooth(8, 8))
    with pytest.raises(DatasetError, match=r"a\.png: has no alpha channel"):
        open_source(SourceSettings(rgba=tmp_path)).read(0)


@pytest.mark.parametrize("kind", ["L", "RGB", "RGBA", "opaque RGBA", "LA", "P", "16"])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_alpha_given_in_any_form(tmp_path: Path, kind: str, suffix: str) -> None:
    if (kind, suffix) == ("P", ".tif"):
        pytest.skip("the same path as P in PNG")
    _, pha = save_pair(tmp_path)
    triple = np.dstack((pha,) * 3)
    black = np.zeros_like(pha)
    path = tmp_path / f"pha/a{suffix}"
    (tmp_path / "pha/a.png").unlink()
    if kind == "16":
        cv2.imwrite(str(path), pha.astype(np.uint16) * 256 + 77)
    elif kind == "P":
        Image.fromarray(pha).convert("P").save(path)
    else:
        forms = {
            "L": pha,
            "RGB": triple,
            "RGBA": np.dstack((black, black, black, pha)),
            "opaque RGBA": np.dstack((triple, np.full_like(pha, 255))),
            "LA": np.dstack((black, pha)),
        }
        Image.fromarray(forms[kind]).save(path)
    assert np.array_equal(open_pairs(tmp_path).read(0)[1], pha)


def test_grey_and_16_bit_foregrounds_become_8_bit_rgb(tmp_path: Path) -> None:
    grey = smooth(40, 60, 1).reshape(40, 60)
    for suffix in (".png", ".jpg", ".tif"):
        got = read_rgb(save(tmp_path / f"g{suffix}", grey))
        assert got.shape == (40, 60, 3)
        assert np.ptp(got, axis=2).max() == 0
    deep = RNG.integers(0, 65536, (40, 60, 3), np.uint16)
    for suffix in (".png", ".tif"):
        cv2.imwrite(str(tmp_path / f"d{suffix}"), deep)
        assert np.array_equal(read_rgb(tmp_path / f"d{suffix}"), (deep >> 8)[..., ::-1])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_exif_turns_all_readings_alike(tmp_path: Path, suffix: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / f"a{suffix}", smooth(48, 80), exif=exif)
    upright = read_picture(path).pixels
    picture = EncodedPicture(path)
    assert picture.size == upright.shape[:2]
    for got in (picture.rgb(), picture.channels()):
        # OpenCV and Pillow round the inverse DCT of a JPEG alike to within some levels.
        assert np.abs(got.astype(int) - upright).max() <= (6 if suffix == ".jpg" else 0)
    grey = cv2.cvtColor(upright, cv2.COLOR_RGB2GRAY).astype(int)
    assert np.abs(picture.alpha() - grey).max() <= (6 if suffix == ".jpg" else 1)
    half = cv2.resize(upright, (upright.shape[1] // 2, upright.shape[0] // 2), 0, 0, 0, 3)
    assert np.abs(picture.rgb(2).astype(int) - half).max() <= 12


@pytest.mark.parametrize(
    ("shorter", "size"),
    [(None, (1080, 1920)), (1080, (1080, 1920)), (541, (1080, 1920)), (540, (540, 960)),
     (271, (540, 960)), (270, (270, 480)), (135, (135, 240)), (1, (135, 240)),
     (4000, (1080, 1920))],
)  # fmt: skip
def test_jpegs_are_read_as_small_as_is_enough(tmp_path: Path, shorter, size) -> None:
    save(tmp_path / "fgr/a.jpg", smooth(1080, 1920))
    save(tmp_path / "pha/a.jpg", smooth(1080, 1920, 1).reshape(1080, 1920))
    fgr, pha = open_pairs(tmp_path).read(0, shorter)
    assert fgr.shape == (*size, 3)
    assert pha.shape == size


def test_a_png_alpha_follows_the_reduced_jpeg_beside_it(tmp_path: Path) -> None:
    # 203 and 301 are no multiples of 8: a plain resize would drift by up to 0.9 pixels.
    grey = smooth(203, 301, 1).reshape(203, 301)
    save(tmp_path / "fgr/a.jpg", grey, quality=100)
    save(tmp_path / "pha/a.png", grey)
    for shorter, size in ((102, (102, 151)), (51, (51, 76)), (26, (26, 38))):
        fgr, pha = open_pairs(tmp_path).read(0, shorter)
        assert pha.shape == size
        difference = np.abs(fgr[..., 0].astype(int) - pha)
        # The last row and column mix in what lies beyond the picture.
        assert difference[:-1, :-1].max() <= 4


def test_sizes_that_differ_are_refused_by_name(tmp_path: Path) -> None:
    save_pair(tmp_path)
    save(tmp_path / "pha/a.png", np.zeros((40, 61), np.uint8))
    message = r"fgr/a\.png is 60 x 40 pixels and .*pha/a\.png 61 x 40"
    with pytest.raises(DatasetError, match=message):
        open_pairs(tmp_path).read(0)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.9, 0.99])
def test_truncated_files_are_refused(tmp_path: Path, suffix: str, share: float) -> None:
    path = save(tmp_path / f"a{suffix}", RNG.integers(0, 256, (64, 96, 3), np.uint8))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    message = rf"a\{suffix}: .*(truncated|empty|not a picture|damaged)"
    with pytest.raises(PictureError, match=message):
        read_rgb(path)


def test_a_damaged_png_is_refused_and_padded_jpegs_are_not(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", RNG.integers(0, 256, (64, 96, 3), np.uint8))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    with pytest.raises(PictureError, match=r"a\.png: damaged"):
        read_rgb(path)
    path = save(tmp_path / "a.jpg", smooth(64, 96))
    plain = read_rgb(path)
    for tail in (b"\0" * 9, b"made by a camera"):
        path.write_bytes(path.read_bytes() + tail)
        assert np.abs(read_rgb(path).astype(int) - plain).max() <= 6


def test_unpaired_files_are_an_error_with_count_and_names(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c.png", "d.png"):
        save_pair(tmp_path, name)
    for name in ("b.png", "c.png", "d.png"):
        (tmp_path / "pha" / name).unlink()
    save(tmp_path / "pha/z.png", smooth(8, 8))
    with pytest.raises(DatasetError, match=r"4 files .*fgr/b\.png: no picture.*and 1 more.*check"):
        open_pairs(tmp_path)


def test_folders_that_cant_be_sources(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="fgr does not exist"):
        open_pairs(tmp_path)
    save(tmp_path / "fgr/a.png", smooth(8, 8))
    save(tmp_path / "pha/b.png", smooth(8, 8))
    with pytest.raises(DatasetError, match="no file of .*fgr has a partner"):
        open_pairs(tmp_path)
    (tmp_path / "fgr/a.mp4").touch()
    with pytest.raises(DatasetError, match=r"clips and pictures, such as .*a\.mp4 and .*a\.png"):
        open_pairs(tmp_path)
    (tmp_path / "fgr/a.png").unlink()
    with pytest.raises(DatasetError, match="fgr has clips, .*pha pictures"):
        open_pairs(tmp_path)


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    for name, count in (("a", 40), ("deep/b", 16), ("deep/c", 5)):
        for part in ("fgr", "pha"):
            path = tmp_path / part / f"{name}.mp4"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_numbered(path, count)
    return tmp_path


def test_clips_are_indexed_by_frame_in_runs(clips: Path) -> None:
    source = open_pairs(clips)
    assert len(source) == 61
    starts_and_ends = [(run.start, run.stop) for run in source.runs]
    assert starts_and_ends == [(0, 16), (16, 32), (32, 40), (40, 56), (56, 61)]
    assert max(map(len, source.runs)) == RUN_LENGTH
    assert source.name(41) == f"{clips / 'fgr/deep/b.mp4'} frame 1"
    for index in (0, 39, 40, 41, 60, 2, 3):
        fgr, pha = source.read(index)
        number = index if index < 40 else index - 40 if index < 56 else index - 56
        assert (number_in(pha), number_in(fgr[..., 0])) == (number, number)
    with pytest.raises(IndexError, match="got 61"):
        source.read(61)


def test_clips_of_different_length_or_size_are_refused(clips: Path) -> None:
    write_clip(clips / "pha/deep/c.mp4", [numbered(n)[:32] for n in range(5)])
    with pytest.raises(DatasetError, match=r"c\.mp4 is 96 x 64 pixels and .*c\.mp4 96 x 32"):
        open_pairs(clips).read(60)
    write_numbered(clips / "pha/deep/b.mp4", 15)
    with pytest.raises(DatasetError, match=r"fgr/deep/b\.mp4 has 16 frames and .*b\.mp4 15"):
        open_pairs(clips)


def read_numbers(source, indices: list[int]) -> list[int]:
    return [number_in(source.read(index)[1]) for index in indices]


def read_in_child(source, indices: list[int], answers) -> None:
    numbers = read_numbers(source, indices)
    gc.collect()  # what the parent has open must not be ended here
    answers.put(numbers)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_read_clips_that_the_parent_has_open(clips: Path, method: str) -> None:
    source = open_pairs(clips)
    first = read_numbers(source, [0, 1, 2])  # opens the clip before the workers start
    context = multiprocessing.get_context(method)
    answers = context.Queue()
    workers = [
        context.Process(target=read_in_child, args=(source, list(range(start, 40, 2)), answers))
        for start in range(2)
    ]
    for worker in workers:
        worker.start()
    assert first + read_numbers(source, list(range(3, 40))) == list(range(40))
    got = sorted(answers.get(timeout=60) for _ in workers)
    for worker in workers:
        worker.join()
    assert got == [list(range(0, 40, 2)), list(range(1, 40, 2))]


def test_pickles_hold_no_open_files_and_read_the_same(clips: Path) -> None:
    source = open_pairs(clips)
    source.read(5)
    copy = pickle.loads(pickle.dumps(source))
    assert read_numbers(copy, [6, 50, 0]) == read_numbers(source, [6, 50, 0]) == [6, 10, 0]


def test_what_can_not_be_taken_ends_training_by_name(tmp_path: Path) -> None:
    save_pair(tmp_path)
    (tmp_path / "disk").mkdir()
    save(tmp_path / "disk/b.jpg", smooth(8, 8))
    (tmp_path / "bgr").mkdir()
    (tmp_path / "bgr/linked").symlink_to("../disk")
    assert len(Backgrounds((tmp_path / "bgr",), 0)) == 1
    (tmp_path / "bgr/linked/c.nef").write_bytes(b"II*")
    (tmp_path / "fgr/loop").symlink_to(".")
    with pytest.raises(DatasetError, match=r"1 files .*fgr/loop: a circular link"):
        open_pairs(tmp_path)
    with pytest.raises(DatasetError, match=r"linked/c\.nef: a raw file: develop it first"):
        Backgrounds((tmp_path / "bgr",), 0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "got none of them"),
        ({"fgr": Path("a")}, "fgr needs pha"),
        ({"pha": Path("a")}, "pha needs fgr"),
        ({"rgba": Path("a"), "synthetic": 3}, "got rgba, synthetic"),
        ({"synthetic": -1}, "key 'synthetic'.*greater than or equal to 0, got -1"),
        ({"rgba": Path("a"), "repeat": 0}, "key 'repeat'.*greater than or equal to 1, got 0"),
    ],
)
def test_source_settings_name_exactly_one_kind(values: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SourceSettings(**values)


def test_a_data_set_is_looked_up_by_name() -> None:
    split = SplitSettings(train=(SourceSettings(synthetic=3),), valid=())
    assert DatasetSettings("mine", {"mine": split}).split() == split
    with pytest.raises(SettingsError, match="unknown data set 'mien'.*known: mine"):
        DatasetSettings("mien", {"mine": split}).split()
    with pytest.raises(ValueError, match="train must name"):
        SplitSettings(train=(), valid=())
