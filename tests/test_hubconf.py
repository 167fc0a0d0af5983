"""torch.hub, from a program that has modules of the project's names."""

import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from hubconf import dependencies

from .conftest import ENVIRONMENT, REPOSITORY

PROGRAM = """
import sys, types
for name in ("model", "media", "matting", "runtime"):
    sys.modules[name] = types.ModuleType(name)
import torch
def load(name, **arguments):
    return torch.hub.load(REPO, name, source="local", **arguments)
network = load("matting_mobilenetv2", backbone_scale=0.5)
src, bgr = torch.rand(2, 1, 3, 64, 64)
print(type(network).__name__, network.training, network.backbone_scale)
print(*network(src, bgr).pha.shape)
matte = load("predictor", quality="auto")(FRAME, PLATE)
print(*matte.alpha.shape, round(float(matte.alpha.mean()), 3))
assert not any(hasattr(sys.modules[name], "__file__") for name in ("model", "media", "matting"))
"""


@pytest.mark.slow
def test_loads_network_and_library_beside_foreign_modules(tmp_path: Path) -> None:
    names = {"REPO": REPOSITORY, "FRAME": REPOSITORY / "demo/src/lawn.jpg"}
    names["PLATE"] = REPOSITORY / "demo/bgr/lawn.jpg"
    head = "".join(f"{name} = {str(value)!r}\n" for name, value in names.items())
    command = [sys.executable, "-c", head + PROGRAM]
    done = subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    network, shape, matte = done.stdout.splitlines()
    assert network == "MattingRefine False 0.5"
    assert shape == "1 1 64 64"
    assert matte.startswith("480 640 0.1")


@pytest.mark.slow
def test_names_all_that_it_imports(tmp_path: Path) -> None:
    program = f"""
import sys, torch
network = torch.hub.load({str(REPOSITORY)!r}, "predictor", source="local")
print(*{{name.partition(".")[0] for name in sys.modules}})
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    imported = set(done.stdout.split())
    names = packages_distributions()
    required = {
        re.split(r"[<>=]", line)[0].lower()
        for line in (REPOSITORY / "requirements.txt").read_text().splitlines()
        if not line.startswith("#")
    }
    of = {top: {n.lower() for n in found} & required for top, found in names.items()}
    needed = set().union(*(of.get(top, set()) for top in imported))
    assert "torch" in needed
    assert needed == set().union(*(of[top] for top in dependencies))
