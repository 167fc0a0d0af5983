"""The report for a GPU: its stages, and a rehearsal without one."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks import gpu_report as report
from benchmarks.gpu import network, stages
from benchmarks.gpu.stages import Stage


def python(code: str, limit: int = 60, json_to: Path | None = None) -> Stage:
    return Stage(f"stage {limit}", ("-c", code), limit, json_to)


def test_stages_end_within_twenty_minutes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "make_clip", lambda *_: (tmp_path / "a.mp4", tmp_path / "a.png"))
    planned = stages.plan_stages("cuda", False, tmp_path)
    assert sum(stage.limit for stage in planned) <= 20 * 60
    names = [stage.name for stage in planned]
    assert len(set(names)) == len(names)
    assert names[0] == "tests", "what is wrong need not be timed"
    assert all("--collect-only" not in stage.arguments for stage in planned)


def test_a_stage_and_its_children_end_at_the_limit(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time; print('begun', flush=True); "
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid)); time.sleep(60)"
    )
    start = time.monotonic()
    result = report.run_stage(python(code, 5))
    assert result.status == "out of time"
    assert time.monotonic() - start < 30
    assert result.output.startswith("begun")
    status = Path("/proc", (tmp_path / "pid").read_text(), "status")
    # Killed children wait for a parent that collects them; to die takes a moment.
    while time.monotonic() - start < 45 and is_alive(status):
        time.sleep(0.1)
    assert not is_alive(status)


def is_alive(status: Path) -> bool:
    try:
        return "State:\tZ" not in status.read_text()
    except OSError:
        return False


def test_a_failed_stage_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    out = tmp_path / "report"

    def plan(device: str, quick: bool, folder: Path) -> list[Stage]:
        file = folder / "a.json"
        write = f"print('| a |'); open({str(file)!r}, 'w').write('[1, 2]')"
        return [python("1 / 0", 61), python(write, 62, file)]

    monkeypatch.setattr(report, "plan_stages", plan)
    monkeypatch.setattr(sys, "argv", ["gpu_report", "--device", "cpu", "--output-dir", str(out)])
    assert report.main() == 1
    saved = json.loads((out / "report.json").read_text())
    assert [stage["status"] for stage in saved["stages"]] == ["failed", "done"]
    assert "ZeroDivisionError" in saved["stages"][0]["output"]
    assert saved["stages"][1]["figures"] == [1, 2]
    text = (out / "report.md").read_text()
    assert "| stage 61 | failed |" in text
    assert "\n| a |\n" in text
    assert "ZeroDivisionError" in text
    assert "report.md" in capsys.readouterr().out


@pytest.mark.slow
def test_the_network_is_timed_and_its_kernels_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    out = tmp_path / "a.json"
    line = "network --device cpu --resolution 192 128 --modes blocks --precisions float32 --calls 2"
    monkeypatch.setattr(sys, "argv", [*line.split(), "--json", str(out)])
    network.main()
    printed = capsys.readouterr().out
    ((name, row),) = json.loads(out.read_text()).items()
    assert name == "192 x 128, blocks, float32"
    for what in ("predicted", "corrected"):
        assert f"| 192 x 128 | blocks | float32 | {what} |" in printed
        assert row[what]["p50_ms"] <= row[what]["p95_ms"]
        assert row[what]["alpha_mean_difference"] < 1e-5  # rounding
    assert [kernel["us"] for kernel in row["kernels"]] == sorted(
        (kernel["us"] for kernel in row["kernels"]), reverse=True
    )
    assert "convolution" in printed


@pytest.mark.parametrize(
    ("rate", "p95", "verdict"), [(1000, 1.2, "reached"), (999, 1.0, "not"), (2000, 1.3, "not")]
)
def test_goals_are_judged(rate: float, p95: float, verdict: str) -> None:
    row = {"predicted": {"frames_per_second": rate, "p50_ms": 1.0, "p95_ms": p95}}
    slower = {"predicted": {"frames_per_second": 10.0, "p50_ms": 1.0, "p95_ms": 1.0}}
    (told,) = network.judge({"HD, sampling, float32": slower, "HD, blocks, float16": row})
    assert told.startswith(f"HD {verdict}")
    assert told.endswith("(HD, blocks, float16)")


@pytest.mark.slow
def test_all_of_it_is_rehearsed_without_a_gpu(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.gpu_report", "--device", "cpu", "--quick"]
    done = subprocess.run(
        [*command, "--output-dir", tmp_path], capture_output=True, text=True, check=False
    )
    text = (tmp_path / "report.md").read_text()
    assert done.returncode == 0, text
    saved = {
        one["name"]: one for one in json.loads((tmp_path / "report.json").read_text())["stages"]
    }
    assert {*saved} == {
        *("tests", "network", "table, float32", "video files, small", "training"),
    }
    assert all(one["status"] == "done" for one in saved.values())
    assert saved["training"]["figures"]["train_refine.py"]["samples_per_second"] > 0
    assert saved["table, float32"]["figures"]["speed"]["frames_per_second"] > 0
    assert "together" in saved["video files, small"]["output"]
