"""Environments by name: `load("BallPlay")`, `default_config("BallPlay", preset="reference")`."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
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


def import_tasks(modules: Sequence[str]) -> None:
    """Imports Python files (`my_task.py`), or modules by name (`my_package.tasks`), that `register` tasks as they load.

    Names are looked for in the working directory, too. Raises FileNotFoundError for a file that is not there, and
    whatever the import raises.
    """
    for module in modules:
        if not module.endswith(".py"):
            sys.path.append(str(Path.cwd()))
            try:
                importlib.import_module(module)
            finally:
                sys.path.pop()
            continue
        file = Path(module).resolve()
        if not file.is_file():
            raise FileNotFoundError(f"no file {module}")
        spec = importlib.util.spec_from_file_location(f"_task_{file.stem}", file)
        assert spec is not None
        assert spec.loader is not None
        loaded = importlib.util.module_from_spec(spec)
        # dataclasses and pickles of the file look for their module here
        sys.modules[spec.name] = loaded
        spec.loader.exec_module(loaded)


def _entry(name: str) -> tuple[Callable[..., Any], Callable[[str], ml_collections.ConfigDict]]:
    _register_ours()
    if name not in _ENVIRONMENTS:
        close = difflib.get_close_matches(name, _ENVIRONMENTS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise KeyError(f"no environment {name!r}, there is {', '.join(sorted(_ENVIRONMENTS))}{hint}")
    return _ENVIRONMENTS[name]


def _register_ours() -> None:
    # Imported on demand: building the list must not cost the import of MuJoCo.
    from mjx_skillmimic.envs import ball_play, high_level
    from mjx_skillmimic.envs.v2 import env as v2

    register("BallPlay", ball_play.BallPlay, ball_play.default_config)
    register("SkillMimicV2", v2.SkillMimicV2, v2.default_config)
    for kind in high_level.TASKS:
        high_level.register_task(kind)
