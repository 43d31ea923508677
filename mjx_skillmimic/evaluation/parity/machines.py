"""Where and with what a comparison was made."""

from __future__ import annotations

import importlib.metadata
from typing import Any

from mjx_skillmimic.benchmark import machine as described

_ENGINES = ("ovphysx",)  # engines of their own, whose version a training run does not note


def machine() -> dict[str, Any]:
    """device, driver, versions and commit, JSON-able; PhysX's version where it is installed."""
    found = described.machine()
    for name in _ENGINES:
        try:
            found["versions"] = found["versions"] | {name: importlib.metadata.version(name)}
        except importlib.metadata.PackageNotFoundError:
            continue
    return {key: found[key] for key in ("device", "driver", "versions", "commit")}
