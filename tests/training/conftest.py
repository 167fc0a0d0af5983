"""Runs on a few small drawn samples."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import train_base
import train_refine
from dataset.batches import CropSettings
from dataset.settings import DatasetSettings, SourceSettings, SplitSettings
from training.checkpoint import State
from training.data import compose, open_data
from training.log import Log
from training.loop import train_step as make_step
from training.metrics import base_loss, refine_loss
from training.processes import Processes
from training.run import Run, begin
from training.settings import (
    BaseModelSettings,
    BaseSettings,
    LearningRates,
    LogSettings,
    RefineModelSettings,
    RefineSettings,
    RunSettings,
    ScheduleSettings,
    ValidationSettings,
)

CPU = torch.device("cpu")
MakeRun = Callable[..., tuple[Run, State]]


def make_settings(folder: Path, refine: bool = False, **run: Any) -> BaseSettings | RefineSettings:
    """Settings of a run of a few steps on 8 drawn samples; `run` are those of `RunSettings`."""
    sources = SplitSettings((SourceSettings(synthetic=8),), (SourceSettings(synthetic=3),))
    shared: dict[str, Any] = {
        "dataset": DatasetSettings("drawn", {"drawn": sources}),
        "crop": CropSettings(64, 96, 16),
        "learning_rates": LearningRates(1e-3, 2e-3, 3e-3, 4e-3),
        "schedule": ScheduleSettings(),
        "run": RunSettings(
            **{"batch_size": 2, "num_workers": 0, "epoch_end": 2, "precision": "float32"}
            | {"device": "cpu", "checkpoint_dir": folder / "checkpoint"}
            | run
        ),
        "log": LogSettings(dir=folder / "log", train_loss_interval=1, train_images_interval=2),
        "validation": ValidationSettings(samples=3, size=64, batch_size=2),
    }
    if refine:
        model = RefineModelSettings(name="run", refine_sample_pixels=640)
        return RefineSettings(**shared, model=model)
    return BaseSettings(**shared, model=BaseModelSettings(name="run"))


def train_step(run: Run, state: State, batch: dict[str, Any]) -> dict[str, float]:
    """Makes a step with a batch of the loader; returns its loss's terms."""
    composed = compose(batch, run.settings.run, run.processes.device)
    return make_step(run, state, composed, lambda: None)


@pytest.fixture
def settings(tmp_path: Path) -> BaseSettings:
    """See `make_settings`."""
    return make_settings(tmp_path)


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Builds what `fit` takes."""

    def make(
        settings: BaseSettings | RefineSettings | None = None,
        **changes: Any,
    ) -> tuple[Run, State]:
        """Of settings, with some fields of the run changed."""
        processes = Processes(0, 1, CPU)
        settings = settings or make_settings(tmp_path)
        refine = isinstance(settings, RefineSettings)
        torch.manual_seed(settings.run.seed)
        network = (train_refine if refine else train_base).build(settings)
        state, _ = begin(network, settings, processes, settings.run.precision)
        run = Run(
            settings=settings,
            processes=processes,
            data=open_data(settings, processes),
            network=state.network,
            loss=refine_loss if refine else base_loss,
            precision="float32",
            log=Log(None, state.step, 8),
            interrupted=lambda: False,
        )
        return replace(run, **changes), state

    return make
