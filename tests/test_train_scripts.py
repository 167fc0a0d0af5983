"""The training scripts as a user calls them: the whole way, and what goes wrong."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

import train_base
import train_refine
from training.processes import run_command
from training.settings import BaseSettings, RefineSettings

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = os.environ | {
    "OMP_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "",
    "COLUMNS": "999",
}


def run(*command: str, timeout: int = 240) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


@pytest.mark.slow
def test_smoke_from_training_to_a_matte(tmp_path: Path, photographs) -> None:
    """Both stages with nothing downloaded, then a matte by the result."""
    folders = ["--checkpoint-dir", str(tmp_path / "c"), "--log-dir", str(tmp_path / "l")]
    base = run("train_base.py", "--config", "configs/smoke.yaml", *folders)
    assert base.returncode == 0, base.stderr
    refine = run(
        *("train_refine.py", "--config", "configs/smoke_refine.yaml", *folders),
        *("--model-initial-checkpoint", str(tmp_path / "c/smoke/best.pth")),
    )
    assert refine.returncode == 0, refine.stderr
    assert "the refiner has new random weights" in refine.stdout
    source, plate = photographs.pair(tmp_path, "a.png")
    matte = run(
        *("inference_images.py", "--images-src", str(source), "--images-bgr", str(plate)),
        *("--model-checkpoint", str(tmp_path / "c/smoke_refine/best.pth")),
        *("--output-dir", str(tmp_path / "out")),
    )
    assert matte.returncode == 0, matte.stderr
    assert "mattingrefine with mobilenetv2" in matte.stdout
    assert json.loads((tmp_path / "out/summary.json").read_text())["counts"]["done"] == 1


KILL_WORKER = """
import os, runpy, signal, sys
from dataset.samples import Samples
get = Samples.__getitem__
def die(self, request):
    if request.index == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return get(self, request)
Samples.__getitem__ = die
sys.argv[0] = "train_base.py"
runpy.run_path("train_base.py", run_name="__main__")
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the patch reaches forked workers only")
def test_a_worker_that_dies_ends_the_run_with_its_cause(tmp_path: Path) -> None:
    done = run(
        *("-c", KILL_WORKER, "--config", "configs/smoke.yaml"),
        *("--checkpoint-dir", str(tmp_path / "c"), "--log-dir", str(tmp_path / "l")),
    )
    assert done.returncode == 1, done.stderr
    assert "is killed by signal: Killed" in done.stderr
    assert "Traceback" not in done.stderr


Call = Callable[..., str]


@pytest.fixture
def call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, tmp_path: Path
) -> Iterator[Call]:
    """Runs a script's command in this process; returns what it said on stderr."""
    before = signal.getsignal(signal.SIGTERM)

    def call(*args: str, code: int = 2, refine: bool = False) -> str:
        folders = ["--checkpoint-dir", str(tmp_path / "c"), "--log-dir", str(tmp_path / "l")]
        monkeypatch.setattr(sys, "argv", ["train.py", *args, *folders])
        monkeypatch.setenv("COLUMNS", "999")
        try:
            if refine:
                got = run_command(RefineSettings, "", train_refine.train)
            else:
                got = run_command(BaseSettings, "", train_base.train)
        except SystemExit as end:
            got = end.code
        said = capsys.readouterr()
        assert got == code, said
        assert "Traceback" not in said.err
        return said.err

    yield call
    signal.signal(signal.SIGTERM, before)


RATES = ("backbone", "aspp", "decoder", "refiner")
SMOKE = ("--config", "configs/smoke.yaml")


