"""Formats of other runtimes, written by `export.py`, and run where that is possible."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from exports.settings import NetworkSettings
from exports.write import Order
from matting.exported.card import Card, read_card

SMALL = ("--size", "128x96", "--model-refine-sample-pixels", "1600")


def need(*packages: str) -> None:
    """Skips a test where a package of the extra mobile is missing; in CI, it is an error."""
    if "CI" not in os.environ:
        for package in packages:
            pytest.importorskip(package, reason=f"{package} of the extra mobile is not installed")


def run(*command: object) -> str:
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, timeout=1800, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def export(folder: Path, format: str, suffix: str, *flags: str) -> tuple[Path, Card]:
    run(
        *(sys.executable, "export.py", "--output-dir", folder, "--format", format),
        *(*SMALL, *flags),
    )
    (card,) = folder.glob(f"*{suffix}.json")
    path = card.with_suffix("")
    return path, read_card(path)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["blocks", "full"])
def test_executorch_computes_what_pytorch_does(tmp_path: Path, mode: str) -> None:
    need("executorch")
    _, card = export(tmp_path, "executorch", ".pte", "--mode", mode)
    assert (card.parity.runtime or "").startswith("executorch ")
    assert card.parity.bound == 1e-3
    assert len(card.parity.frames) == 4
    # XNNPACK computes the convolutions: of 67, most.
    assert card.operators["executorch_call_delegate"] >= 2
    assert card.operators.get("convolution.out", 0) < 5


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["full", "coarse"])
def test_ncnn_computes_what_pytorch_does(tmp_path: Path, mode: str) -> None:
    need("pnnx", "ncnn")
    _, card = export(tmp_path, "ncnn", ".param", "--mode", mode, "--model-corrects-alpha", "False")
    assert {file.name for file in tmp_path.iterdir()} == {
        f"128x96-{mode}-float32.ncnn{suffix}" for suffix in (".param", ".bin", ".param.json")
    }
    assert (card.parity.runtime or "").startswith("ncnn ")
    assert card.parity.bound == 1e-3
    assert len(card.parity.frames) == 4
    assert not card.corrects_alpha


def test_ncnn_refuses_what_it_has_no_layers_for(tmp_path: Path) -> None:
    for network, mode, message in (
        (NetworkSettings(corrects_alpha=False), "blocks", "written in mode full or coarse"),
        (NetworkSettings(), "full", "lacks the operators that correct alpha"),
    ):
        with pytest.raises(ValueError, match=message):
            Order(network, (96, 128), mode, "float32").check("ncnn")


@pytest.mark.slow
def test_ncnn_names_the_operators_that_it_lacks(tmp_path: Path) -> None:
    need("pnnx", "ncnn")
    from exports.ncnn import write_ncnn

    order = Order(NetworkSettings(refine_sample_pixels=1600), (96, 128), "blocks", "float32")
    with pytest.raises(ValueError, match=r"ncnn has no layers for .*torch\.topk"):
        write_ncnn(order.plain, tmp_path / "net.ncnn.param")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_core_ml_gets_a_program_that_its_runtime_takes(tmp_path: Path) -> None:
    need("coremltools")
    import coremltools

    path, card = export(tmp_path, "coreml", ".mlpackage")
    assert card.parity.runtime is None
    assert "not run: Core ML runs on Apple's systems" in (card.parity.reason or "")
    spec = coremltools.models.MLModel(str(path), skip_model_load=True).get_spec()
    shapes = {x.name: list(x.type.multiArrayType.shape) for x in spec.description.input}
    assert shapes == {"src": [1, 3, 96, 128], "bgr": [1, 3, 96, 128]}
    assert [x.name for x in spec.description.output] == ["pha", "fgr"]
    main = spec.mlProgram.functions["main"]
    steps = main.block_specializations[main.opset].operations
    ranks = [output.type.tensorType.rank for step in steps for output in step.outputs]
    # Core ML has no tensors of more dimensions.
    assert 4 <= max(ranks) <= 5
    # A second time, in place of the first.
    before = (path / "Manifest.json").read_text()
    export(tmp_path, "coreml", ".mlpackage", "-y")
    assert (path / "Manifest.json").read_text() != before
    assert len(list(tmp_path.iterdir())) == 2


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of examples/cpp, built with the libraries of the Python packages."""
    import openvino

    folder = tmp_path_factory.mktemp("build")
    torch_at, openvino_at = (Path(package.__file__).parent for package in (torch, openvino))
    options = (f"-DTORCH={torch_at}", f"-DOpenVINO_DIR={openvino_at}/cmake")
    run("cmake", "-S", "examples/cpp", "-B", folder, "-DCMAKE_BUILD_TYPE=Release", *options)
    run("cmake", "--build", folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("format", "suffix", "program", "bound"),
    [
        ("torchscript", ".pt", "matte_torch", 1e-5),
        ("aotinductor", ".aoti.pt2", "matte_torch", 1e-5),
        ("openvino", ".xml", "matte_openvino", 1e-4),
        ("onnx", ".onnx", "matte_openvino", 1e-4),
    ],
)
def test_a_program_in_cpp_computes_what_pytorch_does(
    tmp_path: Path, programs: Path, format: str, suffix: str, program: str, bound: float
) -> None:
    path, card = export(tmp_path, format, suffix)
    assert card.parity.bound == bound
    pictures = []
    for place in ("src", "bgr"):
        picture = Image.open(f"demo/{place}/walk.jpg").convert("RGB").resize((128, 96))
        picture.save(tmp_path / f"{place}.ppm")
        pictures.append(np.asarray(picture).transpose(2, 0, 1)[None].astype(np.float32) / 255)
    ppm = [tmp_path / "src.ppm", tmp_path / "bgr.ppm"]
    run(programs / program, path, *ppm, tmp_path / "alpha.pfm")
    alpha = cv2.imread(str(tmp_path / "alpha.pfm"), cv2.IMREAD_UNCHANGED)
    order = Order(NetworkSettings(refine_sample_pixels=1600), (96, 128), "blocks", "float32")
    with torch.no_grad():
        expected = order.plain.module(*map(torch.from_numpy, pictures))[0][0, 0].numpy()
    assert (expected > 0.9).mean() > 0.02
    assert np.abs(alpha - expected).max() <= bound
    # Errors are said, and nothing is written.
    wrong = subprocess.run(
        [programs / program, path, tmp_path / "none.ppm", ppm[1], tmp_path / "x.pfm"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert wrong.returncode == 1
    assert "none.ppm is not a binary PPM" in wrong.stderr
    assert not (tmp_path / "x.pfm").exists()
