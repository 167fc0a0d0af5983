"""The program `matting cluster`: with Ray on this machine, and where it needs none."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import ray

from matting.__main__ import main
from matting.cluster import connection
from matting.cluster.settings import ClusterSettings
from tests.conftest import ENVIRONMENT, REPOSITORY, Photographs, Run, RunScript


@pytest.fixture
def flags(tmp_path: Path) -> list[str]:
    src, bgr = Photographs.pair(tmp_path, "a.png", "sub/b.png", "c.png", height=48, width=64)
    (src / "broken.png").write_bytes(b"x")
    names = ["--images-src", src, "--images-bgr", bgr, "--output-dir", tmp_path / "out"]
    return [*map(str, names), "--quality", "fast"]


@pytest.fixture
def run_here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    def run(*args: str) -> Run:
        monkeypatch.setattr(sys, "argv", ["matting", "cluster", *args])
        return Run(main(), *capsys.readouterr())

    return run


def test_without_ray_says_what_to_install(run_here, flags, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    run_here(*flags).check(2, r"needs more packages .*pip install 'background-matting\[ray\]'")


def test_wrong_input_ends_before_a_cluster_is_joined(
    run_here, flags, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "connected", None)
    run_here(*flags, "--images-bgr", str(tmp_path / "gone")).check(2, "gone")
    broken = tmp_path / "broken.pth"
    broken.write_bytes(b"x")
    run_here(*flags, "--model-checkpoint", str(broken)).check(2, "broken.pth")
    assert not (tmp_path / "out").exists()


def test_a_cluster_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def init(**options: object) -> None:
        raise ConnectionError("Could not find any running Ray instance")  # as Ray does

    # Not Ray itself, which would join a cluster that another test runs.
    monkeypatch.setattr(ray, "init", init)
    error = r"--address auto can't be joined: Could not find .*ray start --head"
    with pytest.raises(ValueError, match=error), connection.connected(ClusterSettings(), 0):
        pass


def test_where_all_is_done_no_cluster_is_needed(
    run_here, run_forked: RunScript, flags, tmp_path: Path
) -> None:
    """Outputs of a run without Ray count, too."""
    (tmp_path / "src" / "broken.png").unlink()
    run_forked(*flags).check(0)
    run_here(*flags, "--on-existing", "skip").check(0, "0 done, 3 skipped, 0 failed")
    summary = json.loads((tmp_path / "out" / "summary.json").read_text("utf-8"))
    assert summary["kept"] == []
    assert summary["network"].startswith("mattingrefine")


def test_rays_client_is_refused() -> None:
    error = "start this program on a node of the cluster"
    with (
        pytest.raises(ValueError, match=error),
        connection.connected(ClusterSettings("ray://a"), 0),
    ):
        pass


@pytest.mark.slow
def test_on_this_machine_gives_the_bits_of_a_run_without_ray(
    run_forked: RunScript, flags, tmp_path: Path
) -> None:
    """Ray leaves nothing in the home folder."""
    run_forked(*flags).check(1)
    (tmp_path / "out").rename(tmp_path / "one")
    home = tmp_path / "home"
    home.mkdir()
    command = [sys.executable, "-m", "matting", "cluster", *flags, "--address", "local"]
    done = subprocess.run(
        [*command, "--cpus-per-actor", "1"],
        cwd=REPOSITORY,
        env={**os.environ, **ENVIRONMENT, "HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    Run(done.returncode, done.stdout, done.stderr).check(
        1, "failed: broken.png: frame .*broken.png"
    )
    one, out = (
        {p.relative_to(tmp_path / run): p.read_bytes() for p in (tmp_path / run).rglob("*.png")}
        for run in ("one", "out")
    )
    assert len(one) == 6
    assert out == one
    before, after = (
        json.loads((tmp_path / run / "summary.json").read_text("utf-8")) for run in ("one", "out")
    )
    assert [(i["name"], i["status"], i["outputs"]) for i in after["images"]] == [
        (i["name"], i["status"], i["outputs"]) for i in before["images"]
    ]
    assert after["counts"] == before["counts"] == {"done": 3, "skipped": 0, "failed": 1}
    assert sum(after["actors"].values()) >= 1
    assert list(home.iterdir()) == []


@pytest.mark.slow
def test_ended_while_it_waits_for_a_node(flags, tmp_path: Path) -> None:
    """Ray's own answers to SIGTERM and to a thread that waits are other exit codes."""
    command = [sys.executable, "-m", "matting", "cluster", *flags, "--address", "local"]
    with subprocess.Popen(
        [*command, "--cpus-per-actor", "9999"],
        cwd=REPOSITORY,
        env={**ENVIRONMENT, "HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as driver:
        end = time.monotonic() + 120
        while not (tmp_path / "out" / "summary.json").exists() and time.monotonic() < end:
            time.sleep(0.1)
        driver.terminate()
        out, err = driver.communicate(timeout=60)
    Run(driver.returncode, out, err).check(130, "interrupted; --on-existing skip")
    assert "note: no node has 9999 CPUs and 0 GPUs" in out
    assert "0 done, 0 skipped, 0 failed, 4 not reached" in out
