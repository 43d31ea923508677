"""One override `key=text` applied to a configuration: the key must exist and the text must parse as its type."""

from __future__ import annotations

import ast
from typing import Any

from ml_collections import ConfigDict, FieldReference

from mjx_skillmimic.config.compare import flatten
from mjx_skillmimic.config.errors import ConfigError, nearest

# `motion=catch.pt` on a whole section sets the key that names it.
_MAIN_KEYS = ("path", "name", "engine")
_TRUE, _FALSE, _NONE = ("true", "yes", "on", "1"), ("false", "no", "off", "0"), ("none", "null")


def apply_override(config: ConfigDict, key: str, text: str) -> None:
    """Sets `config.<key>` (dotted) to `text` parsed as the type that the key already has.

    A key that may be None (declared as a placeholder, or None with no type) also takes "none"; without a type it takes
    any Python literal, else the text itself. A section takes a value for its key `path`, `name` or `engine`, an empty
    section a whole dictionary, "{'a': 1}". Raises ConfigError for an unknown key or a value of another type.
    """
    parents, last = _descend(config, key)
    current = parents[last]
    if isinstance(current, ConfigDict) and not current:
        parents[last] = ConfigDict(_dictionary(key, text))
        return
    if isinstance(current, ConfigDict):
        main = next((k for k in _MAIN_KEYS if k in current), None)
        if main is None:
            raise ConfigError(f"config.{key} is a section with the keys {', '.join(sorted(current))}: set one of them")
        parents, last, key = current, main, f"{key}.{main}"
        current = parents[last]
    declared = parents.get_type(last)
    optional = current is None or isinstance(dict(parents.items(preserve_field_references=True))[last], FieldReference)
    try:
        value = None if optional and text.strip().lower() in _NONE else _parse(text, current, declared)
    except (ValueError, SyntaxError) as error:
        expected = f"{declared.__name__} (now {current!r})" if declared is not type(None) else "a Python literal"
        raise ConfigError(f"config.{key}={text!r}: expected {expected}{_because(error)}") from error
    parents[last] = value


def _descend(config: ConfigDict, key: str) -> tuple[ConfigDict, str]:
    """The section that holds the last part of a dotted key, and that part."""
    section: Any = config
    *path, last = key.split(".")
    for part in path:
        section = section[part] if isinstance(section, ConfigDict) and part in section else None
    if not isinstance(section, ConfigDict) or last not in section:
        existing = [*flatten(config), *(k for k in config if isinstance(config[k], ConfigDict))]
        raise ConfigError(f"config.{key} does not exist{nearest(key, existing)}")
    return section, last


def _dictionary(key: str, text: str) -> dict[str, Any]:
    """A Python dictionary with string keys. Raises ConfigError for anything else."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = None
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise ConfigError(
            f"config.{key}={text!r}: expected a dictionary such as {{'name': 1}}, for the section is empty"
        )
    return value


def _because(error: Exception) -> str:
    """The reason for a refusal in our own words, where there is one."""
    return f", {error.args[0]}" if isinstance(error, _NotOfTypeError) else ""


class _NotOfTypeError(ValueError):
    """A value refused for a reason worth telling."""


def _parse(text: str, current: Any, declared: type) -> Any:
    """Text as a value of the declared type. Raises ValueError or SyntaxError."""
    if declared is bool:
        lowered = text.strip().lower()
        if lowered not in _TRUE + _FALSE:
            raise ValueError(text)
        return lowered in _TRUE
    if declared is int:
        return _integer(text)
    if declared is float:
        return float(text)
    if declared is str:
        return text
    if declared in (tuple, list):
        return declared(_elements(text, current))
    if declared is type(None):
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError):
            return text
    value = ast.literal_eval(text)
    if not isinstance(value, declared):
        raise _NotOfTypeError(f"found {type(value).__name__}")
    return value


def _integer(text: str) -> int:
    """An integer, also written as 40_000_000 or 40e6. Raises ValueError."""
    try:
        return int(text)
    except ValueError:
        value = float(text)
        if not value.is_integer():
            raise _NotOfTypeError("found a fraction") from None
        return int(value)


def _elements(text: str, current: Any) -> list[Any]:
    """Elements of '(1, 2)', '[1, 2]' or '1,2', each of the type of the first one of `current`. Raises ValueError."""
    stripped = text.strip()
    inner = stripped[1:-1] if stripped[:1] + stripped[-1:] in ("()", "[]") else stripped
    items = [item.strip().strip("'\"") for item in inner.split(",") if item.strip()]
    if not current:
        return [_parse(item, None, type(None)) for item in items]
    return [_parse(item, current[0], type(current[0])) for item in items]
