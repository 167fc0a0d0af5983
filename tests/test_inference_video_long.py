"""Long runs of inference_video.py: memory stays flat, and the shares of the way overlap."""

import json
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

# Writes the resident memory, kB, at every frame that is read.
WATCH = """
import media.reader as reader
read = reader.ClipReader.read
def watched(self):
    with open("/proc/self/status") as status:
        kilobytes = next(line.split()[1] for line in status if line.startswith("VmRSS"))
    with open({path!r}, "a") as log:
        log.write(kilobytes + "\\n")
    return read(self)
reader.ClipReader.read = watched
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_flat(tmp_path: Path, clips, photographs, run_video) -> None:
    """From frame 50 to 2,000 within 5%. Measured: see docs/video.md."""
    pictures = clips.moving(100, 96, 128)
    src = clips.write(tmp_path / "a.mp4", pictures * 20, sound="aac")
    plate = photographs.save(tmp_path / "plate.png", photographs.plate(96, 128))
    log = tmp_path / "memory.txt"
    out = tmp_path / "out"
    run_video(
        *("--video-src", src, "--video-bgr", plate, "--output-dir", out, "--preset", "ultrafast"),
        before=WATCH.format(path=str(log)),
        timeout=3600,
    ).check(0, "2000 frames in")
    memory = [int(line) for line in log.read_text().split()]
    assert len(memory) == 2001
    early, late = max(memory[45:55]), max(memory[1950:])
    print(f"resident memory {early / 1024:.1f} MB at frame 50, {late / 1024:.1f} MB at 2,000")
    assert late <= 1.05 * early


def test_shares_overlap(tmp_path: Path, clips, photographs, run_video) -> None:
    """All together at least 0.85 of the slowest share alone, if there are cores for all."""
    src = clips.write(tmp_path / "a.mp4", clips.moving(60, 288, 384))
    plate = photographs.save(tmp_path / "plate.png", photographs.plate(288, 384))
    out = tmp_path / "out"
    run_video("--video-src", src, "--video-bgr", plate, "--output-dir", out).check(0)
    speed = json.loads((out / "summary.json").read_text())["images"][0]["details"]["speed"]
    print(speed)
    assert max(speed["shares"].values()) >= 0.85
