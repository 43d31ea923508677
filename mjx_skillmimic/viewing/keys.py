"""Keys and what they do: one table for every viewer, remapped by `configs/viewer.py` (skillmimic.md §9.1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from ml_collections import ConfigDict

from mjx_skillmimic.config import load_config
from mjx_skillmimic.config.errors import ConfigError, nearest
from mjx_skillmimic.viewing.commands import check_command

# Names as in a browser's `KeyboardEvent.key`. Letters are compared without regard to case.
DEFAULT_KEYS: dict[str, str] = {
    "ArrowLeft": "skill:11",
    "ArrowRight": "skill:12",
    "ArrowUp": "skill:13",
    "q": "skill:1",
    "w": "skill:5",
    "e": "skill:31",
    "r": "skill:34",
    " ": "box",
    "p": "pause",
    ".": "step",
    "Backspace": "reset",
    "+": "faster",
    "-": "slower",
    "g": "ghost",
    "n": "next_clip",
    "b": "previous_clip",
    "a": "auto",
}

# Every key with a name of its own that a viewer understands; all others are one printable character.
NAMED_KEYS = (
    "ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Backspace", "Enter", "Tab", "Escape", "Insert", "Delete",
    "Home", "End", "PageUp", "PageDown", *(f"F{i}" for i in range(1, 13)),
)  # fmt: skip


class Commanded(Protocol):
    """What takes commands: a `session.Session`."""

    def do(self, command: str) -> str:
        """Does a command and says what was done; ValueError says why not."""


def normalise(key: str) -> str:
    """The key's name as the table has it: letters in lower case."""
    return key.lower() if len(key) == 1 else key


def keys_from(config: ConfigDict | Mapping[str, Any]) -> dict[str, str]:
    """The table key → command of a configuration: its section `keys` (or itself) lists the keys of each command.

    Raises ConfigError for an unknown command or key, or for a key that stands for two commands.
    """
    section = config.get("keys", config)
    table: dict[str, str] = {}
    for command, names in section.items():
        try:
            check_command(command)
        except ValueError as error:
            raise ConfigError(f"config.keys: {error}") from error
        for name in (names,) if isinstance(names, str) else names:
            key = normalise(name)
            if len(key) != 1 and key not in NAMED_KEYS:
                raise ConfigError(f"config.keys.{command}: no key {name!r}{nearest(name, NAMED_KEYS)}")
            if table.setdefault(key, command) != command:
                raise ConfigError(f"config.keys: {name!r} stands for {table[key]!r} and for {command!r}")
    return table


def load_keys(path: str | Path, overrides: Iterable[tuple[str, str]] = ()) -> dict[str, str]:
    """The table of a configuration file such as `configs/viewer.py`. Raises ConfigError, see `keys_from`."""
    return keys_from(load_config(path, overrides, check=False))


def commands_of(keys: Mapping[str, str]) -> dict[str, list[str]]:
    """The inverse of a table: command → its keys."""
    table: dict[str, list[str]] = {}
    for key, command in keys.items():
        table.setdefault(command, []).append(key)
    return table


def press(session: Commanded, key: str, keys: Mapping[str, str] = DEFAULT_KEYS) -> str | None:
    """Does what a key stands for; answers what was done or why not, None for a key that stands for nothing."""
    command = keys.get(normalise(key))
    if command is None:
        return None
    try:
        return session.do(command)
    except ValueError as error:
        return str(error)
