"""What is in the wheel: one package, `matting`, below which all others stand, and its requirements.

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

# What the program reads at run time beside its modules.
FILES = ["weights", "configs", "demo/src", "demo/bgr", "demo/CREDITS.md"]


class Requirements(MetadataHookInterface):
    """Takes the requirements from requirements.txt, where people look for them."""

    PLUGIN_NAME = "custom"

    def update(self, metadata: dict[str, Any]) -> None:
        """Adds them to the project's metadata."""
        lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
        metadata["dependencies"] = [line for line in lines if line and not line.startswith("#")]


class OneName(BuildHookInterface):
    """Puts a copy of all packages and scripts, with their imports rewritten, below `matting`.

    An editable install takes the checkout as it is.
    """

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Lays out the package in a folder of its own, and has all of it included."""
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
    """Writes the package as it is installed."""
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
