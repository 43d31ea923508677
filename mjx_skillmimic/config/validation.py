"""Checks that run before anything compiles. Each section may register its own with `@validator(section)`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from mjx_skillmimic.config.errors import ConfigError, nearest
from mjx_skillmimic.learning import options as ppo_options

Check = Callable[[ConfigDict], Iterator[str]]
_CHECKS: dict[str, list[Check]] = {}


def validator(section: str) -> Callable[[Check], Check]:
    """Registers a generator of complaints about the whole configuration; it runs when `config.<section>` exists."""

    def register(check: Check) -> Check:
        _CHECKS.setdefault(section, []).append(check)
        return check

    return register


def validate(config: ConfigDict) -> None:
    """Runs the registered checks of the sections that the configuration has. Raises ConfigError with all complaints."""
    complaints = [
        complaint
        for section, checks in _CHECKS.items()
        if section in config
        for check in checks
        for complaint in check(config)
    ]
    if complaints:
        raise ConfigError("this configuration cannot work:\n" + "\n".join(f"  - {text}" for text in complaints))


@validator("ppo")
def _check_ppo(config: ConfigDict) -> Iterator[str]:
    """What PPO's own options refuse; a batch that does not split into whole minibatches also in terms of num_envs."""
    values = config.ppo.to_dict()
    sizes = [values.get(key) for key in ("num_envs", "horizon", "minibatch_size")]
    if all(isinstance(size, int) and size >= 1 for size in sizes):
        num_envs, horizon, minibatch = sizes
        if (num_envs * horizon) % minibatch:
            yield _indivisible(num_envs, horizon, minibatch)
            return
    try:
        ppo_options.from_mapping(values)
    except (TypeError, ValueError) as error:
        yield f"ppo: {error}"


def _indivisible(num_envs: int, horizon: int, minibatch: int) -> str:
    batch = num_envs * horizon
    fitting = " or ".join(str(size) for size in ppo_options.nearest_divisors(batch, minibatch))
    step = minibatch // math.gcd(minibatch, horizon)
    envs = sorted({count for count in (num_envs // step * step, (num_envs // step + 1) * step) if count})
    return (
        f"ppo.num_envs x ppo.horizon = {num_envs} x {horizon} = {batch} samples are not divisible by "
        f"ppo.minibatch_size = {minibatch}; nearest that fit: ppo.minibatch_size = {fitting}, "
        f"or ppo.num_envs = {' or '.join(map(str, envs))}"
    )


@validator("run")
def _check_run(config: ConfigDict) -> Iterator[str]:
    periods = ("checkpoint_every", "checkpoint_keep_every", "eval_every", "video_every", "max_minutes")
    yield from _require(config.run, "run", periods, "0 (never) or above", lambda v: v >= 0)
    yield from _require(
        config.run, "run", ("total_env_steps", "checkpoint_keep", "eval_episodes"), "at least 1", lambda v: v >= 1
    )
    fractions = ("max_nonfinite_fraction", "max_overflow_fraction")
    yield from _require(config.run, "run", fractions, "within [0, 1]", lambda v: 0 <= v <= 1)
    yield from _require(config.run, "run", ("seeds",), "at least 1", lambda v: v >= 1)
    yield from _require(config.run, "run", ("devices",), "0 (all) or above", lambda v: v >= 0)
    yield from _require(config.run, "run", ("max_nonfinite_updates",), "0 or above", lambda v: v >= 0)


@validator("physics")
def _check_engine(config: ConfigDict) -> Iterator[str]:
    from mjx_skillmimic.physics.registry import ENGINES

    engine, known = config.physics.get("engine", "auto"), ("auto", *ENGINES)
    if engine not in known:
        yield f"physics.engine = {engine!r} is none of {', '.join(known)}{nearest(str(engine), known)}"


@validator("motion")
def _check_motion(config: ConfigDict) -> Iterator[str]:
    """What looks like a path must exist; a bare name is looked up among the shipped clips."""
    source = config.motion.get("path")
    for name in [source] if isinstance(source, str) else list(source or ()):
        complaint = _missing_motion(name)
        if complaint:
            yield complaint


def _missing_motion(name: str) -> str | None:
    if name == "" or name == "shipped" or Path(name).expanduser().exists():
        return None
    path = Path(name).expanduser()
    if len(path.parts) > 1 or path.suffix in (".pt", ".npz"):
        folder = next((p for p in path.parents if p.is_dir()), Path())
        existing = sorted(str(p) for p in folder.iterdir() if p.is_dir() or p.suffix in (".pt", ".npz"))
        return f"motion.path = {name!r} does not exist{nearest(name, existing[:200])}"
    from mjx_skillmimic.motion import library

    shipped = [clip.stem for clip in library.shipped_clips_dir().glob("*.npz")]
    if name in shipped:
        return None
    return (
        f"motion.path = {name!r} is neither a file, a folder nor a shipped clip{nearest(name, [*shipped, 'shipped'])}"
    )


def _require(
    section: ConfigDict, name: str, keys: tuple[str, ...], rule: str, holds: Callable[[Any], bool]
) -> Iterator[str]:
    """A complaint for each of the keys that exists and breaks the rule."""
    for key in keys:
        value = section.get(key)
        if value is not None and not holds(value):
            yield f"{name}.{key} = {value!r} must be {rule}"
