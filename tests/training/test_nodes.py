"""A run on two machines of which one dies; see `nodes`."""

import os
import random
import re
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from dataset.settings import DatasetSettings, SourceSettings, SplitSettings
from runtime.settings import to_yaml
from storage.location import Location, Url
from tests.storage.server import Store
from training.checkpoint import load_checkpoint
from training.settings import BaseSettings

from .conftest import make_settings
from .nodes import Node, meeting_point
from .test_resume import finish, start

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc"),
]
STEPS = 12  # of two processes: 6 in each of two epochs


def write_config(
    folder: Path, checkpoints: Location | None = None, **data: Any
) -> tuple[list[str], BaseSettings]:
    """Writes a run of 2 epochs of 24 samples, with a checkpoint after each second step."""
    settings = make_settings(folder, num_workers=1, checkpoint_interval=2, checkpoint_keep=9)
    sources = SplitSettings((SourceSettings(synthetic=24),), (SourceSettings(synthetic=2),))
    settings = replace(
        settings,
        dataset=DatasetSettings("drawn", {"drawn": sources}, **data),
        run=replace(settings.run, checkpoint_dir=checkpoints or settings.run.checkpoint_dir),
        model=replace(settings.model, last_checkpoint="auto"),
    )
    folder.mkdir(exist_ok=True)
    (folder / "run.yaml").write_text(to_yaml(settings))
    return ["train_base.py", "--config", str(folder / "run.yaml")], settings


def state_at_end(settings: BaseSettings) -> dict[str, torch.Tensor]:
    """Weights, running statistics and optimiser of the last checkpoint."""
    folder = settings.run.checkpoint_dir / settings.model.name
    checkpoint = load_checkpoint(folder / f"epoch-2-step-{STEPS}.pth")
    assert checkpoint is not None
    return checkpoint.network | {
        f"{key}.{name}": value
        for key, state in checkpoint.optimiser["state"].items()
        for name, value in state.items()
    }


def wait_until(done: Callable[[], object], nodes: list[Node]) -> None:
    limit = time.monotonic() + 120
    while not done():
        assert all(node.process.poll() is None for node in nodes), nodes[0].said
        assert time.monotonic() < limit, nodes[0].said
        time.sleep(0.1)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """The state at the end of two processes that nothing happened to."""
    command, settings = write_config(tmp_path_factory.mktemp("whole"))
    finish(start(command, processes=2))
    return state_at_end(settings)


def different(wanted: dict[str, torch.Tensor], got: dict[str, torch.Tensor]) -> list[str]:
    assert wanted.keys() == got.keys()
    return [name for name in wanted if not torch.equal(wanted[name], got[name])]


# KILLS=10 pytest -m slow tests/training/test_nodes.py -k comes_back   # nine random moments
@pytest.mark.parametrize("seed", range(int(os.environ.get("KILLS", "1"))))
def test_a_machine_that_dies_in_an_epoch_and_comes_back_changes_no_bit(
    tmp_path: Path, uninterrupted: dict[str, torch.Tensor], seed: int
) -> None:
    """The first machine, which writes the checkpoints, or for other seeds any one at any moment."""
    rng = random.Random(seed)
    dies, after = (0, 4) if seed == 0 else (rng.randrange(2), rng.randrange(2, STEPS - 2, 2))
    command, settings = write_config(tmp_path)
    checkpoints = settings.run.checkpoint_dir / "run"
    with meeting_point() as port:
        names = ["127.0.0.1", "127.0.0.2"]
        nodes = [Node(port, name, command, tmp_path / name, least=2) for name in names]
        try:
            wait_until(lambda: list(checkpoints.glob(f"epoch-*-step-{after}.pth")), nodes)
            time.sleep(rng.uniform(0, 1) if seed else 0)
            nodes[dies].kill()
            time.sleep(rng.uniform(0, 4) if seed else 0)
            nodes[dies] = Node(port, names[dies], command, tmp_path / names[dies], least=2)
            said = [node.finish() for node in nodes]
        finally:
            for node in nodes:
                node.kill()
    assert re.search(r"another process of this run (has ended|does not answer)", said[1 - dies])
    assert re.search(r"continuing from .*-step-(\d+)\.pth: epoch \d, step \1\n", "".join(said))
    assert "Traceback" not in "".join(said)
    assert different(uninterrupted, state_at_end(settings)) == []


def test_a_machine_that_stays_away_leaves_the_run_to_the_other(tmp_path: Path, s3: Store) -> None:
    """The second machine continues from the first's checkpoint, with data in a store too."""
    for number in range(4):
        colours = np.full((100, 120, 3), 60 * number, np.uint8)
        s3.put(f"photographs/{number}.png", cv2.imencode(".png", colours)[1].tobytes())
    root = Url("s3", s3.bucket)
    command, _ = write_config(
        tmp_path,
        root / "runs",
        **{"train_backgrounds": (root / "photographs",), "cache_dir": tmp_path / "cache"},
    )
    with meeting_point() as port:
        names = ["127.0.0.1", "127.0.0.2"]
        nodes = [Node(port, name, command, tmp_path / name) for name in names]
        try:
            wait_until(lambda: "runs/run/epoch-1-step-6.pth" in s3.names("runs/"), nodes)
            nodes[0].kill()
            said = nodes[1].finish()
        finally:
            for node in nodes:
                node.kill()
    begin = r"continuing from s3://.*/epoch-1-step-(\d+)\.pth: epoch 1, step \1$"
    step = int(re.search(begin, said, re.MULTILINE)[1])
    assert "2 processes before, 1 now" in said
    # One process makes steps of half as many samples: 12 instead of 6 in an epoch.
    assert f"runs/run/epoch-2-step-{18 - (step - 6)}.pth" in s3.names("runs/")
