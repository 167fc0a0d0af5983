"""A cluster that loses a node and its driver, with a store that fails."""

import json
import subprocess
import sys

import pytest

from tests.conftest import ENVIRONMENT, REPOSITORY


@pytest.mark.slow
def test_nothing_is_lost_when_a_node_the_driver_and_the_store_fail() -> None:
    sizes = ["--photographs", "24", "--node-kills", "1", "--driver-kills", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.cluster_faults", *sizes, "--fault-seconds", "3"],
        cwd=REPOSITORY,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(done.stdout[done.stdout.index("\n{\n") :])
    assert figures["exit codes of the runs"] == [-9, 0]
    assert figures["outputs stored once"] + figures["outputs stored twice"] == 48
    counts = figures["last summary"]
    assert counts["done"] + counts["skipped"] == 24
    assert figures["requests that failed"] > 0
