"""Plain YAML for settings: names, strings, numbers and lists, in files of limited size."""

import re
from pathlib import Path
from typing import Any

import yaml

from .files import SHIPPED

# Limits far above a settings file of one page; a file at the limits is read in 1 s.
MAX_BYTES, MAX_VALUES, MAX_DEPTH = 1 << 20, 10_000, 20
# Integers up to this are exact in JSON, NumPy and PyTorch.
MAX_INTEGER = 1 << 53
# Characters of a value that an error quotes.
_MAX_SHOWN = 100

_INTEGER = r"[-+]?(?:0|[1-9][0-9_]*)"
_FLOAT = (
    r"[-+]?(?:\.[0-9][0-9_]*|[0-9][0-9_]*\.[0-9_]*|[0-9][0-9_]*(?=[eE]))(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)


class SettingsError(ValueError):
    """An unusable settings file; the message names the file, the key and what to do."""


def read_yaml(path: Path) -> Any:
    """Reads a YAML file, see `parse_yaml`.

    Raises:
        SettingsError: when it is missing, not a regular file, too large or not such YAML.
    """
    try:
        if path.exists() and not path.is_file():
            raise OSError("it is not a regular file")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise OSError(f"it is larger than {MAX_BYTES >> 10} KiB")
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SettingsError(
            f"settings file {path} can't be read: it is not UTF-8 text, byte {error.start} is "
            f"{error.object[error.start]:#04x}. Save it as UTF-8"
        ) from error
    except FileNotFoundError as error:
        raise SettingsError(
            f"settings file {path} can't be read: {error.strerror}; the program's own files are in "
            f"{SHIPPED / 'configs'}"
        ) from error
    except (OSError, ValueError) as error:
        raise SettingsError(f"settings file {path} can't be read: {error}") from error
    return parse_yaml(text, f"settings file {path}")


def parse_yaml(text: str, name: str) -> Any:
    """Reads YAML of one document without anchors, aliases, tags and merge keys.

    Numbers are decimal: `1e-4` is a number; `010`, `1:30` and `2024-01-31` are strings.

    Args:
        text: at most `MAX_VALUES` values in at most `MAX_DEPTH` levels.
        name: its name in error messages.

    Returns:
        Dicts, lists, strings, finite or infinite numbers, booleans and None.

    Raises:
        SettingsError: for other content; the message has the line.
    """
    try:
        _check_events(text)
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        line = f" (line {error.problem_mark.line + 1})" if error.problem_mark else ""
        said = " ".join(part for part in (error.context, error.problem) if part)
        raise SettingsError(f"{name} is not YAML for settings: {said}{line}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        said = " ".join(str(error).split())
        raise SettingsError(f"{name} is not YAML for settings: {said}") from error


def write_yaml(plain: Any) -> str:
    """Writes values as YAML that `parse_yaml` reads back unchanged."""
    return yaml.dump(plain, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def brief(value: object) -> str:
    """Formats a value for an error message, shortened if it is long."""
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


def _check_events(text: str) -> None:
    """Refuses unsupported YAML before any value is built."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=_Loader)):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        problem = None
        anchor, tag = getattr(event, "anchor", None), getattr(event, "tag", None)
        if anchor is not None:
            problem = f"anchors and aliases (& and *) are not supported, got {brief(anchor)}"
        elif tag is not None:
            problem = f"tags, bytes and objects are not supported, got {brief(tag)}"
        elif depth > MAX_DEPTH:
            problem = f"more than {MAX_DEPTH} levels"
        elif count > MAX_VALUES:
            problem = f"more than {MAX_VALUES} values"
        if problem:
            mark: Any = event.start_mark
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


class _Loader(yaml.SafeLoader):
    """PyYAML's loader with plain decimal numbers; refuses duplicate keys."""

    # A copy of PyYAML's table, to change it.
    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [item for item in table if not item[0].endswith((":timestamp", ":int", ":float"))]
        for first, table in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Builds a mapping as PyYAML does; refuses duplicate keys, lists and mappings as keys."""
        keys = set()
        for key, _ in node.value:
            problem = None
            if not isinstance(key, yaml.ScalarNode):
                problem = "a key must be a name, got a list or a mapping"
            elif key.tag.endswith(":merge"):
                problem = "merge keys (<<) are not supported"
            elif key.value in keys:
                problem = f"key {brief(key.value)} is given twice"
            if problem:
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            keys.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """Reads a decimal integer of limited size."""
        digits = self.construct_scalar(node).replace("_", "")
        if len(digits) > len(str(MAX_INTEGER)) or abs(int(digits)) > MAX_INTEGER:
            problem = f"integers must be at most {MAX_INTEGER}, got {brief(digits)}"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
        return int(digits)


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)
for _kind, _pattern in (("int", _INTEGER), ("float", _FLOAT)):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_kind}", re.compile(rf"^(?:{_pattern})$"), list("-+.0123456789")
    )


class _Dumper(yaml.SafeDumper):
    """PyYAML's dumper; quotes strings that the loader above would read as numbers."""

    yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers

    def ignore_aliases(self, data: object) -> bool:
        """Disables aliases: repeated values are written in full."""
        return True
