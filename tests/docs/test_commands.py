"""Every command and every line of Python of the pages, as a reader types it."""

import argparse
import importlib
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from evaluate import EvaluationSettings
from matting.__main__ import PROGRAMS
from matting.app.run import Settings as AppSettings
from matting.cluster.settings import Settings as ClusterRunSettings
from matting.merging import Settings as MergeSettings
from runtime.settings import parse_settings
from tests.conftest import Run
from tests.docs.pages import PAGES, ROOT, Block, complete, is_command, read_blocks
from tests.docs.workplace import environment, make_files, make_workplace
from training.settings import BaseSettings, RefineSettings

# Commands that are not run, because of what they need; their flags and settings are checked.
UNRUN = {
    r"--rdzv-endpoint": "several machines; see tests/training/test_nodes.py",
    r"configs/stage\d": "the data may not be redistributed, and take GPUs",
    r"configs/synthetic_(base|refine)\.yaml --": "half an hour; smoke.yaml runs the same loop",
    r"--virtual-camera|--camera (/dev|rtsp|\d)|--camera-size": "a camera, or a driver of one",
    r"--precision float16": "a GPU",
    r"--methods .*(rvm|closed-form)": "packages of other methods that the tests do not install",
    r"(s3|gs|https)://": "a store; tests/test_inference_{images,video}_storage.py have one",
    r"-m docs\.make": "photographs that are no part of the project; see tests/docs/test_make.py",
}
# Commands of other programs, and where they are tried.
ELSEWHERE = {
    r"^(python3? -m venv|\. \.venv/bin/activate|pip install|docker)": "tests/test_packaging.py",
    r"^tensorboard ": "a server",
    r"^python -c .*TCPStore": "tests/training/nodes.py",
    r"^matting app": "tests/app",
    r"-m benchmarks\.gpu_report": "tests/benchmarks/test_gpu.py",
    r"-m benchmarks\.cluster_faults": "tests/benchmarks/test_cluster_faults.py",
    r"^ray ": "processes that stay; the same happens in benchmarks/cluster_faults.py",
}
# What a run gets beside, so that it is small, or has a camera.
BESIDE = {
    r"^matting webcam(?!.* --camera )": "--camera camera.mp4 --camera-pace each",
    r"^matting webcam(?!.* --record )": "--record seen.mp4",
    r"^matting webcam(?!.* --preview )": "--preview no",
    r"^matting speed": "--iterations 1 --warm-up 0",
    r"benchmarks\.compare_reference": "--backbones mobilenetv2 --sizes HD --rounds 1",
    r"benchmarks\.profile_parts": "--backbones mobilenetv2 --sizes HD --rounds 1",
    r"benchmarks\.exports": "--formats onnx --size 192x128 --repeats 1",
    r"benchmarks\.scaling": "--copies 2 --rounds 1 --photographs 1000",
    r"benchmarks\.data_throughput": "--samples 2",
    r"benchmarks\.video_end_to_end": "--frames 4 --rounds 1",
    r"benchmarks\.robustness(?!.*--conditions)": "--conditions none",
    r"benchmarks\.many_pictures": "--counts 20",
    r"benchmarks\.gate": "--rows dtssd --every 36",
}
SCRIPTS = {
    "images": "inference_images.py",
    "video": "inference_video.py",
    "webcam": "inference_webcam.py",
    "speed": "inference_speed_test.py",
    "evaluate": "evaluate.py",
    "export": "export.py",
    "train-base": "train_base.py",
    "train-refine": "train_refine.py",
    "merge-summaries": "matting/merging.py",
    "app": "matting/app/run.py",
    "cluster": "matting/cluster/run.py",
}
SETTINGS = {
    "matting/app/run.py": AppSettings,
    "matting/cluster/run.py": ClusterRunSettings,
    "matting/merging.py": MergeSettings,
    "evaluate.py": EvaluationSettings,
    "train_base.py": BaseSettings,
    "train_refine.py": RefineSettings,
}

BLOCKS = [block for page in PAGES for block in read_blocks(page)]
SHELL = [block for block in BLOCKS if block.language == "bash"]
COMMANDS = [(block, command) for block in SHELL for command in block.commands]


def reason(command: str, rules: dict[str, str]) -> str | None:
    """What a rule says of a command, or None."""
    return next((why for rule, why in rules.items() if re.search(rule, command)), None)


def to_run(block: Block) -> list[str]:
    """Those of a block's commands that are run here."""
    rules = UNRUN | ELSEWHERE | {"^make ": ""}
    return [command for command in block.commands if reason(command, rules) is None]


RUN = [pytest.param(block, id=f"{block}") for block in SHELL if to_run(block)]


@pytest.fixture(scope="session")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_workplace(tmp_path_factory.mktemp("workplace"))


