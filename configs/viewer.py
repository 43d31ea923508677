"""What the keys of the viewers do: `play.py --keys configs/viewer.py`, or a copy of this file with other keys.

Keys are named as in a browser's `KeyboardEvent.key`: "ArrowLeft", "Backspace", " ", "q". A command may have several.
"""

from __future__ import annotations

import ml_collections

from mjx_skillmimic.viewing.keys import DEFAULT_KEYS, commands_of


def get_config() -> ml_collections.ConfigDict:
    """`keys`: the keys of each command of `mjx_skillmimic.viewing.commands` and of "skill:LABEL"."""
    config = ml_collections.ConfigDict()
    config.keys = {command: tuple(names) for command, names in commands_of(DEFAULT_KEYS).items()}
    return config
