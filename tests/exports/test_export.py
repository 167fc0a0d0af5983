"""`export.py` as a user calls it, and its files in their runtimes."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from matting import Matting
from matting.exported.card import read_card
from tests.conftest import RunScript, fork_script

SMALL = ("--size", "128x96", "--model-refine-sample-pixels", "1600")


def export(folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "export.py", "--output-dir", str(folder), *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunScript]:
    """The script for runs that end before any work."""
    yield from fork_script("export.py", tmp_path_factory.mktemp("forked_export"))


def test_nothing_is_replaced_without_permission(tmp_path: Path, refused: RunScript) -> None:
    (tmp_path / "128x96-blocks-float32.pt2").write_text("mine")
    done = refused("--output-dir", tmp_path, *SMALL, "--format", "torch-export")
    done.check(2, "has 128x96-blocks-float32.pt2 already; use -y to replace them")
    assert (tmp_path / "128x96-blocks-float32.pt2").read_text() == "mine"


def test_weights_beside_an_openvino_file_are_not_replaced_either(
    tmp_path: Path, refused: RunScript
) -> None:
    (tmp_path / "128x96-blocks-float32.bin").write_text("mine")
    done = refused("--output-dir", tmp_path, *SMALL, "--format", "openvino")
    done.check(2, "has 128x96-blocks-float32.bin already; use -y to replace them")
    assert (tmp_path / "128x96-blocks-float32.bin").read_text() == "mine"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--size", "5"), "size must be HD, 4K, dynamic or such as 1280x720, got '5'"),
        (("--format", "torchscript", "--size", "dynamic"), "has a fixed size"),
        (
            ("--size", "dynamic", "--model-backbone-scale", "0.25"),
            "give --model-refine-sample-pixels too",
        ),
        (
            ("--size", "dynamic", "--model-refine-sample-pixels", "1600"),
            "give --model-backbone-scale too",
        ),
        (("--format", "torch-export", "--precision", "float16"), "is written in float32"),
        (("--model-checkpoint", "README.md"), "README.md"),
    ],
)
def test_wrong_input_ends_before_any_work(
    tmp_path: Path, flags: tuple[str, ...], message: str, refused: RunScript
) -> None:
    refused("--output-dir", tmp_path / "out", *flags).check(2, message)
    assert not list((tmp_path / "out").glob("*"))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every format that this program runs itself, of one small size."""
    folder = tmp_path_factory.mktemp("exported")
    done = export(folder, *SMALL, "--format", "onnx", "openvino", "torch-export", "torchscript")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_every_file_has_a_card_within_its_bound(exported: Path) -> None:
    stem = "128x96-blocks-float32"
    files = {f"{stem}{suffix}" for suffix in (".onnx", ".xml", ".pt2", ".pt")}
    assert names(exported) == files | {f"{name}.json" for name in files} | {f"{stem}.bin"}
    for name in files:
        card = read_card(exported / name)
        assert card.size == (96, 128)
        assert len(card.parity.frames) == 4
        worst = max(max(f.pha.largest, f.fgr.largest) for f in card.parity.frames)
        assert worst <= card.parity.bound, name
        assert sum(card.operators.values()) > 100
        kinds = {kind.lower() for kind in card.operators}
        for refused in ("nonzero", "loop", "if", "range", "scatter", "cond"):
            assert not any(kind.startswith(refused) for kind in kinds), (name, refused)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".onnx", ".xml"])
def test_an_export_mattes_what_the_weights_matte(exported: Path, suffix: str) -> None:
    pair = [
        cv2.resize(cv2.imread(f"demo/{place}/walk.jpg")[..., ::-1], (128, 96))
        for place in ("src", "bgr")
    ]
    matte = Matting.load(exported / f"128x96-blocks-float32{suffix}")(*pair, preprocess="none")
    weights = Matting.load(quality="auto")
    weights.predictor.network.refiner.mode = "blocks"
    expected = weights(*pair, preprocess="none", refine_sample_pixels=1600)
    assert expected.alpha.max() > 0.9
    # What `accelerate` and a runtime round differently, and the correction of alpha enlarges.
    assert np.abs(matte.alpha - expected.alpha).max() < 1e-4
    assert np.abs(matte.foreground - expected.foreground).max() < 1e-4


RUN_PROGRAM = """
import sys, torch
program = torch.export.load(sys.argv[1]).module()
pha, fgr = program(torch.zeros(1, 3, 96, 128), torch.ones(1, 3, 96, 128))
assert not any(name.split(".")[0] in ("model", "matting", "exports") for name in sys.modules)
print(tuple(pha.shape), tuple(fgr.shape), bool(pha.isfinite().all()))
"""


@pytest.mark.slow
def test_a_fresh_process_runs_the_program_of_torch(exported: Path, tmp_path: Path) -> None:
    file = (exported / "128x96-blocks-float32.pt2").resolve()
    command = [sys.executable, "-c", RUN_PROGRAM, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.stdout == "(1, 1, 96, 128) (1, 3, 96, 128) True\n", done.stderr


@pytest.mark.slow
def test_sizes_may_be_dynamic(tmp_path: Path) -> None:
    done = export(tmp_path, "--size", "dynamic", "--format", "onnx", "openvino", "torch-export")
    assert done.returncode == 0, done.stderr
    card = read_card(tmp_path / "dynamic-blocks-float32.onnx")
    sizes = {frame.size for frame in card.parity.frames}
    assert sizes == {(480, 640), (500, 332), (1080, 1920)}
    assert card.backbone_scale is None
    matting = Matting.load(tmp_path / "dynamic-blocks-float32.onnx")
    matte = matting("demo/src/lawn.jpg", "demo/bgr/lawn.jpg")
    assert 0.02 < (matte.alpha > 0.9).mean() < 0.5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "precision", "format"),
    [("full", "float32", "onnx"), ("coarse", "float32", "onnx"), ("blocks", "float16", "onnx")],
)
def test_modes_and_precisions(tmp_path: Path, mode: str, precision: str, format: str) -> None:
    done = export(tmp_path, *SMALL, "--mode", mode, "--precision", precision, "--format", format)
    assert done.returncode == 0, done.stderr
    card = read_card(tmp_path / f"128x96-{mode}-{precision}.onnx")
    assert (card.mode, card.precision) == (mode, precision)


def export_patched(folder: Path, change: str) -> subprocess.CompletedProcess[str]:
    """Writes `torch-export` with another value of its `Writer`."""
    code = (
        "import os, signal, sys; sys.argv[0] = 'export.py'; import export; from exports import "
        "formats; from dataclasses import replace; w = formats.FORMATS; "
        f"w['torch-export'] = replace(w['torch-export'], {change}); sys.exit(export.main())"
    )
    command = [sys.executable, "-c", code, "--output-dir", str(folder), *SMALL]
    command += ["--format", "torch-export"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_more_than_the_bound_is_a_failure_and_leaves_nothing(tmp_path: Path) -> None:
    done = export_patched(tmp_path, "bounds={'float32': -1.0}")
    assert done.returncode == 1
    assert "differs from PyTorch by" in done.stderr
    assert "more than -1; nothing was written" in done.stderr
    assert names(tmp_path) == set()


def test_what_a_killed_export_left_is_removed(tmp_path: Path) -> None:
    for _ in range(2):
        export_patched(tmp_path, "write=lambda *_: os.kill(os.getpid(), signal.SIGKILL)")
        (left,) = tmp_path.iterdir()  # the second run has removed that of the first
        assert left.name.startswith(".export-")
