"""Puts all packages of the project below one name, for the wheel and `torch.hub`.

In a checkout `model`, `media` and the others are top-level packages. To avoid conflicts with other
packages of these names, the wheel and `torch.hub` use a copy of each file with rewritten imports:
`from model import MattingBase` becomes `from matting.model import MattingBase`. This file is
executed alone, before anything else is installed, so it imports only the standard library.
"""

import ast
import sys
from collections.abc import Collection, Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType

ROOT = Path(__file__).resolve().parents[1]
HOME = "matting"  # the other packages become its subpackages
PACKAGES = (
    "benchmarks",
    "dataset",
    "evaluation",
    "exports",
    "media",
    "model",
    "runtime",
    "storage",
    "training",
)
_TOOLS = ("hatch_build", "hubconf")


def list_names() -> list[str]:
    """Lists the top-level names of a checkout: packages, and scripts in the root."""
    scripts = [path.stem for path in ROOT.glob("*.py") if path.stem not in _TOOLS]
    return [*PACKAGES, *sorted(scripts)]


def rewrite_imports(source: str, names: Collection[str], prefix: str) -> str:
    """Puts a prefix before the project's names in a file's import statements.

    Args:
        source: Python source.
        names: top-level names of packages and scripts that get the prefix.
        prefix: the new package; it also replaces `matting`.

    Returns:
        The source, with the same number of lines.

    Raises:
        ValueError: for `import model.weights`, because its uses would need rewriting too.
    """
    lines = source.split("\n")
    for number, column, old in sorted(_find_imports(source, {HOME, *names}), reverse=True):
        line = lines[number - 1]
        new = prefix + (old.removeprefix(HOME) if old.split(".")[0] == HOME else f".{old}")
        if not line[column:].startswith(old):
            raise ValueError(f"line {number} must have {old} at column {column}")
        lines[number - 1] = line[:column] + new + line[column + len(old) :]
    return "\n".join(lines)


def _find_imports(source: str, names: Collection[str]) -> Iterator[tuple[int, int, str]]:
    """Yields line, column and full name of imported modules below the given names."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            if node.module.split(".")[0] in names:
                yield node.lineno, node.col_offset + len("from "), node.module
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] not in names:
                    continue
                if not alias.asname:
                    raise ValueError(f"line {node.lineno}: import {alias.name} needs an 'as'")
                yield alias.lineno, alias.col_offset, alias.name


def install(prefix: str) -> None:
    """Makes the checkout's modules importable below a prefix, without using their own names.

    `matting.library` is found as `PREFIX.library`, `media.pictures` as `PREFIX.media.pictures`.
    """
    sys.meta_path.insert(0, _Finder(prefix))


class _Finder(MetaPathFinder):
    """Finds modules of the checkout below the prefix."""

    def __init__(self, prefix: str) -> None:
        self.prefix, self.names = prefix, list_names()

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Finds a module below the prefix; returns None for others."""
        top, *rest = name.split(".")
        if top != self.prefix:
            return None
        place = ROOT.joinpath(*([] if rest and rest[0] in self.names else [HOME]), *rest)
        file, folders = place.with_suffix(".py"), None
        if place.is_dir():
            file, folders = place / "__init__.py", [str(place)]
        if file.is_file():
            loader = _Loader(name, str(file), self)
            return spec_from_file_location(
                name, file, loader=loader, submodule_search_locations=folders
            )
        spec = ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = folders
        return spec if folders else None


class _Loader(SourceFileLoader):
    """Compiles a module with rewritten imports; does not store bytecode beside the original's."""

    def __init__(self, name: str, path: str, finder: _Finder) -> None:
        super().__init__(name, path)
        self._finder = finder

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        source = self.get_data(path).decode()
        text = rewrite_imports(source, self._finder.names, self._finder.prefix)
        return compile(text, path, "exec", dont_inherit=True)
