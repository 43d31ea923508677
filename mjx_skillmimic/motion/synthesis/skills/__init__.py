"""One skill a file, each with NAME, SKILL (its label) and `make() -> Plan`."""

from __future__ import annotations

import importlib
from types import ModuleType

NAMES = ("throw_catch", "dribble_in_place", "dribble_forward", "pick_up", "chest_pass", "set_shot")


def skill(name: str) -> ModuleType:
    """The module of a skill. Raises KeyError that lists what exists."""
    if name not in NAMES:
        raise KeyError(f"no skill {name!r}; there are {', '.join(NAMES)}")
    return importlib.import_module(f"{__name__}.{name}")
