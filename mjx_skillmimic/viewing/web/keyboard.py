"""The keys in the browser: viser's hotkeys for the table of `viewing.keys`, and a script that stills its camera."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Mapping
from importlib import resources
from typing import TYPE_CHECKING, Any

from mjx_skillmimic.motion.skill_names import skill_name
from mjx_skillmimic.viewing.commands import COMMANDS, SKILL

if TYPE_CHECKING:
    import viser

# What a key that is held down may do again and again.
REPEATING = ("step",)
_SYMBOLS = {"ArrowLeft": "←", "ArrowRight": "→", "ArrowUp": "↑", "ArrowDown": "↓", " ": "space"}
_HOTKEYS = {" ": "space", "+": "[plus]"}


def symbol(key: str) -> str:
    """What a person calls a key of the table: "→", "space", "Q"."""
    return _SYMBOLS.get(key, key.upper() if len(key) == 1 else key)


def describe(command: str) -> str:
    """A command in words: "skill: lay-up", "pause or go on"."""
    if command.startswith(SKILL):
        return f"skill: {skill_name(int(command.removeprefix(SKILL)))}"
    return COMMANDS[command]


def bind(server: viser.ViserServer, keys: Mapping[str, str], act: Callable[[str, Any], None]) -> None:
    """Makes each key of the table (key → command) call `act(command, client)` for the browser it was pressed in.

    No key acts while a person types in a field of the page. The commands are also in viser's palette (Ctrl+K).
    """
    for key, command in keys.items():
        # "+" needs Shift on one keyboard and none on another, so symbols are bound both ways
        plain = len(key) > 1 or key.isalnum() or key == " "
        for modifier in (None,) if plain else (None, "shift"):
            _bind(server, key, command, modifier, act)


def _bind(server: viser.ViserServer, key: str, command: str, modifier: Any, act: Callable[[str, Any], None]) -> None:
    hotkey: Any = _HOTKEYS.get(key, key.lower())
    handle = server.gui.add_command(describe(command), description=symbol(key), hotkey=hotkey, modifier=modifier)

    @handle.on_trigger
    def _(event: Any) -> None:
        act(command, event.client)


def script(keys: Mapping[str, str], title: str) -> str:
    """HTML that runs `keyboard.js` when the page takes it in; it shows nothing."""
    source = resources.files(__package__).joinpath("keyboard.js").read_text(encoding="utf-8")
    values = {
        "__TITLE__": title,
        "__KEYS__": list(keys),
        "__REPEATING__": [key for key, command in keys.items() if command in REPEATING],
    }
    for placeholder, value in values.items():
        source = source.replace(placeholder, json.dumps(value))
    # innerHTML runs no script elements, but the handlers of elements
    return f'<img alt="" style="display: none" src="data:," onerror="{html.escape(source)}">'


def help_text(keys: Mapping[str, str]) -> str:
    """The table as Markdown."""
    lines = [f"| {symbol(key)} | {describe(command)} |" for key, command in keys.items()]
    return "\n".join(["| key | does |", "|---|---|", *lines])
