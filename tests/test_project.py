"""What surrounds the program: citation, workflows, image, forms. They agree with the project."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from runtime.version import VERSION

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
FORMS = sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"))
PYTORCH = "https://download.pytorch.org/whl/cpu"
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")


def read(path: Path) -> dict[Any, Any]:
    return yaml.safe_load(path.read_text("utf-8"))


def minimum_python() -> tuple[int, int]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    found = re.fullmatch(r">=(\d+)\.(\d+)", project["requires-python"])
    assert found
    return int(found[1]), int(found[2])


def jobs_of(path: Path) -> dict[str, dict[str, Any]]:
    return read(path)["jobs"]


def steps_of(path: Path) -> list[dict[str, Any]]:
    return [step for job in jobs_of(path).values() for step in job["steps"]]


def pythons_of(path: Path) -> set[tuple[int, int]]:
    """Of its steps that set one up, the matrix put in."""
    found = set()
    for job in jobs_of(path).values():
        for step in job["steps"]:
            if version := step.get("with", {}).get("python-version"):
                matrix = job.get("strategy", {}).get("matrix", {}).get("python", [])
                named = matrix if version == "${{ matrix.python }}" else [version]
                found |= {
                    (int(major), int(minor)) for major, minor in (v.split(".") for v in named)
                }
    return found


def commands_of(text: str) -> list[str]:
    """Lines of shell, continued ones joined."""
    joined = re.sub(r"\\\n\s*", "", text)
    return [line.strip() for line in joined.splitlines() if line.strip()]


def test_citation_is_of_this_version_and_names_the_paper() -> None:
    citation = read(ROOT / "CITATION.cff")
    assert (citation["cff-version"], citation["type"]) == ("1.2.0", "software")
    assert citation["version"] == VERSION
    assert (ROOT / "LICENSE").read_text("utf-8").startswith(f"{citation['license']} License")
    assert citation["authors"] == [{"name": "The background-matting contributors"}]
    paper = citation["preferred-citation"]
    assert [author["family-names"] for author in paper["authors"]] == [
        *("Lin", "Ryabtsev", "Sengupta", "Curless", "Seitz", "Kemelmacher-Shlizerman"),
    ]
    assert (paper["title"], paper["year"]) == (
        "Real-Time High-Resolution Background Matting",
        2021,
    )


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflow_asks_for_little(path: Path) -> None:
    workflow = read(path)
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["concurrency"]["group"].startswith(f"{path.stem}-")
    for name, job in workflow["jobs"].items():
        assert job["timeout-minutes"] <= 60, name
        writes = {key for key, value in job.get("permissions", {}).items() if value == "write"}
        assert writes <= ({"pages", "id-token"} if name == "deploy" else set())
    used = [step["uses"] for step in steps_of(path) if "uses" in step]
    assert [name for name in used if not re.fullmatch(r"actions/[\w-]+@v\d+", name)] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflow_names_what_is_there(path: Path) -> None:
    assert min(pythons_of(path)) >= minimum_python()
    for step in steps_of(path):
        for name in step.get("with", {}).get("cache-dependency-path", "").split():
            assert (ROOT / name).is_file(), name
        for command in commands_of(step.get("run", "")):
            assert set(re.findall(r"https?://[^\s\"]+", command)) <= {PYTORCH}
            for target in re.findall(r"\bmake ([\w-]+)", command):
                assert target in make_targets(), target


def make_targets() -> set[str]:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    return set(re.findall(r"^([\w-]+):", makefile, re.MULTILINE))


def test_make_targets_of_the_pages_exist() -> None:
    pages = [ROOT / "CONTRIBUTING.md", ROOT / ".github/pull_request_template.md"]
    named = {
        target
        for page in pages
        for target in re.findall(r"[`\n]make ([a-z-]+)\b", page.read_text("utf-8"))
    }
    assert "check" in named
    assert named <= make_targets()


def test_tests_run_on_three_systems_from_the_oldest_python_on() -> None:
    path = ROOT / ".github/workflows/tests.yml"
    (job,) = jobs_of(path).values()
    systems = {name.partition("-")[0] for name in job["strategy"]["matrix"]["system"]}
    assert systems == {"ubuntu", "macos", "windows"}
    assert len(pythons_of(path)) == 2
    assert min(pythons_of(path)) == minimum_python()
    run = {command for step in job["steps"] for command in commands_of(step.get("run", ""))}
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in ("lint", "types"):
        (recipe,) = re.findall(rf"^{target}:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
        assert {line.replace("$(BIN)/", "") for line in commands_of(recipe)} <= run
    kinds = {command.partition("-m pytest")[2].partition(" -n ")[0] for command in run}
    assert {"", " -m 'files and not slow'"} <= kinds


def test_docs_are_built_with_warnings_as_errors_and_deployed_from_main_alone() -> None:
    path = ROOT / ".github/workflows/docs.yml"
    assert any("mkdocs build --strict" in step.get("run", "") for step in steps_of(path))
    assert read(path)[True]["push"] == {"branches": ["main"]}  # YAML 1.1 reads `on` as true
    assert jobs_of(path)["deploy"]["if"] == "github.event_name == 'push'"


@pytest.mark.parametrize(
    "path", [path for path in FORMS if path.stem != "config"], ids=lambda path: path.stem
)
def test_issue_form_is_one_of_github(path: Path) -> None:
    form = read(path)
    assert form.keys() <= {"name", "description", "title", "labels", "body"}
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    assert len({field["id"] for field in fields}) == len(fields) > 0
    for field in fields:
        assert field["type"] in ("textarea", "input", "dropdown", "checkboxes")
        assert field["attributes"]["label"]
        assert field.keys() <= {"type", "id", "attributes", "validations"}
    assert any(field.get("validations", {}).get("required") for field in fields)


@pytest.mark.slow
def test_command_of_the_bug_form_tells_the_system() -> None:
    fields = {field.get("id"): field for field in read(ROOT / FORMS[0])["body"]}
    line = fields["system"]["attributes"]["value"].strip()
    command, _, code = line.partition(" -c ")
    assert (command, code[0], code[-1]) == ("python", '"', '"')
    done = subprocess.run(
        [sys.executable, "-c", code[1:-1]], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == VERSION
    assert sys.version.splitlines()[0] in lines[1]


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE)
    return [(line.split()[0], line.partition(" ")[2]) for line in commands_of(text)]


def test_image_runs_matting_as_no_root() -> None:
    found = instructions()
    known = {"FROM", "COPY", "RUN", "ENV", "USER", "WORKDIR", "EXPOSE", "ENTRYPOINT", "CMD"}
    assert {name for name, _ in found} == known
    last = max(index for index, (name, _) in enumerate(found) if name == "FROM")
    final = dict(found[last:])  # of several of a name, the last
    assert final["USER"] == "1000"
    assert final["WORKDIR"] == "/work"
    assert final["ENTRYPOINT"] == '["matting"]'
    names = [name for name, _ in found]
    assert names.index("USER") > max(i for i, name in enumerate(names) if name == "RUN")
    for name, value in found:
        if name == "FROM":
            version = re.match(r"python:(\d+)\.(\d+)-slim\b", value)
            assert version
            assert (int(version[1]), int(version[2])) >= minimum_python()


def test_image_copies_what_is_there_and_names_one_host() -> None:
    for name, value in instructions():
        if name == "COPY":
            for source in value.split()[:-1]:
                assert (ROOT / source).exists(), source
                assert not is_ignored(source), source
    assert set(re.findall(r"https?://\S+", DOCKERFILE)) == {PYTORCH}


def is_ignored(path: str) -> bool:
    """Whether .dockerignore keeps a path, or a folder of it, out of the image."""
    patterns = (ROOT / ".dockerignore").read_text("utf-8").split()
    parts = Path(path).parts
    above = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
    return any(
        fnmatch(name, pattern.removeprefix("**/")) or fnmatch(name.rpartition("/")[2], pattern[3:])
        if pattern.startswith("**/")
        else fnmatch(name, pattern)
        for name in above
        for pattern in patterns
    )


def test_image_leaves_out_what_is_no_part_of_the_program() -> None:
    assert is_ignored(".git/HEAD")
    assert is_ignored("tests/conftest.py")
    assert is_ignored("media/__pycache__/a.pyc")
    packages = [path.parent.name for path in ROOT.glob("*/__init__.py") if path.parent != ROOT]
    wanted = [*packages, "weights/README.md", "demo/src/lawn.jpg", "configs/demo.yaml"]
    wanted += ["README.md", "LICENSE", "pyproject.toml", "requirements.txt", "train_base.py"]
    assert [name for name in wanted if name != "tests" and is_ignored(name)] == []


@pytest.mark.slow
def test_image_has_all_that_the_wheel_is_built_from(tmp_path: Path) -> None:
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    for name in tracked:
        if not is_ignored(name):
            (tmp_path / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tmp_path / "source" / name)
    wheels = []
    for number, source in enumerate((ROOT, tmp_path / "source")):
        folder = tmp_path / str(number)
        options = ("--no-deps", "--no-build-isolation", "--wheel-dir", folder, source)
        command = [sys.executable, "-m", "pip", "wheel", *map(str, options)]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=120)
        with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
            wheels.append({info.filename: info.CRC for info in wheel.infolist()})
    assert wheels[0] == wheels[1]
