"""Each weights file of the table: loaded by the programs' own way, or refused in one sentence."""

import re

import pytest

from matting.loading import load_predictor
from matting.settings import ComputeSettings, ModelSettings
from model.reading import CheckpointError
from training.checkpoint import load_checkpoint

from .rows import Row, run_row
from .weights import ROWS, TRAINING_ROWS

CPU = ComputeSettings(device="cpu", num_workers=0)
# Through the script itself: one of each way to an error.
THROUGH_THE_SCRIPT = ("zip.pth", "overflow.pth", "flipped.pth")


def check_error(error: Exception, row: Row, path: object) -> None:
    assert row.says, f"was not to be refused: {error}"
    assert re.search(row.says, str(error)), error
    assert "\n" not in str(error)
    assert str(path) in str(error)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_weights(row: Row, tmp_path) -> None:
    path = tmp_path / row.name
    row.make(path)
    if row.code == 0:
        assert load_predictor(ModelSettings(checkpoint=path), CPU).network is not None
        return
    with pytest.raises(CheckpointError) as error:
        load_predictor(ModelSettings(checkpoint=path), CPU)
    check_error(error.value, row, path)


@pytest.mark.parametrize("row", TRAINING_ROWS, ids=lambda row: row.name)
def test_training_checkpoint(row: Row, tmp_path) -> None:
    path = tmp_path / row.name
    row.make(path)
    if not row.says:
        assert load_checkpoint(path) is not None
        return
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(path)
    check_error(error.value, row, path)


@pytest.mark.parametrize("name", THROUGH_THE_SCRIPT)
def test_weights_through_the_script(name: str, tmp_path, run_forked, photographs) -> None:
    row = next(row for row in ROWS if row.name == name)
    run = run_row(row, "--model-checkpoint", tmp_path, run_forked, photographs)
    assert row.code == 0 or run.err.startswith("error: ")
