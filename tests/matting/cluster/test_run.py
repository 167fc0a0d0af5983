"""The program `matting cluster`: with Ray on this machine, and where it needs none."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import ray
from ray._private import services
from ray.cluster_utils import Cluster

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
    monkeypatch.setattr(services, "canonicalize_bootstrap_address", lambda address: None)
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


@pytest.mark.parametrize("named", ["--address", "RAY_ADDRESS"])
def test_a_head_that_is_gone_is_told_at_once(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray itself tries for minutes, with lines of its own."""
    monkeypatch.setattr(ray, "init", None)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    settings = ClusterSettings(address if named == "--address" else "auto")
    monkeypatch.setenv("RAY_ADDRESS", "ray://other" if named == "--address" else address)
    error = f"--address {address} can't be joined: no answer from .*refused.*ray start --head"
    with pytest.raises(ValueError, match=error), connection.connected(settings, 0):
        pass


def test_rays_client_in_ray_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "ray://a")
    monkeypatch.setattr(ray, "init", None)
    with (
        pytest.raises(ValueError, match="start this program on a node"),
        connection.connected(ClusterSettings(), 0),
    ):
        pass


@pytest.mark.parametrize("address", ["local", "auto"])
def test_an_actor_that_is_too_large(address: str, capsys: pytest.CaptureFixture) -> None:
    """No node can join this machine alone; it would wait for ever."""
    ray_here = SimpleNamespace(
        cluster_resources=dict, nodes=lambda: [{"Alive": True, "Resources": {"CPU": 2.0}}]
    )
    settings = ClusterSettings(address, cpus_per_actor=3)
    if address == "local":
        with pytest.raises(ValueError, match=r"no 3 CPUs .* finds 2 CPUs and 0 GPUs\. See --cpus"):
            connection._fit(ray_here, settings)
    else:
        connection._fit(ray_here, settings)
        assert "no node has 3 CPUs and 0 GPUs for an actor; the run wa" in capsys.readouterr().out


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
def test_ended_while_it_waits_for_a_node(
    flags, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Ray's own answers to SIGTERM and to a thread that waits are other exit codes."""
    command = [sys.executable, "-m", "matting", "cluster", *flags, "--address"]
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": 0})
    request.addfinalizer(cluster.shutdown)
    with subprocess.Popen(
        [*command, cluster.address, "--cpus-per-actor", "9999"],
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
