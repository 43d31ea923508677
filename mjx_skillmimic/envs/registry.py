"""Environments by name: `load("BallPlay")`, `default_config("BallPlay", preset="reference")`."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

import ml_collections

_ENVIRONMENTS: dict[str, tuple[Callable[..., Any], Callable[[str], ml_collections.ConfigDict]]] = {}


def register(name: str, make: Callable[..., Any], default_config: Callable[[str], ml_collections.ConfigDict]) -> None:
    """Adds an environment: `make(config)` builds it, `default_config(preset)` gives its configuration."""
    _ENVIRONMENTS[name] = (make, default_config)


def names() -> tuple[str, ...]:
    """Every registered environment."""
    _register_ours()
    return tuple(sorted(_ENVIRONMENTS))


def default_config(name: str, preset: str = "default") -> ml_collections.ConfigDict:
    """The environment's configuration for a preset. Raises KeyError that lists what exists."""
    return _entry(name)[1](preset)


def load(name: str, config: ml_collections.ConfigDict | None = None, **kwargs: Any) -> Any:
    """Builds an environment. Raises KeyError that lists what exists."""
    make, defaults = _entry(name)
    return make(defaults("default") if config is None else config, **kwargs)


def _entry(name: str) -> tuple[Callable[..., Any], Callable[[str], ml_collections.ConfigDict]]:
    _register_ours()
    if name not in _ENVIRONMENTS:
        close = difflib.get_close_matches(name, _ENVIRONMENTS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise KeyError(f"no environment {name!r}, there is {', '.join(sorted(_ENVIRONMENTS))}{hint}")
    return _ENVIRONMENTS[name]


def _register_ours() -> None:
    # Imported on demand: building the list must not cost the import of MuJoCo.
    from mjx_skillmimic.envs import ball_play

    register("BallPlay", ball_play.BallPlay, ball_play.default_config)
