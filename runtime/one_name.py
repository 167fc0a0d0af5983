"""All packages of the project below one name, as the wheel and `torch.hub` need them.

In a checkout `model`, `media` and the others stand side by side, and are imported by these names.
Where they would meet other people's packages of the same names, a copy of each file is taken whose
imports name the one package below which all of them stand: `from model import MattingBase` becomes
`from matting.model import MattingBase`. This file is read by itself, before anything else is
there, so it imports the standard library alone.
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
HOME = "matting"  # its own modules stand beside the other packages
PACKAGES = ("benchmarks", "dataset", "evaluation", "media", "model", "runtime", "training")
_TOOLS = ("hatch_build", "hubconf")


def list_names() -> list[str]:
    """Lists what is imported by its own name in a checkout: packages, and the root's scripts."""
    scripts = [path.stem for path in ROOT.glob("*.py") if path.stem not in _TOOLS]
    return [*PACKAGES, *sorted(scripts)]


def rewrite_imports(source: str, names: Collection[str], prefix: str) -> str:
    """Puts a prefix before the project's names in a file's import statements.

    Args:
        source: Python.
        names: top-level names of packages and scripts that get the prefix.
        prefix: takes the place of `matting` as well.

    Returns:
        The source with as many lines as before.

    Raises:
        ValueError: for `import model.weights`, whose use would need rewriting, too.
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
    """Lines, columns and whole names of the imported modules that stand below some names."""
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
    """Makes the checkout's modules importable below a name, whatever there is of their own names.

    `matting.library` is found as `PREFIX.library`, `media.pictures` as `PREFIX.media.pictures`.
    """
    sys.meta_path.insert(0, _Finder(prefix))


class _Finder(MetaPathFinder):
    """Finds modules of the checkout below one name."""

    def __init__(self, prefix: str) -> None:
        self.prefix, self.names = prefix, list_names()

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Finds a module below the prefix; None for others."""
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
    """Compiles a module with its imports rewritten, and keeps no bytecode beside the original's."""

    def __init__(self, name: str, path: str, finder: _Finder) -> None:
        super().__init__(name, path)
        self._finder = finder

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        source = self.get_data(path).decode()
        text = rewrite_imports(source, self._finder.names, self._finder.prefix)
        return compile(text, path, "exec", dont_inherit=True)
