"""Which package may import which, held over the import statements."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {
    *("model", "media", "dataset", "training", "matting", "evaluation", "runtime", "benchmarks"),
}
MAY_IMPORT = {
    "runtime": {"runtime"},
    "model": {"model"},
    "media": {"media", "runtime"},
    "dataset": {"dataset", "media", "runtime"},
    "training": {"training", "model", "media", "dataset", "runtime"},
    "matting": {"matting", "model", "media", "dataset", "runtime"},
    "evaluation": {"evaluation", "media", "dataset", "runtime"},
    "benchmarks": PACKAGES,
}
SCRIPTS = {path.stem for path in ROOT.glob("*.py")}


def imported(path: Path) -> set[str]:
    """First parts of the absolute names that a file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("package", sorted(PACKAGES & {p.name for p in ROOT.iterdir()}))
def test_packages_import_only_what_they_may(package: str) -> None:
    for path in (ROOT / package).rglob("*.py"):
        names = imported(path)
        assert names & PACKAGES <= MAY_IMPORT[package], path
        assert not names & SCRIPTS, f"{path} imports a script"
        if package != "benchmarks":
            assert "BackgroundMattingV2" not in names, f"{path} imports the reference"


def test_scripts_stand_apart() -> None:
    for script in SCRIPTS:
        assert not imported(ROOT / f"{script}.py") & (SCRIPTS | {"BackgroundMattingV2"}), script


def test_walker_sees_imports(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("import model.build\ndef f():\n    from dataset import images\n")
    assert imported(tmp_path / "a.py") == {"model", "dataset"}
