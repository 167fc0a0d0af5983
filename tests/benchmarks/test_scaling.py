"""Scaling: what is measured and simulated."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import scaling
from benchmarks.scaling import simulate
from benchmarks.timing import count_cores


def test_nothing_is_lost_by_one_process_that_starts_at_once() -> None:
    run = simulate(1, 1000, np.array([0.5]), start=0, transfer=0)
    assert (run.efficiency, run.start, run.shards, run.storage) == (1, 0, 0, 0)


def test_starting_is_lost_once() -> None:
    run = simulate(1, 1000, np.array([0.5]), start=500, transfer=0)
    assert run.efficiency == run.start == 0.5


def test_unequal_shards_are_waited_for() -> None:
    run = simulate(64, 64_000, np.array([0.5]), start=0, transfer=0)
    # Of 64 counts with mean 1,000 and deviation 31.4, the largest lies 1 to 4 deviations above.
    assert 0.03 < run.shards < 0.13
    assert run.efficiency == pytest.approx(1 - run.shards)
    fewer = simulate(64, 6_400_000, np.array([0.5]), start=0, transfer=0)
    assert fewer.shards < run.shards / 5, "larger shards differ less"


def test_storage_limits_all_together() -> None:
    run = simulate(10, 1000, np.array([0.5]), start=0, transfer=1)
    assert run.efficiency == 0.05, "5 s for each process, and storage needs 100"
    assert run.efficiency + run.start + run.shards + run.storage == pytest.approx(1)


@pytest.mark.slow
def test_shards_of_real_processes_are_timed(tmp_path: Path, capsys) -> None:
    rng = np.random.default_rng(0)
    for name in ("src", "bgr"):
        (tmp_path / name).mkdir()
        picture = rng.integers(0, 256, (48, 64, 3), np.uint8)
        Image.fromarray(picture).save(tmp_path / name / "a.png")
    line = f"--frames {tmp_path}/src --plate {tmp_path}/bgr --copies 6 --rounds 1"
    scaling.main([*line.split(), "--photographs", "1000"])
    rows = [row for row in capsys.readouterr().out.splitlines() if row.startswith("|")]
    assert len(rows) == 4 + count_cores() + len(scaling._SIMULATED)
    assert rows[2].endswith("| 1.00 |"), "one process is compared with itself"
