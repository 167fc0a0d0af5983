"""Which file may import which, and how long files and functions may be."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {
    *("model", "media", "dataset", "training", "matting", "evaluation", "exports", "runtime"),
    *("benchmarks", "storage"),
}
# An arrow that is not here is against the rule. The longest name that fits a file counts.
MAY_IMPORT = {
    "runtime": {"runtime"},
    "storage": {"storage", "runtime"},
    "model": {"model"},
    "media": {"media", "runtime"},
    "dataset": {"dataset", "media", "runtime", "storage"},
    "training": {"training", "model", "media", "dataset", "runtime", "storage"},
    "matting": {"matting", "model", "media", "dataset", "runtime", "storage"},
    "evaluation": {"evaluation", "media", "dataset", "runtime"},
    "exports": {"exports", "matting", "model", "media", "runtime"},
    "benchmarks": PACKAGES,
}
# Rooms of a package, and the rooms of it that they know nothing of.
MUST_NOT_IMPORT = {
    "model": {"model.fast", "model.cuda"},
    "model.fast": set(),
    "model.cuda": set(),
    "media": {"media.fast_pictures"},
    "matting.plate": {"matting.library", "matting.images", "matting.video", "matting.webcam"},
    "matting.pictures": {"matting.library", "matting.images", "matting.video", "matting.webcam"},
    "matting.images": {"matting.video", "matting.webcam", "matting.cluster"},
    "matting.cluster": {"matting.video", "matting.webcam"},
    "matting.video": {"matting.images", "matting.webcam"},
    "matting.webcam": {"matting.images"},
    "dataset.disturbances": {"dataset.synthetic", "dataset.sources"},
    "dataset.synthetic": {"dataset.disturbances", "dataset.sources", "dataset.samples"},
}
MAX_FILE, MAX_FUNCTION = 300, 60
SCRIPTS = {path.stem for path in ROOT.glob("*.py")} - {"hatch_build", "hubconf"}


def sources(*roots: str) -> list[Path]:
    """The program's files below some of its packages; the scripts for an empty name."""
    found = [ROOT.glob("*.py") if not root else (ROOT / root).rglob("*.py") for root in roots]
    return sorted(path for paths in found for path in paths)


def module_of(path: Path, root: Path = ROOT) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path, root: Path = ROOT) -> set[str]:
    """Whole names of all that a file imports, modules and what is in them alike."""
    names: set[str] = set()
    here = path.relative_to(root).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = [*here[: len(here) - node.level + 1]] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            names |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return names


def is_in(name: str, room: str) -> bool:
    return name == room or name.startswith(f"{room}.")


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_packages_import_only_what_they_may(package: str) -> None:
    assert (ROOT / package).is_dir()
    for path in sources(package):
        names = imported(path)
        tops = {name.split(".")[0] for name in names}
        assert tops & PACKAGES <= MAY_IMPORT[package], path
        assert not tops & SCRIPTS, f"{path} imports a script"
        if package != "benchmarks":
            assert "BackgroundMattingV2" not in tops, f"{path} imports the reference"


@pytest.mark.parametrize("room", sorted(MUST_NOT_IMPORT))
def test_rooms_know_nothing_of_what_stands_on_them(room: str) -> None:
    paths = [p for p in sources(room.split(".")[0]) if is_in(module_of(p), room)]
    inner = [other for other in MUST_NOT_IMPORT if other != room and is_in(other, room)]
    assert paths, f"there is no {room}"
    for path in paths:
        if any(is_in(module_of(path), other) for other in inner):
            continue
        for other in MUST_NOT_IMPORT[room]:
            assert not any(is_in(name, other) for name in imported(path)), (path, other)


def test_scripts_stand_apart() -> None:
    for script in SCRIPTS:
        tops = {name.split(".")[0] for name in imported(ROOT / f"{script}.py")}
        assert not tops & (SCRIPTS | {"BackgroundMattingV2"}), script


def find_circle(paths: list[Path], root: Path = ROOT) -> list[str]:
    """Files that import each other in a loop, if there are any."""
    modules = {module_of(path, root): path for path in paths}
    arrows = {
        module: sorted(imported(path, root) & modules.keys() - {module})
        for module, path in modules.items()
    }
    done: set[str] = set()

    def walk(module: str, way: list[str]) -> list[str]:
        if module in way:
            return [*way[way.index(module) :], module]
        if module in done:
            return []
        for other in arrows[module]:
            # A package's face only hands names on from what stands in it.
            if circle := walk(other, [*way, module]):
                return circle
        done.add(module)
        return []

    return next((circle for module in arrows if (circle := walk(module, []))), [])


def test_no_files_import_each_other_in_a_circle() -> None:
    faces = {path for path in sources(*PACKAGES) if path.name == "__init__.py"}
    assert find_circle([path for path in sources("", *PACKAGES) if path not in faces]) == []


def test_circles_are_seen(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    for name, text in {"a": "from .b import x", "b": "import p.c", "c": "from . import a"}.items():
        (tmp_path / "p" / f"{name}.py").write_text(text)
    paths = sorted((tmp_path / "p").glob("*.py"))
    assert find_circle(paths, tmp_path) == ["p.a", "p.b", "p.c", "p.a"]
    assert find_circle(paths[:2], tmp_path) == []


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Names of a file's functions, and their lines."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno is not None
            yield node.name, node.end_lineno - node.lineno + 1


def test_files_and_functions_can_be_overlooked() -> None:
    long = {}
    for path in sources("", "docs", *PACKAGES):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        long |= {module_of(path): lines} if lines > MAX_FILE else {}
        long |= {
            f"{module_of(path)}.{name}": length
            for name, length in functions(path)
            if length > MAX_FUNCTION
        }
    assert not long, f"at most {MAX_FILE} lines a file and {MAX_FUNCTION} a function"


def test_the_map_is_true() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w./]+(?:/|\.py))`", text[text.index("## Where things are") :]))
    known = {path.name for path in sources("", *PACKAGES)}
    for name in named:
        assert (ROOT / name).exists() or name in known, f"{name} is not there"
    for package in PACKAGES:
        assert f"{package}/" in named, f"{package} is not on the map"


def test_walker_sees_imports(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("import model.build\ndef f():\n    from dataset import images\n")
    assert imported(tmp_path / "a.py", tmp_path) == {"model.build", "dataset", "dataset.images"}
