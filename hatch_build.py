"""Builds the wheel: one package, `matting`, with all others as subpackages, and its requirements.

Run by `pip install .` and `python -m build`.
"""

import shutil
import sys
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))

from runtime.one_name import HOME, list_names, rewrite_imports  # noqa: E402

# Files that the program reads at run time.
FILES = ["weights", "configs", "demo/src", "demo/bgr", "demo/CREDITS.md"]


class Requirements(MetadataHookInterface):
    """Reads the requirements from requirements.txt."""

    PLUGIN_NAME = "custom"

    def update(self, metadata: dict[str, Any]) -> None:
        """Adds the requirements to the project's metadata."""
        lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
        metadata["dependencies"] = [line for line in lines if line and not line.startswith("#")]


class OneName(BuildHookInterface):
    """Copies all packages and scripts, with rewritten imports, into the package `matting`.

    An editable install uses the checkout unchanged.
    """

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Writes the package to a temporary folder, which the wheel includes."""
        if version == "editable":
            return
        self._folder = Path(mkdtemp())
        lay_out(self._folder / HOME)
        build_data["force_include"][str(self._folder / HOME)] = HOME

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Removes the folder."""
        if version != "editable":
            shutil.rmtree(self._folder)


def lay_out(package: Path) -> None:
    """Writes the package in its installed layout."""
    names = list_names()
    for name in [HOME, *names]:
        source, target = ROOT / name, package if name == HOME else package / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source.with_suffix(".py"), target.with_suffix(".py"))
    for path in package.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        path.write_text(rewrite_imports(text, names, HOME), encoding="utf-8", newline="\n")
    for name in FILES:
        source, target = ROOT / name, package / name
        target.parent.mkdir(exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, target)
