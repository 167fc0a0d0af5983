"""10,000 damaged pictures: each is read or refused in words, and what is written of it opens."""

import io
import os
import random
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image

from media.fast_pictures import read_rgb
from media.pictures import PictureError, read_channels, read_picture, write_png

from .fuzz import mutate, run_all
from .pictures import ROWS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the memory of a process can't be limited"),
]

COUNT = 10_000
THROUGH_THE_PROGRAM = 400


def read_and_write(path: Path) -> None:
    """Reads a picture in each way, and writes it as an output."""
    for read in (read_channels, read_rgb):
        with suppress(PictureError):
            read(path)
    picture = read_picture(path)
    output = path.parent.with_name("output.png")
    write_png(output, picture.pixels, picture.icc_profile)
    with Image.open(io.BytesIO(output.read_bytes())) as image:
        image.load()
        assert image.size == picture.pixels.shape[1::-1]


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Files made of all pictures of the table in turn."""
    chance, folder = random.Random(0), tmp_path_factory.mktemp("damaged")
    originals = []
    for row in ROWS:
        path = tmp_path_factory.mktemp("whole") / row.name
        row.make(path)
        if path.is_file() and not path.is_symlink():
            originals.append((path.suffix, path.read_bytes()))
    paths = []
    for number in range(COUNT):
        suffix, data = originals[number % len(originals)]
        paths.append(folder / f"{number:05}{suffix}")
        paths[-1].write_bytes(mutate(data, chance))
    return paths


def test_damaged_pictures_are_read_or_refused(damaged: list[Path]) -> None:
    assert run_all(read_and_write, damaged, (PictureError,)) == {}


def test_a_run_over_damaged_pictures_makes_what_opens(
    damaged: list[Path], tmp_path: Path, run_forked, photographs
) -> None:
    src, out = tmp_path / "src", tmp_path / "out"
    src.mkdir()
    for path in damaged[: 25 * THROUGH_THE_PROGRAM : 25]:
        (src / path.name).symlink_to(path)
    plate = photographs.save(tmp_path / "plate.png", photographs.plate(96, 144))
    run = run_forked(
        *("--images-src", src, "--images-bgr", plate, "--output-dir", out, "--quality", "auto"),
        timeout=600,
    )
    run.check(1, "failed: ")
    for path in out.rglob("*.png"):
        with Image.open(path) as image:
            image.load()