@pytest.mark.slow
@pytest.mark.parametrize("block", RUN)
def test_commands_do_what_they_say(
    block: Block, tmp_path: Path, run_forked: Callable[..., Run], run_video: Callable[..., Run]
) -> None:
    root = make_workplace(tmp_path)
    for command in to_run(block):
        for rule, flags in BESIDE.items():
            command = complete(command, flags) if re.search(rule, command) else command
        make_files(root, (command,))
        words = shlex.split(command, comments=True)
        forked = {("matting", "images"): run_forked, ("matting", "video"): run_video}
        if (run := forked.get(tuple(words[:2]))) and not {"|", ">"} & {*words}:
            script = str(ROOT / SCRIPTS[words[1]])
            before = f"import os; os.chdir({str(root)!r}); script = {script!r}"
            run(*words[2:], before=before).check(0)
            continue
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=root,
            env=environment(root),
            capture_output=True,
            text=True,
            timeout=900,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


class ParsedError(Exception):
    """The command line was taken."""


@pytest.mark.parametrize(
    ("block", "command"),
    [
        pytest.param(block, command, id=f"{block} {command[:40]}")
        for block, command in COMMANDS
        if reason(command, ELSEWHERE | {"^make |--help|--version": ""}) is None
        or command.startswith("matting app")
    ],
)
def test_flags_and_settings_are_known(
    block: Block, command: str, settled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_files(settled, (command,))
    monkeypatch.chdir(settled)
    for part in re.split(r" \| ", command):
        words = [w for w in shlex.split(part, comments=True) if not re.match(r"[A-Z_]+=", w)]
        if words[0] != "ffmpeg":
            parse(words, monkeypatch)


def parse(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Has the program read a command line, and no more."""

    def stop(*args: object, **options: object) -> None:
        parse_args(*args, **options)
        raise ParsedError

    if words[0] == "matting":
        words = ["python", SCRIPTS[words[1]], *words[2:]]
    if words[0] == "torchrun":
        words = words[next(n for n, word in enumerate(words) if word.endswith(".py")) - 1 :]
    if words[1].endswith(".py"):
        settings = SETTINGS.get(words[1])
        if settings is None:
            settings = importlib.import_module(words[1].removesuffix(".py")).Settings
        parse_settings(settings, "", words[2:])
        return
    assert words[:2] == ["python", "-m"], words
    parse_args = argparse.ArgumentParser.parse_args
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop)
    monkeypatch.setattr(sys, "argv", words[2:])
    module = importlib.import_module(words[2])
    with pytest.raises(ParsedError):
        module.main(words[3:]) if words[2] == "dataset.check" else module.main()


def test_targets_of_make_exist() -> None:
    named = {c.split()[1] for _, c in COMMANDS if c.startswith("make ")}
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert named
    assert named <= targets


def test_programs_and_extras_exist() -> None:
    """Of names in a line as well, which are no commands."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    text = "\n".join(path.read_text("utf-8") for path in PAGES)
    programs = set(re.findall(r"`matting ([a-z][a-z-]*)", text))
    named = {n for found in re.findall(r"\.\[([a-z, ]+)\]", text) for n in found.split(",")}
    assert programs
    assert programs <= PROGRAMS.keys()
    assert named
    assert named <= extras.keys()


def test_no_rule_is_left_over() -> None:
    for rule in UNRUN | ELSEWHERE | BESIDE:
        assert any(re.search(rule, command) for _, command in COMMANDS), rule


PYTHON = {
    page: [b for b in BLOCKS if b.language == "python" and b.page == page]
    for page in sorted({block.page for block in BLOCKS})
}


@pytest.fixture
def in_workplace(tmp_path: Path) -> Iterator[Path]:
    before, path = Path.cwd(), list(sys.path)
    os.chdir(make_workplace(tmp_path))
    yield tmp_path
    os.chdir(before)
    sys.path[:] = path


@pytest.mark.parametrize("page", [page for page, blocks in PYTHON.items() if blocks])
def test_lines_of_python_run_as_written(page: str, in_workplace: Path) -> None:
    """A page's blocks follow each other, as they do for its reader."""
    names: dict[str, object] = {"__name__": "page"}
    for block in PYTHON[page]:
        (text,) = block.commands
        files = tuple(f'"{name}"' for name in re.findall(r'"([\w./-]+)"', text))
        make_files(in_workplace, files)
        exec(compile("\n" * block.line + text, ROOT / page, "exec"), names)


def test_the_convention(tmp_path: Path) -> None:
    text = """
```bash
matting images --images-src a \\
    --output-dir b   # why
```
| to | add |
|---|---|
| one | `--on-existing skip`, `-y` |
| two \\| three | `--images-src c` or `word` |

| also | `matting speed --table` |

```python
x = 1
```
"""
    blocks = read_blocks(ROOT / "README.md", text)
    assert [block.commands for block in blocks] == [
        ("matting images --images-src a --output-dir b # why",),
        ("matting images --images-src a --output-dir b --on-existing skip",),
        ("matting images --images-src a --output-dir b -y",),
        ("matting images --output-dir b --images-src c",),
        ("matting speed --table",),
        ("x = 1",),
    ]
    with pytest.raises(ValueError, match=r"README.md:1: a block of no language"):
        read_blocks(ROOT / "README.md", "```\nls\n```")
    with pytest.raises(ValueError, match=r"README.md:3: flags to add"):
        read_blocks(ROOT / "README.md", "| to | add |\n|---|---|\n| a | `-y` |")
    assert not is_command("python")
