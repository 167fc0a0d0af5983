"""Each picture of the table as the frame of a run: its pixels, matte, outputs, words, exit code.

All that can be matted go through one run, all that can't through another; a run of its own for
each would take minutes.
"""

import io
import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from media.pictures import PictureError, read_picture

from .makers import grey
from .pictures import GREYS, ROWS
from .rows import Row
from .scene import alpha, plate

TYPES = ("com", "pha", "fgr")


def to_srgb(pixels: np.ndarray, profile: bytes | None) -> np.ndarray:
    """Pixels of 8 or 16 bits in sRGB of 8, by the profile; independent of the program's way."""
    pixels = pixels if pixels.dtype == np.uint8 else np.round(pixels / 257).astype(np.uint8)
    if profile is None:
        return pixels
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    assert source.profile.xcolor_space.strip() == "RGB"
    image = Image.fromarray(pixels)
    image = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), 1)
    return np.asarray(image)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, run_forked) -> dict[int, tuple[Path, dict, str]]:
    """By exit code, a run over all rows of that code: its folder, entries and words."""
    done = {}
    for code in sorted({row.code for row in ROWS}):
        folder = tmp_path_factory.mktemp(f"code_{code}")
        (folder / "src").mkdir()
        for row in ROWS:
            if row.code == code:
                row.make(folder / "src" / row.name)
        Image.fromarray(plate()).save(folder / "plate.png")
        run = run_forked(
            *("--images-src", folder / "src", "--images-bgr", folder / "plate.png"),
            *("--output-dir", folder / "out", "--output-types", *TYPES, "--quality", "auto"),
            timeout=300,
        )
        assert run.code == code, run.err
        assert "Traceback" not in run.out + run.err
        summary = json.loads((folder / "out" / "summary.json").read_text())
        done[code] = folder, {entry["name"]: entry for entry in summary["images"]}, run.err
    return done


@pytest.fixture(scope="module")
def grey_matte(tmp_path_factory: pytest.TempPathFactory, run_forked) -> np.ndarray:
    """(H, W) alpha of the grey frame over a grey plate: less shows in grey, for any program."""
    folder = tmp_path_factory.mktemp("grey")
    Image.fromarray(grey()).save(folder / "frame.png")
    Image.fromarray(plate()).convert("L").save(folder / "plate.png")
    run_forked(
        *("--images-src", folder / "frame.png", "--images-bgr", folder / "plate.png"),
        *("--output-dir", folder / "out", "--quality", "auto"),
    )
    return np.asarray(Image.open(folder / "out" / "pha" / "frame.png")) / 255


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_picture(row: Row, runs, grey_matte) -> None:
    folder, entries, _ = runs[row.code]
    source = folder / "src" / row.name
    if row.shows is None:
        with pytest.raises(PictureError, match=row.says):
            read_picture(source)
    else:
        picture = read_picture(source)
        shown = to_srgb(picture.pixels, picture.icc_profile).astype(float)
        assert shown.shape == row.shows().shape
        assert np.abs(shown - row.shows()).mean() <= row.within, row.why
    if row.name not in entries:
        pytest.skip("the listing does not take this extension")
    entry = entries[row.name]
    said = "; ".join([*entry["notes"], entry["reason"] or ""])
    assert re.search(row.says, said), said
    if row.shows is None:
        assert entry["status"] == "failed"
        assert not entry["outputs"]
        return
    assert entry["status"] == "done", said
    assert not (row.quiet and entry["notes"]), said
    assert sorted(entry["outputs"]) == sorted(TYPES)
    for path in entry["outputs"].values():
        assert cv2.imread(str(folder / "out" / path), cv2.IMREAD_UNCHANGED) is not None
        with Image.open(folder / "out" / path) as image:
            image.load()
    matte = np.asarray(Image.open(folder / "out" / entry["outputs"]["pha"])) / 255
    wanted = grey_matte if row in GREYS else alpha() / 255
    assert np.abs(matte - wanted).mean() <= row.matte


def test_runs_say_nothing_that_is_of_libraries(runs) -> None:
    for _, _, err in runs.values():
        assert not re.search("libpng|OpenCV|libtiff|TIFFRead|Warning", err), err
