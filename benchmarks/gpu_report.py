"""Runs the tests and measurements for a GPU, in 20 minutes, and writes one report.

Example: python -m benchmarks.gpu_report --output-dir gpu-report

Each stage is a process with a time limit. A stage that fails does not stop the others; the exit
code is then 1. `--device cpu --quick` rehearses all of it, on small input, without a GPU.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, Literal

import torch

from benchmarks.gpu.stages import Stage, plan_stages
from runtime.device import describe_device, resolve_device
from runtime.files import write_whole
from runtime.script import run_script
from runtime.wording import visible


@dataclass(frozen=True)
class Result:
    """What a stage left behind."""

    name: str
    command: str
    status: Literal["done", "failed", "out of time"]
    seconds: float
    output: str  # its standard output, or all of it if it failed
    figures: Any = None  # what it wrote as JSON


def run_stage(stage: Stage) -> Result:
    """Runs a stage until its end or its time limit, when it and its children are killed."""
    start = perf_counter()
    shown = " ".join(
        ["python", *(Path(part).name if "/" in part else part for part in stage.arguments)]
    )
    process = subprocess.Popen(  # noqa: S603 - our own programs
        [sys.executable, *stage.arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    status: Literal["done", "failed", "out of time"] = "failed"
    try:
        out, err = process.communicate(timeout=stage.limit)
        if process.returncode == 0:
            status = "done"
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        status = "out of time"
    except KeyboardInterrupt:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    if status != "done":
        out = "\n".join([out, *err.splitlines()[-40:]])
    figures = None
    if stage.json is not None and stage.json.exists():
        figures = json.loads(stage.json.read_text(encoding="utf-8"))
    return Result(stage.name, shown, status, perf_counter() - start, out.strip(), figures)


def write_report(folder: Path, facts: dict[str, str], results: list[Result]) -> None:
    """Writes `report.md` and `report.json`, whole, so that an interrupt leaves the last ones."""
    lines = ["# GPU report", "", *(f"- {name}: {value}" for name, value in facts.items()), ""]
    lines += ["| stage | status | seconds |", "|---|---|---|"]
    lines += [f"| {one.name} | {one.status} | {one.seconds:.0f} |" for one in results]
    for one in results:
        fenced = not one.output.startswith("|") and one.name != "network"
        body = ["```text", one.output, "```"] if fenced or one.status != "done" else [one.output]
        lines += ["", f"## {one.name}", f"`{one.command}`: {one.status}", "", *body]
    write_whole(folder / "report.md", "\n".join([*lines, ""]).encode())
    report = {"facts": facts, "stages": [asdict(one) for one in results]}
    write_whole(folder / "report.json", json.dumps(report, indent=2).encode() + b"\n")


def main() -> int:
    """Runs all stages; returns 0 if all were done, 1 if not."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--quick", action="store_true", help="small input, to rehearse")
    parser.add_argument("--output-dir", type=Path, default=Path("gpu-report"))
    args = parser.parse_args()
    device = resolve_device(args.device)
    args.output_dir.mkdir(parents=True, exist_ok=True)
    facts = {
        "device": describe_device(device),
        "system": platform.platform(),
        "versions": f"Python {platform.python_version()}, torch {torch.__version__}, CUDA "
        f"{torch.version.cuda}",
    }
    results: list[Result] = []
    with TemporaryDirectory() as folder:
        for stage in plan_stages(args.device, args.quick, Path(folder)):
            print(f"{stage.name}, at most {stage.limit} s", flush=True)
            results.append(run_stage(stage))
            print(f"  {results[-1].status} after {results[-1].seconds:.0f} s", flush=True)
            write_report(args.output_dir, facts, results)
    print(visible(f"the report is {args.output_dir / 'report.md'}"))
    return 0 if all(one.status == "done" for one in results) else 1


if __name__ == "__main__":
    sys.exit(run_script(main))
