"""inference_images.py interrupted: what is there is whole, and a second run makes the rest."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import PATCHED

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has other signals")

COUNT = 12
KINDS = ("com", "pha", "sheet")


def list_files(folder: Path) -> list[Path]:
    """Every file below a folder, hidden ones too."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def check_whole(out: Path, wanted: dict[str, list[str]]) -> None:
    """The outputs that the summary says are there are whole, and nothing else is there."""
    paths = [out / path for outputs in wanted.values() for path in outputs]
    assert list_files(out) == sorted([*paths, out / "summary.json"])
    for path in paths:
        Image.open(path).load()


def wait_for_outputs(process: subprocess.Popen, out: Path, count: int) -> None:
    """Waits until `count` frames have their last output."""
    end = time.monotonic() + 60
    while len(list((out / "sheet").glob("*.png"))) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_interrupted_run_can_be_finished(
    tmp_path: Path, start_script, run_forked, photographs, number: int
) -> None:
    names = [f"{index:02}.png" for index in range(COUNT)]
    src, bgr = photographs.pair(tmp_path, *names, height=192, width=288)
    out = tmp_path / "out"
    line = (
        *("--images-src", src, "--images-bgr", bgr, "--output-dir", out),
        *("--output-types", *KINDS, "--num-workers", 2),
    )
    with start_script(*line) as process:
        wait_for_outputs(process, out, 2)
        process.send_signal(number)
        said, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert "interrupted; --on-existing skip" in errors
    summary = json.loads((out / "summary.json").read_text("utf-8"))
    assert summary["interrupted"] is True
    done, missed = summary["counts"]["done"], summary["counts"]["not reached"]
    assert summary["counts"]["failed"] == 0
    assert done >= 2
    assert missed >= 1
    assert done + missed == COUNT
    assert f"{done} done, 0 skipped, 0 failed, {missed} not reached" in said
    assert [entry["name"] for entry in summary["images"]] == names
    for entry in summary["images"]:
        assert entry["status"] in ("done", "not reached")
        assert list(entry["outputs"]) == (list(KINDS) if entry["status"] == "done" else [])
    wanted = {entry["name"]: list(entry["outputs"].values()) for entry in summary["images"]}
    check_whole(out, wanted)

    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}
    run = run_forked(*line, "--on-existing", "skip")
    run.check(0, f"{missed} done, {done} skipped, 0 failed in")
    check_whole(out, {name: [f"{kind}/{name}" for kind in KINDS] for name in names})
    assert {path: path.stat().st_mtime_ns for path in before} == before
    summary = json.loads((out / "summary.json").read_text("utf-8"))
    assert summary["interrupted"] is False
    assert summary["counts"] == {"done": missed, "skipped": done, "failed": 0}
    # Equal frames, so what was made before and after the interrupt must be equal too.
    first, last = (np.asarray(Image.open(out / "pha" / name)) for name in (names[0], names[-1]))
    assert np.array_equal(first, last)


# The run waits for a slow disk when the interrupt comes.
WHILE_WRITING = """
import os, signal, time
from matting.images import frame
write = frame.write_png
def write_slowly(path, *args):
    if path.parent.name == "pha" and path.name == "0.png":
        time.sleep(1.5)  # seconds; the frame after this one is computed by then
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.2)
    return write(path, *args)
frame.write_png = write_slowly
"""
# The run is about to write what it has computed of the first frame.
ON_HANDING_OVER = """
import os, signal
from matting.images import frame
write = frame.write_outputs
def write_interrupted(job, *args):
    if job.name == "0.png":
        os.kill(os.getpid(), signal.SIGINT)
    return write(job, *args)
frame.write_outputs = write_interrupted
"""


@pytest.mark.parametrize("before", [WHILE_WRITING, ON_HANDING_OVER], ids=["writing", "handing"])
def test_frame_that_was_being_written_counts(
    tmp_path: Path, run_forked, photographs, before: str
) -> None:
    """It is finished, and told: the summary and the files are the same."""
    src, bgr = photographs.pair(tmp_path, *(f"{index}.png" for index in range(6)))
    out = tmp_path / "out"
    line = ("--images-src", src, "--images-bgr", bgr, "--output-dir", out, "--num-workers", 1)
    run_forked(*line, before=before).check(130, "interrupted")
    summary = json.loads((out / "summary.json").read_text("utf-8"))
    assert summary["counts"]["not reached"] >= 3
    wanted = {entry["name"]: list(entry["outputs"].values()) for entry in summary["images"]}
    assert wanted["0.png"] == ["com/0.png", "pha/0.png"]
    check_whole(out, wanted)


