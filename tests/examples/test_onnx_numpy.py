"""The example for ONNX Runtime, in an environment with NumPy and ONNX Runtime alone."""

import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

EXAMPLE = Path("examples/onnx_numpy.py").resolve()


def run(*command: object) -> str:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_program_without_torch_mattes_a_photograph(tmp_path: Path) -> None:
    work = ("--model-backbone-scale", "0.5", "--model-refine-sample-pixels", "148000")
    run(sys.executable, "export.py", "--size", "640x480", *work, "--output-dir", tmp_path)
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "-q", "numpy", "onnxruntime")
    assert "torch" not in run(python, "-m", "pip", "list").lower()
    for place in ("src", "bgr"):
        picture = Image.open(f"demo/{place}/lawn.jpg").convert("RGB")
        picture.crop((0, 0, 638, 478)).save(tmp_path / f"{place}.ppm")  # sides that need padding
    network = tmp_path / "640x480-blocks-float32.onnx"
    pictures = [tmp_path / name for name in ("src.ppm", "bgr.ppm", "alpha.pgm")]
    run(python, EXAMPLE, network, *pictures)
    alpha = np.asarray(Image.open(tmp_path / "alpha.pgm")) / 255
    assert alpha.shape == (478, 638)
    run(
        *(sys.executable, "inference_images.py", "--images-src", pictures[0]),
        *("--images-bgr", pictures[1], "--quality", "auto", "--preprocess", "none"),
        *("--model-refine-mode", "blocks", "--output-types", "pha"),
        *(*work, "--output-dir", tmp_path / "out"),
    )
    expected = np.asarray(Image.open(tmp_path / "out" / "pha" / "src.png")) / 255
    assert (expected > 0.9).mean() > 0.02
    # Both round to 8 bits.
    assert np.abs(alpha - expected).max() <= 1.5 / 255
