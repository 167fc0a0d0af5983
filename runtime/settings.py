"""Settings of a script: frozen dataclasses, filled from a YAML file and the command line.

Precedence: command line, then file, then the dataclasses' defaults. This module imports only
`plain_yaml` and `flags` of the project.
"""

import argparse
import dataclasses
import functools
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import (
    Annotated,
    Any,
    TypeVar,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

import tyro
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as pydantic_dataclass

from .flags import check_flags, list_flags, nearest, nest
from .plain_yaml import MAX_INTEGER, SettingsError, brief, read_yaml, write_yaml

T = TypeVar("T")

_STRICT = ConfigDict(
    extra="forbid", strict=True, use_attribute_docstrings=True, allow_inf_nan=False
)
# An error lists this many wrong keys and counts the others.
_MAX_PROBLEMS = 5

# Default of a setting that the file or the command line must give.
REQUIRED: Any = tyro.MISSING


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
def settings_group(prefix: str | None = None) -> Callable[[type[T]], type[T]]:
    """Makes a class of annotated fields a frozen dataclass that checks its values.

    Pydantic checks types and bounds (`Annotated[int, Field(ge=1)]`). The docstring below a field is
    its help text. In a YAML file groups are nested.

    Args:
        prefix: flags are named `--prefix-field`, or `--field` if it is empty; for None tyro names
            them.

    Returns:
        A class decorator. The class raises ValueError for a value out of bounds.
    """

    def make(group: type[T]) -> type[T]:
        made: Any = pydantic_dataclass(frozen=True, config=_STRICT)(group)
        made.flag_prefix = prefix
        for name, hint in group.__annotations__.items():
            # Line breaks in a field's docstring are not part of its help text.
            argument: dict[str, Any] = {}
            if text := made.__pydantic_fields__[name].description:
                argument["help"] = " ".join(text.split())
            if prefix is not None:
                flag = f"{prefix}-{name}".strip("-").replace("_", "-")
                argument |= {"name": flag, "prefix_name": False}
            group.__annotations__[name] = Annotated[(hint, tyro.conf.arg(**argument))]
        construct = made.__init__

        def __init__(self: T, *args: Any, **values: Any) -> None:  # noqa: N807
            try:
                # By name, so that an error names the field.
                names = [field.name for field in dataclasses.fields(made)]
                construct(self, **dict(zip(names, args, strict=False)), **values)
            except ValidationError as error:
                raise ValueError(_explain(error)) from error
            for name in names:
                value = getattr(self, name)
                if isinstance(value, int) and abs(value) > MAX_INTEGER:
                    raise ValueError(
                        f"key '{name}': integers must be at most {MAX_INTEGER}, got a larger one"
                    )

        made.__init__ = functools.wraps(construct)(__init__)
        return made

    return make


def parse_settings(settings_type: type[T], description: str, args: list[str]) -> T:
    """Reads the settings of a script; on `--help` or a wrong flag, prints and exits.

    Args:
        settings_type: a frozen dataclass of settings and groups (dataclasses) of settings. Its
            field `config` is the YAML file, which is nested like the dataclasses, or has names of
            flags at its top level.
        description: description of the script, for `--help`.
        args: the command line without the script's name.

    Returns:
        The validated settings.

    Raises:
        SettingsError: when the file is missing, is not YAML, or has an unknown key or an invalid
            value; for an unknown flag; for a value before all flags; and for an empty string on the
            command line, such as an unset shell variable.
    """
    for flag, value in zip(["", *args], [*args, "-"], strict=True):
        name, has_value, rest = value.partition("=")
        if not value.strip() or (name.startswith("--") and has_value and not rest.strip()):
            name = name.strip() or flag
            raise SettingsError(f"{name} got an empty value; leave the flag out or give a value")
    check_flags(args, list_flags(settings_type))
    if args and not args[0].startswith("-"):
        example = "".join(re.findall(r"Example: .*", description)[:1])
        raise SettingsError(f"{brief(args[0])} needs a flag before it. {example}".strip())
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    early.add_argument("--config", type=Path, action="append", default=[])
    paths = early.parse_known_args(args)[0].config
    if len(paths) > 1:
        raise SettingsError(f"--config takes one file, got {len(paths)}")
    default = _structure(settings_type, read_yaml(paths[0]), paths[0]) if paths else settings_type()
    return tyro.cli(settings_type, args=args, description=description, default=default)


def read_section(path: Path, section: str, group: type[T]) -> T:
    """Reads one group of settings from a file, and ignores other groups.

    Args:
        path: a YAML file.
        section: the group's key at the top level of the file.
        group: the group's dataclass.

    Returns:
        The group. A `REQUIRED` setting that is not in the file stays `REQUIRED`.

    Raises:
        SettingsError: as `parse_settings`, or when the file has no such section.
    """
    content = read_yaml(path)
    whole = dataclasses.make_dataclass("Section", [(section, group)], frozen=True)
    nested = _nest(content, whole, path)
    if not isinstance(nested, dict) or section not in nested:
        raise SettingsError(f"settings file {path} has no section '{section}'")
    checked = pydantic_dataclass(whole, frozen=True, config=_STRICT)
    return getattr(_structure(checked, {section: nested[section]}, path), section)


def to_plain(settings: Any) -> Any:
    """Converts settings to dicts, lists, strings and numbers for YAML and JSON.

    Args:
        settings: a dataclass, or any value inside one.

    Returns:
        The same nesting; paths and URLs as strings, tuples as lists; `REQUIRED` stays.
    """
    if dataclasses.is_dataclass(settings):
        fields = dataclasses.fields(settings)
        return {field.name: to_plain(getattr(settings, field.name)) for field in fields}
    if isinstance(settings, dict):
        return {key: to_plain(value) for key, value in settings.items()}
    if isinstance(settings, (tuple, list)):
        return [to_plain(value) for value in settings]
    is_plain = settings is REQUIRED or isinstance(settings, str | int | float | None)
    return settings if is_plain else str(settings)


def to_yaml(settings: Any) -> str:
    """Formats settings as a YAML file for `--config`.

    Args:
        settings: a dataclass.

    Returns:
        YAML without the settings `config` and `print_config`.
    """
    plain = to_plain(settings)
    kept = {key: value for key, value in plain.items() if key not in ("config", "print_config")}
    return write_yaml(kept)


def _nest(content: Any, settings_type: type, path: Path) -> Any:
    try:
        return nest(content, list_flags(settings_type)) if isinstance(content, dict) else content
    except SettingsError as error:
        raise SettingsError(f"settings file {path}: {error}") from error


def _structure(settings_type: type[T], content: Any, path: Path) -> T:
    content = _expand_homes(_nest(content, settings_type, path))
    if isinstance(content, dict) and "config" in content:
        raise SettingsError(f"settings file {path}: key 'config': a file can't name another file")
    if empty := _find_empty(content):
        raise SettingsError(f"settings file {path}: key '{empty}' is an empty string; leave it out")
    try:
        # As JSON, whose strict validation accepts a list for a tuple and a string for a path.
        text = json.dumps({} if content is None else content, ensure_ascii=False).encode()
        return TypeAdapter(settings_type).validate_json(text)
    except ValidationError as error:
        raise SettingsError(f"settings file {path}: {_explain(error, settings_type)}") from error
    except UnicodeEncodeError as error:
        raise SettingsError(
            f"settings file {path}: {brief(error.object)} is not valid text"
        ) from error


def _expand_homes(content: Any) -> Any:
    """Expands `~/` at the beginning of strings, as a shell does on the command line."""
    if isinstance(content, dict):
        return {key: _expand_homes(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_expand_homes(value) for value in content]
    starts = isinstance(content, str) and content.startswith("~/")
    return str(Path(content).expanduser()) if starts else content


def _find_empty(content: Any, key: str = "") -> str | None:
    """Finds the key of an empty string, which as a path would mean the current folder."""
    if isinstance(content, str) and not content.strip():
        return key or "the file"
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(content, (dict, list)):
        items = content.items() if isinstance(content, dict) else enumerate(content)
    found = (_find_empty(value, f"{key}.{name}".lstrip(".")) for name, value in items)
    return next(filter(None, found), None)


def _explain(error: ValidationError, settings_type: type | None = None) -> str:
    """Describes the error of each key; names the nearest known key for an unknown one."""
    details = error.errors(include_url=False)
    said = [_explain_one(detail, settings_type) for detail in details[:_MAX_PROBLEMS]]
    if len(details) > _MAX_PROBLEMS:
        said.append(f"and {len(details) - _MAX_PROBLEMS} more")
    return "; ".join(said)


def _explain_one(detail: Any, settings_type: type | None) -> str:
    # A union reports an error for each alternative; the key is the part before them.
    parts = [str(part) for part in detail["loc"] if "[" not in str(part)]
    key, value = ".".join(parts), detail["input"]
    if detail["type"] == "unexpected_keyword_argument" and settings_type is not None:
        known = list(get_type_hints(_find_group(settings_type, parts[:-1])))
        near = nearest(parts[-1], [*known, *list_flags(settings_type)])
        meant = ".".join([*parts[:-1], near]) if near in known else near
        names = ", ".join(known)
        return f"unknown key {brief(key)}; perhaps you meant '{meant}'. Known here: {names}"
    if detail["type"] == "dataclass_type":
        where = f"key '{key}'" if key else "the file"
        return f"{where} must map names to values, got {brief(value)}"
    message = detail["msg"].removeprefix("Value error, ")
    # An address may hold a password or a signature.
    got = "" if isinstance(value, str) and "://" in value else f", got {brief(value)}"
    return f"key '{key}': {message}{got}" if key else f"{message}"


def _find_group(hint: Any, parts: list[str]) -> Any:
    """Finds the group of settings at a key, through dicts, tuples and optional types."""
    if dataclasses.is_dataclass(hint):
        return _find_group(get_type_hints(hint)[parts[0]], parts[1:]) if parts else hint
    inside = [part for part in get_args(hint) if part not in (type(None), ...)]
    if get_origin(hint) in (dict, tuple, list):
        return _find_group(inside[-1], parts[1:])
    return _find_group(inside[0], parts)
