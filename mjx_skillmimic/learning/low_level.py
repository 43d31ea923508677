"""Which low-level policy a high-level one was trained on: kept with it, and compared before it goes on or acts.

A high-level policy knows its skills only as one frozen policy performs them. The environment that runs one says so in
`policy_metadata`: {"low_level": {"policy": its name, "sha256": of its numbers}, …}. Checkpoint records and the metadata
of policy files keep that, and another low-level policy is refused unless `low_level.allow_other` is set.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def sha256_of(metadata: Mapping[str, Any]) -> str | None:
    """The hash in an environment's `policy_metadata`, a policy's metadata, a run's description or record; else None."""
    found = metadata.get("low_level")
    return found.get("sha256") if isinstance(found, Mapping) else None


def allows_other(config: Any) -> bool:
    """Whether a configuration, if there is one, sets `low_level.allow_other`."""
    return config is not None and bool(config.get("low_level", {}).get("allow_other", False))


def complaint(trained: Mapping[str, Any], found: Mapping[str, Any], what: str) -> str | None:
    """What is wrong with `what`, trained under one description, under another; None if nothing is, or is known."""
    if sha256_of(trained) in (None, sha256_of(found)):
        return None
    return (
        f"{what} was trained on the low-level policy {_shown(trained)}, found {_shown(found)}: name that one in "
        "low_level.policy, or set low_level.allow_other"
    )


def _shown(metadata: Mapping[str, Any]) -> str:
    digest = sha256_of(metadata)
    return "none" if digest is None else f"{metadata['low_level'].get('policy', 'unknown')} ({str(digest)[:12]})"