@pytest.fixture(autouse=True)
def in_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--dataset-name", "adobe"), "unknown data set 'adobe'.*known: synthetic"),
        (("--batch-size", "17"), "16 samples, fewer than one batch of 17"),
        (("--batch-size", "0"), "batch_size.*greater than or equal to 1, got 0"),
        (("--epoch-end", "0"), "epoch_end must be above epoch_start"),
        (("--epoch-start", "2", "--epoch-end", "1", "--batch-norm-samples", "8"), "got 2 to 1"),
        (("--batch-norm-samples", "-1"), "batch_norm_samples.*greater than or equal to 0, got -1"),
        (
            ("--freeze-batch-norm", "--batch-norm-samples", "8"),
            "batch_norm_samples 8 as well",
        ),
        (("--freeze-batch-norm",), "backbone.features.0.1 has none yet; give weights"),
        (("--device", "cuda"), "device cuda is not available"),
        (("--model-initial-checkpoint", "no.pth"), "no.pth does not exist"),
        (("--model-last-checkpoint", "no.pth"), "no.pth does not exist"),
        (("--model-name", "a/b"), "plain name for a folder"),
        (("--dataset-train-backgrounds", "nowhere"), "nowhere"),
        (("--crop-smallest", "200"), "crop: no multiple of 16 lies between 200 and 96"),
        (("--learning-rate-decoder", "-1"), "decoder.*greater than or equal to 0, got -1"),
        (
            [part for name in RATES for part in (f"--learning-rate-{name}", "0")],
            "at least one must be above 0",
        ),
        (("--model-pretrain-initialization", "a", "--model-initial-checkpoint", "b"), "not both"),
        (("--batch-sise", "4"), "batch-size"),
    ],
)
def test_wrong_settings_are_named(call: Call, args: tuple[str, ...], said: str) -> None:
    assert re.search(said, call(*SMOKE, *args))


def test_refiner_needs_crops_of_whole_cells(call: Call) -> None:
    config = ("--config", "configs/smoke_refine.yaml")
    assert "multiple of 4" in call(*config, "--crop-multiple", "6", refine=True)


@pytest.mark.parametrize("refine", [False, True])
def test_without_a_file(call: Call, refine: bool) -> None:
    call("--help", code=0, refine=refine)
    assert "--learning-rate-decoder" in call("--print-config", refine=refine)  # what is missing
    given = {"--dataset-name": "synthetic", "--model-name": "x", "--batch-size": "1"}
    rates = dict.fromkeys([f"--learning-rate-{part}" for part in RATES], "1e-4")
    flat = [part for pair in (given | rates).items() for part in pair]
    call(*flat, "--epoch-end", "1", "--print-config", code=0, refine=refine)


def test_the_published_flags_work(call: Call, capsys: pytest.CaptureFixture) -> None:
    """Those of the release's train_base.py, beside --config."""
    published = {
        **{"--dataset-name": "synthetic", "--model-backbone": "resnet50", "--model-name": "x"},
        **{"--model-pretrain-initialization": "deeplab.pth", "--model-last-checkpoint": "auto"},
        **{"--batch-size": "2", "--num-workers": "3", "--epoch-start": "1", "--epoch-end": "4"},
        **{"--log-train-loss-interval": "5", "--log-train-images-interval": "6"},
        **{"--log-valid-interval": "7", "--checkpoint-interval": "8"},
    }
    flat = [part for pair in published.items() for part in pair]
    call(*SMOKE, *flat, "--print-config", code=0)


def write_pictures(folder: Path, count: int = 4) -> None:
    """Writes straight cut-outs, folder/NUMBER.png."""
    folder.mkdir()
    for number in range(count):
        rgba = np.full((64, 64, 4), 40 * number, np.uint8)
        rgba[16:48, 16:48, 3] = 255
        cv2.imwrite(str(folder / f"{number}.png"), rgba)


def own_data(folder: Path) -> tuple[str, str]:
    text = (ROOT / "configs/smoke.yaml").read_text()
    assert "{synthetic: 16}" in text
    text = text.replace("{synthetic: 16}", f"{{rgba: {folder}, repeat: 4}}")
    path = folder.parent / "own.yaml"
    path.write_text(text)
    return "--config", str(path)


@pytest.mark.slow
def test_an_unreadable_picture_is_named_by_the_worker_that_met_it(tmp_path: Path) -> None:
    write_pictures(tmp_path / "rgba")
    broken = tmp_path / "rgba" / "2.png"
    broken.write_bytes(broken.read_bytes()[:100])
    folders = ["--checkpoint-dir", str(tmp_path / "c"), "--log-dir", str(tmp_path / "l")]
    done = run("train_base.py", *own_data(tmp_path / "rgba"), *folders)
    assert done.returncode == 2
    assert re.fullmatch(r"error: \S*2\.png: damaged.*\n", done.stderr), done.stderr
    assert "reading data failed; saved as" in done.stdout


@pytest.mark.slow
def test_own_cut_outs_train(call: Call, tmp_path: Path) -> None:
    write_pictures(tmp_path / "rgba")
    call(*own_data(tmp_path / "rgba"), "--epoch-end", "1", "--num-workers", "0", code=0)
    assert (tmp_path / "c/smoke/best.pth").is_file()
