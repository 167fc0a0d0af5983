"""Settings of a script: frozen dataclasses from a YAML file and the command line.

Precedence: command line, then file, then the dataclasses' defaults. This module imports nothing of
the project, and every package may import it.
"""

import argparse
import dataclasses
import difflib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import tyro
import yaml
from pydantic import TypeAdapter, ValidationError

T = TypeVar("T")

# Marks a setting that the file or the command line must give.
REQUIRED: Any = tyro.MISSING


class SettingsError(ValueError):
    """A settings file that can't be used; the message names the file, the key and what to do."""


def flags(prefix: str) -> Callable[[type[T]], type[T]]:
    """Names the flags of a group of settings `--prefix-field` instead of `--group.field`.

    To be applied below `@dataclass`. In a YAML file the group stays nested.

    Args:
        prefix: the flags' first part; empty for `--field`.

    Returns:
        A class decorator.
    """

    def rename(group: type[T]) -> type[T]:
        for name, hint in group.__annotations__.items():
            flag = f"{prefix}-{name}".strip("-").replace("_", "-")
            argument = tyro.conf.arg(name=flag, prefix_name=False)
            group.__annotations__[name] = Annotated[(hint, argument)]
        return group

    return rename


def parse_settings(settings_type: type[T], description: str, args: list[str]) -> T:
    """Reads the settings of a script; on `--help` or a wrong flag, prints and exits.

    Args:
        settings_type: a frozen dataclass of settings and groups (dataclasses) of settings. Its
            field `config` names the YAML file, nested as the dataclasses are.
        description: what the script does, for `--help`.
        args: the command line without the script's name.

    Returns:
        The settings, checked.

    Raises:
        SettingsError: when the file is missing, no YAML, or holds an unknown key or a wrong value.
    """
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    early.add_argument("--config", type=Path)
    path = early.parse_known_args(args)[0].config
    default = _structure(settings_type, _load(path), path) if path else settings_type()
    return tyro.cli(settings_type, args=args, description=description, default=default)


def read_section(path: Path, section: str, group: type[T]) -> T:
    """Reads one group of settings from a file, whatever else the file holds.

    Args:
        path: a YAML file.
        section: the group's key at the top of the file.
        group: the group's dataclass.

    Returns:
        The group. A setting that is `REQUIRED` and not in the file stays `REQUIRED`.

    Raises:
        SettingsError: as `parse_settings`, or when the file has no such section.
    """
    content = _load(path)
    if not isinstance(content, dict) or section not in content:
        raise SettingsError(f"settings file {path} has no section '{section}'")
    whole = dataclasses.make_dataclass("Section", [(section, group)], frozen=True)
    return getattr(_structure(whole, {section: content[section]}, path), section)


def to_plain(settings: Any) -> Any:
    """Turns settings into dicts, lists, strings and numbers, as YAML and JSON hold them.

    Args:
        settings: a dataclass, or any value inside one.

    Returns:
        The same nesting; paths as strings, tuples as lists.
    """
    if dataclasses.is_dataclass(settings):
        fields = dataclasses.fields(settings)
        return {field.name: to_plain(getattr(settings, field.name)) for field in fields}
    if isinstance(settings, dict):
        return {key: to_plain(value) for key, value in settings.items()}
    if isinstance(settings, (tuple, list)):
        return [to_plain(value) for value in settings]
    return str(settings) if isinstance(settings, Path) else settings


def to_yaml(settings: Any) -> str:
    """Writes settings as a file that `--config` takes.

    Args:
        settings: a dataclass.

    Returns:
        YAML without the settings that choose the file (`config`) or print it (`print_config`).
    """
    plain = to_plain(settings)
    kept = {key: value for key, value in plain.items() if key not in ("config", "print_config")}
    return yaml.safe_dump(kept, sort_keys=False, allow_unicode=True)


class _Loader(yaml.SafeLoader):
    """PyYAML's, but `1e-4` is a number, `2024-01-31` may name a folder, and no key stands twice."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own table, copied to be changed
        first: [(tag, pattern) for tag, pattern in table if not tag.endswith(":timestamp")]
        for first, table in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Builds a mapping, as PyYAML does, whose keys are all different."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = [key for index, key in enumerate(keys) if key in keys[:index]]
        if twice:
            raise yaml.constructor.ConstructorError(
                None, None, f"key '{twice[0]}' stands twice", node.start_mark
            )
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def _load(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"settings file {path} can't be read: {error}") from error
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise SettingsError(f"settings file {path} is not YAML: {error}") from error


def _structure(settings_type: type[T], content: Any, path: Path) -> T:
    content = {} if content is None else content
    _refuse_unknown_keys(settings_type, content, path, "")
    try:
        # JSON, because strictness there still takes a list for a tuple and a string for a path.
        return TypeAdapter(settings_type).validate_json(json.dumps(content), strict=True)
    except ValidationError as error:
        found = "; ".join(_explain(detail) for detail in error.errors())
        raise SettingsError(f"settings file {path}: {found}") from error
    except TypeError as error:  # what YAML can hold and JSON can't: binary data, sets
        raise SettingsError(f"settings file {path}: {error}") from error


def _refuse_unknown_keys(group: type, content: object, path: Path, parent: str) -> None:
    if not isinstance(content, dict):
        where = f"key '{parent}'" if parent else "the file"
        raise SettingsError(
            f"settings file {path}: {where} must map names to values, got {content!r}"
        )
    hints = get_type_hints(group)
    for key, value in content.items():
        name = f"{parent}.{key}" if parent else str(key)
        if key not in hints:
            near = difflib.get_close_matches(str(key), hints, n=1, cutoff=0.0)[0]
            near = f"{parent}.{near}" if parent else near
            raise SettingsError(
                f"settings file {path}: unknown key '{name}'; perhaps you meant '{near}'. "
                f"Known here: {', '.join(hints)}"
            )
        _refuse_unknown_keys_inside(hints[key], value, path, name)


def _refuse_unknown_keys_inside(hint: Any, value: object, path: Path, name: str) -> None:
    """Goes on through dicts, lists, tuples and optional groups; other values have no keys."""
    inside = get_args(hint)
    if dataclasses.is_dataclass(hint):
        _refuse_unknown_keys(hint, value, path, name)  # type: ignore[arg-type]
    elif get_origin(hint) is dict and isinstance(value, dict):
        for key, item in value.items():
            _refuse_unknown_keys_inside(inside[1], item, path, f"{name}.{key}")
    elif get_origin(hint) in (tuple, list) and isinstance(value, list):
        for index, item in enumerate(value):
            _refuse_unknown_keys_inside(inside[0], item, path, f"{name}.{index}")
    elif type(None) in inside and value is not None:
        for alternative in inside:
            _refuse_unknown_keys_inside(alternative, value, path, name)


def _explain(detail: Any) -> str:
    # A union reports each of its alternatives; the key is the part before those.
    key = ".".join(str(part) for part in detail["loc"] if "[" not in str(part))
    return f"key '{key}': {detail['msg']}, got {detail['input']!r}"
