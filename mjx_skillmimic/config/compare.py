"""Configurations as flat dictionaries and JSON, and what differs between two of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ml_collections import ConfigDict


class Difference(NamedTuple):
    """A key whose value changed; `absent` stands where one side has no such key."""

    key: str
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.key}: {self.old!r} -> {self.new!r}"


ABSENT = "absent"


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{'ppo.horizon': 32, ...}: leaves by dotted key, tuples as lists (as JSON gives them back)."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, ConfigDict | Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = list(value) if isinstance(value, tuple | list) else value
    return flat


def to_json(config: ConfigDict) -> str:
    """The resolved configuration as indented JSON with sorted keys. Raises TypeError for a value JSON cannot hold."""
    return json.dumps(config.to_dict(), indent=2, sort_keys=True)


def from_json(text: str) -> ConfigDict:
    """The inverse of `to_json`, locked; lists become tuples, as configurations write them."""
    config = ConfigDict(_tuples(json.loads(text)))
    return config.lock()


def _tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def differences(old: Mapping[str, Any], new: Mapping[str, Any], free: Iterable[str] = ()) -> list[Difference]:
    """Keys with different values, sorted, leaving out those that equal or lie under a dotted name in `free`."""
    before, after = flatten(old), flatten(new)
    ignored = tuple(free)
    found = []
    for key in sorted(before.keys() | after.keys()):
        pair = Difference(key, before.get(key, ABSENT), after.get(key, ABSENT))
        is_free = any(key == name or key.startswith(f"{name}.") for name in ignored)
        if pair.old != pair.new and not is_free:
            found.append(pair)
    return found
