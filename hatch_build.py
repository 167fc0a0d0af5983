"""Builds the wheel: one package, `matting`, with all others as subpackages, and its requirements.

Run by `pip install .` and `python -m build`.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Collection
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

    An editable install uses the checkout unchanged. Wheel and source archive of a checkout hold
    only files that Git tracks: others may be somebody's pictures, weights or passwords.
    """

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Writes the package to a temporary folder, which the wheel includes."""
        if version == "editable":
            return
        try:
            untracked = list_untracked()
        except (OSError, subprocess.CalledProcessError) as error:
            untracked = []
            self.app.display_warning(f"without git, all files of the checkout are taken: {error}")
        if modules := [name for name in untracked if name.endswith(".py")]:
            self.app.display_warning(f"left out, since Git does not track them: {modules}")
        if self.target_name == "sdist":
            escaped = [re.sub(r"([\\*?\[\] ])", r"\\\1", name) for name in untracked]
            excluded = self.build_config.target_config["exclude"]
            self.build_config.target_config["exclude"] = [*excluded, *(f"/{n}" for n in escaped)]
            return
        self._folder = Path(mkdtemp())
        lay_out(self._folder / HOME, {ROOT / name for name in untracked})
        build_data["force_include"][str(self._folder / HOME)] = HOME

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Removes the folder."""
        if version != "editable" and self.target_name == "wheel":
            shutil.rmtree(self._folder)


def list_untracked() -> list[str]:
    """Lists files and folders of a checkout that Git does not track; none where it is no checkout.

    Raises OSError or subprocess.CalledProcessError when Git is missing or fails.
    """
    if not (ROOT / ".git").exists():  # a source archive, perhaps inside another's repository
        return []
    # The checkout may be another user's, as in a container.
    command = ["git", "-c", f"safe.directory={ROOT.as_posix()}", "ls-files", "-z"]
    others = [*command, "--others", "--directory"]
    done = subprocess.run(others, cwd=ROOT, check=True, capture_output=True)  # noqa: S603
    return os.fsdecode(done.stdout).split("\0")[:-1]


def lay_out(package: Path, untracked: Collection[Path]) -> None:
    """Writes the package as it is installed."""
    names = [name for name in list_names() if ROOT / f"{name}.py" not in untracked]

    def leave_out(folder: str, found: list[str]) -> list[str]:
        return [n for n in found if n == "__pycache__" or Path(folder, n) in untracked]

    def copy(name: str, target: Path) -> None:
        target.parent.mkdir(exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target, ignore=leave_out)
        else:
            shutil.copy2(ROOT / name, target)

    copy(HOME, package)
    for name in names:
        file = name if (ROOT / name).is_dir() else f"{name}.py"
        copy(file, package / file)
    for path in package.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        path.write_text(rewrite_imports(text, names, HOME), encoding="utf-8", newline="\n")
    for name in FILES:
        copy(name, package / name)
