"""torch.hub, from a program that has modules of the project's names."""

import subprocess
import sys
from pathlib import Path

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
