"""What a run is made with: devices, versions, engine, and how long the compiler will take."""

from __future__ import annotations

import importlib.metadata
import platform
from typing import Any

import jax

import mjx_skillmimic

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "mujoco", "mujoco-mjx", "warp-lang", "brax", "numpy")

# For a whole iteration, by JAX platform and engine: what was measured, on two CPU cores and on one H200.
_COMPILE_TIME = {
    ("cpu", "mujoco"): "about 30 s",
    ("gpu", "mjx-warp"): "about 12 s, and 55 s more when Warp's kernels are not in its cache yet",
}


def versions() -> dict[str, str]:
    """Versions of this package, Python and the packages that decide results; absent ones are left out."""
    found = {"mjx_skillmimic": mjx_skillmimic.__version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def engine_of(env: Any) -> str:
    """The name of an environment's physics engine, "none" if it has none."""
    return str(getattr(getattr(env, "physics", None), "name", "none"))


def motion_hash_of(env: Any) -> str | None:
    """The hash of an environment's motion clips (its `motion_hash`, or of its `clips`), None if it has none."""
    if hasattr(env, "motion_hash"):
        return env.motion_hash
    if not hasattr(env, "clips"):
        return None
    from mjx_skillmimic.motion.library import motion_hash

    return motion_hash(env.clips)


def expected_compile_time(engine: str) -> str:
    """About how long one training iteration compiles on this platform; "unknown" if nobody measured it."""
    return _COMPILE_TIME.get((jax.default_backend(), engine), "unknown")


def describe(env: Any) -> dict[str, Any]:
    """Devices, engine, versions, motion hash, and the environment's `policy_metadata` if it has any; JSON-able."""
    return {
        "devices": [f"{device.platform}: {device.device_kind}" for device in jax.devices()],
        "engine": engine_of(env),
        "versions": versions(),
        "motion_hash": motion_hash_of(env),
        **getattr(env, "policy_metadata", {}),
    }


def header(description: dict[str, Any], devices: int | None = None, seeds: int = 1) -> str:
    """The lines that a run begins with; devices: how many of those there are it uses, None for all."""
    counted = {name: description["devices"].count(name) for name in dict.fromkeys(description["devices"])}
    used = f", of which {devices} used" if devices not in (None, len(description["devices"])) else ""
    shown = ", ".join(f"{number} x {name}" for name, number in counted.items())
    return "\n".join(
        [
            f"devices    {shown}{used}",
            *([f"seeds      {seeds} at once"] if seeds > 1 else []),
            f"engine     {description['engine']}",
            f"versions   {', '.join(f'{name} {version}' for name, version in description['versions'].items())}",
            f"compiling  {expected_compile_time(description['engine'])}",
        ]
    )
