"""Names of settings: nested in groups, as in a YAML file, or flat, as flags."""

import dataclasses
import difflib
from typing import Any, get_origin, get_type_hints

from .plain_yaml import SettingsError, brief

# Characters of an unknown name that are compared with known names.
_MAX_NAME = 40


def list_flags(group: Any, keys: tuple[str, ...] = ()) -> dict[str, tuple[str, ...]]:
    """Lists the flags of settings, without leading dashes, with their nested keys.

    Args:
        group: a dataclass made by `settings.settings_group`.
        keys: the keys of the group.

    Returns:
        A dict such as `{"model-type": ("model", "type")}`; without dicts, which have no flags.
    """
    flags: dict[str, tuple[str, ...]] = {}
    for name, hint in get_type_hints(group).items():
        inner = (*keys, name)
        if dataclasses.is_dataclass(hint):
            flags |= list_flags(hint, inner)
        elif get_origin(hint) is not dict:
            prefix = getattr(group, "flag_prefix", None)
            flag = ".".join(inner) if prefix is None else f"{prefix}-{name}".strip("-")
            flags[flag.replace("_", "-")] = inner
    return flags


def nest(content: dict[Any, Any], flags: dict[str, tuple[str, ...]]) -> dict[Any, Any]:
    """Moves settings that a file names like flags, with hyphens or underscores, to their groups.

    Args:
        content: content of the file; its groups are changed in place.
        flags: see `list_flags`.

    Returns:
        The content, nested.

    Raises:
        SettingsError: when a setting is given under two names.
    """
    named = {key: flags.get(str(key).replace("_", "-"), (key,)) for key in content}
    nested = {key: content[key] for key, keys in named.items() if keys == (key,)}
    first: dict[tuple[str, ...], Any] = {}
    for key, keys in named.items():
        if keys == (key,):
            continue
        group: Any = nested
        for name in keys[:-1]:
            group = group.setdefault(name, {}) if isinstance(group, dict) else None
        if not isinstance(group, dict):
            continue  # the parser will refuse it
        if keys[-1] in group:
            other = first.get(keys, ".".join(keys))
            raise SettingsError(f"'{other}' and '{key}' are the same setting; give it once")
        group[keys[-1]], first[keys] = content[key], key
    return nested


def check_flags(args: list[str], flags: dict[str, tuple[str, ...]]) -> None:
    """Raises SettingsError for an unknown long flag, and names the nearest one."""
    for arg in args:
        name = arg.partition("=")[0].replace("_", "-")
        known = name[2:] in {*flags, "config", "help"} or name.removeprefix("--no-") in flags
        if name.startswith("--") and not known and not name.startswith("--tyro-"):
            raise SettingsError(
                f"unknown flag {brief(name)}; perhaps you meant --{nearest(name[2:], flags)}. "
                "--help lists all"
            )


def nearest(name: str, known: Any) -> str:
    """Returns the most similar known name."""
    return difflib.get_close_matches(name[:_MAX_NAME], known, n=1, cutoff=0.0)[0]
