"""Each clip of the table as the source of a run: frames, times, sound, words, exit code."""

import json
import re

import av
import numpy as np
import pytest
from PIL import Image

from matting.video.open import open_video
from tests.conftest import Clips, Photographs

from .clips import ROWS, ClipRow

# What is said of files that are not whole, or whose colours can't be told.
FAULTS = (
    r"damaged|cut off|begins between|time stamps|is not supported; |no valid time stamp"
    r"|sound begins|packets of sound"
)
TICK = 0.0005001  # seconds; WebM counts milliseconds


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_clip(row: ClipRow, tmp_path, run_video) -> None:
    source = tmp_path / "src" / row.name
    source.parent.mkdir()
    row.make(source)
    plate = Image.fromarray(Photographs.plate(48, 64)).resize(row.plate[::-1])
    plate.save(tmp_path / "plate.png")
    out = tmp_path / "out"
    run = run_video(
        *("--video-src", source, "--video-bgr", tmp_path / "plate.png", "--output-dir", out),
        *("--output-types", "com", "--preset", "ultrafast", "--preprocess", "none"),
        *("--video-target-bgr", "blue", *row.args),
    )
    said = f"{run.out}\n{run.err}"
    assert run.code == row.code, said
    assert "Traceback" not in said
    assert re.search(row.says, said), said
    if row.quiet and not row.says:
        assert not re.search(FAULTS, said), said
    if row.code:
        assert [path.name for path in out.glob("com.*") if "partial" not in path.name] == []
        return
    compare_frames(row, source)
    check_outputs(row, out)


def compare_frames(row: ClipRow, source) -> None:
    """Compares what is read with what was drawn."""
    if row.shows is None:
        return
    reader = open_video(source, "--video-src")
    for wanted in row.shows():
        pixels = reader.read().pixels
        assert pixels.shape == wanted.shape
        assert (pixels.dtype == np.uint16) == (wanted.dtype == np.uint16)
        levels = 257 if pixels.dtype == np.uint16 else 1
        off = float(np.abs(pixels / levels - wanted / levels).mean())
        assert off <= row.within
    assert reader.read() is None
    reader.close()


def check_outputs(row: ClipRow, out) -> None:
    """Looks at frames, times, sizes and sound of what was made."""
    details = json.loads((out / "summary.json").read_text())["images"][0]
    frames = row.frames or (
        len(row.shows()) if row.shows else details["details"]["speed"]["frames"]
    )
    assert details["status"] == "done"
    if (out / "com").is_dir():
        pictures = sorted((out / "com").iterdir())
        assert len(pictures) == frames
        assert Image.open(pictures[0]).size == row.size[::-1]
        return
    file = next(out.glob("com.*"))
    times = [float(time) for time in Clips.times(file)]
    assert len(times) == frames
    assert times[0] == 0
    if row.times or row.shows:
        wanted = row.times or [n / 25 for n in range(frames)]
        assert times == pytest.approx(wanted, abs=TICK)
    with av.open(str(file)) as container:
        assert len(container.streams.audio) == (row.sound is not None)
        stream = container.streams.video[0]
        if row.size is not None:
            assert (stream.height, stream.width) == row.size
    if row.sound is not None:
        # Codecs begin with some milliseconds that are not heard, of which WebM does not tell.
        assert -0.1 <= float(Clips.sound(file)[0][0]) - row.sound <= 0.0201
