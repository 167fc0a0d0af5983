"""Backgrounds: another one every epoch, by the seed."""

import pickle
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dataset.sources import Backgrounds
from media import MediaError


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, ...]:
    for number in range(12):
        path = tmp_path / f"{'ab'[number % 2]}/deep/{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (6, 4), (number, 0, 0)).save(path)
    return tmp_path / "a", tmp_path / "b"


def test_all_folders_are_listed_and_shuffled_by_the_seed(folders) -> None:
    backgrounds = Backgrounds(folders, seed=3)
    assert len(backgrounds) == 12
    order = [int(backgrounds.read(index)[0, 0, 0]) for index in range(12)]
    assert sorted(order) == list(range(12))
    assert order != sorted(order)
    assert [Path(backgrounds.name(index)).stem for index in range(12)] == [f"{n:02}" for n in order]
    names = [backgrounds.name(index) for index in range(12)]
    for other, same in ((3, True), (4, False)):
        again = Backgrounds(folders, seed=other)
        assert ([again.name(index) for index in range(12)] == names) is same


def test_a_foreground_meets_every_background_before_one_returns(folders) -> None:
    backgrounds = Backgrounds(folders, seed=0)
    for index in (0, 1, 7, 240_708):
        met = [backgrounds.choose(index, epoch) for epoch in range(24)]
        assert sorted(met[:12]) == list(range(12))
        assert met[:12] == met[12:]
        assert met == [Backgrounds(folders, seed=0).choose(index, epoch) for epoch in range(24)]


def test_foregrounds_are_spread_over_the_backgrounds(folders) -> None:
    backgrounds = Backgrounds(folders, seed=0)
    counts = Counter(backgrounds.choose(index, epoch=5) for index in range(6000))
    # 500 each are expected, with a standard deviation of 21.
    assert all(abs(counts[index] - 500) < 110 for index in range(12))


def test_they_travel_to_workers(folders) -> None:
    copy = pickle.loads(pickle.dumps(Backgrounds(folders, seed=1)))
    assert np.array_equal(copy.read(5), Backgrounds(folders, seed=1).read(5))


def test_photographs_come_upright_and_as_small_as_is_enough(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("L", (800, 400), 90).save(tmp_path / "a.jpg", exif=exif)
    backgrounds = Backgrounds((tmp_path,), seed=0)
    assert backgrounds.read(0).shape == (800, 400, 3)
    assert backgrounds.read(0, shorter_side=150).shape == (400, 200, 3)
    assert backgrounds.read(0)[9, 9].tolist() == [90, 90, 90]


def test_missing_empty_and_unreadable_ones_are_named(tmp_path: Path) -> None:
    for folders, message in (((), "at least one"), ((tmp_path / "no",), "no does not exist"),
                             ((tmp_path,), "no picture was found")):  # fmt: skip
        with pytest.raises(MediaError, match=message):
            Backgrounds(folders, seed=0)
    (tmp_path / "a.jpg").write_bytes(b"hello")
    with pytest.raises(MediaError, match=r"a\.jpg: not a picture"):
        Backgrounds((tmp_path,), seed=0).read(0)