def test_interrupt_before_the_first_frame(tmp_path: Path, run_forked, photographs) -> None:
    src, bgr = photographs.pair(tmp_path, "a.png")
    out = tmp_path / "out"
    run = run_forked(
        *("--images-src", src, "--images-bgr", bgr, "--output-dir", out),
        before="""
import os, signal, model.weights
read = model.weights.read_state_dict
def read_interrupted(path):
    os.kill(os.getpid(), signal.SIGINT)
    return read(path)
model.weights.read_state_dict = read_interrupted
""",
    )
    run.check(130, "interrupted")
    assert not list_files(out)


@pytest.mark.parametrize(
    ("signals", "told", "files"),
    [
        (1, "2 done, 0 skipped, 0 failed, 1 not reached", ["pha/b.png", "summary.json"]),
        (2, "", ["summary.json"]),
    ],
)
def test_interrupt_while_a_file_is_written(
    tmp_path: Path, run_forked, photographs, signals: int, told: str, files: list[str]
) -> None:
    """The first lets the frame be finished, the second stops at once; no half file stays behind."""
    src, bgr = photographs.pair(tmp_path, "a.png", "b.png", "c.png")
    out = tmp_path / "out"
    run = run_forked(
        *("--images-src", src, "--images-bgr", bgr, "--output-dir", out, "--num-workers", 0),
        before=f"""
import os, pathlib, signal
write = pathlib.Path.write_bytes
def write_half(path, data):
    if path.parent.name == "pha" and any(path.parent.glob("*.png")):
        write(path, data[: len(data) // 2])
        for _ in range({signals}):
            os.kill(os.getpid(), signal.SIGINT)
    return write(path, data)
pathlib.Path.write_bytes = write_half
""",
    )
    run.check(130, "interrupted")
    assert told in run.out
    found = [path.relative_to(out).as_posix() for path in list_files(out)]
    # The composite of b.png had been written before.
    assert found == sorted(["com/a.png", "com/b.png", "pha/a.png", *files])
    for path in out.rglob("*.png"):
        Image.open(path).load()


def test_killed_run_leaves_no_half_output(tmp_path: Path, run_forked, photographs) -> None:
    """SIGKILL leaves no time to tidy up, as a power cut does not."""
    src, bgr = photographs.pair(tmp_path, "a.png", "b.png", "c.png")
    out = tmp_path / "out"
    line = ("--images-src", src, "--images-bgr", bgr, "--output-dir", out, "--num-workers", 0)
    run = run_forked(
        *line,
        before="""
import os, pathlib, signal
write = pathlib.Path.write_bytes
def write_half(path, data):
    if path.parent.name == "pha" and any(path.parent.glob("*.png")):
        write(path, data[: len(data) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
    return write(path, data)
pathlib.Path.write_bytes = write_half
""",
    )
    assert run.code == -signal.SIGKILL
    pictures = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.png"))
    assert pictures == ["com/a.png", "com/b.png", "pha/a.png"]
    run_forked(*line, "--on-existing", "skip").check(0, "2 done, 1 skipped, 0 failed")
    for name in ("a.png", "b.png", "c.png"):
        for kind in ("com", "pha"):
            Image.open(out / kind / name).load()


@pytest.mark.slow
@pytest.mark.parametrize("stuck", ["read_picture", "matte_frame"])
def test_second_interrupt_ends_what_hangs(tmp_path: Path, start_script, photographs, stuck) -> None:
    """A network drive that answers no more, or minutes of computing, in a thread of its own."""
    src, bgr = photographs.pair(tmp_path, "a.png", "b.png")
    before = f"""
import time
from matting.images import frame
def hang(*args):
    print("hangs", flush=True)
    time.sleep(90)
frame.{stuck} = hang
"""
    command = (sys.executable, "-c", PATCHED, "inference_images.py", before)
    line = ("--images-src", src, "--images-bgr", bgr, "--output-dir", tmp_path / "out")
    with start_script(*line, "--quality", "auto", command=command) as process:
        while process.stdout.readline() != "hangs\n":
            assert process.poll() is None
        begun = time.monotonic()
        process.terminate()
        time.sleep(0.3)
        process.terminate()
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert time.monotonic() - begun < 10
