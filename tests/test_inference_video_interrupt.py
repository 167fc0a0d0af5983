"""inference_video.py interrupted, or out of disk: final names belong to whole files."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has other signals")

# Interrupts at a place in the run, once or twice.
AT = """
import os, signal
import {module} as module
kind = getattr(module, "{kind}")
method, calls = kind.{method}, []
def interrupted(*args, **options):
    calls.append(1)
    if len(calls) == {call}:
        for _ in range({signals}):
            os.kill(os.getpid(), signal.SIGINT)
    return method(*args, **options)
kind.{method} = interrupted
"""
PLACES = {
    "loading": ("matting.predictor", "Predictor", "__init__", 1),
    "opening": ("matting.video.writer", "VideoWriter", "__init__", 2),
    "reading": ("media.reader", "ClipReader", "read", 3),
    "computing": ("matting.predictor", "Predictor", "predict", 3),
    "writing": ("matting.video.writer", "VideoWriter", "write", 5),
    "finishing": ("matting.video.writer", "VideoWriter", "finish", 1),
}


@pytest.mark.parametrize("signals", [1, 2])
@pytest.mark.parametrize("place", PLACES)
def test_interrupt_at_any_moment(
    tmp_path: Path, clips, photographs, run_video, place: str, signals: int
) -> None:
    src = clips.write(tmp_path / "a.mp4", clips.moving(12))
    plate = photographs.save(tmp_path / "plate.png", photographs.plate(48, 64))
    out = tmp_path / "out"
    module, kind, method, call = PLACES[place]
    before = AT.format(module=module, kind=kind, method=method, call=call, signals=signals)
    run = run_video(
        *("--video-src", src, "--video-bgr", plate, "--output-dir", out, "--preset", "ultrafast"),
        before=before,
    )
    if place == "finishing" and signals == 1:
        run.check(0)  # all was made; the interrupt has nothing to stop
    else:
        run.check(130, "interrupted")
    finals = {path.name for path in out.glob("*.mp4") if ".partial" not in path.name}
    assert finals == {"com.mp4", "pha.mp4"} or run.code == 130
    for path in out.glob("*.mp4"):
        frames = len(clips.read(path))
        assert frames == 12 if path.name in finals else 0 < frames <= 12
    if signals == 1 and place not in ("loading", "finishing"):
        summary = json.loads((out / "summary.json").read_text("utf-8"))
        assert summary["interrupted"] is True


def test_full_disk_leaves_no_final_name(tmp_path: Path, clips, photographs, run_video) -> None:
    noise = list(np.random.default_rng(0).integers(0, 256, (40, 48, 64, 3), np.uint8))
    src = clips.write(tmp_path / "a.mp4", noise, qp="10")
    plate = photographs.save(tmp_path / "plate.png", photographs.plate(48, 64))
    out = tmp_path / "out"
    run = run_video(
        *("--video-src", src, "--video-bgr", plate, "--output-dir", out),
        *("--output-types", "fgr", "--crf", 0, "--preset", "ultrafast"),
        before="""
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
""",
    )
    run.check(1, r"fgr\.\w{8}\.partial\.mp4 can't be written: File too large")
    assert not (out / "fgr.mp4").exists()
